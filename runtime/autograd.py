"""Kernels as one operation of autograd, differentiable to any order in reverse and forward mode.

The first gradient runs the backward kernel on what the forward kept. Where a gradient is itself to be differentiated,
and for tangents, the derivative is called as an attention of its own (see derived.py), in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch._C import _are_functorch_transforms_active
from torch.autograd import forward_ad

from attnc.derived import prefix_beside
from attnc.ir.node import COTANGENT, GRADIENT

from .calls import Caller, Situation
from .signature import check_tensors
from .transforms import is_learned

if TYPE_CHECKING:
    from attnc.card import Card
    from attnc.spec import Attention, Derived

    from .signature import Parameters

Tensors = tuple[torch.Tensor, ...]


@dataclass
class Call:
    """A call that is differentiated: what was called, with which parameters, which inputs may be learned, and, where
    the tensors are what they seem, what is known of them."""

    attention: Attention
    card: Card
    parameters: Parameters
    needs: tuple[bool, ...]
    situation: Situation | None = None

    @property
    def statics(self) -> tuple[tuple[str, Any], ...]:
        return tuple((p.name, self.parameters[p.name]) for p in self.card.statics)

    @property
    def wanted(self) -> tuple[str, ...]:
        return tuple(item.name for item, need in zip(self.card.inputs, self.needs) if need)

    def prepared(self, tensors: Tensors) -> Situation:
        """What is known of the tensors that kernels get."""
        if self.situation is not None:
            return self.situation
        return caller_of(self.attention).situation(self.card, tensors, self.parameters, self.needs)

    def kept_of(self, output: Tensors) -> dict[str, torch.Tensor]:
        """Among the outputs of `_Attention`, what the backward kernel reads; nothing where the derivative is called as
        an attention in any case."""
        if self.situation is None:
            return {}
        results = dict(zip((result.name for result in self.card.results), output))
        own = iter(output[len(results) :])
        kept = self.situation.forward.kernel.kept
        return {item.name: next(own) if item.result is None else results[item.result] for item in kept}


def apply(attention: Attention, card: Card, parameters: Parameters, tensors: Tensors) -> dict[str, torch.Tensor]:
    """Results by name; differentiable in the inputs that need a gradient or move."""
    if _are_functorch_transforms_active():
        check_tensors(card, tensors)
        grad = torch.is_grad_enabled()
        needs = tuple(grad and is_learned(t) and item.type == "float" for item, t in zip(card.inputs, tensors))
        call = Call(attention, card, parameters, needs)
    else:
        situation = caller_of(attention).situation(card, tensors, parameters)
        if not situation.needs and forward_ad._current_level < 0:
            return situation.forward.run(dict(zip(situation.names, tensors)))
        needs = tuple(item.name in situation.needs for item in card.inputs)
        call = Call(attention, card, parameters, needs, situation)
    found = _Attention.apply(call, *tensors)  # type: ignore[no-untyped-call]
    return dict(zip((output.name for output in card.results), found))


def caller_of(attention: Attention) -> Caller:
    """What remembers the attention's calls."""
    from .entry import make_entry

    if attention._caller is None:
        attention.__dict__["_call"] = make_entry(attention)
    assert attention._caller is not None
    return attention._caller


