"""A call on a GPU, prepared for its sizes: memory to take, kernels with all arguments but the pointers, grids.

How a kernel is run (compiled for the device, or by Triton's interpreter) is the machine's affair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from attnc.codegen.triton.names import TURN
from attnc.codegen.triton.program import Launch
from attnc.ir.evaluation import in_order, rounds, workers
from attnc.ir.host import evaluate
from attnc.ir.roles import SPLITS

from ..dtypes import NAMES
from ..memory import Memory
from ..mistakes import OutOfMemory
from .choices import Choice
from .kernels import TritonKernel

DTYPES = {name: dtype for dtype, name in NAMES.items()}


class Runner(Protocol):
    """Runs one kernel: `tensors` in the order of the launch's tensor arguments."""

    def __call__(self, grid: int, tensors: list[torch.Tensor]) -> None: ...


class Machine(Protocol):
    """Where kernels run: chooses their block sizes and binds all but the tensors."""

    device: torch.device
    splits_widths: bool
    units: int  # how many kernels it runs at once

    def choose(self, kernel: TritonKernel, launch: Launch, is_even: bool) -> Choice: ...

    def bind(
        self, kernel: TritonKernel, launch: Launch, choice: Choice, values: list[Any], is_aligned: bool, is_even: bool
    ) -> Runner: ...


@dataclass(frozen=True)
class Step:
    """One launch, bound; without a runner, its tensors are filled with 0, or, where `end` is the place of a step, what
    is next is that step if the tensor holds nothing but false. A place in a tensor's first dimension stands for the
    part there; None for all of it."""

    run: Runner | None
    grid: int
    tensors: tuple[tuple[str, int | None], ...]
    end: int = 0


@dataclass(frozen=True)
class TritonPrepared:
    """Kernels with everything but the tensors; `attention` is the name that messages give it."""

    attention: str
    kernel: TritonKernel
    device: torch.device
    fills: tuple[Memory, ...]
    buffers: tuple[Memory, ...]
    steps: tuple[Step, ...]

    def run(self, tensors: Mapping[str, torch.Tensor], counters: int = 0) -> dict[str, torch.Tensor]:
        """Allocates the results, runs the kernels, and returns the results by name."""
        try:
            filled = {fill.name: self._take(fill) for fill in self.fills}
            own = {buffer.name: self._take(buffer) for buffer in self.buffers}
        except torch.OutOfMemoryError:
            names = tuple(f"{m.name}{list(m.shape)}" for m in (*self.fills, *self.buffers))
            raise OutOfMemory(self.attention, names).error() from None
        every = {**tensors, **filled, **own}
        number = 0
        while number < len(self.steps):
            step = self.steps[number]
            number += 1
            operands = [every[name] if place is None else every[name][place] for name, place in step.tensors]
            if step.run is not None:
                step.run(step.grid, operands)
            elif step.end:
                number = step.end if is_still(operands[0]) else number
            else:
                for operand in operands:
                    operand.zero_()
        return filled

    def _take(self, memory: Memory) -> torch.Tensor:
        make = torch.zeros if memory.is_zeroed else torch.empty
        return make(memory.shape, dtype=memory.dtype, device=self.device)


