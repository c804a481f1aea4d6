"""Sizes and conditions that the host computes at a call: nodes without tensors -> nested lists, which JSON keeps.

A number stands for itself, a text for a size or parameter; lists are ["add", constant, [[coefficient, x], …]],
["mul", [[x, exponent], …]] and [operation, operand, …]. `evaluate` needs no graph.
"""

from __future__ import annotations

from .evaluation import Encoded, Operation, evaluate
from .node import INT, Node, walk


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


__all__ = ["Encoded", "Operation", "encode", "evaluate", "is_host", "names_in"]
