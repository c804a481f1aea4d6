"""The exponent of a shifted exponential, split into a score and the statistics that shift it."""

from __future__ import annotations

from attnc.ir import Graph, Node
from attnc.ir.node import walk
from attnc.planning.plan import SHARES


def split_exponent(graph: Graph, statistics: frozenset[Node], exponent: Node) -> tuple[Node, Node] | None:
    """A sum as a score and the statistics beside it; None where it has but one of these."""
    coefficients, constant = exponent.attribute
    score: list[tuple[float, Node]] = []
    rest: list[tuple[float, Node]] = []
    for coefficient, term in zip(coefficients, exponent.args):
        (rest if _is_statistic(statistics, term) else score).append((coefficient, term))
    if not score or not rest:
        return None
    own = graph.add(graph.combine(score), graph.const(constant))
    return own, graph.combine(rest)


def _is_statistic(statistics: frozenset[Node], term: Node) -> bool:
    """Summed up by this pass or kept by an earlier one."""
    return any(
        part in statistics or (part.kind == "read" and part.attribute.origin in ("saved", "temporary", SHARES))
        for part in walk(term)
    )
