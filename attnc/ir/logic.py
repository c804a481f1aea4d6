"""Normal form of conditions: integer comparisons are `form <= 0` or `form == 0` of a linear form, `and`/`or` are flat.

`not` is pushed to the leaves, so that domains are sets of conjuncts that can be compared and implied.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .node import BOOL, FLOAT, INT, Node

if TYPE_CHECKING:
    from .graph import Graph


class Logic:
    """Mixed into Graph."""

    def all(self: Graph, *conditions: Node) -> Node:  # type: ignore[misc]
        """`and`; of nothing, true."""
        return self._junction("and", conditions, absorbing=False)

    def any(self: Graph, *conditions: Node) -> Node:  # type: ignore[misc]
        """`or`; of nothing, false."""
        return self._junction("or", conditions, absorbing=True)

    def _junction(self: Graph, op: str, conditions: tuple[Node, ...], absorbing: bool) -> Node:  # type: ignore[misc]
        flat: set[Node] = set()
        for condition in conditions:
            assert condition.type == BOOL, f"{op} of a {condition.type}"
            if condition.is_const(absorbing):
                return condition
            if condition.kind == "map" and condition.op == op:
                flat.update(condition.args)
            elif condition.kind != "const":
                flat.add(condition)
        for condition in flat:
            if self.negate(condition) in flat:
                return self.const(absorbing)
        kept = tuple(sorted(flat))
        if not kept:
            return self.const(not absorbing)
        return kept[0] if len(kept) == 1 else self.map(op, kept, BOOL)

    def negate(self: Graph, condition: Node) -> Node:  # type: ignore[misc]
        if condition.kind == "const":
            return self.const(not condition.attribute)
        if condition.kind == "map":
            if condition.op == "not":
                return condition.args[0]
            if condition.op in ("and", "or"):
                parts = [self.negate(arg) for arg in condition.args]
                return self.any(*parts) if condition.op == "and" else self.all(*parts)
            if condition.op == "at_most_zero":
                return self.at_most_zero(self.combine([(-1, condition.args[0]), (1, self.const(1))]))
        return self.map("not", (condition,), BOOL)

    def at_most_zero(self: Graph, form: Node) -> Node:  # type: ignore[misc]
        """`form <= 0` for an integer form, divided by the common factor of its coefficients."""
        if form.kind == "const":
            return self.const(form.attribute <= 0)
        if form.is_sum:
            coefficients, constant = form.attribute
            divisor = math.gcd(*coefficients)
            if divisor > 1:
                terms = {term: c // divisor for c, term in zip(coefficients, form.args)}
                form = self._sum_of(terms, -(-constant // divisor), INT)
        return self.map("at_most_zero", (form,), BOOL)

    def equal_zero(self: Graph, form: Node) -> Node:  # type: ignore[misc]
        if form.kind == "const":
            return self.const(form.attribute == 0)
        if form.is_sum and _leads_negative(form):
            form = self.neg(form)
        if form.kind == "map" and form.op == "mod" and _is_difference(form.args[0]):
            left, right = (self.map("mod", (arg, form.args[1]), INT) for arg in form.args[0].args)
            return self.equal_zero(self.sub(left, right))  # what is told of each side tells tiles
        return self.map("equal_zero", (form,), BOOL)

    def compare(self: Graph, op: str, left: Node, right: Node) -> Node:  # type: ignore[misc]
        """`< <= > >= == !=` of two numbers, or `== !=` of two conditions."""
        if op == "!=":
            return self.negate(self.compare("==", left, right))
        if op in (">", ">="):
            return self.compare("<" if op == ">" else "<=", right, left)
        if left.type == BOOL and right.type == BOOL and op == "==":
            both = self.all(left, right)
            return self.any(both, self.all(self.negate(left), self.negate(right)))
        if left.type != FLOAT and right.type != FLOAT:
            form = self.combine([(1, self.to_int(left)), (-1, self.to_int(right))])
            if op == "==":
                return self.equal_zero(form)
            return self.at_most_zero(self.add(form, self.const(1)) if op == "<" else form)
        return self._compare_floats(op, self.to_float(left), self.to_float(right))

    def _compare_floats(self: Graph, op: str, left: Node, right: Node) -> Node:  # type: ignore[misc]
        if left.kind == "const" and right.kind == "const":
            a, b = left.attribute, right.attribute
            return self.const(a < b if op == "<" else a <= b if op == "<=" else a == b)
        name = {"<": "less", "<=": "at_most", "==": "equal"}[op]
        if name == "equal" and right < left:
            left, right = right, left
        return self.map(name, (left, right), BOOL)

    def where(self: Graph, condition: Node, then: Node, other: Node) -> Node:  # type: ignore[misc]
        """`then if condition else other`."""
        if condition.kind == "const":
            return then if condition.attribute else other
        if then is other:
            return then
        if then.type == BOOL:
            return self.any(self.all(condition, then), self.all(self.negate(condition), other))
        if _is_plain_zero(other):
            return self.guard(condition, then)
        if _is_plain_zero(then):
            return self.guard(self.negate(condition), other)
        return self.map("where", (condition, then, other), then.type)


def conjuncts(condition: Node) -> frozenset[Node]:
    """The parts of an `and`; none for true."""
    if condition.is_const(True):
        return frozenset()
    if condition.kind == "map" and condition.op == "and":
        return frozenset(condition.args)
    return frozenset((condition,))


def _leads_negative(form: Node) -> bool:
    lead: Any = form.attribute[0][0]
    return bool(lead < 0)


def _is_plain_zero(node: Node) -> bool:
    return node.kind == "const" and node.type != BOOL and node.attribute == 0


def _is_difference(form: Node) -> bool:
    """`a - b` and nothing else."""
    return form.is_sum and form.attribute in (((1, -1), 0), ((-1, 1), 0))
