"""The call as operations of torch.library, for what records programs: torch.compile and export.

`attnc::forward` and `attnc::backward` are opaque, differentiable once, and know their results' shapes without
computing. An attention is named by a key: its name and a digest of its text. Int parameters are arguments of their own,
so that a program may be recorded for all their values. Ordinary calls do not come this way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.autograd import forward_ad

from attnc.card import Card, OutputCard
from attnc.diagnostics import Diagnostic
from attnc.ir.evaluation import evaluate
from attnc.ir.host import encode
from attnc.ir.node import COTANGENT, GRADIENT
from attnc.pipeline import Derivation
from attnc.spec import KNOWN

from .autograd import caller_of
from .calls import Situation, _fill_dtype
from .dtypes import promoted
from .mistakes import CallMistake, ForwardMode, SecondOrder
from .requirements import check_requirements
from .signature import Parameters, bind_sizes, check_tensors
from .transforms import check_mapped, is_learned

if TYPE_CHECKING:
    from attnc.spec import Attention

_shapes: dict[tuple[str, str, tuple[bool, ...]], list[OutputCard]] = {}
_held: dict[str, Attention] = {}


@dataclass(frozen=True)
class NotLoaded(CallMistake):
    """A program that was recorded in another process names an attention that this one does not have."""

    code: ClassVar[str] = "not-loaded"

    def diagnostic(self) -> Diagnostic:
        title = f"the recorded program calls '{self.attention}', which is not loaded in this process"
        return Diagnostic(self.code, title, (), None, ("load the same spec first: 'attnc.load(…)'",))


@dataclass(frozen=True)
class NotRecorded(CallMistake):
    """A program is recorded without the numbers that its sizes would be read from."""

    code: ClassVar[str] = "not-recorded"

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' cannot be recorded: a tensor holds the size of one of its axes"
        return Diagnostic(self.code, title, (), None, ("call it outside of 'torch.compile' and 'torch.export'",))


# --- a call as one operation ---------------------------------------------------------------------------------------


def call_as_operation(attention: Attention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the call returns, computed by `attnc::forward`."""
    _held[attention.key] = attention
    return traced(attention.key, args, kwargs)


def attention_of(key: str) -> Attention:
    """What a program calls: held from the moment that it is recorded. AttnError if there is none."""
    if key not in _held:
        if key not in KNOWN:
            raise NotLoaded(key.rpartition(".")[0]).error()
        _held[key] = KNOWN[key]
    return _held[key]


