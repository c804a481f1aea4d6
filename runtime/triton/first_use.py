"""A new kernel on a real GPU computes one small random problem, which is compared with the dense meaning.

Compilers for GPUs have made wrong kernels of right programs before; a wrong one is refused, with the versions named.
What was found right is remembered beside the kernels. ATTNC_FIRST_USE=off switches this off.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from attnc.card import Card
from attnc.diagnostics.diagnostic import AttnError
from attnc.ir.host import evaluate

from ..cache import digest, load_json, store_json
from ..kernels import generator_digest
from ..mistakes import WrongOnDevice
from ..signature import Parameters, bind_sizes

if TYPE_CHECKING:
    from attnc.spec import Attention

    from .devices import Gpu

_TOLERATED = 16.0
_LONGEST = 160
_running: contextvars.ContextVar[bool] = contextvars.ContextVar("attnc_first_use", default=False)


def check_first_use(
    attention: Attention, card: Card, machine: Gpu, tensors: Sequence[torch.Tensor], parameters: Parameters
) -> None:
    """Checks the kernels that a call like this one uses, once; AttnError if they compute wrongly."""
    if _running.get() or os.environ.get("ATTNC_FIRST_USE") == "off":
        return
    name = _name(attention, machine, tensors, parameters)
    if load_json(name) is not None:
        return
    small = _small(card, tensors, parameters)
    token = _running.set(True)
    try:
        worst = _compare(attention, machine, small, parameters)
    finally:
        _running.reset(token)
    if worst is not None:
        versions = f"Triton {machine.version} and torch {torch.__version__}"
        raise WrongOnDevice(attention.name, str(machine.device), versions, worst).error()
    store_json(name, True)


def _name(attention: Attention, machine: Gpu, tensors: Sequence[torch.Tensor], parameters: Parameters) -> str:
    kinds = [(str(t.dtype), t.shape[-1:], t.requires_grad) for t in tensors]
    statics = sorted((k, v) for k, v in parameters.items() if isinstance(v, (bool, str)))
    parts = (attention.name, attention.text, repr(kinds), repr(statics), repr(machine.target), machine.version)
    return digest("first use", *parts, generator_digest()) + ".json"


def _small(card: Card, tensors: Sequence[torch.Tensor], parameters: Parameters) -> list[torch.Tensor]:
    """Random tensors of at most a few blocks in length where the spec allows, else of the call's own sizes."""
    bound = bind_sizes(card, [tensor.shape for tensor in tensors], parameters)
    known = {**parameters, **bound.sizes}
    lengths = {name for name in bound.sizes if name not in bound.widths and bound.sizes[name] > _LONGEST}
    shorter = {**known, **dict.fromkeys(lengths, _LONGEST + 3), **({"B": 1} if "B" in known else {})}
    for sizes in (shorter, known):
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


def _compare(attention: Attention, machine: Any, tensors: list[torch.Tensor], parameters: Parameters) -> str | None:
    """What is wrong; None if nothing is."""
    from ..verify import measure

    with torch.enable_grad():
        for error in measure(attention, tensors, dict(parameters)):
            if error.note or error.worst > _TOLERATED * error.allowed:
                return error.note or f"'{error.name}' is off by {error.worst:.3g} where {error.allowed:.3g} is allowed"
    return None
