"""Adjoints: sums of (space, domain, value) terms rather than values with zeros, which keeps empty rows free of NaN.

A term of a node x stands for Σ over `space` minus the axes of x, where the domain holds, of `value`. What is read, and
pointwise values that batches or heads share, keep their terms unreduced, so that the gradient of an input becomes one
sum; elsewhere sums are taken at once, which keeps contractions apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..ir import Axis, Graph, Node
from ..ir.logic import conjuncts
from ..ir.merging import merge_sums
from ..ir.node import walk
from ..ir.scans import is_ordered


class Term(NamedTuple):
    """A part of an adjoint: `value` summed over what `space` has beside the axes of its node, where `domain` holds."""

    space: frozenset[Axis]
    domain: Node
    value: Node


@dataclass
class Adjoint:
    """Terms by space and domain; the values of equal ones are added."""

    terms: dict[tuple[frozenset[Axis], Node], list[Node]] = field(default_factory=dict)

    def add(self, space: frozenset[Axis], domain: Node, value: Node) -> None:
        self.terms.setdefault((space, domain), []).append(value)

    def summed(self, graph: Graph) -> list[tuple[frozenset[Axis], Node, Node]]:
        return [(space, domain, graph.add(*values)) for (space, domain), values in self.terms.items()]


def is_plain(node: Node) -> bool:
    """No reduction and no re-read below: only pointwise work on what is read."""
    return not any(part.kind in ("reduce", "at", "root", "recur", "opaque") for part in walk(node))


def sum_term(
    graph: Graph,
    kept: frozenset[Axis],
    space: frozenset[Axis],
    domain: Node,
    value: Node,
    forward: frozenset[Node],
) -> tuple[frozenset[Axis], Node, Node]:
    """A term with everything but `kept` summed away; conditions that only read kept axes stay in its domain.

    `forward` holds the nodes of the original graph: their sums are computed anyway and are not taken apart.
    """
    extra = space - kept
    if not extra:
        return space, domain, value
    inside = [c for c in conjuncts(domain) if c.axes & extra]
    outside = [c for c in conjuncts(domain) if not c.axes & extra]
    total = _join(graph, graph.reduce("sum", tuple(extra), value, graph.all(*inside)), forward)
    return kept & space, graph.all(*outside), total


def _join(graph: Graph, total: Node, forward: frozenset[Node]) -> Node:
    """Σ over axes of Σ over others = one sum: so a gradient that runs over heads and queries is one reduction.

    Factors that stand outside are looked through; only the outermost sum is opened.
    """
    if total.kind == "guard":
        return graph.guard(total.args[0], _join(graph, total.args[1], forward))
    if total.is_sum and len(total.args) == 1 and not total.attribute[1]:
        return graph.scale(total.attribute[0][0], _join(graph, total.args[0], forward))
    if total.is_product:
        sums = [arg for arg, e in zip(total.args, total.attribute) if _is_long(arg, forward) and e == 1]
        if len(sums) == 1:
            rest = [(arg, e) for arg, e in zip(total.args, total.attribute) if arg is not sums[0]]
            return graph.product([*rest, (_join(graph, sums[0], forward), 1)])
    if not _is_long(total, forward):
        return total
    return merge_sums(graph, total, lambda node: _is_long(node, forward))


def _is_long(node: Node, forward: frozenset[Node]) -> bool:
    is_sum = node.kind == "reduce" and node.op == "sum" and node not in forward and not is_ordered(node)
    return is_sum and not any(axis.is_vector for axis in node.attribute)
