"""One name for what is summed over: reductions over several copies of an axis, as over the first of them.

Scans and their derivatives name an axis twice. Sums that differ in the copy alone are the same, can be joined, and run
in one pass; as nodes they are equal once they are written with one copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from .axis import Axis
from .graph import Graph
from .node import Node, reachable
from .rewrite import substitute
from .roles import WIDTH, Roles


class Twins:
    """The first axis of each name and size, among all that some values have."""

    def __init__(self, graph: Graph, roles: Roles, roots: Sequence[Node]) -> None:
        self.graph = graph
        self.names: dict[tuple[str, Node], Axis] = {}
        for node in reachable(list(roots)):
            for axis in (*node.axes, *node.bound):
                if roles.of(axis) != WIDTH and not axis.parts:
                    first = self.names.setdefault((axis.name, axis.size), axis)
                    self.names[axis.name, axis.size] = min(first, axis)

    def first(self, axis: Axis) -> Axis:
        return self.names.get((axis.name, axis.size), axis)

    def renamed(self, node: Node) -> Node:
        """A reduction over the first copy of each axis that it does not read as well."""
        moves: dict[Axis, Axis] = {}
        for axis in node.attribute:
            first = self.first(axis)
            if first is not axis and first not in node.axes and first not in (*node.attribute, *moves.values()):
                moves[axis] = first
        if not moves:
            return node
        positions = {axis: self.graph.index(new) for axis, new in moves.items()}
        body, domain = (substitute(self.graph, arg, positions) for arg in node.args)
        axes = tuple(sorted(moves.get(axis, axis) for axis in node.attribute))
        return self.graph.reduce_as_is(node.op, axes, body, domain)


__all__ = ["Twins"]
