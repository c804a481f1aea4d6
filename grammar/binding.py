"""Flat operands and operators, as the grammar delivers them -> one expression, nested as Python would nest it."""

from __future__ import annotations

from collections.abc import Sequence

from attnc.diagnostics import Span
from attnc.diagnostics.syntax import MisplacedNot

from .scanner import Token
from .tree import Binary, Compare, Expr, Logic, Slice, Unary
from .words import COMPARE, LEVELS, NOT, POWER, SIGN


class Part:
    """A piece of a tree under way; `span` includes brackets around it, which the node's own span does not."""

    __slots__ = ("node", "span")

    def __init__(self, node: Expr | Slice, span: Span) -> None:
        self.node, self.span = node, span


class _Operator:
    __slots__ = ("is_prefix", "level", "span", "text")

    def __init__(self, text: str, level: int, span: Span, is_prefix: bool) -> None:
        self.text, self.level, self.span, self.is_prefix = text, level, span, is_prefix


def bind(parts: Sequence[Part | Token]) -> Part:
    """Operands and operators in the order of the text, `not` and signs also before an operand."""
    binding = _Binding()
    for part in parts:
        if isinstance(part, Part):
            binding.operand(part)
        else:
            binding.operator(part)
    return binding.result()


class _Binding:
    """Two stacks. Operators wait until one arrives that binds no tighter; runs of comparisons, `and` and `or`
    wait together and become one node."""

    def __init__(self) -> None:
        self.operands: list[Part] = []
        self.waiting: list[_Operator] = []
        self.after_operand = False
        self.negated: Token | None = None

    def operand(self, part: Part) -> None:
        self.operands.append(part)
        self.after_operand = True

    def operator(self, token: Token) -> None:
        if not self.after_operand:
            self._prefix(token)
        elif token.type == "NOT":
            self.negated = token
        elif self.negated is not None:
            self._infix("not in", self.negated.span.to(token.span))
            self.negated = None
        else:
            self._infix(token.text, token.span)

    def _prefix(self, token: Token) -> None:
        level = NOT if token.type == "NOT" else SIGN
        if level == NOT and self.waiting and self.waiting[-1].level > NOT:
            raise MisplacedNot(token.span, self.waiting[-1].text).error()
        self.waiting.append(_Operator(token.text, level, token.span, True))

    def _infix(self, text: str, span: Span) -> None:
        level = LEVELS[text]
        while self.waiting and self._goes_first(self.waiting[-1], level):
            self._reduce()
        self.waiting.append(_Operator(text, level, span, False))
        self.after_operand = False

    @staticmethod
    def _goes_first(earlier: _Operator, level: int) -> bool:
        if earlier.level != level:
            return earlier.level > level
        return COMPARE < level < POWER

    def result(self) -> Part:
        while self.waiting:
            self._reduce()
        return self.operands[0]

    def _reduce(self) -> None:
        last = self.waiting.pop()
        right = self.operands.pop()
        if last.is_prefix:
            span = last.span.to(right.span)
            self.operands.append(Part(Unary(last.text, _expr(right), span=span), span))
        elif last.level <= COMPARE:
            self._reduce_run(last, right)
        else:
            left = self.operands.pop()
            span = left.span.to(right.span)
            self.operands.append(Part(Binary(last.text, _expr(left), _expr(right), span=span), span))

    def _reduce_run(self, last: _Operator, right: Part) -> None:
        operators, operands = [last], [right, self.operands.pop()]
        while self.waiting and self.waiting[-1].level == last.level:
            operators.append(self.waiting.pop())
            operands.append(self.operands.pop())
        operators.reverse()
        operands.reverse()
        span = operands[0].span.to(right.span)
        first, *rest = [_expr(part) for part in operands]
        node: Expr
        if last.level == COMPARE:
            node = Compare(first, tuple((op.text, side) for op, side in zip(operators, rest)), span=span)
        else:
            start = first.operands if isinstance(first, Logic) and first.operator == last.text else (first,)
            node = Logic(last.text, (*start, *rest), span=span)
        self.operands.append(Part(node, span))


def _expr(part: Part) -> Expr:
    assert not isinstance(part.node, Slice)
    return part.node
