"""Scores and the statistics that shift them: sums split so that what cancels is subtracted first."""

from __future__ import annotations

from attnc.ir import Axis, Graph, Node
from attnc.ir.node import walk
from attnc.planning.plan import SHARES


def split_exponent(graph: Graph, statistics: frozenset[Node], exponent: Node) -> tuple[float, Node, Node] | None:
    """A sum as a number times a score and the statistics beside it; None where it has but one of these."""
    terms = list(zip(exponent.attribute[0], exponent.args))
    rest = [(c, term) for c, term in terms if _is_statistic(statistics, term)]
    score = [item for item in terms if item not in rest]
    if not score or not rest:
        return None
    return _scaled(graph, score, rest, exponent.attribute[1])


def split_reference(graph: Graph, total: Node) -> tuple[float, Node, Node, Node] | None:
    """A sum as a number times (values and the point they are measured from: stopped statistics of fewer axes) and what
    is added to that distance; None where there are none of the former. Beside them the last would lose its digits."""
    coefficients, constant = total.attribute
    terms = list(zip(coefficients, total.args))
    reference = [(c, term) for c, term in terms if _is_stopped(term) and term.axes != total.axes]
    known = frozenset[Axis]().union(*(term.axes for _, term in reference))
    values = [(c, term) for c, term in terms if not term.axes <= known]
    if not values or not reference:
        return None
    rest = [item for item in terms if item not in reference and item not in values]
    return *_scaled(graph, values, reference, 0.0), graph.add(graph.combine(rest), graph.const(constant))


def _scaled(
    graph: Graph, values: list[tuple[float, Node]], rest: list[tuple[float, Node]], constant: float
) -> tuple[float, Node, Node]:
    """The number that the rest is multiplied by stands outside: a multiple of each would be rounded at its own size."""
    sizes = {abs(c) for c, _ in rest}
    factor = sizes.pop() if len(sizes) == 1 else 1.0
    own = graph.combine([(c / factor, term) for c, term in values])
    return factor, graph.add(own, graph.const(constant / factor)), graph.combine([(c / factor, t) for c, t in rest])


def _is_stopped(term: Node) -> bool:
    return _is_stopped(term.args[1]) if term.kind == "guard" else term.kind == "stop"


def _is_statistic(statistics: frozenset[Node], term: Node) -> bool:
    """Summed up by this pass or kept by an earlier one."""
    return any(
        part in statistics or (part.kind == "read" and part.attribute.origin in ("saved", "temporary", SHARES))
        for part in walk(term)
    )
