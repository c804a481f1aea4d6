"""The parts of an expression, without recursion: for checks that must hold before anything may recurse."""

from __future__ import annotations

from collections.abc import Iterator

from .tree import (
    Binary,
    Call,
    Compare,
    Conditional,
    Expr,
    Logic,
    Slice,
    Subscript,
    Tuple,
    Unary,
)


def children(node: Expr | Slice) -> tuple[Expr | Slice, ...]:
    """The expressions right inside one, in the order of the text; names of functions and tensors are not among them."""
    match node:
        case Binary(left=left, right=right):
            return left, right
        case Call(bracket=bracket, arguments=arguments):
            condition = (bracket.condition,) if bracket and bracket.condition is not None else ()
            return (*condition, *(argument.value for argument in arguments))
        case Subscript(entries=entries):
            return entries
        case Compare(first=first, rest=rest):
            return (first, *(side for _, side in rest))
        case Unary(operand=operand):
            return (operand,)
        case Logic(operands=operands):
            return operands
        case Conditional(test=test, then=then, other=other):
            return then, test, other
        case Tuple(elements=elements):
            return elements
        case Slice(low=low, high=high):
            return tuple(side for side in (low, high) if side is not None)
    return ()


def walk(node: Expr | Slice) -> Iterator[tuple[Expr | Slice, int]]:
    """Every node with its depth (1 for the node itself), outer ones first."""
    waiting = [(node, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in reversed(children(node)))
