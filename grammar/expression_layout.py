"""Expression -> pieces of text, with the places where a long line may be broken.

Brackets are written only where precedence asks for them, so parsing the text gives the same tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from attnc.diagnostics import Diagnostic, Mistake

from .layout import Pieces
from .tree import (
    Binary,
    Boolean,
    Call,
    Compare,
    Component,
    Conditional,
    Expr,
    Logic,
    Name,
    Number,
    Slice,
    Subscript,
    Text,
    Tuple,
    Unary,
)
from .words import AND, ATOM, BINARY, COMPARE, CONDITIONAL, NOT, OR, POWER, SIGN


@dataclass(frozen=True)
class UnwritableText(Mistake):
    """A text that no quotes can hold, in a tree that no parser made."""

    code: ClassVar[str] = "unwritable-text"
    what: str
    reason: str

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(self.code, f"this {self.what} cannot be written between quotes: {self.reason}")


def format_expression(expr: Expr) -> str:
    """One expression on one line."""
    pieces = Pieces()
    write(pieces, expr)
    return pieces.text


def write(pieces: Pieces, expr: Expr, level: int = CONDITIONAL) -> None:
    """Write `expr` so that it can stand where something that binds at least as tightly as `level` is read."""
    if _level(expr) < level:
        pieces.open("(")
        _WRITERS[type(expr)](pieces, expr)
        pieces.close(")")
    else:
        _WRITERS[type(expr)](pieces, expr)


def format_number(value: int | float) -> str:
    """The shortest spelling that reads back as this very number."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def quoted(text: str) -> str:
    """A mode or a path between quotes that fit."""
    quote = "'" if '"' in text else '"'
    if quote in text or "\\" in text or "\n" in text:
        raise UnwritableText("string", "it has quotes of both kinds, a '\\' or a line end").error()
    return f"{quote}{text}{quote}"


def _level(expr: Expr) -> int:
    match expr:
        case Conditional():
            return CONDITIONAL
        case Logic(operator=operator):
            return OR if operator == "or" else AND
        case Unary(operator=operator):
            return NOT if operator == "not" else SIGN
        case Compare():
            return COMPARE
        case Binary(operator=operator):
            return BINARY[operator]
        case Number(value=value):
            return SIGN if value < 0 else ATOM
    return ATOM


def _number(pieces: Pieces, expr: Number) -> None:
    pieces.write(format_number(expr.value))


def _boolean(pieces: Pieces, expr: Boolean) -> None:
    pieces.write(str(expr.value))


def _text(pieces: Pieces, expr: Text) -> None:
    pieces.write(quoted(expr.value))


def _name(pieces: Pieces, expr: Name) -> None:
    pieces.write(expr.id)


def _component(pieces: Pieces, expr: Component) -> None:
    pieces.write(f"{expr.base.id}.{expr.name}")


def _conditional(pieces: Pieces, expr: Conditional) -> None:
    write(pieces, expr.then, OR)
    pieces.piece(" if ", CONDITIONAL)
    write(pieces, expr.test, OR)
    pieces.piece(" else ", CONDITIONAL)
    write(pieces, expr.other, CONDITIONAL)


def _logic(pieces: Pieces, expr: Logic) -> None:
    level = _level(expr)
    for number, operand in enumerate(expr.operands):
        if number:
            pieces.piece(f" {expr.operator} ", level)
        write(pieces, operand, level + 1)


def _compare(pieces: Pieces, expr: Compare) -> None:
    write(pieces, expr.first, COMPARE + 1)
    for operator, side in expr.rest:
        pieces.piece(f" {operator} ", COMPARE)
        write(pieces, side, COMPARE + 1)


def _binary(pieces: Pieces, expr: Binary) -> None:
    level = BINARY[expr.operator]
    left, right = (level, level + 1) if level != POWER else (ATOM, SIGN)
    write(pieces, expr.left, left)
    pieces.piece(f" {expr.operator} ", level)
    write(pieces, expr.right, right)


def _unary(pieces: Pieces, expr: Unary) -> None:
    if expr.operator == "not":
        pieces.write("not ")
        write(pieces, expr.operand, NOT)
    else:
        pieces.write(expr.operator)
        write(pieces, expr.operand, SIGN)


def _tuple(pieces: Pieces, expr: Tuple) -> None:
    pieces.open("(")
    for number, element in enumerate(expr.elements):
        if number:
            pieces.comma()
        write(pieces, element)
    pieces.close(",)" if len(expr.elements) == 1 else ")")


def _subscript(pieces: Pieces, expr: Subscript) -> None:
    pieces.open(f"{expr.base.id}[")
    for number, entry in enumerate(expr.entries):
        if number:
            pieces.comma()
        if isinstance(entry, Slice):
            _slice(pieces, entry)
        else:
            write(pieces, entry)
    pieces.close("]")


def _slice(pieces: Pieces, entry: Slice) -> None:
    is_tight = all(side is None or _level(side) == ATOM for side in (entry.low, entry.high))
    gap = "" if is_tight else " "
    if entry.low is not None:
        write(pieces, entry.low)
        pieces.write(gap)
    pieces.write(":")
    if entry.high is not None:
        pieces.write(gap)
        write(pieces, entry.high)


def _call(pieces: Pieces, expr: Call) -> None:
    pieces.write(expr.function.id)
    if expr.bracket is not None:
        pieces.open("[" + ", ".join(index.id for index in expr.bracket.indices))
        if expr.bracket.condition is not None:
            pieces.write(": ")
            write(pieces, expr.bracket.condition)
        pieces.close("]")
    pieces.open("(")
    for number, argument in enumerate(expr.arguments):
        if number:
            pieces.comma()
        if argument.name is not None:
            pieces.write(f"{argument.name}=")
        write(pieces, argument.value)
    pieces.close(")")


_WRITERS: dict[type, Callable[[Pieces, Any], None]] = {
    Number: _number,
    Boolean: _boolean,
    Text: _text,
    Name: _name,
    Component: _component,
    Subscript: _subscript,
    Call: _call,
    Unary: _unary,
    Binary: _binary,
    Logic: _logic,
    Compare: _compare,
    Conditional: _conditional,
    Tuple: _tuple,
}