def prepare_triton(
    attention: str,
    kernel: TritonKernel,
    machine: Machine,
    tensors: Mapping[str, torch.Tensor],
    fills: tuple[Memory, ...],
    known: Mapping[str, Any],
) -> TritonPrepared:
    """Everything that a call of these sizes and strides does but allocating. `known`: sizes and parameters."""
    known = {**known, SPLITS: 1}
    fixed = {memory.name: _contiguous(memory.shape) for memory in (*fills, *_buffers(kernel, known))}
    fixed |= {name: tensors[name].stride() for name in kernel.tensors if name not in fixed}
    parts = {now: whole for repeat in kernel.repeats for now, whole in repeat["states"]}
    fixed |= {now: fixed[whole][1:] for now, whole in parts.items()}
    evens = [all(_is_even(fixed[name]) for name in launch.pair_tensors) for launch in kernel.launches]
    choices = [machine.choose(kernel, launch, even) for launch, even in zip(kernel.launches, evens)]
    blocks = [_blocks(launch, choice, known) for launch, choice in zip(kernel.launches, choices)]
    known = {**known, SPLITS: workers([(x.shares, x.takes_turns) for x in kernel.launches], blocks)}
    buffers = _buffers(kernel, known)
    strides = {**fixed, **{memory.name: _contiguous(memory.shape) for memory in buffers}}
    strides |= {now: strides[whole][1:] for now, whole in parts.items()}
    wide = {a.of for launch in kernel.launches for a in launch.arguments if a.type == "wide"}
    aligned = all(_is_aligned(tensors[name], name in wide) for name in kernel.tensors if name in tensors)
    steps: list[Step] = []
    waiting: dict[str, list[int]] = {}  # steps that may go on after the end of what is repeated
    for what, number, around in in_order(len(kernel.launches), kernel.repeats, known):
        if what == "launch":
            launch = kernel.launches[number]
            turns, each = rounds(launch.takes_turns, blocks[number], known[SPLITS])
            grid = math.prod(int(evaluate(size, known)) for size in launch.outer) * each
            for turn in range(turns if grid else 0):
                at = {now: (whole, step) for repeat, step in around for now, whole in repeat["states"]}
                here = {**known, TURN: turn, **{repeat["step"]: step for repeat, step in around}}
                values = [_value(argument, strides, here) for argument in launch.arguments]
                runner = machine.bind(kernel, launch, choices[number], values, aligned, evens[number])
                names = (argument.of for argument in launch.arguments if argument.kind == "tensor")
                steps.append(Step(runner, grid, tuple(at.get(name, (name, None)) for name in names)))
        elif what == "end":
            for place in waiting.pop(number):
                steps[place] = replace(steps[place], end=len(steps))
        else:
            if what == "until":
                waiting.setdefault(number, []).append(len(steps))
            steps.append(Step(None, 0, ((number, None),)))
    return TritonPrepared(attention, kernel, machine.device, fills, buffers, tuple(steps))


def is_still(moving: torch.Tensor) -> bool:
    """Whether nothing moves any more. A graph that is being captured may not ask: it takes all steps, of which later
    ones change nothing."""
    return not (moving.is_cuda and torch.cuda.is_current_stream_capturing()) and not bool(moving.any())


def _buffers(kernel: TritonKernel, known: Mapping[str, Any]) -> tuple[Memory, ...]:
    return tuple(
        Memory(b.name, tuple(int(evaluate(size, known)) for size in b.sizes), DTYPES[b.dtype], b.is_zeroed)
        for b in kernel.buffers
    )


def _is_even(strides: Sequence[int]) -> bool:
    """Whether all rows begin at multiples of 16 elements."""
    return not any(stride % 16 for stride in strides[:-1])


def _blocks(launch: Launch, choice: Choice, known: Mapping[str, Any]) -> int:
    return 1 if launch.rows is None else -(-int(evaluate(launch.rows, known)) // choice.rows)


def _value(argument: Any, strides: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """What an argument is at this call; None for tensors and constants."""
    if argument.kind == "stride":
        return strides[argument.of][argument.dim]
    if argument.kind == "size":
        return known[argument.of]
    if argument.kind == "parameter":
        return float(known[argument.of]) if argument.type == "float" else int(known[argument.of])
    return None


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(strides[::-1])


def _is_aligned(tensor: torch.Tensor, is_wide: bool) -> bool:
    """Whether vectors of 16 bytes can be loaded from its start and, with whole vectors of features, from any row's."""
    return tensor.data_ptr() % 16 == 0 and not (is_wide and any(stride % 16 for stride in tensor.stride()[:-1]))