def traced(key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a call returns whose tensors, and int parameters, may stand for others."""
    from .entry import _arrange, _autocast, _main_inputs

    attention = attention_of(key)
    card = attention.card()
    check_mapped(attention.name, (*args, *kwargs.values()))
    names = [p.name for p in card.parameters if p.type == "int"]
    symbols = {name: kwargs[name] for name in names if isinstance(kwargs.get(name), torch.SymInt)}
    kwargs = {name: 1 if name in symbols else _number(value) for name, value in kwargs.items()}
    card, tensors, parameters = _arrange(attention, args, kwargs)
    check_tensors(card, tensors)
    device = tensors[0].device.type
    if torch.is_autocast_enabled(device):
        tensors = _autocast(tensors, _main_inputs(card), device)
    grad = torch.is_grad_enabled()
    needs = [grad and is_learned(t) and item.type == "float" for item, t in zip(card.inputs, tensors)]
    ints = [symbols.get(name, parameters.pop(name)) for name in names]
    found = torch.ops.attnc.forward(key, list(tensors), json.dumps(parameters), ints, needs)
    return attention.results({output.name: value for output, value in zip(card.results, found)})


def _number(value: Any) -> Any:
    """Where a program is recorded for one value of a number, that value."""
    if isinstance(value, torch.SymInt):
        return int(value)
    return float(value) if isinstance(value, torch.SymFloat) else value


# --- what the operations compute -----------------------------------------------------------------------------------


def _situation(
    key: str, tensors: Sequence[torch.Tensor], parameters: str, ints: Sequence[int], needs: Sequence[bool]
) -> tuple[Card, Situation]:
    attention = attention_of(key)
    values = _values(attention, parameters, ints)
    card = _card(attention, values)
    check_tensors(card, tensors)
    if forward_ad._current_level >= 0:  # below autograd, where nothing tells of tangents
        raise ForwardMode(attention.name).error()
    if card.has_open_requirements:
        check_requirements(attention, card, tensors, values)
    return card, caller_of(attention).situation(card, tuple(tensors), values, tuple(needs))


def _values(attention: Attention, parameters: str, ints: Sequence[int]) -> Parameters:
    others, rest = json.loads(parameters), iter(ints)
    return {p.name: next(rest) if p.type == "int" else others[p.name] for p in attention.card().parameters}


def _card(attention: Attention, parameters: Parameters) -> Card:
    statics = attention.card().statics
    return attention.card(tuple((p.name, parameters[p.name]) for p in statics)) if statics else attention.card()


@torch.library.custom_op("attnc::forward", mutates_args=())
def forward(
    key: str, tensors: Sequence[torch.Tensor], parameters: str, ints: Sequence[int], needs: Sequence[bool]
) -> list[torch.Tensor]:
    """Every result, then what the backward keeps beside them."""
    card, situation = _situation(key, tensors, parameters, ints, needs)
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
    ints: Sequence[int],
    needs: Sequence[bool],
) -> list[torch.Tensor]:
    """The gradients of the inputs that need one. `found` is what the forward returned, `cotangents` those of its
    floating results."""
    from .autograd import _plain

    card, situation = _situation(key, tensors, parameters, ints, needs)
    available = dict(zip(situation.names, tensors))
    results = dict(zip((output.name for output in card.results), found))
    own = iter(found[len(card.results) :])
    for item in situation.forward.kernel.kept:
        available[item.name] = results[item.result] if item.result is not None else next(own)
    floating = [output.name for output, value in zip(card.results, found) if value.is_floating_point()]
    available |= {COTANGENT + name: _plain(cotangent) for name, cotangent in zip(floating, cotangents)}
    prepared = situation.backward(available)
    filled = prepared.run(available)
    wanted = [name for name, need in zip(situation.names, needs) if need]
    return [filled[GRADIENT + n] if GRADIENT + n in filled else _zeros(available[n]) for n in wanted]


def _zeros(tensor: torch.Tensor) -> torch.Tensor:
    """Laid out as other gradients are, whatever the strides of the input."""
    return tensor.new_zeros(tensor.shape)


# --- shapes without computing --------------------------------------------------------------------------------------


@forward.register_fake
def _forward_shapes(
    key: str, tensors: Sequence[torch.Tensor], parameters: str, ints: Sequence[int], needs: Sequence[bool]
) -> list[torch.Tensor]:
    attention = attention_of(key)
    values = _values(attention, parameters, ints)
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
    if card.extents:
        raise NotRecorded(card.name).error()
    shapes = [tuple(tensor.shape) for tensor in tensors]
    numbers = (*values.values(), *(size for shape in shapes for size in shape))
    if not any(isinstance(number, torch.SymInt) for number in numbers):
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
    ints: Sequence[int],
    needs: Sequence[bool],
) -> list[torch.Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor, need in zip(tensors, needs) if need]


# --- derivatives ---------------------------------------------------------------------------------------------------


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[torch.Tensor]) -> None:
    key, tensors, parameters, ints, needs = inputs
    ctx.call = key, parameters, ints, needs
    ctx.count = len(tensors)
    ctx.save_for_backward(*tensors, *output)
    ctx.mark_non_differentiable(*(value for value in output if not value.is_floating_point()))


def _differentiate(ctx: Any, cotangents: Sequence[torch.Tensor | None]) -> tuple[Any, ...]:
    key, parameters, ints, needs = ctx.call
    tensors, found = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
    results = len(attention_of(key).result_names)
    given = [
        torch.zeros_like(value) if cotangent is None else cotangent
        for value, cotangent in zip(found[:results], cotangents)
        if value.is_floating_point()
    ]
    gradients = iter(torch.ops.attnc.backward(key, tensors, found, given, parameters, ints, needs))
    no_ints: Any = None if ints else []  # torch takes a list without numbers for one of tensors
    return None, [next(gradients) if need else None for need in needs], None, no_ints, None


def _refuse_second_order(ctx: Any, *cotangents: Any) -> None:
    raise SecondOrder(ctx.name).error()


def _keep_name(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.name = attention_of(inputs[0]).name


forward.register_autograd(_differentiate, setup_context=_keep)
backward.register_autograd(_refuse_second_order, setup_context=_keep_name)


# --- vmap ----------------------------------------------------------------------------------------------------------


def _map_forward(
    info: Any,
    in_dims: tuple[Any, ...],
    key: str,
    tensors: Sequence[torch.Tensor],
    parameters: str,
    ints: list[int],
    needs: list[bool],
) -> tuple[list[torch.Tensor], list[int]]:
    """The mapped dimension as a part of the batch where every input has one, else entry after entry."""
    count, dims = info.batch_size, in_dims[1]
    inputs = attention_of(key).card().inputs
    moved = [t if d is None else t.movedim(d, 0) for t, d in zip(tensors, dims)]
    if all(item.sizes and item.sizes[0] == "B" for item in inputs):
        whole = [t.expand(count, *t.shape) if d is None else t for t, d in zip(moved, dims)]
        joined = [t.flatten(0, 1) for t in whole]
        found = torch.ops.attnc.forward(key, joined, parameters, ints, needs)
        found = [value.unflatten(0, whole[0].shape[:2]) for value in found]
    elif count:
        entries = [[t if d is None else t[n] for t, d in zip(moved, dims)] for n in range(count)]
        each = [torch.ops.attnc.forward(key, entry, parameters, ints, needs) for entry in entries]
        found = [torch.stack(values) for values in zip(*each)]
    else:
        entry = [t if d is None else t.new_empty(t.shape[1:]) for t, d in zip(moved, dims)]
        shapes = _forward_shapes(key, entry, parameters, ints, needs)
        found = [value.new_empty((0, *value.shape)) for value in shapes]
    return found, [0] * len(found)


forward.register_vmap(_map_forward)
