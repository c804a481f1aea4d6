"""Sizes and conditions that the host computes at a call: nodes without tensors -> nested lists, which JSON keeps.

A number stands for itself, a text for a size or parameter; lists are ["add", constant, [[coefficient, x], …]],
["mul", [[x, exponent], …]] and [operation, operand, …]. `evaluate` needs no graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .node import INT, Node, walk

Encoded = Any


def is_host(node: Node) -> bool:
    """Whether a node can be encoded: no index, no tensor, no reduction."""
    return all(part.kind in ("const", "param", "size", "map", "guard") for part in walk(node))


def encode(node: Node) -> Encoded:
    """A host node as nested lists."""
    if node.kind == "const":
        return node.attribute if not isinstance(node.attribute, float) else ["float", repr(node.attribute)]
    if node.kind in ("param", "size"):
        return node.attribute
    if node.kind == "guard":
        return ["guard", *(encode(arg) for arg in node.args)]
    assert node.kind == "map", f"a {node.kind} is not known before the kernel runs"
    if node.is_sum:
        coefficients, constant = node.attribute
        return ["add", constant, [[c, encode(arg)] for c, arg in zip(coefficients, node.args)]]
    if node.is_product:
        return ["mul", [[encode(arg), e] for e, arg in zip(node.attribute, node.args)]]
    kind = "int_" if node.type == INT and node.op in ("floordiv", "mod") else ""
    return [kind + node.op, *(encode(arg) for arg in node.args)]


def evaluate(encoded: Encoded, known: Mapping[str, Any]) -> Any:
    """The value of an encoded node where sizes and parameters are known."""
    if isinstance(encoded, str):
        return known[encoded]
    if not isinstance(encoded, list):
        return encoded
    op = encoded[0]
    if op == "float":
        return float(encoded[1])
    if op == "add":
        return encoded[1] + sum(c * evaluate(x, known) for c, x in encoded[2])
    if op == "mul":
        return math.prod(evaluate(x, known) ** e for x, e in encoded[1])
    return _OPERATIONS[op](*(evaluate(x, known) for x in encoded[1:]))


def names_in(encoded: Encoded) -> set[str]:
    """Sizes and parameters that an encoded node reads."""
    if isinstance(encoded, str):
        return {encoded}
    if not isinstance(encoded, list) or encoded[0] == "float":
        return set()
    found: set[str] = set()
    if encoded[0] == "add":
        parts = [x for _, x in encoded[2]]
    elif encoded[0] == "mul":
        parts = [x for x, _ in encoded[1]]
    else:
        parts = encoded[1:]
    for part in parts:
        found |= names_in(part)
    return found


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "guard": lambda c, x: x if c else 0,
    "and": lambda *xs: all(xs),
    "or": lambda *xs: any(xs),
    "not": lambda x: not x,
    "at_most_zero": lambda x: x <= 0,
    "equal_zero": lambda x: x == 0,
    "less": lambda a, b: a < b,
    "at_most": lambda a, b: a <= b,
    "equal": lambda a, b: a == b,
    "where": lambda c, a, b: a if c else b,
    "int_floordiv": lambda a, b: a // b if b else 0,
    "int_mod": lambda a, b: a % b if b else 0,
    "floordiv": lambda a, b: math.floor(a / b),
    "mod": lambda a, b: a % b,
    "max": max,
    "min": min,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "to_float": float,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "exp": math.exp,
    "log": math.log,
    "bit_and": lambda a, b: a & b,
    "bit_xor": lambda a, b: a ^ b,
    "shift_left": lambda a, b: a << max(b, 0) if b < 64 else 0,
    "shift_right": lambda a, b: a >> min(max(b, 0), 63),
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "power": pow,
    "sin": math.sin,
    "cos": math.cos,
}
