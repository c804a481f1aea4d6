"""Arguments of a call -> tensors, parameters and sizes, every one checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from attnc.analysis.intervals import LARGEST_SIZE
from attnc.card import Card, InputCard, ParameterCard
from attnc.diagnostics import did_you_mean
from attnc.ir.host import evaluate, names_in

from .dtypes import KINDS, NAMES
from .mistakes import RequirementFails, SizesDiffer, WrongCall, WrongTensor

Parameters = dict[str, Any]


def arrange(card: Card, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], Parameters]:
    """Tensors in the order of the card's inputs, and every parameter's value."""
    inputs = card.inputs
    if len(args) > len(inputs):
        names = ", ".join(item.name for item in inputs)
        title = f"{card.name} takes {len(inputs)} tensors ({names}), but {len(args)} are given by position"
        helps = ("parameters go by keyword",) if card.parameters else ()
        raise WrongCall("too-many-arguments", title, None, helps).error()
    tensors = list(args)
    rest = dict(kwargs)
    for item in inputs[: len(args)]:
        if item.name in rest:
            raise WrongCall("given-twice", f"{card.name}: '{item.name}' is given by position and by keyword").error()
    for item in inputs[len(args) :]:
        if item.name not in rest:
            raise _missing_input(card, item).error()
        tensors.append(rest.pop(item.name))
    parameters = {p.name: _parameter(card, p, rest) for p in card.parameters}
    if rest:
        raise _unknown_argument(card, next(iter(rest))).error()
    return tuple(tensors), parameters


def _missing_input(card: Card, item: InputCard) -> WrongCall:
    return WrongCall("missing-input", f"{card.name} needs the input '{clause(item)}'", _signature_text(card))


def _signature_text(card: Card) -> str:
    inputs = ", ".join(item.name for item in card.inputs)
    parameters = ", ".join(f"{p.name}={p.default!r}" if p.default is not None else p.name for p in card.parameters)
    return f"it is called as {card.name}({inputs}{', ' + parameters if parameters else ''})"


def _unknown_argument(card: Card, name: str) -> WrongCall:
    known = [item.name for item in card.inputs] + [p.name for p in card.parameters]
    near = did_you_mean(name, known)
    helps = (f"did you mean '{near}'?",) if near else ()
    title = f"{card.name} has no input or parameter '{name}'"
    return WrongCall("unknown-argument", title, _signature_text(card), helps)


def _parameter(card: Card, parameter: ParameterCard, given: dict[str, Any]) -> Any:
    name = parameter.name
    if name not in given:
        if parameter.default is None and parameter.type != "mode":
            title = f"{card.name} needs the parameter '{name}: {parameter.type}'"
            raise WrongCall("missing-parameter", title, _signature_text(card)).error()
        return parameter.default if parameter.default is not None else parameter.modes[0]
    value = given.pop(name)
    if parameter.type == "mode":
        if value not in parameter.modes:
            choices = " or ".join(f"'{mode}'" for mode in parameter.modes)
            raise WrongCall("wrong-parameter", f"{card.name}: '{name}' must be {choices}, not {value!r}").error()
        return value
    return _number(card, parameter, value)


def _number(card: Card, parameter: ParameterCard, value: Any) -> Any:
    wanted = {"int": int, "float": (int, float), "bool": bool}[parameter.type]
    is_bool = isinstance(value, bool)
    if not isinstance(value, wanted) or is_bool != (parameter.type == "bool"):  # type: ignore[arg-type]
        helps: tuple[str, ...] = ()
        if isinstance(value, torch.Tensor):
            helps = (f"declare it as a 0-d input to learn it: 'input {parameter.name}: float'",)
        kind = f"{type(value).__name__}"
        title = f"{card.name}: '{parameter.name}' must be {_a(parameter.type)}, not a {kind}"
        raise WrongCall("wrong-parameter", title, None, helps).error()
    if parameter.type == "int" and not -(1 << 62) < value < 1 << 62:
        raise WrongCall("wrong-parameter", f"{card.name}: '{parameter.name}' does not fit 63 bits").error()
    return float(value) if parameter.type == "float" else value


def _a(type: str) -> str:
    return {"int": "an int", "float": "a float", "bool": "a bool"}[type]


def clause(item: InputCard) -> str:
    """How the spec declares an input."""
    shape = f"[{', '.join(item.texts)}]" if item.texts else ""
    suffix = "" if item.type == "float" and shape else f": {item.type}"
    return f"{item.name}{shape}{suffix}"


@dataclass(frozen=True)
class Bound:
    """The sizes of a call: by name, with width parameters as "parameter NAME"."""

    sizes: dict[str, int]
    widths: dict[str, int]


def check_tensors(card: Card, tensors: Sequence[Any]) -> None:
    """Kind, dtype, device and rank of every input."""
    for item, tensor in zip(card.inputs, tensors):
        if not isinstance(tensor, torch.Tensor):
            problem = f"must be a tensor, not a {type(tensor).__name__}"
            raise WrongTensor("not-a-tensor", card.name, item.name, problem, clause(item)).error()
        if tensor.dtype not in KINDS[item.type]:
            kinds = {"float": "float32, float64, bfloat16 or float16", "int": "integers", "bool": "bool"}[item.type]
            problem = f"is {NAMES.get(tensor.dtype, str(tensor.dtype))}, but holds {kinds}"
            helps = (f"convert it: '{item.name}.bool()'",) if item.type == "bool" else ()
            raise WrongTensor("wrong-dtype", card.name, item.name, problem, clause(item), helps).error()
        if tensor.layout != torch.strided:
            problem = f"has the layout {tensor.layout}, but kernels read strided tensors"
            raise WrongTensor("wrong-layout", card.name, item.name, problem, clause(item)).error()
        if not tensor.is_cpu:
            problem = f"lies on '{tensor.device}', but this version computes on the CPU"
            raise WrongTensor("wrong-device", card.name, item.name, problem, clause(item)).error()
        if tensor.dim() != len(item.sizes):
            problem = f"has {tensor.dim()} dimensions {list(tensor.shape)}, but {len(item.sizes)} are declared"
            raise WrongTensor("wrong-rank", card.name, item.name, problem, clause(item)).error()


def bind_sizes(card: Card, shapes: Sequence[Sequence[int]], parameters: Parameters) -> Bound:
    """Every size that the inputs tell; sizes, exact divisions and requirements are checked."""
    sizes: dict[str, int] = {}
    told_by: dict[str, str] = {}
    computed: list[tuple[InputCard, int, int]] = []
    for item, shape in zip(card.inputs, shapes):
        for place, (size, found) in enumerate(zip(item.sizes, shape)):
            if isinstance(size, str) and size not in parameters:
                if sizes.setdefault(size, found) != found:
                    raise _sizes_differ(card, size, told_by[size], sizes[size], item, found).error()
                told_by.setdefault(size, item.name)
            else:
                computed.append((item, place, found))
    for name, size in card.derived:
        sizes[name] = evaluate(size, {**parameters, **sizes})
    known = {**parameters, **sizes}
    for item, place, found in computed:
        wanted = evaluate(item.sizes[place], known)
        if wanted != found:
            problem = f"has size {found} on axis {place + 1}, but '{item.texts[place]}' is {wanted}"
            raise WrongTensor("wrong-size", card.name, item.name, problem, clause(item)).error()
    _check_range(card, sizes)
    _check_groups(card, sizes)
    _check_facts(card, known)
    widths = {name: known[name.removeprefix("parameter ")] for name in card.widths}
    return Bound(sizes, widths)


def _sizes_differ(card: Card, size: str, first: str, value: int, item: InputCard, found: int) -> SizesDiffer:
    helps: tuple[str, ...] = ()
    if 1 in (found, value):
        narrow = item.name if found == 1 else first
        helps = (f"sizes of 1 are not stretched: call '{narrow}.expand(…)'",)
    return SizesDiffer(card.name, size, first, value, item.name, found, helps)


def _check_range(card: Card, sizes: dict[str, int]) -> None:
    for name, value in sizes.items():
        if value > LARGEST_SIZE:
            title = f"{card.name}: '{name}' is {value}, more than the {LARGEST_SIZE} that kernels count to"
            raise WrongCall("size-too-large", title).error()


def _check_groups(card: Card, sizes: dict[str, int]) -> None:
    heads, groups = sizes.get("H"), sizes.get("G")
    if heads is not None and groups is not None and ((groups == 0 and heads) or (groups and heads % groups)):
        title = f"{card.name}: {groups} key/value heads (G) do not divide {heads} query heads (H)"
        raise WrongCall("groups-do-not-divide", title).error()


def _check_facts(card: Card, known: Mapping[str, Any]) -> None:
    for top, bottom, text in card.exact:
        a, b = evaluate(top, known), evaluate(bottom, known)
        if b == 0 or a % b:
            title = f"{card.name}: the size '{text}' is not whole: {a} is not divisible by {b}"
            raise WrongCall("division-not-exact", title, None, ("use 'ceildiv' where it need not be",)).error()
    for requirement in card.requirements:
        condition = requirement.condition
        if condition is not None and not evaluate(condition, known):
            names = sorted(names_in(condition))
            values = tuple((name, known[name]) for name in names)
            raise RequirementFails(card.name, requirement.text, values).error()
