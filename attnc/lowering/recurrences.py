"""Lets that read themselves, or one another in a circle -> recurrences along the index that every circle steps along.

While such lets are lowered, what they read of one another stands for itself. Once all are, each circle becomes one
recurrence: its lets are states, read at other steps; what is read at the same step is put in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..ir import Axis, Graph, Node, Tensor
from ..ir.axis import in_order
from ..ir.node import FLOAT, Recurrence
from ..ir.recurrences import read_at
from ..ir.rewrite import Rewriter
from .clauses import circles, step_of
from .scope import LetEntry, Scope
from .value import Value

CIRCULAR = "recurrence"  # the op of what stands for a let that is read within its own definition


@dataclass(frozen=True)
class State:
    """One let of a circle: its value, which reads what stands for the others, and its axes once they are known."""

    name: str
    entry: LetEntry
    node: Node
    axes: tuple[Axis, ...] = ()

    def tensor(self) -> Tensor:
        return Tensor(self.name, tuple(axis.size for axis in self.axes), FLOAT, "state")

    def read(self, graph: Graph, positions: Sequence[Node]) -> Node:
        """At positions along its own indices; batch and head are the current ones."""
        implied = self.axes[: len(self.axes) - len(positions)]
        return graph.read(self.tensor(), (*(graph.index(axis) for axis in implied), *positions))


def resolve_circles(scope: Scope) -> None:
    """Gives every let, and every mask, its value with the circles as recurrences."""
    known: dict[str, Recurring] = {}
    for reads in circles(scope):
        names = {name for read in reads for name in (read.reader, read.target)}
        states = [_state(scope, name) for name, entry in scope.lets.items() if name in names and entry.indices]
        for state, node in zip(states, _recurrence(scope, states, *step_of(reads), known)):
            known[state.name] = Recurring(node, state.entry.indices or ())
    if not known:
        return
    whole = Rewriter(scope.graph, lambda node: _resolved(scope.graph, node, known))
    for name, entry in scope.lets.items():
        if entry.value is not None:
            node = known[name].node if name in known else whole(entry.value.node)
            entry.value = Value(node, entry.value.vector, entry.value.is_reduction)
            entry.is_circular = False
    scope.masks[:] = [replace(m, condition=c, axes=c.axes) for m in scope.masks for c in (whole(m.condition),)]


@dataclass(frozen=True)
class Recurring:
    """A let that was resolved, with the indices on its left."""

    node: Node
    indices: tuple[Axis, ...]


def _resolved(graph: Graph, node: Node, known: Mapping[str, Recurring]) -> Node:
    """What stands for a let of a circle, as that let where it is read; 0 where there is none."""
    if node.kind != "opaque" or node.op != CIRCULAR or node.attribute[2] not in known:
        return node
    let = known[node.attribute[2]]
    return read_at(graph, let.node, let.indices, node.args)


def _state(scope: Scope, name: str) -> State:
    entry = scope.lets[name]
    assert entry.value is not None and entry.indices is not None
    return State(name, entry, scope.graph.to_float(entry.value.node))


def _recurrence(scope: Scope, states: list[State], place: int, sign: int, known: Mapping[str, Recurring]) -> list[Node]:
    """The circle's states as nodes, over all steps."""
    graph = scope.graph
    axis = states[0].entry.indices[place]  # type: ignore[index]
    states = [_along(graph, state, place, axis) for state in states]
    implied: frozenset[Axis] = frozenset()
    for _ in range(2):  # without the batch and the heads first, to see who needs them
        states = [replace(s, axes=(*in_order(implied), *_indices(s, place, axis))) for s in states]
        values = _values(graph, states, known)
        listed = frozenset(index for state in states for index in _indices(state, place, axis))
        implied = frozenset().union(*(value.axes for value in values)) - listed
    values = _with_same_steps(graph, states, values, axis)
    made = Recurrence(axis, tuple(s.tensor() for s in states), tuple(s.axes for s in states), sign > 0)
    nodes = []
    for number, state in enumerate(states):
        node = graph.recur(made, number, tuple(values))
        node.span = state.entry.span
        own = state.entry.indices[place]  # type: ignore[index]
        nodes.append(node if own is axis else graph.at(node, (axis,), (graph.index(own),)))
    return nodes


def _indices(state: State, place: int, axis: Axis) -> tuple[Axis, ...]:
    indices = state.entry.indices or ()
    return (*indices[:place], axis, *indices[place + 1 :])


def _along(graph: Graph, state: State, place: int, axis: Axis) -> State:
    """The state with the circle's axis for its own index."""
    own = state.entry.indices[place]  # type: ignore[index]
    if own is axis:
        return state
    return replace(state, node=graph.at(state.node, (own,), (graph.index(axis),)))


def _values(graph: Graph, states: list[State], known: Mapping[str, Recurring]) -> list[Node]:
    """Every state's value, reading the others as states."""
    by_name = {state.name: state for state in states}

    def visit(node: Node) -> Node:
        if node.kind == "opaque" and node.op == CIRCULAR and node.attribute[2] in by_name:
            return by_name[node.attribute[2]].read(graph, node.args)
        return _resolved(graph, node, known)

    rewriter = Rewriter(graph, visit)
    return [rewriter(state.node) for state in states]


def _with_same_steps(graph: Graph, states: list[State], values: list[Node], axis: Axis) -> list[Node]:
    """The values with each state that is read at the same step in place."""
    tensors = [state.tensor() for state in states]
    done: dict[int, Node] = {}

    def value(number: int) -> Node:
        if number not in done:
            done[number] = Rewriter(graph, put)(values[number])
        return done[number]

    def put(node: Node) -> Node:
        if node.kind != "read" or node.attribute not in tensors:
            return node
        number = tensors.index(node.attribute)
        axes = states[number].axes
        if node.args[axes.index(axis)] is not graph.index(axis):
            return node
        return read_at(graph, value(number), axes, node.args)

    return [value(number) for number in range(len(states))]


__all__ = ["CIRCULAR", "resolve_circles"]
