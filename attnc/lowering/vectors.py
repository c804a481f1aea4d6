"""Anonymous trailing axes: alignment of elementwise operands, products `@`, renaming to the places they end at."""

from __future__ import annotations

from collections.abc import Sequence

from ..diagnostics import Span
from ..ir import Axis, Node
from ..ir.rewrite import substitute
from .environment import Environment
from .mistakes import MixedVector, VectorMismatch, Wrong
from .sizes import size_text
from .value import Value


def settle(env: Environment, node: Node, axes: Sequence[Axis]) -> Value:
    """A value whose trailing axes are these, renamed to the anonymous axes of their places."""
    graph, scope = env.scope.graph, env.scope
    wanted = [graph.vector_axis(scope.canonical(axis.size), len(axes) - 1 - n) for n, axis in enumerate(axes)]
    moves = {axis: graph.index(target) for axis, target in zip(axes, wanted) if axis is not target}
    return Value(substitute(graph, node, moves), tuple(wanted))


def align(env: Environment, values: Sequence[Value], operator: str, span: Span) -> tuple[Axis, ...]:
    """The trailing axes of an elementwise operation: sizes must agree counted from the right."""
    longest: tuple[Axis, ...] = ()
    for value in values:
        if len(value.vector) > len(longest):
            longest = value.vector
    for value in values:
        for ours, theirs in zip(reversed(value.vector), reversed(longest)):
            if ours is not theirs:
                sizes = (size_text(theirs.size), size_text(ours.size))
                raise VectorMismatch(span, *sizes, operator).error()
        if longest and not value.vector:
            _refuse_mixed(env, value, values, longest, span)
    return longest


def _refuse_mixed(
    env: Environment, value: Value, values: Sequence[Value], vector: tuple[Axis, ...], span: Span
) -> None:
    others = frozenset().union(*(other.node.axes for other in values if other is not value))
    for axis in value.node.axes - others:
        if not axis.is_vector and env.scope.same_size(axis.size, vector[-1].size):
            raise MixedVector(span, axis.name, size_text(axis.size)).error()


def matrix_product(env: Environment, left: Value, right: Value, span: Span) -> Value:
    """`@` over the last axis of the left side and the first of the right (numpy's matmul for one or two axes)."""
    graph = env.scope.graph
    if not left.vector or not right.vector:
        side = "left" if not left.vector else "right"
        text = "has no trailing axis: multiply numbers with '*'"
        raise Wrong("not-a-vector", f"'@' needs a vector on its {side}", span, text).error()
    joined, over = left.vector[-1], right.vector[-2 if len(right.vector) > 1 else -1]
    if not env.scope.same_size(joined.size, over.size):
        raise VectorMismatch(span, size_text(joined.size), size_text(over.size), "@").error()
    rest = [axis for axis in right.vector if axis is not over]
    if len(left.vector) == 1 and not rest:
        return Value(graph.reduce("sum", (joined,), graph.mul(left.node, right.node)))
    shared = graph.vector_axis(joined.size, 9)
    kept = [graph.vector_axis(axis.size, 10 + n) for n, axis in enumerate(left.vector[:-1])]
    moves = {axis: graph.index(new) for axis, new in zip(left.vector, [*kept, shared])}
    first = substitute(graph, left.node, moves)
    second = substitute(graph, right.node, {over: graph.index(shared)})
    body = graph.mul(first, second)
    return settle(env, graph.reduce("sum", (shared,), body), [*kept, *rest])
