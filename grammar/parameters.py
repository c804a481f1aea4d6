"""Parameters and the types of inputs, from text and from Python alike."""

from __future__ import annotations

from attnc.diagnostics import Span, did_you_mean
from attnc.diagnostics.syntax import RepeatedName, UnknownType, WrongDefault

from .tree import Boolean, Expr, Name, Number, Parameter, Text, Unary
from .words import TYPES

Value = int | float | bool | str


def check_input_type(word: str, span: Span) -> str:
    if word in TYPES:
        return word
    near = did_you_mean(word, TYPES)
    raise UnknownType(span, "int, float or bool", f"did you mean '{near}'?" if near else None).error()


def make_parameter(name: str, types: list[tuple[str, Span]], default: Expr | None, span: Span) -> Parameter:
    """`types` is one word, or the choices of a mode as they are written, each with its place."""
    word, place = types[0]
    if word[0] not in "\"'":
        type, modes = _checked_type(word, place), tuple[str, ...]()
    else:
        type, modes = "mode", tuple(choice[1:-1] for choice, _ in types)
        for i, (_, where) in enumerate(types):
            if modes[i] in modes[:i]:
                raise RepeatedName(where, "modes", types[modes.index(modes[i])][1]).error()
    if default is None:
        return Parameter(name, type, modes, span=span)
    value = _value(default, type, modes)
    if value is None:
        raise WrongDefault(default.span, name, _expected(type, modes)).error()
    return Parameter(name, type, modes, value, span=span)


def _checked_type(word: str, span: Span) -> str:
    if word in TYPES:
        return word
    known = 'int, float, bool or modes such as "a" | "b"'
    near = did_you_mean(word, TYPES)
    remedy = f"did you mean '{near}'?" if near else None
    if word in ("str", "string", "mode"):
        remedy = 'list the choices: "a" | "b"'
    elif word.lower() in ("tensor", "array"):
        remedy = "declare a tensor with 'input'"
    raise UnknownType(span, known, remedy).error()


def _expected(type: str, modes: tuple[str, ...]) -> str:
    if type == "mode":
        return "one of " + ", ".join(f'"{mode}"' for mode in modes)
    return {"int": "an int, written as a number", "float": "a number", "bool": "True or False"}[type]


def _value(expr: Expr, type: str, modes: tuple[str, ...]) -> Value | None:
    if type == "mode":
        return expr.value if isinstance(expr, Text) and expr.value in modes else None
    if type == "bool":
        return expr.value if isinstance(expr, Boolean) else None
    if isinstance(expr, Unary) and expr.operator in "+-" and isinstance(expr.operand, Number | Name):
        value = _value(expr.operand, type, modes)
        return value if value is None or isinstance(value, str) or expr.operator == "+" else -value
    if type == "float" and isinstance(expr, Name) and expr.id == "inf":
        return float("inf")
    if not isinstance(expr, Number) or (type == "int" and isinstance(expr.value, float)):
        return None
    return float(expr.value) if type == "float" else expr.value
