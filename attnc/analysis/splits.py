"""Splitting sums whose parts move differently: Σ (x·a_i + y·b_i)·v = a_i·Σ x·v + b_i·Σ y·v.

Only where a part has a factor that is a statistic of its row (the normaliser of one softmax among several): then each
sum streams by itself and nothing like Σ p·dp arises in the backward.
"""

from __future__ import annotations

from ..ir import Graph, Node
from ..ir.rewrite import Rewriter
from ..ir.roles import WIDTH, Roles

_MOST_TERMS = 16


def split_sums(graph: Graph, root: Node, roles: Roles) -> Node:
    """The root with every such sum split."""
    return Rewriter(graph, visit=lambda node: _split(graph, node, roles))(root)


def _split(graph: Graph, node: Node, roles: Roles) -> Node:
    if node.kind != "reduce" or node.op != "sum" or all(roles.of(axis) == WIDTH for axis in node.attribute):
        return node
    terms = expand(graph, node.body, lambda part: _has_row_statistic(part, node, roles))
    if len(terms) < 2 or len(terms) > _MOST_TERMS:
        return node
    parts = [(c, _split(graph, graph.reduce("sum", node.attribute, t, node.domain), roles)) for c, t in terms]
    return graph.combine(parts)


def _has_row_statistic(part: Node, node: Node, roles: Roles) -> bool:
    """Whether some factor of a part is free of the summed axes and holds a reduction over a length, beside one that is
    not: what is subtracted from every summand alike, a mean, is not summed apart, where the two sums would cancel."""
    bound = frozenset(node.attribute)
    if not part.axes & bound:
        return False
    inner = part.args[1] if part.kind == "guard" else part
    factors = inner.args if inner.is_product else (inner,)
    conditions = (part.args[0],) if part.kind == "guard" else ()
    return any(not f.axes & bound and roles.holds_statistic(f) for f in (*factors, *conditions)) and bool(bound)


def expand(graph: Graph, body: Node, wanted: object) -> list[tuple[float, Node]]:
    """A body as coefficients and terms, multiplied out where a factor is a sum with a wanted term."""
    assert callable(wanted)
    if body.kind == "guard":
        return [(c, graph.guard(body.args[0], t)) for c, t in expand(graph, body.args[1], wanted)]
    if body.is_sum:
        if not any(wanted(arg) for arg in body.args):
            return [(1.0, body)]
        coefficients, constant = body.attribute
        whole = [(constant, graph.const(1.0))] if constant else []
        return [*((float(c), arg) for c, arg in zip(coefficients, body.args)), *whole]
    if body.is_product:
        for factor, exponent in zip(body.args, body.attribute):
            if exponent == 1 and factor.is_sum and any(wanted(arg) for arg in factor.args):
                rest = graph.product([(f, e) for f, e in zip(body.args, body.attribute) if f is not factor])
                out = []
                for coefficient, term in expand(graph, factor, wanted):
                    for inner, product in expand(graph, graph.mul(term, rest), wanted):
                        out.append((coefficient * inner, product))
                return out
    return [(1.0, body)]
