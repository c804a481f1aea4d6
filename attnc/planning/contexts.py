"""Conditions that hold wherever a statistic is read go into its domain, so that tiles which they empty are left out.

Σ_i under a condition on j stands outside of the sum in normal form; as a statistic of the rows j it needs no tile of
rows that the condition leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Graph, Node
from ..ir.logic import conjuncts
from ..ir.node import FLOAT, reachable, walk
from ..ir.rewrite import Rewriter
from ..ir.roles import LENGTH, WIDTH, Roles
from ..ir.scans import is_scan_of_pairs
from .statistics import is_statistic, scattered_axes

Conditions = frozenset[Node]


def push_conditions(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with every statistic's domain narrowed to where it is read, as far as tiles can tell."""
    contexts = _contexts(roots)
    replaced: dict[Node, Node] = {}
    for node in reachable(list(roots)):
        if node.kind == "reduce" and is_statistic(node, roles) and not is_scan_of_pairs(node, roles):
            kept = node.axes - scattered_axes(node, roles)
            useful = sorted(c for c in contexts[node] if c.axes and c.axes <= kept and _is_told_by_tiles(c, roles))
            if useful:
                inner = Rewriter(graph, replaced=dict(replaced))
                args = (inner(node.body), graph.all(inner(node.domain), *useful))
                replaced[node] = graph.reduce_as_is(node.op, node.attribute, *args)
    return Rewriter(graph, replaced=replaced).all(list(roots)) if replaced else list(roots)


def _contexts(roots: Sequence[Node]) -> dict[Node, Conditions]:
    """For each node what holds at every place that reads it."""
    found: dict[Node, Conditions] = {root: frozenset() for root in roots}
    for node in sorted(reachable(list(roots)), reverse=True):
        here = found[node]
        for place, arg in enumerate(node.args):
            there = _below(node, place, here)
            found[arg] = found[arg] & there if arg in found else there
    return found


def _below(node: Node, place: int, here: Conditions) -> Conditions:
    """What holds where an operand of a node is read."""
    if node.kind == "guard":
        return here | frozenset(conjuncts(node.args[0])) if place == 1 else here
    if node.kind == "recur":
        return frozenset()
    if node.kind == "at":
        return here if place else frozenset()
    if node.kind == "scan":
        return frozenset(c for c in here if node.attribute[0] not in c.axes)
    if node.kind == "reduce":
        bound = frozenset(node.attribute)
        outside = frozenset(c for c in here if not c.axes & bound)
        return outside | frozenset(conjuncts(node.domain)) if place == 0 else outside
    return here


def _is_told_by_tiles(condition: Node, roles: Roles) -> bool:
    """Of integers alone, those read being summarised, and none along features, which every tile has all of."""
    if roles.axes(condition.axes, WIDTH):
        return False
    return all(node.type != FLOAT and (node.kind != "read" or _is_summarised(node, roles)) for node in walk(condition))


def _is_summarised(read: Node, roles: Roles) -> bool:
    """Whether it is read at one length at most, at an index of its own."""
    moving = [position for position in read.args if roles.axes(position.axes, LENGTH)]
    return len(moving) < 2 and all(position.kind == "index" for position in moving)
