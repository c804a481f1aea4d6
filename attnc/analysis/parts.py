"""Keys in parts: a statistic of a row as the merge of the statistics of its parts, each taken for itself.

A sum that follows a running maximum in one pass is rescaled when that moves. The merge of two parts is the same step:
each part's sum, rescaled from the part's own maximum to that of all. So whatever streams, merges, and by the same
algebra; few rows of many keys then have work for every core, and parts of a row may lie on several machines.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Graph, Node
from ..ir.node import FLOAT, open_nodes, reachable, walk
from ..ir.rewrite import Rewriter
from ..ir.roles import LENGTH, PART, PARTS, WIDTH, Roles
from .streaming import Move, moves
from .weights import MUL, shift


def in_parts(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with every statistic of rows that streams as the merge of its parts, of `#part` keys each."""
    return _Parts(graph, roles).run(list(roots))


class _Parts:
    def __init__(self, graph: Graph, roles: Roles) -> None:
        self.graph = graph
        self.roles = roles
        self.part = graph.axis("part", graph.size(PARTS))
        self.own: dict[Node, Node] = {}  # statistics -> those of one part
        self.merged: dict[Node, Node] = {}  # statistics -> the merge of all parts

    def run(self, roots: list[Node]) -> list[Node]:
        nodes = reachable(roots)
        hidden = open_nodes(nodes)
        inside = {arg for node in nodes if node.kind in ("recur", "root") for arg in reachable(list(node.args))}
        for node in nodes:
            if node not in hidden and node not in inside and self._is_of_row(node):
                self._split(node)
        return Rewriter(self.graph, replaced=self.merged).all(roots)

    def _is_of_row(self, node: Node) -> bool:
        """A statistic over one length and nothing else, kept by no more than one."""
        if node.kind != "reduce" or node.op not in ("sum", "max", "min") or node.type != FLOAT:
            return False
        summed = [axis for axis in node.attribute if self.roles.of(axis) != WIDTH]
        lengths = [axis for axis in summed if self.roles.of(axis) == LENGTH]
        return len(summed) == len(lengths) == 1 and len(self.roles.axes(node.axes, LENGTH)) <= 1

    def _split(self, node: Node) -> None:
        """The statistic of a part, which reads those of its part, and the merge."""
        graph = self.graph
        running = frozenset(part for part in walk(node) if part in self.own and part is not node)
        axis = next(axis for axis in node.attribute if self.roles.of(axis) == LENGTH)
        alike = all(axis in part.attribute for part in running)
        found = moves(graph, node, running) if alike else None
        known = self.own if found is not None else self.merged  # what it cannot follow is known before
        start = graph.mul(graph.index(self.part), graph.size(PART))
        here = (
            graph.compare(">=", graph.index(axis), start),
            graph.compare("<", graph.index(axis), graph.add(start, graph.size(PART))),
        )
        body, domain = Rewriter(graph, replaced=known).all(node.args)
        own = graph.reduce_as_is(node.op, node.attribute, body, graph.all(domain, *here))
        self.own[node] = own
        self.merged[node] = graph.reduce(node.op, (self.part,), self._at_whole(node, own, found or ()))

    def _at_whole(self, node: Node, own: Node, found: Sequence[Move]) -> Node:
        """A part's statistic, rescaled to the statistics of the whole; what is 0 stays 0."""
        graph = self.graph
        value = own
        for move in found:
            before, after = (Rewriter(graph, replaced=known)(move.anchor) for known in (self.own, self.merged))
            step = graph.log(graph.div(after, before)) if move.kind == MUL else graph.sub(after, before)
            by = Rewriter(graph, replaced={shift(graph): step})(move.by)
            value = graph.mul(value, by) if node.op == "sum" else graph.add(value, by)
        if value is own or node.op != "sum":
            return value
        return graph.guard(graph.negate(graph.compare("==", own, graph.const(0.0))), value)


__all__ = ["in_parts"]
