"""Exchanging sums: Σ_j Σ_d q_id · k_jd = Σ_d q_id · Σ_j k_jd, one sum over the keys for all queries.

A row's sum of plain products of features (a mean score, and what derivatives of means ask for) needs no pair at all,
where the keys that it runs over are the same for every row.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Graph, Node
from ..ir.logic import conjuncts
from ..ir.node import FLOAT
from ..ir.rewrite import Rewriter
from ..ir.roles import LENGTH, OUTER, WIDTH, Roles
from ..ir.summation import is_finite


def exchange_sums(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with all such sums exchanged."""
    return Rewriter(graph, visit=lambda node: _exchanged(graph, node, roles)).all(roots)


def _exchanged(graph: Graph, node: Node, roles: Roles) -> Node:
    if node.kind != "reduce" or node.op != "sum" or node.type != FLOAT:
        return node
    bound = frozenset(node.attribute)
    if not all(roles.of(axis) == LENGTH for axis in bound) or not roles.axes(node.axes, LENGTH):
        return node
    scale, body, conditions = _opened(node)
    factors = list(zip(body.args, body.attribute)) if body.is_product else [(body, 1)]
    moving = [(base, e) for base, e in factors if base.axes & bound]
    inside = [c for c in conditions if c.axes & bound]
    if len(moving) != 1 or moving[0][1] != 1 or not _is_product_of_features(moving[0][0], roles):
        return node
    parts = moving[0][0].body
    pairs = list(zip(parts.args, parts.attribute)) if parts.is_product else [(parts, 1)]
    left = graph.product([item for item in pairs if not item[0].axes & bound])
    right = graph.product([item for item in pairs if item[0].axes & bound])
    rows = frozenset(roles.axes(node.axes, LENGTH))
    if not rows & left.axes or (right.axes | frozenset().union(*(c.axes for c in inside))) & rows:
        return node
    total = _total(graph, node, right, graph.all(*inside), roles)
    found = graph.reduce("sum", moving[0][0].attribute, graph.mul(left, total))
    others = [(base, e) for base, e in factors if base is not moving[0][0]]
    if inside and not all(e > 0 and is_finite(base) for base, e in others):
        return node  # of no keys the sum is 0, whatever it is multiplied by
    rest = graph.product(others)
    outside = graph.all(*(c for c in conditions if not c.axes & bound))
    return graph.guard(outside, graph.scale(scale, graph.mul(rest, found)))


def _opened(node: Node) -> tuple[float, Node, list[Node]]:
    """A sum's body without number and conditions, and these."""
    scale, body, conditions = 1.0, node.body, sorted(conjuncts(node.domain))
    while True:
        if body.kind == "guard":
            conditions += sorted(conjuncts(body.args[0]))
            body = body.args[1]
        elif body.is_sum and len(body.args) == 1 and not body.attribute[1]:
            scale *= body.attribute[0][0]
            body = body.args[0]
        else:
            return scale, body, conditions


def _is_product_of_features(node: Node, roles: Roles) -> bool:
    is_sum = node.kind == "reduce" and node.op == "sum" and node.domain.is_const(True)
    return is_sum and all(roles.of(axis) == WIDTH for axis in node.attribute)


def _total(graph: Graph, node: Node, right: Node, domain: Node, roles: Roles) -> Node:
    """The sum of the features; of a group, where the group's are read at each head."""
    is_moved = right.kind == "at" and all(roles.of(axis) == OUTER for axis in right.attribute)
    if is_moved and not any(axis in domain.axes for axis in right.attribute):
        return graph.at(graph.reduce("sum", node.attribute, right.args[0], domain), right.attribute, right.args[1:])
    return graph.reduce("sum", node.attribute, right, domain)


__all__ = ["exchange_sums"]
