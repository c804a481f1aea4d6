"""Intervals of integer nodes: numeric ones (does it fit 32 bits?) and symbolic ones (is a read in range?).

Lengths are at most 2**30 (checked at the call), so differences and small multiples of indices fit 32 bits; parameters
may be anything. A fact may rest on constants and sizes only, never on a parameter's default.
"""

from __future__ import annotations

import math
from itertools import islice, product

from ..ir import Graph, Node

LARGEST_SIZE = 1 << 30
_NARROW = (1 << 31) - 1
_MOST_BOUNDS = 24

Interval = tuple[float, float]
_ANY: Interval = (-math.inf, math.inf)


class Intervals:
    """Numeric bounds of integer nodes, memoised."""

    def __init__(self) -> None:
        self.done: dict[Node, Interval] = {}

    def __call__(self, node: Node) -> Interval:
        if node not in self.done:
            self.done[node] = self._one(node)
        return self.done[node]

    def fits_narrow(self, node: Node) -> bool:
        """Proved to lie strictly inside 32 bits, with every intermediate value."""
        if node.kind in ("index", "size"):
            return True
        low, high = self(node)
        inner = node.kind != "map" or all(self.fits_narrow(arg) for arg in node.args)
        return inner and low > -_NARROW and high < _NARROW and self._terms_fit(node)

    def _terms_fit(self, node: Node) -> bool:
        if not node.is_sum:
            return True
        total = abs(node.attribute[1])
        for coefficient, arg in zip(node.attribute[0], node.args):
            total += abs(coefficient) * max(map(abs, self(arg)))
        return bool(total < _NARROW)

    def _one(self, node: Node) -> Interval:
        if node.kind == "const":
            return (node.attribute, node.attribute)
        if node.kind == "size":
            return (0, LARGEST_SIZE)
        if node.kind == "index":
            return (0, LARGEST_SIZE - 1)
        if node.kind == "guard":
            low, high = self(node.args[1])
            return (min(low, 0), max(high, 0))
        if node.kind == "map":
            return self._map(node)
        if node.kind == "read" and node.attribute.is_small:
            return (1 - LARGEST_SIZE, LARGEST_SIZE - 1)
        return _ANY

    def _map(self, node: Node) -> Interval:
        args = [self(arg) for arg in node.args] if node.op in _RULES or node.is_sum else []
        if node.is_sum:
            coefficients, constant = node.attribute
            low = high = constant
            for coefficient, (a, b) in zip(coefficients, args):
                low += coefficient * (a if coefficient > 0 else b)
                high += coefficient * (b if coefficient > 0 else a)
            return (low, high)
        rule = _RULES.get(node.op)
        return rule(args) if rule else _ANY


def _quotient(args: list[Interval]) -> Interval:
    (a, b), (c, _d) = args
    if c < 0 or a < 0:
        return (-max(abs(a), abs(b)) - 1, max(abs(a), abs(b)) + 1) if math.isfinite(a) else _ANY
    return (0, b)


def _remainder(args: list[Interval]) -> Interval:
    (a, b), (c, d) = args
    if c < 0:
        return _ANY
    return (0, min(d - 1, b) if a >= 0 else d - 1) if d > 0 else (0, 0)


_RULES = {
    "max": lambda args: (max(low for low, _ in args), max(high for _, high in args)),
    "min": lambda args: (min(low for low, _ in args), min(high for _, high in args)),
    "abs": lambda args: (0, max(abs(args[0][0]), abs(args[0][1]))),
    "where": lambda args: (min(args[1][0], args[2][0]), max(args[1][1], args[2][1])),
    "floordiv": _quotient,
    "mod": _remainder,
}


# --- symbolic bounds -----------------------------------------------------------------------------------------------


def is_in_range(graph: Graph, position: Node, size: Node) -> bool:
    """Proved 0 <= position < size, whatever the sizes and parameters."""
    if position.kind == "index" and (position.attribute.size is size or _both_named(position.attribute.size, size)):
        return True
    above = any(_never_negative(graph.sub(graph.sub(size, graph.const(1)), up)) for up in upper_bounds(graph, position))
    return above and any(_never_negative(low) for low in lower_bounds(graph, position))


def _both_named(left: Node, right: Node) -> bool:
    """Two sizes that lowering let an index be used for: declared equal."""
    return left.kind == "size" and right.kind == "size"


def upper_bounds(graph: Graph, node: Node) -> list[Node]:
    """Nodes without indices that are at least as large."""
    return _bounds(graph, node, upper=True)


def lower_bounds(graph: Graph, node: Node) -> list[Node]:
    return _bounds(graph, node, upper=False)


def _bounds(graph: Graph, node: Node, upper: bool) -> list[Node]:
    if node.kind == "index":
        return [graph.sub(node.attribute.size, graph.const(1))] if upper else [graph.const(0)]
    if not node.axes and node.kind in ("const", "size", "param"):
        return [node]
    if node.is_sum:
        return _sum_bounds(graph, node, upper)
    if node.kind != "map":
        return []
    if node.op in ("min", "max"):
        sides = [_bounds(graph, arg, upper) for arg in node.args]
        if (node.op == "min") == upper:
            return [*sides[0], *sides[1]][:_MOST_BOUNDS]
        return [graph.map(node.op, (a, b), node.type) for a, b in islice(product(*sides), _MOST_BOUNDS)]
    if node.op == "mod" and _never_negative(graph.sub(node.args[1], graph.const(1))):
        return [graph.sub(node.args[1], graph.const(1))] if upper else [graph.const(0)]
    if node.op == "floordiv" and node.args[1].kind in ("const", "size") and not node.args[1].is_const(0):
        return [graph.map("floordiv", (b, node.args[1]), node.type) for b in _bounds(graph, node.args[0], upper)]
    return [node] if not node.axes else []


def _sum_bounds(graph: Graph, node: Node, upper: bool) -> list[Node]:
    coefficients, constant = node.attribute
    choices = [_bounds(graph, arg, upper == (c > 0)) for c, arg in zip(coefficients, node.args)]
    whole = graph.const(constant)
    found = islice(product(*choices), _MOST_BOUNDS)
    return [graph.combine([*zip(coefficients, chosen), (1, whole)]) for chosen in found]


def _never_negative(form: Node) -> bool:
    if form.kind == "const":
        return bool(form.attribute >= 0)
    if form.kind in ("size", "index"):
        return True
    if form.is_sum:
        coefficients, constant = form.attribute
        known = all(c > 0 and _never_negative(arg) for c, arg in zip(coefficients, form.args))
        # a size is at least 1 wherever an index over it exists
        return known and constant + sum(c for c, a in zip(coefficients, form.args) if a.kind == "size") >= 0
    if form.kind == "map" and form.op in ("max", "floordiv", "mod"):
        tests = [_never_negative(arg) for arg in form.args]
        return any(tests) if form.op == "max" else all(tests)
    return False
