"""Kernels that `attnc build` made, launched: needs torch and the Triton that built them, and nothing of attnc.

`load()` gives a differentiable function of tensors on the GPU; parameters go by keyword. A copy of this file is the
package's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import triton

from attnc.ir.evaluation import evaluate, in_order, rounds, workers

_HERE = Path(__file__).parent
_TYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "bool": "i1", "uint8": "u8"}
_TYPES |= {f"int{bits}": f"i{bits}" for bits in (8, 16, 32, 64)}
_FAR = 1 << 23


class Kernels:
    """The kernels of one direction, for the device that is current."""

    def __init__(self, direction: str, target: str) -> None:
        made = json.loads((_HERE / "launches.json").read_text())
        if triton.__version__ != made["triton"]:
            raise RuntimeError(f"these kernels were built by Triton {made['triton']}, not {triton.__version__}")
        if target not in made["targets"]:
            raise RuntimeError(f"no kernels for {target}: built were {', '.join(made['targets'])}")
        self.inputs, self.parameters, self.fixed = made["inputs"], made["parameters"], made["fixed"]
        self.manifest = made[direction]
        folder = made["widths"][target]
        module = import_module(f".{folder}.{direction}", __package__)
        self.steps = [
            (launch, choice, _open(getattr(module, launch["kernel"]), launch, choice, self.manifest["dtypes"]))
            for launch, choice in zip(made[folder][direction], made["choices"][target][direction])
        ]

    def run(self, tensors: Mapping[str, torch.Tensor], parameters: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Every result by name."""
        known = dict(parameters)
        for name, sizes in self.inputs:
            if tensors[name].dim() != len(sizes):
                raise ValueError(f"'{name}' must have {len(sizes)} dimensions")
            known |= {size: n for size, n in zip(sizes, tensors[name].shape) if isinstance(size, str)}
        for name, size in self.fixed.items():
            if known.get(name, size) != size:
                raise ValueError(f"these kernels are for {name}={size}, not {known[name]}")
        blocks = [_blocks(launch, choice, known) for launch, choice, _ in self.steps]
        known["#splits"] = workers([(one["shares"], one["takes_turns"]) for one, _, _ in self.steps], blocks)
        device = next(iter(tensors.values())).device
        results = {name: _take(sizes, dtype, known, device) for name, sizes, dtype in self.manifest["outputs"]}
        every = {**tensors, **results}
        for buffer in self.manifest["buffers"]:
            every[buffer["name"]] = _take(buffer["sizes"], buffer["dtype"], known, device, buffer["is_zeroed"])
        ended = ""  # what is skipped up to its end
        for what, number, around in in_order(len(self.steps), self.manifest["repeats"], known):
            if ended or what != "launch":
                ended = "" if what == "end" and number == ended else ended
                if what == "zero" and not ended:
                    every[number].zero_()
                elif what == "until" and not ended and _is_still(every[number]):
                    ended = number
                continue
            for repeat, step in around:
                known[repeat["step"]] = step
                every.update({now: every[whole][step] for now, whole in repeat["states"]})
            launch, choice, compiled = self.steps[number]
            turns, each = rounds(launch["takes_turns"], blocks[number], known["#splits"])
            grid = each * math.prod(evaluate(size, known) for size in launch["outer"])
            for turn in range(turns if grid else 0):
                known["#turn"] = turn
                compiled[(grid, 1, 1)](*(_value(a, launch, choice, every, known) for a in launch["arguments"]))
        return results


def _is_still(moving: torch.Tensor) -> bool:
    """Whether nothing moves any more; a graph that is being captured may not ask, and takes all steps."""
    return not torch.cuda.is_current_stream_capturing() and not bool(moving.any())


