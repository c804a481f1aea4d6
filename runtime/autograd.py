"""Kernels as one differentiable operation of autograd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .calls import Situation
from .mistakes import SecondOrder


def apply(situation: Situation, tensors: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """Results by name; differentiable in the inputs that need a gradient."""
    if not situation.needs:
        return situation.forward.run(dict(zip(situation.names, tensors)))
    found = _Attention.apply(situation, *tensors)  # type: ignore[no-untyped-call]
    return dict(zip((output.name for output in situation.card.results), found))


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, situation: Situation, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        filled = situation.forward.run(dict(zip(situation.names, tensors)))
        results = tuple(filled[output.name] for output in situation.card.results)
        kept = [filled[item.result or item.name] for item in situation.forward.kernel.kept]
        ctx.situation = situation
        ctx.save_for_backward(*tensors, *kept)
        ctx.mark_non_differentiable(*(result for result in results if not result.is_floating_point()))
        return results

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        situation: Situation = ctx.situation
        if torch.is_grad_enabled():
            raise SecondOrder(situation.card.name).error()
        available = _available(situation, ctx.saved_tensors, cotangents)
        prepared = situation.backward(available)
        filled: Mapping[str, torch.Tensor] = prepared.run(available)
        missing = set(prepared.kernel.missing)
        gradients = []
        for name in situation.names:
            if name in missing:
                gradients.append(torch.zeros_like(available[name]))
            else:
                gradients.append(filled.get("g_" + name))  # type: ignore[arg-type]
        return (None, *gradients)


def _available(
    situation: Situation, saved: tuple[torch.Tensor, ...], cotangents: tuple[torch.Tensor, ...]
) -> dict[str, torch.Tensor]:
    """Every tensor that the backward kernel may read, by name."""
    count = len(situation.names)
    available = dict(zip(situation.names, saved[:count]))
    for item, tensor in zip(situation.forward.kernel.kept, saved[count:]):
        available[item.name] = tensor
    for output, cotangent in zip(situation.card.results, cotangents):
        if cotangent.is_floating_point():
            available["d_" + output.name] = _plain(cotangent)
    return available


def _plain(cotangent: torch.Tensor) -> torch.Tensor:
    """As kernels read it: values in memory, those of the last axis side by side."""
    if cotangent.layout != torch.strided:
        cotangent = cotangent.to_dense()
    if cotangent.is_neg():
        cotangent = cotangent.resolve_neg()
    return cotangent if cotangent.dim() == 0 or cotangent.stride(-1) == 1 else cotangent.contiguous()
