"""Shifts for an author who wrote none: exp(s) / Σ exp(s) overflows where exp(s - m) / Σ exp(s - m) does not.

A fictitious shift is put under the exponentials of a result; if the result does not move with it, the two are equal
and the shift becomes the largest exponent of the row.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Axis, Graph, Node
from ..ir.node import FLOAT, walk
from ..ir.rewrite import Rewriter
from ..ir.roles import LENGTH, Roles
from .shifts import unstopped
from .weights import MUL, STILL, Weights, shift


def give_shifts(graph: Graph, root: Node, roles: Roles) -> Node:
    """The root with a shift under all exponentials that are summed over a length and allow one."""
    nodes = unstopped(root)
    bare = sorted(n for n in nodes if n.kind == "map" and n.op == "exp" and not _is_shifted(n))
    summed = {e: sums for e in bare if (sums := _sums_of(e, nodes, roles))}
    for group in (*([e] for e in summed), bare):
        if group and summed.keys() & set(group):
            root = _shifted(graph, root, group, summed)
    return root


def _is_shifted(exponential: Node) -> bool:
    """Whether its author wrote a shift, proved or not."""
    return any(n.kind == "stop" or (n.kind == "reduce" and n.op in ("max", "min")) for n in walk(exponential.args[0]))


def _sums_of(exponential: Node, nodes: set[Node], roles: Roles) -> list[Node]:
    """Sums over lengths that run over the exponential itself."""
    return sorted(
        node
        for node in nodes
        if node.kind == "reduce"
        and node.op == "sum"
        and exponential.axes & frozenset(node.attribute)
        and all(roles.of(axis) == LENGTH for axis in node.attribute)
        and exponential in set(walk(node.body))
    )


def _shifted(graph: Graph, root: Node, group: Sequence[Node], summed: dict[Node, list[Node]]) -> Node:
    """The root with one shift under a group of exponentials; as it was where they allow none."""
    largest = _largest(graph, group, summed)
    if largest is None:
        return root
    imagined = graph.param("#imagined", FLOAT)
    moved = Rewriter(graph, replaced=_with_shift(graph, group, imagined))(root)
    trial = _with_unmoved_terms(graph, moved, imagined, largest.axes)
    weight = Weights(graph, imagined, axes=largest.axes)(trial)
    if moved is root or weight is None or weight.kind != STILL:
        return root
    if trial is not moved:  # what stands beside the sum is exp(0) of something: the shift must not fall far below 0
        largest = graph.map("max", (largest, graph.const(0.0)), FLOAT)
    anchor = graph.stop(graph.map("finite_or", (largest, graph.const(0.0)), FLOAT))
    return Rewriter(graph, replaced={imagined: anchor})(trial)


def _with_unmoved_terms(graph: Graph, root: Node, imagined: Node, axes: frozenset[Axis]) -> Node:
    """c + Σ exp(s - m) as exp(-m)·c + Σ exp(s - m): terms beside a sum that moves get its factor."""
    weights = Weights(graph, imagined, axes=axes)
    weights(root)
    replaced = {}
    for node in sorted(walk(root)):
        if node.is_sum and weights(node) is None:
            factor = _common_factor(weights, node)
            if factor is not None:
                factor = Rewriter(graph, replaced={shift(graph): imagined})(factor)
                replaced[node] = _scaled_terms(graph, weights, node, factor)
    return Rewriter(graph, replaced=replaced)(root) if replaced else root


def _common_factor(weights: Weights, node: Node) -> Node | None:
    """The factor that every moving term of a sum has."""
    found = [weights(arg) for arg in node.args]
    moving = {weight for weight in found if weight is None or weight.kind != STILL}
    if len(moving) != 1:
        return None
    (weight,) = moving
    return weight.by if weight is not None and weight.kind == MUL else None


def _scaled_terms(graph: Graph, weights: Weights, node: Node, factor: Node) -> Node:
    coefficients, constant = node.attribute
    parts: list[tuple[float, Node]] = [(constant, factor)] if constant else []
    for coefficient, arg in zip(coefficients, node.args):
        weight = weights(arg)
        is_still = weight is not None and weight.kind == STILL
        parts.append((coefficient, graph.mul(factor, arg) if is_still else arg))
    return graph.combine(parts)


def _with_shift(graph: Graph, group: Sequence[Node], shift: Node) -> dict[Node, Node]:
    return {e: graph.exp(graph.sub(e.args[0], shift)) for e in group}


def _largest(graph: Graph, group: Sequence[Node], summed: dict[Node, list[Node]]) -> Node | None:
    """The largest exponent of a row; None where sums of the group run over different pairs."""
    places: set[tuple[tuple[Axis, ...], Node]] = {(s.attribute, s.domain) for e in group for s in summed.get(e, ())}
    if len(places) != 1:
        return None
    ((axes, domain),) = places
    bound = frozenset(axes)
    found = [graph.reduce("max", axes, e.args[0], domain) if e.axes & bound else e.args[0] for e in group]
    largest = found[0]
    for other in found[1:]:
        largest = graph.map("max", (largest, other), FLOAT)
    return largest
