"""Scans: a reduction over another index t of an axis j, within an order of the two, of what does not depend on j.

Such a reduction may be carried along j, one step an index, instead of being taken anew for every j.
"""

from __future__ import annotations

from dataclasses import dataclass

from .axis import Axis
from .graph import Graph
from .logic import conjuncts
from .node import Node
from .rewrite import substitute
from .roles import LENGTH, Roles

CARRIED = ("sum", "max", "min")


@dataclass(frozen=True)
class Scan:
    """`op` of a reduction's body over indices t of `inner` up to the index j of `axis` (from it on, in reverse; not
    with it, if exclusive), where the other conditions hold as well."""

    node: Node
    inner: Axis
    axis: Axis
    is_reverse: bool
    is_exclusive: bool
    conditions: tuple[Node, ...]

    def operands(self, graph: Graph) -> tuple[Node, Node]:
        """Body and domain at the index of the axis."""
        moves = {self.inner: graph.index(self.axis)}
        domain = graph.all(*self.conditions)
        return substitute(graph, self.node.body, moves), substitute(graph, domain, moves)


def find_scan(node: Node) -> Scan | None:
    """The scan that a reduction is, if it is one."""
    if node.kind != "reduce" or node.op not in CARRIED or len(node.attribute) != 1:
        return None
    (inner,) = node.attribute
    conditions = conjuncts(node.domain)
    found = []
    for condition in conditions:
        order = _order(condition, inner)
        if order is None:
            continue
        axis, is_reverse, is_exclusive = order
        others = sorted(c for c in conditions if c is not condition)
        if axis not in node.body.axes and not any(axis in c.axes for c in others):
            found.append(Scan(node, inner, axis, is_reverse, is_exclusive, tuple(others)))
    return min(found, key=lambda scan: (scan.axis.name != inner.name, scan.axis.number), default=None)


def is_ordered(node: Node) -> bool:
    """Whether the domain of a reduction puts an index of its own in order with another one of the same axis, or ties it
    to the best of those that come before."""
    return node.kind == "reduce" and (
        any(_twin(condition, inner) is not None for inner in node.attribute for condition in conjuncts(node.domain))
        or any(_best(condition) is not None for condition in conjuncts(node.domain))
    )


LATEST, TILL_NEXT = "latest", "till next"


@dataclass(frozen=True)
class Held:
    """What the derivative of a running maximum sums up. `latest`: for each index the value of the best one before it;
    `till next`: for each index that was the best so far the values of those for which it is. `best` is the scan."""

    op: str
    node: Node
    best: Scan
    condition: Node
    axis: Axis


def find_held(graph: Graph, node: Node) -> Held | None:
    """The sum of values at the best index, or over the indices that have one for their best, that a reduction is."""
    if node.kind != "reduce" or node.op != "sum" or len(node.attribute) != 1:
        return None
    (summed,) = node.attribute
    for condition in conjuncts(node.domain):
        pair = _best(condition)
        if pair is None:
            continue
        at, chosen = pair
        best = find_scan(graph.reduce_as_is("max", chosen.attribute, chosen.body, chosen.domain))
        if best is None or at.size is not best.axis.size or at in chosen.axes:
            continue
        others = [node.body, *(c for c in conjuncts(node.domain) if c is not condition)]
        if summed is best.axis and not any(at in other.axes for other in others):
            return Held(TILL_NEXT, node, best, condition, at)
        if summed is at and not any(best.axis in other.axes for other in others):
            return Held(LATEST, node, best, condition, best.axis)
    return None


def _best(condition: Node) -> tuple[Axis, Node] | None:
    """(axis, the best index of those that come before another one) of a condition that the two are one."""
    form = condition.args[0] if condition.op == "equal_zero" else None
    if form is None or not form.is_sum or len(form.args) != 2 or form.attribute[1]:
        return None
    if sorted(form.attribute[0]) != [-1, 1]:
        return None
    at, chosen = sorted(form.args, key=lambda term: term.kind != "index")
    if at.kind != "index" or chosen.op != "argmax" or not is_ordered(chosen):
        return None
    return at.attribute, chosen


def is_scan_of_pairs(node: Node, roles: Roles) -> bool:
    """Whether a reduction along a length gives a value for every pair, from what comes before it."""
    return is_ordered(node) and is_of_pairs(node, roles)


def is_of_pairs(node: Node, roles: Roles) -> bool:
    """Whether a reduction along a length gives a value for every pair."""
    return all(roles.of(axis) == LENGTH for axis in node.attribute) and len(roles.axes(node.axes, LENGTH)) > 1


def _twin(condition: Node, inner: Axis) -> Axis | None:
    """The axis that a condition `t <= j + c` puts in order with t, being the same one."""
    form = condition.args[0] if condition.op == "at_most_zero" else None
    if form is None or not form.is_sum or len(form.args) != 2:
        return None
    terms = {term.attribute: c for c, term in zip(form.attribute[0], form.args) if term.kind == "index"}
    if len(terms) != 2 or inner not in terms or sorted(terms.values()) != [-1, 1]:
        return None
    (other,) = (axis for axis in terms if axis is not inner)
    return other if other.size is inner.size and other.name == inner.name else None


def _order(condition: Node, inner: Axis) -> tuple[Axis, bool, bool] | None:
    """(axis, whether later indices count, whether the index itself does not), of a condition `t <= j` or the like."""
    axis = _twin(condition, inner)
    if axis is None:
        return None
    form = condition.args[0]
    coefficients, constant = form.attribute
    if constant not in (0, 1):
        return None
    is_reverse = dict(zip((term.attribute for term in form.args), coefficients))[inner] < 0
    return axis, is_reverse, constant == 1


__all__ = [
    "CARRIED",
    "LATEST",
    "TILL_NEXT",
    "Held",
    "Scan",
    "find_held",
    "find_scan",
    "is_of_pairs",
    "is_ordered",
    "is_scan_of_pairs",
]
