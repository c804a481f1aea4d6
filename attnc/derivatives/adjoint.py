"""Adjoints: sums of (space, domain, value) terms rather than values with zeros, which keeps empty rows free of NaN.

A term of a node x stands for Σ over `space` minus the axes of x, where the domain holds, of `value`. A node below
which nothing is reduced keeps its terms unreduced, so that the gradient of an input becomes one sum; elsewhere sums
are taken at once, which keeps contractions apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..ir import Axis, Graph, Node
from ..ir.logic import conjuncts
from ..ir.node import walk


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
    return not any(part.kind in ("reduce", "at", "opaque") for part in walk(node))


def sum_term(
    graph: Graph, kept: frozenset[Axis], space: frozenset[Axis], domain: Node, value: Node
) -> tuple[frozenset[Axis], Node, Node]:
    """A term with everything but `kept` summed away; conditions that only read kept axes stay in its domain."""
    extra = space - kept
    if not extra:
        return space, domain, value
    inside = [c for c in conjuncts(domain) if c.axes & extra]
    outside = [c for c in conjuncts(domain) if not c.axes & extra]
    total = join_sums(graph, tuple(extra), value, graph.all(*inside))
    return kept & space, graph.all(*outside), total


def join_sums(graph: Graph, axes: tuple[Axis, ...], value: Node, domain: Node) -> Node:
    """Σ over axes of Σ over others = one sum: so a gradient that runs over heads and queries is one reduction."""
    inner = value
    factor = 1.0
    if inner.is_sum and len(inner.args) == 1 and not inner.attribute[1]:
        factor, inner = inner.attribute[0][0], inner.args[0]
    is_long = inner.kind == "reduce" and inner.op == "sum" and not any(a.is_vector for a in inner.attribute)
    if is_long and not frozenset(axes) & frozenset(inner.attribute):
        merged = graph.reduce("sum", (*axes, *inner.attribute), inner.body, graph.all(domain, inner.domain))
        return graph.scale(factor, merged)
    return graph.reduce("sum", axes, value, domain)
