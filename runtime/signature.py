"""Arguments of a call -> tensors, parameters and sizes, every one checked before anything is computed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from attnc.analysis.intervals import LARGEST_SIZE
from attnc.card import Card, InputCard, ParameterCard
from attnc.diagnostics import Findings, Mistake, did_you_mean
from attnc.ir.host import Encoded, evaluate, names_in

from .dtypes import KINDS, NAMES
from .extents import measure
from .mistakes import (
    DivisionNotExact,
    GivenTwice,
    GroupsDoNotDivide,
    MissingInput,
    MissingParameter,
    NotATensor,
    NotOnGpu,
    RequirementFails,
    SizesDiffer,
    SizeTooLarge,
    TooManyArguments,
    UnknownArgument,
    WrongDevice,
    WrongDtype,
    WrongLayout,
    WrongParameter,
    WrongRank,
    WrongSize,
)
from .places import place_of_division, place_of_input, place_of_parameter, place_of_requirement, place_of_size

Parameters = dict[str, Any]

_LARGEST_INT = 1 << 62


# --- arguments -----------------------------------------------------------------------------------------------------


def arrange(card: Card, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], Parameters]:
    """Tensors in the order of the card's inputs, and every parameter's value."""
    inputs = card.inputs
    if len(args) > len(inputs):
        parameter = card.parameters[0].name if card.parameters else None
        raise TooManyArguments(card.name, tuple(item.name for item in inputs), len(args), parameter).error()
    findings = Findings()
    tensors = list(args)
    rest = dict(kwargs)
    for item in inputs[: len(args)]:
        if item.name in rest:
            findings.add(GivenTwice(card.name, item.name))
            del rest[item.name]
    missing = tuple(clause(item) for item in inputs[len(args) :] if item.name not in rest)
    if missing:
        findings.add(MissingInput(card.name, missing, _signature_text(card)))
    tensors += [rest.pop(item.name, None) for item in inputs[len(args) :]]
    parameters = {p.name: _parameter(card, p, rest, findings) for p in card.parameters}
    for name in rest:
        known = [item.name for item in inputs] + [p.name for p in card.parameters]
        findings.add(UnknownArgument(card.name, name, did_you_mean(name, known), _signature_text(card)))
    findings.raise_if_any()
    return tuple(tensors), parameters


def static_values(card: Card, given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...] | None:
    """Of the parameters that have kernels of their own, which tell what the inputs are; None where one is wrong."""
    found = []
    for parameter in card.statics:
        default = parameter.default if parameter.default is not None else next(iter(parameter.modes), None)
        value = given.get(parameter.name, default)
        if value is None or _PROBLEMS[parameter.type](parameter, value)[0] is not None:
            return None
        found.append((parameter.name, _CONVERSIONS[parameter.type](value)))
    return tuple(found)


def _signature_text(card: Card) -> str:
    inputs = [item.name for item in card.inputs]
    parameters = [f"{p.name}={p.default!r}" if p.default is not None else f"{p.name}=…" for p in card.parameters]
    return f"{card.name}({', '.join(inputs + parameters)})"


def _parameter(card: Card, parameter: ParameterCard, given: dict[str, Any], findings: Findings) -> Any:
    name = parameter.name
    if name not in given:
        if parameter.default is None and parameter.type != "mode":
            findings.add(MissingParameter(card.name, name, parameter.type, _signature_text(card)))
        return parameter.default if parameter.default is not None else next(iter(parameter.modes), None)
    value = given.pop(name)
    problem, help = _PROBLEMS[parameter.type](parameter, value)
    if problem is not None:
        findings.add(WrongParameter(card.name, name, problem, place_of_parameter(card, name), help))
        return None
    return _CONVERSIONS[parameter.type](value)


Problem = tuple[str | None, str | None]
"""What is wrong with a parameter's value, and a help."""


