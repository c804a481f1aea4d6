"""Ranges of floating values by their form alone: what is proved of a value whatever the inputs hold."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..ir import Node
from ..ir.node import reachable

Range = tuple[float, float]
_ANY = (-math.inf, math.inf)
_KNOWN = {
    "exp": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "log_sigmoid": (-math.inf, 0.0),
    "sigmoid": (0.0, 1.0),
    "unit": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "sign": (-1.0, 1.0),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
}


def range_of(root: Node) -> Range:
    """Bounds that every value of a node lies within."""
    done: dict[Node, Range] = {}
    for node in reachable([root]):
        done[node] = _one(node, [done[arg] for arg in node.args])
    return done[root]


def _one(node: Node, args: list[Range]) -> Range:
    if node.kind == "const":
        return (float(node.attribute), float(node.attribute))
    if node.kind == "size":
        return (0.0, math.inf)
    if node.kind == "guard":
        return min(0.0, args[1][0]), max(0.0, args[1][1])
    if node.kind in ("stop", "at"):
        return args[0]
    if node.kind == "root":
        return args[2][0], args[3][1]
    if node.kind == "reduce":
        return _reduction(node.op, args[0])
    return _map(node, args) if node.kind == "map" else _ANY


def _reduction(op: str, body: Range) -> Range:
    if op == "sum":
        return (0.0 if body[0] >= 0 else -math.inf, 0.0 if body[1] <= 0 else math.inf)
    if op == "prod":
        return (0.0, math.inf) if body[0] >= 0 else _ANY
    return _ANY  # a max or min over nothing is infinite


def _map(node: Node, args: list[Range]) -> Range:
    if node.is_sum:
        coefficients, constant = node.attribute
        parts = [_times((c, c), arg) for c, arg in zip(coefficients, args)]
        return constant + sum(low for low, _ in parts), constant + sum(high for _, high in parts)
    if node.is_product:
        total = (1.0, 1.0)
        for arg, exponent in zip(args, node.attribute):
            total = _times(total, _power(arg, exponent))
        return total
    rule = _RULES.get(node.op)
    return rule(args) if rule else _KNOWN.get(node.op, _ANY)


def _times(a: Range, b: Range) -> Range:
    corners = [0.0 if 0 in (x, y) else x * y for x in a for y in b]
    return min(corners), max(corners)


def _power(base: Range, exponent: float) -> Range:
    low, high = base
    if exponent == 1:
        return base
    if low >= 0 or (exponent == int(exponent) and int(exponent) % 2 == 0):
        if exponent < 0:
            return (0.0, math.inf)
        size = max(abs(low), abs(high))
        return (0.0, size**exponent if math.isfinite(size) else math.inf)
    return _ANY


def _relu(args: list[Range]) -> Range:
    return max(args[0][0], 0.0), max(args[0][1], 0.0)


def _abs(args: list[Range]) -> Range:
    low, high = args[0]
    return (max(low, -high, 0.0), max(-low, high))


def _hull(args: list[Range]) -> Range:
    return min(low for low, _ in args), max(high for _, high in args)


_RULES: dict[str, Callable[[list[Range]], Range]] = {
    "relu": _relu,
    "abs": _abs,
    "to_float": lambda args: args[0],
    "where": lambda args: _hull(args[1:]),
    "finite_or": _hull,
    "max": lambda args: (max(low for low, _ in args), max(high for _, high in args)),
    "min": lambda args: (min(low for low, _ in args), min(high for _, high in args)),
    "power": lambda args: (0.0, math.inf) if args[0][0] >= 0 else _ANY,
}
