"""Scans of pairs, carried along a pass: what a plan makes of reductions over another index of an axis.

A pass goes through its tiles in one order, so all scans of a plan run the same way: the first ones, which the others
mostly read, keep their own order. One that runs the other way is the rest: the total of its row, taken in an earlier
pass, less what came before. Total and rest add the same numbers up with more digits, so that they cancel.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.support import NotLowered
from ..ir import Graph, Node
from ..ir.node import INT, reachable
from ..ir.rewrite import Rewriter
from ..ir.roles import Roles
from ..ir.scans import Scan, find_scan, is_of_pairs, is_ordered
from ..ir.twins import Twins


def carry_scans(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with scans of pairs as such, and sums over one axis by one name wherever they stand."""
    scans = [scan for scan in (find_scan(node) for node in reachable(list(roots))) if scan is not None]
    scans = [scan for scan in scans if is_of_pairs(scan.node, roles)]
    if not scans and not has_ranks(roots):
        return list(roots)
    carrier = _Carrier(graph, roles, list(roots), bool(scans) and scans[0].is_reverse)
    return [carrier(root) for root in roots]


def has_ranks(roots: Sequence[Node]) -> bool:
    return any(node.is_rank for node in reachable(list(roots)))


def scans_below(root: Node, roles: Roles) -> list[Node]:
    """Scans that a value reads, but for those that only its statistics do."""
    found: set[Node] = set()
    seen: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.kind == "scan":
            found.add(node)
        is_long = node.kind in ("root", "recur") or roles.sums_more(node)
        stack.extend(() if is_long and node is not root else node.args)
    return sorted(found)


class _Carrier:
    def __init__(self, graph: Graph, roles: Roles, roots: list[Node], is_reverse: bool) -> None:
        self.graph = graph
        self.roles = roles
        self.is_reverse = is_reverse
        self.twins = Twins(graph, roles, roots)
        self.rewriter = Rewriter(graph, visit=self._visit)

    def __call__(self, root: Node) -> Node:
        return self.rewriter(root)

    def _visit(self, node: Node) -> Node:
        if node.kind == "at":
            for carried in scans_below(node.args[0], self.roles):
                if carried.attribute[0] in node.attribute:
                    raise NotLowered(node.span, "a scan of pairs read at another index").error()
        if node.is_rank and node.type == INT:  # exact in float32 up to 2**24
            graph = self.graph
            place = graph.scan(node.op, node.attribute[0], (graph.to_float(node.body), node.domain), False, False)
            return graph.map("round", (place,), INT)
        if node.kind != "reduce":
            return node
        if is_of_pairs(node, self.roles):
            scan = find_scan(node)
            if scan is not None:
                return self._carried(scan)
            if is_ordered(node):
                what = "a scan of pairs with bounds of its own, or the derivative of a 'cummax' of pairs,"
                raise NotLowered(node.span, what).error()
        return self.twins.renamed(node)

    def _carried(self, scan: Scan) -> Node:
        graph = self.graph
        body, domain = scan.operands(graph)
        if body.type == INT:  # counts are exact in float32 up to 2**24
            number = graph.reduce_as_is(scan.node.op, (scan.inner,), graph.to_float(scan.node.body), scan.node.domain)
            found = find_scan(number)
            assert found is not None
            return graph.map("round", (self._carried(found),), INT)
        if scan.is_reverse == self.is_reverse:
            return graph.scan(scan.node.op, scan.axis, (body, domain), scan.is_reverse, scan.is_exclusive)
        if scan.node.op != "sum":
            raise NotLowered(scan.node.span, "two scans of maxima of opposite order").error()
        total = self.twins.renamed(
            graph.reduce_as_is("total", (scan.inner,), scan.node.body, graph.all(*scan.conditions))
        )
        return graph.scan("rest", scan.axis, (body, domain, total), self.is_reverse, not scan.is_exclusive)


__all__ = ["carry_scans", "has_ranks", "scans_below"]