class _Attention(torch.autograd.Function):
    """The results, then what the backward kernel reads beside them."""

    @staticmethod
    def forward(call: Call, *tensors: torch.Tensor) -> Tensors:
        situation = call.prepared(tensors)
        filled = situation.forward.run(dict(zip(situation.names, tensors)))
        kept = [filled[item.name] for item in situation.forward.kernel.kept if item.result is None]
        return (*(filled[output.name] for output in call.card.results), *kept)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
        call, *tensors = inputs
        results = len(call.card.results)
        ctx.call = call
        ctx.count = len(tensors)
        ctx.shapes = [(value.shape, value.dtype) for value in output]
        ctx.set_materialize_grads(False)
        kept = call.kept_of(output)
        ctx.kept = tuple(kept)
        ctx.save_for_backward(*tensors, *kept.values())
        ctx.save_for_forward(*tensors)
        ctx.mark_non_differentiable(
            *(value for place, value in enumerate(output) if place >= results or not value.is_floating_point())
        )

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        call: Call = ctx.call
        saved = ctx.saved_tensors
        tensors, kept = saved[: ctx.count], saved[ctx.count :]
        given = {
            output.name: _plain(tensors[0].new_zeros(shape, dtype=dtype) if cotangent is None else cotangent)
            for output, (shape, dtype), cotangent in zip(call.card.results, ctx.shapes, cotangents)
            if dtype.is_floating_point
        }
        situation = call.situation
        if situation is None or torch.is_grad_enabled() or any(map(_moves, (*tensors, *given.values()))):
            return None, *_gradients(call, tensors, tuple(given.values()))
        available = {**dict(zip(situation.names, tensors)), **dict(zip(ctx.kept, kept))}
        available |= {COTANGENT + name: cotangent for name, cotangent in given.items()}
        prepared = situation.backward(available)
        filled: Mapping[str, torch.Tensor] = prepared.run(available)
        missing = set(prepared.kernel.missing)
        return None, *(
            torch.zeros_like(tensor) if name in missing else filled.get(GRADIENT + name)
            for name, tensor in zip(situation.names, tensors)
        )

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        call: Call = ctx.call
        moving = {
            item.name: tangent
            for item, tangent in zip(call.card.inputs, tangents)
            if tangent is not None and item.type == "float"
        }
        tensors = ctx.saved_tensors[: ctx.count]
        found: dict[str, torch.Tensor | None] = dict(_tangents(call, tensors, moving))
        for output, (shape, dtype) in zip(call.card.results, ctx.shapes):
            if output.name not in found:  # it does not move
                found[output.name] = tensors[0].new_zeros(shape, dtype=dtype) if dtype.is_floating_point else None
        kept = len(ctx.shapes) - len(call.card.results)
        return *(found[output.name] for output in call.card.results), *[None] * kept

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], call: Call, *tensors: torch.Tensor
    ) -> tuple[Tensors, tuple[int, ...]]:
        """The mapped dimension as a part of the batch where every input has one, else entry after entry."""
        count, dims, card = info.batch_size, in_dims[1:], call.card
        moved = [t if d is None else t.movedim(d, 0) for t, d in zip(tensors, dims)]
        results: list[torch.Tensor]
        if all(item.sizes and item.sizes[0] == "B" for item in card.inputs):
            whole = [t.expand(count, *t.shape) if d is None else t for t, d in zip(moved, dims)]
            found = apply(call.attention, card, call.parameters, tuple(t.flatten(0, 1) for t in whole))
            results = [
                found[output.name].reshape(*whole[0].shape[:2], *found[output.name].shape[1:])
                for output in card.results
            ]
        else:
            entries = [tuple(t if d is None else t[n] for t, d in zip(moved, dims)) for n in range(count)]
            some = entries or [tuple(t if d is None else t.new_zeros(t.shape[1:]) for t, d in zip(moved, dims))]
            each = [apply(call.attention, card, call.parameters, entry) for entry in some]
            results = [torch.stack([found[output.name] for found in each])[:count] for output in card.results]
        return tuple(results), (0,) * len(results)


def _moves(tensor: torch.Tensor) -> bool:
    """Whether a tensor carries a tangent, which kernels would not see."""
    return forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def _gradients(call: Call, tensors: Tensors, cotangents: Tensors) -> list[torch.Tensor | None]:
    """Gradients for each input that are themselves differentiable."""
    derived = call.attention.derivative("gradient", call.wanted)
    found = _call_derived(derived, call, (*tensors, *cotangents))
    prefix = prefix_beside(GRADIENT, (item.name for item in derived.card(call.statics).inputs))
    out: list[torch.Tensor | None] = []
    for item, need, tensor in zip(call.card.inputs, call.needs, tensors):
        gradient = found.get(prefix + item.name) if need else None
        out.append(torch.zeros_like(tensor) if need and gradient is None else gradient)
    return out


def _tangents(call: Call, tensors: Tensors, moving: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """How each floating result moves; those that do not are left out."""
    derived = call.attention.derivative("tangent", tuple(moving))
    return _call_derived(derived, call, (*tensors, *map(_plain, moving.values())))


def _call_derived(derived: Derived, call: Call, tensors: Tensors) -> dict[str, torch.Tensor]:
    """A derivative's results at the tensors of a call."""
    card = derived.card(call.statics)
    return apply(derived, card, call.parameters, tensors) if card.results else {}


def _plain(cotangent: torch.Tensor) -> torch.Tensor:
    """As kernels read it: values in memory, those of the last axis side by side."""
    if cotangent.layout != torch.strided:
        cotangent = cotangent.to_dense()
    if cotangent.is_neg():
        cotangent = cotangent.resolve_neg()
    return cotangent if cotangent.dim() == 0 or cotangent.stride(-1) == 1 else cotangent.contiguous()
