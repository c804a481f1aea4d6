"""Few queries of many heads that share their keys: the heads of a group as rows of one.

A statistic of head h and query i becomes one of the group and of the row (h % n) M + i, n heads to a group, so that a
block of rows goes over the keys once for all heads of a group.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Axis, Graph, Node
from ..ir.node import INT, reachable
from ..ir.rewrite import Rewriter, substitute
from ..ir.roles import LENGTH, ROWS, Roles
from .parts import Piece, find_pieces, outside_of_roots


def heads_as_rows(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with every statistic over keys that heads of a group share as one of the group's rows."""
    found: dict[Node, Node] = {}
    own: dict[Node, Node] = {}
    made: dict[tuple[Axis, Axis], _Rows] = {}
    for piece in outside_of_roots(roots, find_pieces(graph, roots, roles)):
        ends = _ends(graph, piece, roles)
        if ends is None:
            continue
        if ends not in made:
            made[ends] = _Rows(graph, *ends)
        rows = made[ends]
        own[piece.node] = rows.of_group(piece.node, own)
        found[piece.node] = rows.of_head(own[piece.node])
    return Rewriter(graph, replaced=found).all(list(roots))


def _ends(graph: Graph, piece: Piece, roles: Roles) -> tuple[Axis, Axis] | None:
    """The head and the query, of `M`, of a statistic that reads keys of the head's group."""
    rows = [axis for axis in roles.axes(piece.node.axes, LENGTH) if axis.size is graph.size("M")]
    for node in reachable([piece.node]):
        if len(rows) == 1 and _is_of_heads(graph, node):
            head = node.args[0].attribute
            if head in piece.node.axes:
                return head, rows[0]
    return None


def _heads(graph: Graph) -> Node:
    return graph.map("floordiv", (graph.size("H"), graph.size("G")), INT)


def _is_of_heads(graph: Graph, node: Node) -> bool:
    """`h // (H // G)`."""
    is_quotient = node.kind == "map" and node.op == "floordiv" and node.args[0].kind == "index"
    return is_quotient and node.args[1] is _heads(graph)


class _Rows:
    def __init__(self, graph: Graph, head: Axis, query: Axis) -> None:
        self.graph = graph
        self.head = head
        self.query = query
        self.group = graph.axis("g", graph.size("G"))
        self.row = graph.axis("row", graph.size(ROWS))

    def of_group(self, node: Node, own: dict[Node, Node]) -> Node:
        """The statistic for a group and a row."""
        graph, count = self.graph, _heads(self.graph)
        group, row = graph.index(self.group), graph.index(self.row)

        def visit(part: Node) -> Node:
            if _is_of_heads(graph, part) and part.args[0] is graph.index(self.head):
                return group
            if part.kind == "at" and part.args[1:] == (group,):
                return substitute(graph, part.args[0], {part.attribute[0]: group})
            return part

        shared = Rewriter(graph, visit, own)
        args = [shared(arg) for arg in node.args]
        head = graph.add(graph.mul(group, count), graph.map("floordiv", (row, self.query.size), INT))
        moves = {self.head: head, self.query: graph.map("mod", (row, self.query.size), INT)}
        body, domain = (substitute(graph, arg, moves) for arg in args)
        return graph.reduce_as_is(node.op, node.attribute, body, domain)

    def of_head(self, node: Node) -> Node:
        """The group's statistic where a head reads it."""
        graph, count = self.graph, _heads(self.graph)
        head, query = graph.index(self.head), graph.index(self.query)
        row = graph.add(graph.mul(graph.map("mod", (head, count), INT), self.query.size), query)
        return graph.at(node, (self.group, self.row), (graph.map("floordiv", (head, count), INT), row))


__all__ = ["heads_as_rows"]
