"""Recurrences: the value of a state outside of what defines it.

Within a recurrence a state is read at other steps as a tensor that has no value yet; outside it is a node over all
steps, read at a position like any other value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .axis import Axis
from .graph import Graph
from .node import Node, Tensor, reachable
from .rewrite import Rewriter


def read_at(graph: Graph, value: Node, axes: Sequence[Axis], positions: Sequence[Node]) -> Node:
    """A value with its axes at positions; 0 where one of these is outside."""
    moves = [(axis, p) for axis, p in zip(axes, positions) if p is not graph.index(axis)]
    there = graph.at(value, tuple(axis for axis, _ in moves), tuple(p for _, p in moves))
    return graph.guard(graph.all(*(c for axis, p in moves for c in _inside(graph, axis, p))), there)


def _inside(graph: Graph, axis: Axis, position: Node) -> list[Node]:
    if position.kind == "index" and position.attribute.size is axis.size:
        return []
    return [graph.compare(">=", position, graph.const(0)), graph.compare("<", position, axis.size)]


def with_states(graph: Graph, node: Node, recurrences: Mapping[Tensor, Node]) -> Node:
    """The node with every read of a state outside of its recurrence as a read of that recurrence."""
    if not recurrences:
        return node
    known = {
        part: part
        for part in reachable([node, *recurrences.values()])
        if part.kind == "recur" and any(state in recurrences for state in part.binds)
    }

    def visit(part: Node) -> Node:
        if part.kind != "read" or part.attribute not in recurrences:
            return part
        state = recurrences[part.attribute]
        recurrence, place = state.attribute
        return read_at(graph, state, recurrence.axes[place], part.args)

    return Rewriter(graph, visit, known)(node)


__all__ = ["read_at", "with_states"]
