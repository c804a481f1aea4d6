"""Anonymous trailing axes: alignment of elementwise operands, products `@`, renaming to the places they end at."""

from __future__ import annotations

from collections.abc import Sequence

from ..diagnostics import Span
from ..ir import Axis, Node
from ..ir.rewrite import substitute
from .environment import Environment
from .mistakes import MixedVector, NotAVector, VectorMismatch, spelled
from .sizes import size_text
from .value import Value


def settle(env: Environment, node: Node, axes: Sequence[Axis]) -> Value:
    """A value whose trailing axes are these, renamed to the anonymous axes of their places."""
    graph, scope = env.scope.graph, env.scope
    wanted = [graph.vector_axis(scope.canonical(axis.size), len(axes) - 1 - n) for n, axis in enumerate(axes)]
    moves = {axis: graph.index(target) for axis, target in zip(axes, wanted) if axis is not target}
    return Value(substitute(graph, node, moves), tuple(wanted))


def align(env: Environment, values: Sequence[Value], operator: str, spans: Sequence[Span]) -> tuple[Axis, ...]:
    """The trailing axes of an elementwise operation: sizes must agree counted from the right. `spans` are where the
    values stand."""
    longest = max(values, key=lambda value: len(value.vector), default=None)
    if longest is None or not longest.vector:
        return ()
    span = spans[next(n for n, value in enumerate(values) if value is longest)]
    for value, place in zip(values, spans):
        for ours, theirs in zip(reversed(value.vector), reversed(longest.vector)):
            if ours is not theirs:
                raise _differ(span, theirs, place, ours, operator).error()
        if not value.vector:
            _refuse_mixed(env, value, place, values, longest.vector, span)
    return longest.vector


def _differ(span: Span, axis: Axis, other_span: Span, other: Axis, operator: str) -> VectorMismatch:
    """The two sides in the order of the text."""
    if other_span.source == span.source and other_span.start < span.start:
        span, axis, other_span, other = other_span, other, span, axis
    equal = spelled(span, "require", f"{size_text(axis.size)} == {size_text(other.size)}")
    remedy = f"say that they are equal: '{equal}'" if {axis.size.kind, other.size.kind} <= {"size"} else None
    return VectorMismatch(span, size_text(axis.size), size_text(other.size), operator, other_span, remedy)


def _refuse_mixed(
    env: Environment, value: Value, span: Span, values: Sequence[Value], vector: tuple[Axis, ...], other: Span
) -> None:
    others = frozenset().union(*(one.node.axes for one in values if one is not value))
    for axis in sorted(value.node.axes - others):
        if not axis.is_vector and env.scope.same_size(axis.size, vector[-1].size):
            raise MixedVector(span, axis.name, size_text(axis.size), other, _with_index(other, axis.name)).error()


def _with_index(span: Span, index: str) -> str | None:
    """How a vector reads with its last index written out."""
    text = span.brief()
    if text.isidentifier():
        return f"{text}[{index}]"
    base, bracket, entries = text.partition("[")
    if bracket and base.isidentifier() and entries.count("]") == 1 and entries.endswith("]"):
        return f"{base}[{entries[:-1]}, {index}]"
    return None


def matrix_product(env: Environment, left: Value, right: Value, spans: tuple[Span, Span]) -> Value:
    """`@` over the last axis of the left side and the first of the right (numpy's matmul for one or two axes)."""
    graph = env.scope.graph
    for value, span, side in ((left, spans[0], "left"), (right, spans[1], "right")):
        if not value.vector:
            raise NotAVector(span, f"'@' needs a vector on its {side}", "multiply single values with '*'").error()
    joined, over = left.vector[-1], right.vector[-2 if len(right.vector) > 1 else -1]
    if not env.scope.same_size(joined.size, over.size):
        raise _differ(spans[0], joined, spans[1], over, "@").error()
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
