"""The call as operations of torch.library, for whatever records or transforms programs: torch.compile, export, vmap.

`attnc::forward` and `attnc::backward` are opaque, differentiable once, and know their results' shapes without
computing. An attention is named by a key: its name and a digest of its text. Ordinary calls do not come this way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from attnc.card import Card, OutputCard
from attnc.ir.evaluation import evaluate
from attnc.ir.host import encode
from attnc.pipeline import Derivation
from attnc.spec import KNOWN

from .calls import Caller, Situation, _fill_dtype
from .dtypes import promoted
from .requirements import check_requirements
from .signature import Parameters, arrange, bind_sizes, check_tensors

if TYPE_CHECKING:
    from attnc.spec import Attention

_shapes: dict[tuple[str, str, tuple[bool, ...]], list[OutputCard]] = {}


# --- a call as one operation ---------------------------------------------------------------------------------------


def call_as_operation(attention: Attention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the call returns, computed by `attnc::forward`."""
    found = traced(attention.key, args, kwargs)
    return found[0] if len(found) == 1 else attention.results(dict(zip(attention.result_names, found)))


def traced(key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    """The results of a call whose tensors may stand for others."""
    from .entry import _autocast, _main_inputs

    attention = KNOWN[key]
    card = attention.card()
    tensors, parameters = arrange(card, args, kwargs)
    if card.statics:
        card = attention.card(tuple((p.name, parameters[p.name]) for p in card.statics))
        tensors, parameters = arrange(card, args, kwargs)
    check_tensors(card, tensors)
    device = tensors[0].device.type
    if torch.is_autocast_enabled(device):
        tensors = _autocast(tensors, _main_inputs(card), device)
    grad = torch.is_grad_enabled()
    needs = [grad and t.requires_grad and item.type == "float" for item, t in zip(card.inputs, tensors)]
    found = torch.ops.attnc.forward(key, list(tensors), json.dumps(parameters), needs)
    return tuple(found[: len(card.results)])


# --- what the operations compute -----------------------------------------------------------------------------------


def _situation(
    key: str, tensors: Sequence[torch.Tensor], parameters: str, needs: Sequence[bool]
) -> tuple[Card, Situation]:
    attention = KNOWN[key]
    values: Parameters = json.loads(parameters)
    card = _card(attention, values)
    check_tensors(card, tensors)
    if card.has_open_requirements:
        check_requirements(attention, card, tensors, values)
    return card, _caller(attention).situation(card, tuple(tensors), values, tuple(needs))


def _card(attention: Attention, parameters: Parameters) -> Card:
    statics = attention.card().statics
    return attention.card(tuple((p.name, parameters[p.name]) for p in statics)) if statics else attention.card()


def _caller(attention: Attention) -> Caller:
    from .entry import make_entry

    if attention._caller is None:
        attention.__dict__["_call"] = make_entry(attention)
    assert attention._caller is not None
    return attention._caller


@torch.library.custom_op("attnc::forward", mutates_args=())
def forward(key: str, tensors: Sequence[torch.Tensor], parameters: str, needs: Sequence[bool]) -> list[torch.Tensor]:
    """Every result, then what the backward keeps beside them."""
    card, situation = _situation(key, tensors, parameters, needs)
    filled = situation.forward.run(dict(zip(situation.names, tensors)))
    own = [filled[item.name] for item in situation.forward.kernel.kept if item.result is None]
    return [*(filled[output.name] for output in card.results), *own]


@torch.library.custom_op("attnc::backward", mutates_args=())
def backward(
    key: str,
    tensors: Sequence[torch.Tensor],
    found: Sequence[torch.Tensor],
    cotangents: Sequence[torch.Tensor],
    parameters: str,
    needs: Sequence[bool],
) -> list[torch.Tensor]:
    """The gradients of the inputs that need one. `found` is what the forward returned, `cotangents` those of its
    floating results."""
    from .autograd import _plain

    card, situation = _situation(key, tensors, parameters, needs)
    available = dict(zip(situation.names, tensors))
    results = dict(zip((output.name for output in card.results), found))
    own = iter(found[len(card.results) :])
    for item in situation.forward.kernel.kept:
        available[item.name] = results[item.result] if item.result is not None else next(own)
    floating = [output.name for output, value in zip(card.results, found) if value.is_floating_point()]
    available |= {"d_" + name: _plain(cotangent) for name, cotangent in zip(floating, cotangents)}
    prepared = situation.backward(available)
    filled = prepared.run(available)
    wanted = [name for name, need in zip(situation.names, needs) if need]
    return [filled["g_" + n] if "g_" + n in filled else torch.zeros_like(available[n]) for n in wanted]


# --- shapes without computing --------------------------------------------------------------------------------------


@forward.register_fake
def _forward_shapes(
    key: str, tensors: Sequence[torch.Tensor], parameters: str, needs: Sequence[bool]
) -> list[torch.Tensor]:
    attention = KNOWN[key]
    values: Parameters = json.loads(parameters)
    card = _card(attention, values)
    known = {**values, **_sizes(card, tensors, values)}
    main = [t.dtype for item, t in zip(card.inputs, tensors) if item.name in ("q", "k", "v") and item.type == "float"]
    floats = [t.dtype for item, t in zip(card.inputs, tensors) if item.type == "float"]
    named = dict(zip((item.name for item in card.inputs), tensors))
    return [
        tensors[0].new_empty(
            [evaluate(size, known) for size in output.sizes], dtype=_fill_dtype(output, named, promoted(main or floats))
        )
        for output in _outputs(key, attention, card, values, needs)
    ]


def _sizes(card: Card, tensors: Sequence[torch.Tensor], values: Parameters) -> dict[str, Any]:
    """Sizes as the shapes tell them: numbers, or what stands for numbers."""
    shapes = [tuple(tensor.shape) for tensor in tensors]
    if all(isinstance(size, int) for shape in shapes for size in shape):
        return dict(bind_sizes(card, shapes, values).sizes)
    found = {s: n for item, shape in zip(card.inputs, shapes) for s, n in zip(item.sizes, shape) if isinstance(s, str)}
    for name, size in card.derived:
        found[name] = evaluate(size, {**values, **found})
    return found


def _outputs(key: str, attention: Attention, card: Card, values: Parameters, needs: Sequence[bool]) -> list[OutputCard]:
    """The results, then what is kept beside them."""
    statics = tuple((p.name, values[p.name]) for p in card.statics)
    place = (key, repr(statics), tuple(needs))
    if place not in _shapes:
        derivation: Derivation = attention.derivation(statics)
        wanted = tuple(item.name for item, need in zip(card.inputs, needs) if need)
        kept = derivation.gradient(wanted).kept if wanted else ()
        outputs = derivation.forward_outputs(kept)
        _shapes[place] = [
            OutputCard(o.tensor.name, [encode(size) for size in o.tensor.sizes], o.dtype) for o in outputs
        ]
    return _shapes[place]


@backward.register_fake
def _backward_shapes(
    key: str,
    tensors: Sequence[torch.Tensor],
    found: Sequence[torch.Tensor],
    cotangents: Sequence[torch.Tensor],
    parameters: str,
    needs: Sequence[bool],
) -> list[torch.Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor, need in zip(tensors, needs) if need]


# --- derivatives ---------------------------------------------------------------------------------------------------


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[torch.Tensor]) -> None:
    key, tensors, parameters, needs = inputs
    ctx.call = key, parameters, needs
    ctx.count = len(tensors)
    ctx.save_for_backward(*tensors, *output)
    ctx.mark_non_differentiable(*(value for value in output if not value.is_floating_point()))


