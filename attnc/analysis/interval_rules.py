"""How primitives carry intervals: the least and the largest value, as nodes, from those of the operands."""

from __future__ import annotations

from collections.abc import Callable

from ..ir import Graph, Node
from ..ir.node import FLOAT, INT, reachable

Bounds = tuple[Node, Node] | None


def extreme(graph: Graph, op: str, a: Node, b: Node) -> Node:
    if a is b or _has(op, a, b):
        return a
    if _has(op, b, a):
        return b
    if a.kind == "const" and b.kind == "const":
        return graph.const(max(a.attribute, b.attribute) if op == "max" else min(a.attribute, b.attribute))
    return graph.map(op, (a, b), INT)


def _has(op: str, a: Node, b: Node) -> bool:
    """Whether b is among the numbers that a is the extreme of."""
    return a.kind == "map" and a.op == op and any(arg is b or _has(op, arg, b) for arg in a.args)


def quotient(graph: Graph, a: Node, divisor: int) -> Node:
    if a.kind == "const":
        return graph.const(a.attribute // divisor)
    return graph.map("floordiv", (a, graph.const(divisor)), INT)


Pair = tuple[Node, Node]


def _through(op: str) -> Callable[[Graph, list[Pair]], Bounds]:
    def rule(graph: Graph, parts: list[Pair]) -> Bounds:
        (a, b), (c, d) = parts
        return extreme(graph, op, a, c), extreme(graph, op, b, d)

    return rule


def _floordiv(graph: Graph, parts: list[Pair]) -> Bounds:
    (a, b), (c, d) = parts
    if c is not d:
        return None
    low, high = graph.map("floordiv", (a, c), INT), graph.map("floordiv", (b, c), INT)
    if c.kind in ("const", "size") and not (c.kind == "const" and c.attribute <= 0):
        return low, high
    return extreme(graph, "min", low, high), extreme(graph, "max", low, high)


def _mod(graph: Graph, parts: list[Pair]) -> Bounds:
    (a, b), (c, d) = parts
    if c is not d:
        return None
    one = graph.const(1)
    same = graph.compare("==", graph.map("floordiv", (a, c), INT), graph.map("floordiv", (b, c), INT))
    edge = graph.sub(c, one)
    low = graph.where(same, graph.map("mod", (a, c), INT), extreme(graph, "min", edge, graph.const(0)))
    high = graph.where(same, graph.map("mod", (b, c), INT), extreme(graph, "max", edge, graph.const(0)))
    wide_low = extreme(graph, "min", low, graph.add(c, one))
    return extreme(graph, "min", wide_low, low), high


def _abs(graph: Graph, parts: list[Pair]) -> Bounds:
    ((a, b),) = parts
    zero = graph.const(0)
    low = extreme(graph, "max", zero, extreme(graph, "max", a, graph.neg(b)))
    return low, extreme(graph, "max", graph.neg(a), b)


def _mul(graph: Graph, parts: list[Pair]) -> Bounds:
    if len(parts) != 2:
        return None
    corners = [graph.mul(x, y) for x in parts[0] for y in parts[1]]
    low = high = corners[0]
    for corner in corners[1:]:
        low, high = extreme(graph, "min", low, corner), extreme(graph, "max", high, corner)
    return low, high


def _growing(op: str) -> Callable[[Graph, list[Pair]], Bounds]:
    """A float that grows with another. What is computed of it is rounded: see `rounds`."""

    def rule(graph: Graph, parts: list[Pair]) -> Bounds:
        ((a, b),) = parts
        return (graph.map(op, (a,), FLOAT), graph.map(op, (b,), FLOAT)) if a.type == FLOAT else None

    return rule


def _whole(op: str) -> Callable[[Graph, list[Pair]], Bounds]:
    """One more on either side: rounding may lead a tile's corner and a pair to neighbouring whole numbers."""

    def rule(graph: Graph, parts: list[Pair]) -> Bounds:
        ((a, b),) = parts
        one = graph.const(1)
        return graph.sub(graph.map(op, (a,), INT), one), graph.add(graph.map(op, (b,), INT), one)

    return rule


def _shift_left(graph: Graph, parts: list[Pair]) -> Bounds:
    (a, b), (c, d) = parts
    if not (a is b and a.kind == "const" and a.attribute >= 0):
        return None
    return graph.map("shift_left", (a, c), INT), graph.map("shift_left", (a, d), INT)


def rounds(node: Node) -> bool:
    """Whether a float is computed by functions that are rounded otherwise for a tile's corner than for a pair: bounds
    of it hold only where a whole number is made of it."""
    return node.type == FLOAT and any(
        part.kind == "map" and part.op in _GROWING for part in reachable([node]) if part.type == FLOAT
    )


_GROWING = ("log", "exp", "sqrt", "expm1", "log1p", "tanh")

INTERVALS: dict[str, Callable[[Graph, list[Pair]], Bounds]] = {
    "max": _through("max"),
    "min": _through("min"),
    "floordiv": _floordiv,
    "mod": _mod,
    "abs": _abs,
    "mul": _mul,
    "shift_left": _shift_left,
    **{op: _growing(op) for op in _GROWING},
    **{op: _whole(op) for op in ("floor", "ceil", "round")},
}


__all__ = ["INTERVALS", "Bounds", "extreme", "quotient", "rounds"]
