"""Scans of pairs, carried along a pass: what a plan makes of reductions over another index of an axis.

A pass goes through its tiles in one order, so sums of a plan run the same way: the first ones, which the others mostly
read, keep their own order. One that runs the other way is the rest: the total of its row, taken in an earlier pass,
less what came before. Total and rest add the same numbers up with more digits, so that they cancel. Of other scans
there is no rest: those that run the other way take a walk of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.support import NotLowered
from ..ir import Graph, Node
from ..ir.logic import conjuncts
from ..ir.node import INT, reachable
from ..ir.rewrite import Rewriter, substitute
from ..ir.roles import Roles
from ..ir.scans import LATEST, Held, Scan, find_held, find_scan, is_of_pairs, is_ordered
from ..ir.twins import Twins


def carry_scans(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with scans of pairs as such, and sums over one axis by one name wherever they stand."""
    roots = _with_held(graph, roots, roles)
    scans = [scan for scan in (find_scan(node) for node in reachable(list(roots))) if scan is not None]
    scans = [scan for scan in scans if is_of_pairs(scan.node, roles)]
    if not scans and not any(node.kind == "scan" for node in reachable(list(roots))):
        return list(roots)
    carrier = _Carrier(graph, roles, list(roots), bool(scans) and scans[0].is_reverse)
    return [carrier(root) for root in roots]


def _with_held(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with what the derivative of a running maximum sums up carried along the pairs: the values since the
    last record, or till the next one."""
    replaced: dict[Node, Node] = {}
    for node in reachable(list(roots)):
        held = find_held(graph, node) if node.kind == "reduce" and is_of_pairs(node, roles) else None
        if held is not None:
            replaced[node] = _carried_on(graph, held, Rewriter(graph, replaced=dict(replaced)))
    return Rewriter(graph, replaced=replaced).all(list(roots)) if replaced else list(roots)


def _carried_on(graph: Graph, held: Held, rewriter: Rewriter) -> Node:
    best, axis = held.best, held.axis
    here = graph.index(axis)
    x, where = (substitute(graph, rewriter(operand), {best.axis: here}) for operand in best.operands(graph))
    inner = graph.fresh(best.inner)  # the place itself may be named by the index that the best one is looked for among
    there = graph.index(inner)
    body, counted = (
        substitute(graph, rewriter(part), {best.inner: there}) for part in (best.node.body, graph.all(*best.conditions))
    )
    order = graph.compare("<", here, there) if best.is_reverse else graph.compare("<", there, here)
    top = graph.reduce("max", (inner,), body, graph.all(counted, order))
    record = graph.all(where, graph.compare(">=" if best.is_reverse else ">", x, top))  # the lowest index of equals
    moves = {held.node.attribute[0]: here}
    rest = graph.all(*(c for c in conjuncts(held.node.domain) if c is not held.condition))
    value, domain = (substitute(graph, rewriter(part), moves) for part in (held.node.body, rest))
    is_reverse = best.is_reverse if held.op == LATEST else not best.is_reverse
    if held.op == LATEST:
        value = graph.guard(record, value)
    carried = graph.scan(held.op, axis, (value, domain, record), is_reverse, best.is_exclusive)
    return carried if held.op == LATEST else graph.guard(record, carried)


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
                raise NotLowered(node.span, "a scan of pairs with bounds of its own").error()
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
            return graph.scan(scan.node.op, scan.axis, (body, domain), scan.is_reverse, scan.is_exclusive)
        total = self.twins.renamed(
            graph.reduce_as_is("total", (scan.inner,), scan.node.body, graph.all(*scan.conditions))
        )
        return graph.scan("rest", scan.axis, (body, domain, total), self.is_reverse, not scan.is_exclusive)


__all__ = ["carry_scans", "scans_below"]