def _blocks(launch: Mapping[str, Any], choice: Mapping[str, Any], known: Mapping[str, Any]) -> int:
    return 1 if launch["rows"] is None else -(-int(evaluate(launch["rows"], known)) // int(choice["rows"]))


def _pair_tensors(launch: Mapping[str, Any]) -> set[str]:
    """Tensors that are read by tiles of two lengths."""
    return {a["of"] for a in launch["arguments"] if launch["streams"] and a["type"] == "long" and a["in_tile"]}


def _value(
    argument: Mapping[str, Any],
    launch: Mapping[str, Any],
    choice: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    known: Mapping[str, Any],
) -> Any:
    kind, name = argument["kind"], argument["of"]
    if kind == "tensor":
        return tensors[name]
    if kind == "stride":
        stride = tensors[name].stride(argument["dim"])
        if argument["type"] == "wide" and argument["dim"] < tensors[name].dim() - 1 and stride % 16:
            raise ValueError(f"rows of '{name}' must begin at multiples of 16 elements")
        if name in _pair_tensors(launch) and argument["dim"] < tensors[name].dim() - 1 and stride % 16:
            raise ValueError(f"rows of '{name}' must begin at multiples of 16 elements: make the last length one")
        if argument["in_tile"] and stride >= _FAR:
            raise ValueError(f"rows of '{name}' lie too far apart")
        return stride
    if kind == "constant":
        return {"ROWS": choice["rows"], "COLUMNS": choice["columns"], "PRECISION": choice["precision"]}[name]
    return known[name]


def _take(
    sizes: Sequence[Any], dtype: str, known: Mapping[str, Any], device: torch.device, is_zeroed: bool = False
) -> torch.Tensor:
    make = torch.zeros if is_zeroed else torch.empty
    return make([evaluate(size, known) for size in sizes], dtype=getattr(torch, dtype), device=device)


def _open(function: Any, launch: Mapping[str, Any], choice: Mapping[str, Any], dtypes: Mapping[str, str]) -> Any:
    """A kernel from its binary."""
    from triton.compiler import ASTSource, CompiledKernel

    signature, constants = {}, {}
    for place, argument in enumerate(launch["arguments"]):
        kind = argument["kind"]
        if kind == "constant":
            signature[argument["name"]] = "constexpr"
            constants[(place,)] = _value(argument, launch, choice, {}, {})
        elif kind == "tensor":
            signature[argument["name"]] = "*" + _TYPES[dtypes[argument["of"]]]
        elif kind == "stride":
            signature[argument["name"]] = "i32" if argument["in_tile"] else "i64"
        else:
            signature[argument["name"]] = "i32" if kind == "size" else "fp32" if argument["type"] == "float" else "i64"
    source = ASTSource(fn=function, signature=signature, constexprs=constants, attrs={})
    files = {Path(name).name: str(_HERE / name) for name in choice["files"]}
    return CompiledKernel(source, files, choice["hash"])


def target_of_device() -> str:
    """The name of the current device's architecture."""
    target = triton.runtime.driver.active.get_current_target()
    return str(target.arch).split(":")[0] if target.backend == "hip" else f"sm_{target.arch}"


def load(target: str | None = None) -> Callable[..., Any]:
    """The attention as a function: tensors in the order of its inputs, parameters by keyword."""
    target = target or target_of_device()
    forward, backward = Kernels("forward", target), Kernels("backward", target)
    names = [name for name, _ in forward.inputs]
    results = [name for name, _, _ in forward.manifest["outputs"] if name in forward.manifest["results"]]
    kept = forward.manifest["kept"]

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, parameters: dict[str, Any], *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = forward.run(dict(zip(names, tensors)), parameters)
            ctx.parameters = parameters
            ctx.save_for_backward(*tensors, *(found[item["result"] or item["name"]] for item in kept))
            return tuple(found[name] for name in results)

        @staticmethod
        def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
            saved = ctx.saved_tensors
            every = dict(zip(names, saved))
            every |= {item["name"]: tensor for item, tensor in zip(kept, saved[len(names) :])}
            every |= {"d " + name: cotangent.contiguous() for name, cotangent in zip(results, cotangents)}
            found = backward.run(every, ctx.parameters)
            return (None, *(found.get("g " + name) for name in names))

    def attention(*tensors: torch.Tensor, **parameters: Any) -> Any:
        if len(tensors) != len(names):
            raise ValueError(f"the tensors are {', '.join(names)}")
        for name, tensor in zip(names, tensors):
            wanted = forward.manifest["dtypes"].get(name, str(tensor.dtype)[6:])
            if str(tensor.dtype) != f"torch.{wanted}" or tensor.data_ptr() % 16:
                raise ValueError(f"'{name}' must be {wanted} and begin at a multiple of 16 bytes")
        known = {**forward.parameters, **parameters}
        found = Function.apply(known, *tensors)  # type: ignore[no-untyped-call]
        return found[0] if len(found) == 1 else found

    return attention