def _differentiate(ctx: Any, cotangents: Sequence[torch.Tensor | None]) -> tuple[Any, ...]:
    key, parameters, needs = ctx.call
    tensors, found = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
    results = len(_card(KNOWN[key], json.loads(parameters)).results)
    given = [
        torch.zeros_like(value) if cotangent is None else cotangent
        for value, cotangent in zip(found[:results], cotangents)
        if value.is_floating_point()
    ]
    gradients = iter(torch.ops.attnc.backward(key, tensors, found, given, parameters, needs))
    return None, [next(gradients) if need else None for need in needs], None, None


forward.register_autograd(_differentiate, setup_context=_keep)


# --- vmap ----------------------------------------------------------------------------------------------------------


def _map_forward(
    info: Any, in_dims: tuple[Any, ...], key: str, tensors: Sequence[torch.Tensor], parameters: str, needs: list[bool]
) -> tuple[list[torch.Tensor], list[int]]:
    dims = in_dims[1]
    card = _card(KNOWN[key], json.loads(parameters))
    if all(item.sizes and item.sizes[0] == "B" for item in card.inputs):
        return _as_batch(info.batch_size, dims, key, tensors, parameters, needs)
    each = [
        torch.ops.attnc.forward(
            key, [t if d is None else t.select(d, n) for t, d in zip(tensors, dims)], parameters, needs
        )
        for n in range(info.batch_size)
    ]
    found = [torch.stack(values) for values in zip(*each)]
    return found, [0] * len(found)


def _as_batch(
    count: int,
    dims: Sequence[int | None],
    key: str,
    tensors: Sequence[torch.Tensor],
    parameters: str,
    needs: list[bool],
) -> tuple[list[torch.Tensor], list[int]]:
    """The mapped dimension as a part of the batch."""
    joined = [
        (t.unsqueeze(0).expand(count, *t.shape) if d is None else t.movedim(d, 0)).flatten(0, 1)
        for t, d in zip(tensors, dims)
    ]
    found = torch.ops.attnc.forward(key, joined, parameters, needs)
    return [value.unflatten(0, (count, -1)) for value in found], [0] * len(found)


forward.register_vmap(_map_forward)