def _mode_problem(parameter: ParameterCard, value: Any) -> Problem:
    if isinstance(value, str) and value in parameter.modes:
        return None, None
    near = did_you_mean(value, parameter.modes) if isinstance(value, str) else None
    choices = " or ".join(f"'{mode}'" for mode in parameter.modes)
    found = repr(value) if isinstance(value, (str, int, float)) else _described(value)
    return f"must be {choices}, not {found}", f"did you mean '{near}'?" if near else None


def _bool_problem(parameter: ParameterCard, value: Any) -> Problem:
    return (None, None) if isinstance(value, bool) else (f"must be a bool, not {_described(value)}", None)


def _int_problem(parameter: ParameterCard, value: Any) -> Problem:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        fits = -_LARGEST_INT < int(value) < _LARGEST_INT
        return None if fits else "is too large: an int parameter must lie between -2 ** 62 and 2 ** 62", None
    help = f"take the number out: '{parameter.name}.item()'" if isinstance(value, torch.Tensor) else None
    return f"must be an int, not {_described(value)}", help


def _float_problem(parameter: ParameterCard, value: Any) -> Problem:
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            return "is not a number (NaN)" if math.isnan(float(value)) else None, None
        except OverflowError:
            return "is too large: a float is at most 1.8e308", None
    help = None
    if isinstance(value, torch.Tensor):
        help = f"to learn it, declare it as an input: 'input {parameter.name}: float'"
    return f"must be a float, not {_described(value)}", help


_PROBLEMS: dict[str, Callable[[ParameterCard, Any], Problem]] = {
    "mode": _mode_problem,
    "bool": _bool_problem,
    "int": _int_problem,
    "float": _float_problem,
}
_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"mode": str, "bool": bool, "int": int, "float": float}


def _described(value: Any) -> str:
    """The kind of a value, with its article."""
    if value is None:
        return "None"
    kind = "tensor" if isinstance(value, torch.Tensor) else type(value).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def clause(item: InputCard) -> str:
    """How the spec declares an input."""
    shape = f"[{', '.join(item.texts)}]" if item.texts else ""
    suffix = "" if item.type == "float" and shape else f": {item.type}"
    return f"{item.name}{shape}{suffix}"


# --- tensors -------------------------------------------------------------------------------------------------------


def check_tensors(card: Card, tensors: Sequence[Any]) -> None:
    """Kind, dtype, layout, device and rank of every input; the first mistake of each is reported."""
    findings = Findings()
    for item, tensor in zip(card.inputs, tensors):
        mistake = _wrong_tensor(card, item, tensor)
        if mistake is not None:
            findings.add(mistake)
    findings.raise_if_any()
    for item, tensor in zip(card.inputs, tensors):
        if tensor.device != tensors[0].device:
            where = (card.name, item.name, clause(item), place_of_input(card, item.name))
            first = (card.inputs[0].name, str(tensors[0].device))
            findings.add(WrongDevice(*where, str(tensor.device), first))
    findings.raise_if_any()


def _wrong_tensor(card: Card, item: InputCard, tensor: Any) -> Mistake | None:
    where = (card.name, item.name, clause(item))
    if not isinstance(tensor, torch.Tensor):
        return NotATensor(*where, place_of_input(card, item.name), _described(tensor))
    dtype, layout = str(tensor.dtype).removeprefix("torch."), _odd_layout(tensor)
    if tensor.dtype not in KINDS[item.type]:
        return WrongDtype(*where, place_of_input(card, item.name), NAMES.get(tensor.dtype, dtype), item.type)
    if layout is not None:
        return WrongLayout(*where, place_of_input(card, item.name), *layout)
    if not (tensor.is_cpu or tensor.is_cuda):
        return WrongDevice(*where, place_of_input(card, item.name), str(tensor.device))
    if tensor.is_cuda and tensor.dtype == torch.float64:
        return NotOnGpu(*where, place_of_input(card, item.name), dtype)
    if tensor.dim() != len(item.sizes):
        return WrongRank(*where, place_of_input(card, item.name), tuple(tensor.shape), len(item.sizes))
    return None


