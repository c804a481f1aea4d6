"""A new kernel on a real GPU computes one small random problem, which is compared with the dense meaning.

Compilers for GPUs have made wrong kernels of right programs before; a wrong one is refused, with the versions named.
What was found right is remembered beside the kernels. ATTNC_FIRST_USE=off switches this off.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from attnc.card import Card
from attnc.diagnostics.diagnostic import AttnError
from attnc.ir.host import evaluate

from ..cache import digest, load_json, store_json
from ..kernels import generator_digest
from ..mistakes import WrongOnDevice
from ..signature import Bound, Parameters, bind_sizes

if TYPE_CHECKING:
    from attnc.spec import Attention

    from .devices import Gpu

_TOLERATED = 16.0
_ROUNDED = 2.0**13  # by how much coarser TensorFloat32 is than float32
_LONGEST = 160
_LENGTHS = (163, 160, 192, 256, 512, 1024)
_running: contextvars.ContextVar[bool] = contextvars.ContextVar("attnc_first_use", default=False)


def check_first_use(
    attention: Attention, card: Card, machine: Gpu, tensors: Sequence[torch.Tensor], parameters: Parameters
) -> None:
    """Checks the kernels that a call like this one uses, once; AttnError if they compute wrongly."""
    if _running.get() or os.environ.get("ATTNC_FIRST_USE") == "off":
        return
    bound = bind_sizes(card, [tensor.shape for tensor in tensors], parameters, tensors)
    name = _name(attention, machine, bound, tensors, parameters)
    if load_json(name) is not None:
        return
    token = _running.set(True)
    try:
        with torch.device("cpu"), torch.inference_mode(False):  # whatever the call stands in
            worst = _compare(attention, machine, _small(card, bound, tensors, parameters), parameters)
    finally:
        _running.reset(token)
    if worst is not None:
        versions = f"Triton {machine.version} and torch {torch.__version__}"
        raise WrongOnDevice(attention.name, str(machine.device), versions, worst).error()
    store_json(name, True)


def _name(
    attention: Attention, machine: Gpu, bound: Bound, tensors: Sequence[torch.Tensor], parameters: Parameters
) -> str:
    kinds = [(str(t.dtype), t.requires_grad) for t in tensors]
    statics = sorted((k, v) for k, v in parameters.items() if isinstance(v, (bool, str)))
    device = repr(machine.target), machine.version, machine.precision
    parts = (attention.name, attention.text, repr(kinds), repr(bound.widths), repr(statics), *device)
    return digest("first use", *parts, generator_digest()) + ".json"


def _small(card: Card, bound: Bound, tensors: Sequence[torch.Tensor], parameters: Parameters) -> list[torch.Tensor]:
    """Random tensors of at most a few blocks in length where the spec allows, else of the call's own sizes."""
    known = {**parameters, **bound.sizes}
    lengths = [name for name, size in bound.sizes.items() if name not in bound.widths and size > _LONGEST]
    one = {"B": 1} if "B" in known else {}
    for sizes in (*({**known, **dict.fromkeys(lengths, length), **one} for length in _LENGTHS), known):
        shapes = [[int(evaluate(size, sizes)) for size in item.sizes] for item in card.inputs]
        try:
            bind_sizes(card, shapes, parameters)
        except AttnError:
            continue
        break
    generator = torch.Generator().manual_seed(0)
    return [_random(item.type, shape, like, generator) for item, shape, like in zip(card.inputs, shapes, tensors)]


def _random(type: str, shape: list[int], like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if type == "float":
        made = torch.randn(shape, generator=generator).to(like)
        return made.requires_grad_(like.requires_grad)
    return torch.randint(0, 2 if type == "bool" else 4, shape, generator=generator).to(like)


def _compare(attention: Attention, machine: Gpu, tensors: list[torch.Tensor], parameters: Parameters) -> str | None:
    """What is wrong; None if nothing is, or if random numbers are not what the spec requires."""
    from ..verify import measure

    is_rounded = machine.precision == "tf32" and any(tensor.dtype == torch.float32 for tensor in tensors)
    tolerated = _TOLERATED * (_ROUNDED if is_rounded else 1)
    try:
        with torch.enable_grad():
            errors = measure(attention, tensors, dict(parameters))
    except AttnError as error:
        if error.code == "requirement-fails":
            return None
        raise
    for found in errors:
        if found.note:
            return f"'{found.name}' {found.note}"
        if found.worst > tolerated * found.allowed:
            return f"'{found.name}' is off by {found.worst:.3g} where {found.allowed:.3g} is allowed"
    return None
