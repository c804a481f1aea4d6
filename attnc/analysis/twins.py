"""One name for what is summed over: reductions over several copies of an axis, as over the first of them.

Scans and their derivatives name an axis twice. Sums that differ in the copy alone are the same, can be joined, and run
in one pass; as nodes they are equal once they are written with one copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..derivatives.vjp import Part
from ..ir import Axis, Graph, Node, Tensor
from ..ir.node import reachable
from ..ir.rewrite import Rewriter, substitute
from ..ir.roles import WIDTH, Roles
from ..ir.scans import is_scan_of_pairs


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


def join_twins(graph: Graph, found: dict[Tensor, tuple[Part, ...]], roles: Roles) -> dict[Tensor, tuple[Part, ...]]:
    """Gradients of scans of pairs by first copies; parts that are alike but for these are added."""
    roots = [part.node for parts in found.values() for part in parts]
    if not any(is_scan_of_pairs(node, roles) for node in reachable(roots) if node.kind == "reduce"):
        return found
    twins = Twins(graph, roles, roots)
    rewriter = Rewriter(graph, visit=lambda node: twins.renamed(node) if node.kind == "reduce" else node)
    out = {}
    for tensor, parts in found.items():
        joined: dict[tuple[Axis, ...], list[Node]] = {}
        for part in parts:
            axes = tuple(twins.first(axis) for axis in part.axes)
            if len(set(axes)) < len(axes):
                axes = part.axes
            positions = {old: graph.index(new) for old, new in zip(part.axes, axes)}
            joined.setdefault(axes, []).append(rewriter(substitute(graph, part.node, positions)))
        out[tensor] = tuple(Part(axes, graph.add(*nodes)) for axes, nodes in joined.items())
    return out


__all__ = ["Twins", "join_twins"]
