"""The dense meaning as a call: what `reference` computes, and what stands in where no kernel can be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from attnc.card import Card
from attnc.ir.node import COTANGENT
from attnc.pipeline import Derivation

from .deriving import alone
from .dtypes import promoted, summed
from .mistakes import SecondOrder
from .reference import Evaluator
from .requirements import check_requirements
from .signature import Parameters, arrange, bind_sizes, check_tensors
from .transforms import check_plain

if TYPE_CHECKING:
    from attnc.spec import Attention


def reference(attention: Attention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Results by torch operations on whole tensors; torch differentiates them."""
    from .entry import _arrange

    card, tensors, parameters = _arrange(attention, args, kwargs)
    check_tensors(card, tensors)
    if card.has_open_requirements:
        check_requirements(attention, card, tensors, parameters)
    statics = tuple((p.name, parameters[p.name]) for p in card.statics)
    derivation = attention.derivation(statics)
    evaluator = make_evaluator(card, tensors, parameters)
    found = {}
    for name, (node, axes) in derivation.forward.items():
        found[name] = evaluator.result(node, axes)
    return attention.results(found)


def make_evaluator(card: Card, tensors: tuple[torch.Tensor, ...], parameters: Parameters) -> Evaluator:
    """An evaluator for a call, in the promotion of its floating inputs."""
    bound = bind_sizes(card, [tensor.shape for tensor in tensors], parameters, tensors)
    numbers = {name: value for name, value in parameters.items() if not isinstance(value, (str, bool))}
    named = dict(zip((item.name for item in card.inputs), tensors))
    return Evaluator(bound.sizes, numbers, named, _dtype(card, tensors))


def _dtype(card: Card, tensors: tuple[torch.Tensor, ...]) -> torch.dtype:
    main = [t.dtype for item, t in zip(card.inputs, tensors) if item.name in ("q", "k", "v") and item.type == "float"]
    return promoted(main or [t.dtype for item, t in zip(card.inputs, tensors) if item.type == "float"])


def dense_call(attention: Attention, card: Card, tensors: tuple[Any, ...], parameters: Parameters) -> dict[str, Any]:
    """The call through dense torch operations, forward and derived backward: allowed where no kernel can be built."""
    check_plain(attention.name, tensors)
    check_tensors(card, tensors)
    statics = tuple((p.name, parameters[p.name]) for p in card.statics)
    derivation = attention.derivation(statics)
    names = tuple(item.name for item in card.inputs)
    wants = torch.is_grad_enabled()
    needs = tuple(n for n, t in zip(names, tensors) if wants and t.requires_grad and t.is_floating_point())
    with alone():  # what is derived here is only read below
        derivation.forward_outputs(())
        if needs:
            derivation.gradient(needs)
    results = _Dense.apply(derivation, card, parameters, needs, *tensors)  # type: ignore[no-untyped-call]
    return dict(zip((output.name for output in card.results), results))


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        derivation: Derivation,
        card: Card,
        parameters: Parameters,
        needs: tuple[str, ...],
        *tensors: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        evaluator = make_evaluator(card, tensors, parameters)
        wide = Evaluator(evaluator.sizes, evaluator.parameters, evaluator.tensors, summed(evaluator.dtype))
        results = []
        for output in derivation.forward_outputs(()):
            node, axes = derivation.forward[output.tensor.name]
            value = wide.result(node, axes)
            results.append(value.to(evaluator.dtype) if output.dtype == "result" else value)
        ctx.derivation, ctx.card, ctx.parameters, ctx.needs = derivation, card, parameters, needs
        ctx.save_for_backward(*tensors)
        ctx.mark_non_differentiable(*(result for result in results if not result.is_floating_point()))
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise SecondOrder(ctx.card.name).error()
        found = dense_gradients(ctx.derivation, ctx.card, ctx.saved_tensors, ctx.parameters, ctx.needs, cotangents)
        return (None, None, None, None, *(found.get(item.name) for item in ctx.card.inputs))


def dense_gradients(
    derivation: Derivation,
    card: Card,
    tensors: tuple[torch.Tensor, ...],
    parameters: Parameters,
    needs: tuple[str, ...],
    cotangents: tuple[torch.Tensor, ...],
) -> Mapping[str, torch.Tensor]:
    """The derived gradients evaluated densely: exactly 0 at rows without keys."""
    gradient = derivation.gradient(needs)
    base = make_evaluator(card, tensors, parameters)
    forward = Evaluator(base.sizes, base.parameters, base.tensors, summed(base.dtype))
    known = dict(base.tensors)
    for output, cotangent in zip(card.results, cotangents):
        known[COTANGENT + output.name] = cotangent
    for saved in gradient.kept:
        known[saved.tensor.name] = forward.result(saved.node, saved.axes)
    evaluator = Evaluator(base.sizes, base.parameters, known, summed(base.dtype))
    by_name = dict(zip((item.name for item in card.inputs), tensors))
    found = {name: torch.zeros_like(by_name[name]) for name in needs}
    for target in gradient.targets:
        name = target.tensor.name[2:]
        found[name] = found[name] + evaluator.result(target.node, target.axes).to(by_name[name].dtype)
    return found


__all__ = ["arrange", "dense_call", "dense_gradients", "reference"]
