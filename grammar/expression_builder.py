"""What the grammar's expression rules make: one method per rule, each from the children the parser hands it.

Assumes only what the grammar admits; what it admits and the language does not is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attnc.diagnostics import Span
from attnc.diagnostics.syntax import (
    AssignmentInExpression,
    CalledClause,
    MissingExpression,
    NumberTooLarge,
    PositionalAfterKeyword,
    RepeatedName,
    TooLarge,
    Unexpected,
    WrongBracket,
)

from .binding import Part, bind
from .limits import LARGEST_INT, TALLEST_EXPRESSION
from .scanner import Token
from .tree import (
    Argument,
    Boolean,
    Bracket,
    Call,
    Compare,
    Component,
    Conditional,
    Expr,
    Name,
    Number,
    Slice,
    Subscript,
    Text,
    Tuple,
)
from .walk import walk


class Keyword:
    """`name = value` between brackets."""

    __slots__ = ("equal", "name", "span", "value")

    def __init__(self, name: Token, equal: Token, value: Part) -> None:
        self.name, self.equal, self.value = name, equal, value
        self.span = name.span.to(value.span)


class Brackets:
    """`[…]` or `(…)` with what stands between."""

    __slots__ = ("has_comma", "items", "span")

    def __init__(self, children: list[Any]) -> None:
        self.items: list[Part | Keyword] = [child for child in children if not isinstance(child, Token)]
        self.has_comma = any(isinstance(child, Token) and child.type == "COMMA" for child in children)
        self.span = children[0].span.to(children[-1].span)


class ExpressionBuilder:
    """Lark calls the method named like the rule."""

    def operation(self, children: list[Any]) -> Part:
        return bind(children)

    def conditional(self, children: list[Any]) -> Part:
        then, _, test, _, other = children
        span = then.span.to(other.span)
        return Part(Conditional(test.node, then.node, other.node, span=span), span)

    def literal(self, children: list[Any]) -> Part:
        (token,) = children
        if token.text[0].isalpha():
            return Part(Boolean(token.text.lower() == "true", span=token.span), token.span)
        return Part(Number(_number(token), span=token.span), token.span)

    def text(self, children: list[Any]) -> Part:
        (token,) = children
        return Part(Text(token.text[1:-1], span=token.span), token.span)

    def name(self, children: list[Any]) -> Part:
        return Part(name_of(children[0]), children[0].span)

    def component_of(self, children: list[Any]) -> Part:
        base, _, name = children
        span = base.span.to(name.span)
        return Part(Component(name_of(base), name.text, span=span), span)

    def subscript(self, children: list[Any]) -> Part:
        base, brackets = children
        span = base.span.to(brackets.span)
        return Part(Subscript(name_of(base), _entries(brackets), span=span), span)

    def call(self, children: list[Any]) -> Part:
        return self._call(children[0], None, children[1])

    def call_over(self, children: list[Any]) -> Part:
        return self._call(children[0], _bracket(children[1]), children[2])

    def _call(self, function: Token, bracket: Bracket | None, brackets: Brackets) -> Part:
        if function.text in ("mask", "require"):
            raise CalledClause(function.span).error()
        span = function.span.to(brackets.span)
        return Part(Call(name_of(function), bracket, _arguments(brackets), span=span), span)

    def group(self, children: list[Any]) -> Part:
        (brackets,) = children
        elements = tuple(plain(item) for item in brackets.items)
        if not elements:
            raise MissingExpression(brackets.span).error()
        if brackets.has_comma:
            return Part(Tuple(elements, span=brackets.span), brackets.span)
        return Part(elements[0], brackets.span)

    def subscripts(self, children: list[Any]) -> Brackets:
        return Brackets(children)

    def arguments(self, children: list[Any]) -> Brackets:
        return Brackets(children)

    def keyword(self, children: list[Any]) -> Keyword:
        return Keyword(*children)

    def slice(self, children: list[Any]) -> Part:
        at = next(i for i, child in enumerate(children) if isinstance(child, Token))
        low, high = children[:at], children[at + 1 :]
        span = children[0].span.to(children[-1].span)
        return Part(Slice(low[0].node if low else None, high[0].node if high else None, span=span), span)


def name_of(token: Token) -> Name:
    return Name(token.text, span=token.span)


def plain(item: Part | Keyword) -> Expr:
    """An item that must be an expression by itself."""
    if isinstance(item, Keyword):
        raise AssignmentInExpression(item.equal.span).error()
    if isinstance(item.node, Slice):
        raise WrongBracket(item.span, "':' makes a slice, which is an entry of a subscript", "write 'x[a:b]'").error()
    return item.node


def finished(item: Part | Keyword) -> Expr:
    """A whole expression: not too tall for what reads trees by recursion, and tuples only where they mean something."""
    expr = plain(item)
    tuples: set[int] = set()
    for node, depth in walk(expr):
        if depth > TALLEST_EXPRESSION:
            what = "this expression is too long or too deeply nested"
            raise TooLarge(node.span, what, f"{TALLEST_EXPRESSION} operations", "name parts of it with 'let'").error()
        if isinstance(node, Compare):
            tuples.update(id(side) for operator, side in node.rest if operator in ("in", "not in"))
        elif isinstance(node, Tuple) and id(node) not in tuples:
            raise Unexpected(node.span, "a tuple", None, "a tuple only stands on the right of 'in'").error()
    return expr


def refuse_repeats(names: Iterable[tuple[str, Span]], what: str) -> None:
    """No two of `what` (a plural) may share a name."""
    seen: dict[str, Span] = {}
    for name, span in names:
        if name in seen:
            raise RepeatedName(span, what, seen[name]).error()
        seen[name] = span


def indices_of(items: Sequence[Part | Keyword]) -> tuple[Name, ...] | Part | Keyword:
    """The bare names between brackets, or the first item that is none."""
    names: list[Name] = []
    for item in items:
        if not isinstance(item, Part) or not isinstance(item.node, Name):
            return item
        names.append(item.node)
    return tuple(names)


def _number(token: Token) -> int | float:
    text = token.text.replace("_", "")
    if text[:2].lower() in ("0x", "0o", "0b") or text.isdigit():
        value = int(text, 0)
        if value > LARGEST_INT:
            raise NumberTooLarge(token.span, "int").error()
        return value
    if float(text) == float("inf"):
        raise NumberTooLarge(token.span, "float").error()
    return float(text)


def _entries(brackets: Brackets) -> tuple[Expr | Slice, ...]:
    if not brackets.items:
        raise MissingExpression(brackets.span).error()
    for item in brackets.items:
        if isinstance(item, Keyword):
            raise AssignmentInExpression(item.equal.span).error()
    return tuple(item.node for item in brackets.items if isinstance(item, Part))


def _bracket(brackets: Brackets) -> Bracket:
    if not brackets.items:
        raise MissingExpression(brackets.span).error()
    condition: Expr | None = None
    names: Sequence[Part | Keyword] = brackets.items
    *before, last = names
    if isinstance(last, Part) and isinstance(last.node, Slice):
        low, condition = last.node.low, last.node.high
        if condition is None:
            raise MissingExpression(last.span, what="a condition").error()
        if low is None:
            rule = "a condition follows an index and ':'"
            raise WrongBracket(last.span, rule, "write 'sum[j: condition](…)'").error()
        names = [*before, Part(low, low.span)]
    indices = indices_of(names)
    if not isinstance(indices, tuple):
        raise _wrong_index(indices).error()
    return Bracket(indices, condition, span=brackets.span)


def _wrong_index(item: Part | Keyword) -> WrongBracket:
    if isinstance(item, Part) and isinstance(item.node, Slice):
        rule = "the condition of an operation stands last in its bracket"
        return WrongBracket(item.span, rule, "write 'sum[i, j: condition](…)', joining conditions with 'and'")
    rule = "an operation runs over indices, which are plain names"
    return WrongBracket(item.span, rule, "to read a value elsewhere, name it with 'let' and subscript that")


def _arguments(brackets: Brackets) -> tuple[Argument, ...]:
    named: Keyword | None = None
    out: list[Argument] = []
    for item in brackets.items:
        if isinstance(item, Keyword):
            named = item
            out.append(Argument(plain(item.value), item.name.text, span=item.span))
            continue
        if named is not None:
            raise PositionalAfterKeyword(item.span, named.span).error()
        if isinstance(item.node, Slice):
            rule = "a condition stands in the square bracket of an operation"
            raise WrongBracket(item.span, rule, "write 'sum[j: condition](…)'").error()
        out.append(Argument(item.node, span=item.span))
    keywords = [item for item in brackets.items if isinstance(item, Keyword)]
    refuse_repeats(((item.name.text, item.name.span) for item in keywords), "arguments")
    return tuple(out)
