"""A call of an attention: checked, prepared once for each combination of shapes, then only pointers are filled in.

`Caller` belongs to one attention. What it remembers of a call (sizes, strides, parameters, kernel) is keyed by all
that the kernel's arguments depend on, so a repeated call does no work but allocating its results.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

import torch

from attnc.card import Card, OutputCard
from attnc.diagnostics import Diagnostic
from attnc.diagnostics.diagnostic import AttnError
from attnc.ir.host import evaluate
from attnc.ir.roles import SPLITS
from attnc.pipeline import Derivation

from . import pool
from .dtypes import NAMES, promoted, summed
from .kernels import Kernel, Request, load_kernel
from .machines import machine_for
from .memory import Memory
from .mistakes import NoData, OutOfMemory
from .parts import cores, few_on_cores, few_on_units
from .reordering import Reordered, find_reordering
from .signature import Bound, Parameters, bind_sizes, check_tensors

if TYPE_CHECKING:
    from .triton.kernels import TritonKernel
    from .triton.prepared import Machine, TritonPrepared

Tensors = dict[str, torch.Tensor]

_MOST_REMEMBERED = 4096
_PLAIN = (torch.Tensor, torch.nn.Parameter)  # not what only stands for others


@dataclass(frozen=True)
class Prepared:
    """A kernel with all words of its argument but the pointers: `pointers` says which tensor goes where. `attention` is
    the name that messages give it."""

    attention: str
    kernel: Kernel
    words: array[int]
    pointers: tuple[tuple[int, str], ...]
    fills: tuple[Memory, ...]

    def run(self, tensors: dict[str, torch.Tensor], counters: int = 0) -> dict[str, torch.Tensor]:
        """Allocates the results, runs the kernel, and returns the results by name."""
        try:
            filled = {fill.name: torch.empty(fill.shape, dtype=fill.dtype) for fill in self.fills}
        except RuntimeError:
            raise self._no_memory().error() from None
        words = self.words[:]
        words[0] = torch.get_num_threads()
        words[3] = counters
        try:
            for place, name in self.pointers:
                tensor = filled.get(name)
                tensor = tensors[name] if tensor is None else tensor
                address = words[place] = tensor.data_ptr()
                if not address and tensor.numel():
                    raise NoData(self.attention).error()
        except RuntimeError:  # torch's, for tensors that only stand for others
            raise NoData(self.attention).error() from None
        if self.kernel.run(words.buffer_info()[0]):
            raise self._no_memory().error()
        return filled

    def _no_memory(self) -> OutOfMemory:
        return OutOfMemory(
            self.attention, tuple(f"{fill.name.replace(' ', '_')}{list(fill.shape)}" for fill in self.fills)
        )


AnyPrepared = Union[Prepared, "TritonPrepared", "Reordered"]


@dataclass
class Situation:
    """A call as remembered: everything about it that outlives the tensors."""

    card: Card
    bound: Bound
    request: Request
    forward: AnyPrepared
    names: tuple[str, ...]
    needs: tuple[str, ...]
    backward: Callable[[Tensors], AnyPrepared]


class Caller:
    """Calls one attention. `card_of` and `derive` are asked for the statics (bool and mode parameters) given."""

    def __init__(
        self,
        identity: str,
        card_of: Callable[[tuple[tuple[str, Any], ...]], Card],
        derive: Callable[[tuple[tuple[str, Any], ...]], Derivation],
    ) -> None:
        self.identity = identity
        self.name = identity.partition("\n")[0]
        self.card_of = card_of
        self.derive = derive
        self.kernels: dict[tuple[Request, bool], Kernel] = {}
        self.triton_kernels: dict[tuple[Request, bool, bool], TritonKernel] = {}
        self.remembered: dict[Any, Situation] = {}
        self.first_use: Callable[[Card, tuple[Any, ...], Parameters], None] | None = None

    # --- remembering -------------------------------------------------------------------------------------------

    def situation(
        self, card: Card, tensors: tuple[Any, ...], parameters: Parameters, needs: tuple[bool, ...] | None = None
    ) -> Situation:
        """What is known of a call like this one; checked and prepared the first time. `needs`: which inputs' gradients
        are wanted, where the tensors do not say so themselves."""
        grad = torch.is_grad_enabled() and needs is None
        try:
            key = (
                tuple(
                    [
                        (t.shape, t.stride(), t.dtype, grad and t.requires_grad, _where(t), t.is_neg(), t.layout)
                        for t in tensors
                    ]
                ),
                tuple(parameters.values()),
                needs,
                self._extents(card, tensors, parameters) if card.extents else (),
            )
            found = self.remembered.get(key)
        except (AttributeError, RuntimeError, TypeError):
            check_tensors(card, tensors)
            raise
        if found is None:
            found = self._prepare(
                card, tensors, parameters, [grad and t.requires_grad for t in tensors] if needs is None else needs
            )
            if len(self.remembered) >= _MOST_REMEMBERED:
                self.remembered.clear()
            self.remembered[key] = found
        return found

    def _extents(self, card: Card, tensors: tuple[Any, ...], parameters: Parameters) -> tuple[tuple[str, int], ...]:
        """Sizes that the tensors hold, which may differ between calls of equal shapes."""
        check_tensors(card, tensors)
        bound = bind_sizes(card, [tensor.shape for tensor in tensors], parameters, tensors)
        return tuple((name, bound.sizes[name]) for name in card.extents)

    def _prepare(
        self, card: Card, tensors: tuple[Any, ...], parameters: Parameters, learns: Sequence[bool]
    ) -> Situation:
        check_tensors(card, tensors)
        bound = bind_sizes(card, [tensor.shape for tensor in tensors], parameters, tensors)
        if not tensors[0].is_cpu and self.first_use is not None:
            self.first_use(card, tensors, parameters)
        needs = tuple(item.name for item, needed in zip(card.inputs, learns) if needed and item.type == "float")
        main = [
            t.dtype for item, t in zip(card.inputs, tensors) if item.name in ("q", "k", "v") and item.type == "float"
        ]
        floats = [t.dtype for item, t in zip(card.inputs, tensors) if item.type == "float"]
        dtype = promoted(main or floats)
        request = self._request(card, tensors, parameters, bound, dtype, needs)
        names = tuple(item.name for item in card.inputs)
        named = dict(zip(names, tensors))
        known, device = {**parameters, **bound.sizes}, tensors[0].device
        how = find_reordering(card, known, device) if all(type(t) in _PLAIN for t in tensors) else None

        def prepare(is_backward: bool, available: Tensors) -> AnyPrepared:
            if how is None:
                return self.prepare(request, is_backward, available, bound, parameters, dtype)
            asked = replace(request, layouts=how.layouts(request.layouts), is_reordered=True)
            inner = self.prepare(asked, is_backward, how.shapes(available), bound, parameters, dtype)
            return Reordered(inner, how)

        forward = prepare(False, named)

        def backward(available: Tensors) -> AnyPrepared:
            return prepare(True, available)

        return Situation(card, bound, request, forward, names, needs, _once(backward, request))

    def _request(
        self,
        card: Card,
        tensors: Sequence[torch.Tensor],
        parameters: Parameters,
        bound: Bound,
        dtype: torch.dtype,
        needs: tuple[str, ...],
    ) -> Request:
        statics = tuple((p.name, parameters[p.name]) for p in card.statics)
        layouts = [(item.name, NAMES[t.dtype], _unit_last(t)) for item, t in zip(card.inputs, tensors)]
        layouts.append(("#result", NAMES[dtype], True))
        compute = "double" if dtype == torch.float64 else "float"
        return Request(statics, compute, tuple(bound.widths.items()), tuple(layouts), needs)

    # --- kernels -----------------------------------------------------------------------------------------------

    def kernel(self, request: Request, is_backward: bool) -> Kernel:
        key = (request, is_backward)
        if key not in self.kernels:
            self.kernels[key] = load_kernel(self.identity, lambda: self._derivation(request), request, is_backward)
        return self.kernels[key]

    def triton_kernel(self, request: Request, is_backward: bool, machine: Machine) -> TritonKernel:
        from .triton.kernels import load_triton_kernel

        key = (request, is_backward, machine.splits_widths)
        if key not in self.triton_kernels:
            self.triton_kernels[key] = load_triton_kernel(
                self.identity, lambda: self._derivation(request), request, is_backward, machine.splits_widths
            )
        return self.triton_kernels[key]

    def _derivation(self, request: Request) -> Derivation:
        derivation = self.derive(request.statics)
        return derivation.reordered if request.is_reordered else derivation

    def prepare(
        self,
        request: Request,
        is_backward: bool,
        tensors: Mapping[str, torch.Tensor],
        bound: Bound,
        parameters: Parameters,
        dtype: torch.dtype,
    ) -> AnyPrepared:
        known = {**parameters, **bound.sizes}
        device = next(iter(tensors.values())).device
        machine = machine_for(device, self.name)
        if machine is not None:
            return self._prepare_triton(machine, request, is_backward, tensors, known, dtype)
        kernel = self.kernel(request, is_backward)
        few = few_on_cores(kernel, known)
        if few.is_few and not is_backward and not request.is_reordered:
            kernel = self.kernel(replace(request, takes_parts=True), is_backward)
        known |= few.sizes
        fills = _fills(kernel.outputs, tensors, known, dtype)
        parallel, scratch = pool.entry_points()
        known[SPLITS] = max((-(-cores() // max(evaluate(o, known), 1)) for o in kernel.owners), default=1)
        words = array("q", [0, parallel, scratch, 0])
        words.extend(known[name] for name in kernel.sizes)
        for name, type in kernel.parameters:
            value = parameters[name]
            words.append(struct.unpack("q", struct.pack("d", value))[0] if type == "float" else int(value))
        pointers = []
        shapes = {fill.name: fill.shape for fill in fills}
        for name, rank in kernel.tensors:
            pointers.append((len(words), name))
            words.append(0)
            words.extend(_contiguous(shapes[name]) if name in shapes else tensors[name].stride())
            assert len(words) == pointers[-1][0] + 1 + rank
        return Prepared(self.name, kernel, words, tuple(pointers), fills)

    def _prepare_triton(
        self,
        machine: Machine,
        request: Request,
        is_backward: bool,
        tensors: Mapping[str, torch.Tensor],
        known: Mapping[str, Any],
        dtype: torch.dtype,
    ) -> TritonPrepared:
        from .triton.prepared import prepare_triton

        kernel = self.triton_kernel(request, is_backward, machine)
        few = few_on_units(kernel.launches, known, machine.units)
        if few.is_few and not is_backward and not request.is_reordered:
            kernel = self.triton_kernel(replace(request, takes_parts=True), is_backward, machine)
        known = {**known, **few.sizes}
        fills = _fills(kernel.outputs, tensors, known, dtype)
        return prepare_triton(self.name, kernel, machine, tensors, fills, known)


def _once(make: Callable[[Tensors], AnyPrepared], request: Request) -> Callable[[Tensors], AnyPrepared]:
    """Prepares the backward at its first use, anew only where strides have changed; what hooks on saved tensors brought
    back in another layout than the kernel is made for is copied."""
    has_unit = {name: unit for name, _, unit in request.layouts}
    made: dict[tuple[Any, ...], tuple[AnyPrepared, list[str]]] = {}

    def get(available: Tensors) -> AnyPrepared:
        key = tuple([(t.stride(), _where(t)) for t in available.values()])
        found = made.get(key)
        if found is None:
            odd = [name for name, t in available.items() if has_unit.get(name, True) and not _unit_last(t)]
            plain = {name: available[name].contiguous() for name in odd}
            found = made[key] = make({**available, **plain}), odd
        for name in found[1]:
            available[name] = available[name].contiguous()
        return found[0]

    return get


def _where(tensor: torch.Tensor) -> Any:
    """What a prepared call depends on beside sizes and strides: on a GPU, kernels differ by alignment."""
    return tensor.is_cpu or (tensor.device, tensor.data_ptr() % 16)


def _fills(
    outputs: Sequence[OutputCard], tensors: Mapping[str, torch.Tensor], known: Mapping[str, Any], dtype: torch.dtype
) -> tuple[Memory, ...]:
    return tuple(
        Memory(o.name, tuple(evaluate(size, known) for size in o.sizes), _fill_dtype(o, tensors, dtype))
        for o in outputs
    )


def _fill_dtype(card: OutputCard, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype) -> torch.dtype:
    if card.dtype.startswith("like "):
        return tensors[card.dtype[5:]].dtype
    return {"result": dtype, "sum": summed(dtype), "int": torch.int64, "bool": torch.bool}[card.dtype]


def _contiguous(shape: tuple[int, ...]) -> list[int]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return strides[::-1]


def _unit_last(tensor: torch.Tensor) -> bool:
    return tensor.dim() == 0 or tensor.shape[-1] <= 1 or tensor.stride(-1) == 1


__all__ = ["AttnError", "Caller", "Diagnostic", "Situation"]
