"""Joining sums with the same features: Σ x·v - a_i·Σ y·v = Σ (x - a_i·y)·v, one matrix product in place of two.

The other way round than splits.py, for gradients, where nothing streams: what is kept of the forward stands still.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Graph, Node
from ..ir.merging import merge_sums
from ..ir.rewrite import Rewriter
from ..ir.roles import WIDTH, Roles


@dataclass(frozen=True)
class _Part:
    """coefficient · outside · Σ inside · features."""

    coefficient: float
    outside: Node
    total: Node
    inside: Node
    features: Node


def join_sums(graph: Graph, root: Node, roles: Roles) -> Node:
    """The root with all such sums joined."""
    joined: set[Node] = set()

    def visit(node: Node) -> Node:
        if node.kind == "reduce" and node.op == "sum":
            return merge_sums(graph, node, joined.__contains__)
        made = _join(graph, node, roles)
        if made is not node:
            joined.update((made,) if made.kind == "reduce" else made.args)
        return made

    return Rewriter(graph, visit=visit)(root)


def _join(graph: Graph, node: Node, roles: Roles) -> Node:
    if not node.is_sum or node.type != "float":
        return node
    coefficients, constant = node.attribute
    groups: dict[object, list[_Part]] = {}
    rest: list[tuple[float, Node]] = [(constant, graph.const(1.0))] if constant else []
    for coefficient, term in zip(coefficients, node.args):
        part = _part(graph, coefficient, term, roles)
        if part is None:
            rest.append((coefficient, term))
        else:
            groups.setdefault((part.total.attribute, part.total.domain, part.features), []).append(part)
    if all(len(parts) == 1 for parts in groups.values()):
        return node
    return graph.combine([*rest, *((1.0, _joined(graph, parts)) for parts in groups.values())])


def _joined(graph: Graph, parts: list[_Part]) -> Node:
    inside = graph.combine([(part.coefficient, graph.mul(part.outside, part.inside)) for part in parts])
    total = parts[0].total
    return graph.reduce("sum", total.attribute, graph.mul(inside, parts[0].features), total.domain)


def _part(graph: Graph, coefficient: float, term: Node, roles: Roles) -> _Part | None:
    factors = list(zip(term.args, term.attribute)) if term.is_product else [(term, 1)]
    sums = [base for base, exponent in factors if exponent == 1 and _is_long_sum(base, roles)]
    if len(sums) != 1:
        return None
    (total,) = sums
    outside = graph.product([(base, exponent) for base, exponent in factors if base is not total])
    body = list(zip(total.body.args, total.body.attribute)) if total.body.is_product else [(total.body, 1)]
    featured = [(base, e) for base, e in body if any(roles.of(axis) == WIDTH for axis in base.axes)]
    if outside.axes & frozenset(total.attribute):
        return None  # which have another meaning outside of the sum
    if roles.holds_statistic(outside) or not featured or any(roles.of(a) == WIDTH for a in outside.axes):
        return None
    inside = graph.product([item for item in body if item not in featured])
    return _Part(coefficient, outside, total, inside, graph.product(featured))


def _is_long_sum(node: Node, roles: Roles) -> bool:
    return node.kind == "reduce" and node.op == "sum" and any(roles.of(axis) != WIDTH for axis in node.attribute)