def _odd_layout(tensor: torch.Tensor) -> tuple[str, str] | None:
    """What is not a plain strided tensor, and how to make it one."""
    if tensor.is_nested:
        return "a nested tensor", "to_padded_tensor(0.0)"
    if tensor.layout != torch.strided:
        return f"a tensor of layout {tensor.layout}", "to_dense()"
    if tensor.is_neg():
        return "a lazily negated view", "resolve_neg()"
    return None


# --- sizes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    """The sizes of a call: by name, with width parameters as "parameter NAME"."""

    sizes: dict[str, int]
    widths: dict[str, int]


def bind_sizes(
    card: Card, shapes: Sequence[Sequence[int]], parameters: Parameters, tensors: Sequence[torch.Tensor] = ()
) -> Bound:
    """Every size that the inputs tell; sizes, exact divisions and requirements are checked. Sizes that are read are
    found in `tensors`; without these, they are taken to be 1."""
    sizes: dict[str, int] = {}
    told_by: dict[str, tuple[str, int]] = {}
    computed: list[tuple[InputCard, int, int]] = []
    findings = Findings()
    for item, shape in zip(card.inputs, shapes):
        for place, (size, found) in enumerate(zip(item.sizes, shape)):
            if isinstance(size, str) and size not in parameters:
                if sizes.setdefault(size, found) != found:
                    findings.add(_sizes_differ(card, size, told_by[size], sizes[size], (item.name, place), found))
                told_by.setdefault(size, (item.name, place))
            else:
                computed.append((item, place, found))
    findings.raise_if_any()
    for name, size in card.derived:
        sizes[name] = evaluate(size, {**parameters, **sizes})
    if card.extents:
        sizes |= measure(card, tensors, sizes, parameters) if tensors else dict.fromkeys(card.extents, 1)
    known = {**parameters, **sizes}
    _check_exact(card, known)
    for item, place, found in computed:
        wanted = evaluate(item.sizes[place], known)
        if wanted != found:
            where = (card.name, item.name, clause(item), place_of_size(card, item.name, place))
            findings.add(WrongSize(*where, place + 1, found, item.texts[place], wanted))
    findings.raise_if_any()
    _check_range(card, sizes)
    _check_groups(card, sizes)
    _check_requirements(card, known)
    widths = {name: known[name.removeprefix("parameter ")] for name in card.widths}
    return Bound(sizes, widths)


def _sizes_differ(
    card: Card, size: str, first: tuple[str, int], value: int, second: tuple[str, int], found: int
) -> SizesDiffer:
    places = place_of_size(card, *first), place_of_size(card, *second)
    return SizesDiffer(card.name, size, first[0], value, second[0], found, places)


def _check_range(card: Card, sizes: dict[str, int]) -> None:
    for name, value in sizes.items():
        if value > LARGEST_SIZE:
            raise SizeTooLarge(card.name, name, value, LARGEST_SIZE).error()


def _check_groups(card: Card, sizes: dict[str, int]) -> None:
    heads, groups = sizes.get("H"), sizes.get("G")
    if heads is not None and groups is not None and ((groups == 0 and heads) or (groups and heads % groups)):
        raise GroupsDoNotDivide(card.name, heads, groups).error()


def _check_exact(card: Card, known: Mapping[str, Any]) -> None:
    for top, bottom, text in card.exact:
        a, b = evaluate(top, known), evaluate(bottom, known)
        if b == 0 or a % b:
            raise DivisionNotExact(card.name, text, a, b, place_of_division(card, text)).error()


def _check_requirements(card: Card, known: Mapping[str, Any]) -> None:
    findings = Findings()
    for requirement in card.requirements:
        condition = requirement.condition
        if condition is not None and not _holds(condition, known):
            values = tuple((name, known[name]) for name in sorted(names_in(condition)))
            place = place_of_requirement(card, requirement.text)
            findings.add(RequirementFails(card.name, requirement.text, values, place))
    findings.raise_if_any()


def _holds(condition: Encoded, known: Mapping[str, Any]) -> bool:
    """What has no value, as log(-1), does not hold."""
    try:
        return bool(evaluate(condition, known))
    except (ArithmeticError, ValueError):
        return False
