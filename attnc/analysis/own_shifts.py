"""One shift for sums over several axes: each follows its own axes' maximum, and is moved to the common one at the end.

Σ_n exp(z - m) with m = max(max_j s, max_n z) needs the other axis's maximum before it begins; Σ_n exp(z - max_n z),
times exp(max_n z - m), needs nothing, so every part of a joined axis takes one pass.
"""

from __future__ import annotations

from ..ir import Graph, Node
from ..ir.node import FLOAT, walk
from ..ir.rewrite import Rewriter
from ..ir.roles import WIDTH, Roles
from .weights import ADD, MUL, Weights, shift


def own_shifts(graph: Graph, root: Node, roles: Roles) -> Node:
    """The root with every sum shifted by its own axes' maximum, where a larger shift reads other axes too."""
    return Rewriter(graph, visit=lambda node: _with_own(graph, node, roles))(root)


def _with_own(graph: Graph, node: Node, roles: Roles) -> Node:
    if node.kind != "reduce" or node.op != "sum":
        return node
    for anchor in sorted(part for part in walk(node.body) if is_shift(part)):
        extremes = [e for e in _extremes(anchor) if any(roles.of(axis) != WIDTH for axis in e.attribute)]
        own = [e for e in extremes if e.attribute == node.attribute and e.domain is node.domain]
        if not own or len(own) == len(extremes) or not _bounds(graph, node, anchor, own):
            continue
        weight = Weights(graph, anchor, ADD)(node.body)
        if weight is None or weight.kind != MUL or weight.by is None or weight.by.axes & frozenset(node.attribute):
            continue
        largest = own[0]
        for other in own[1:]:
            largest = graph.map("max", (largest, other), FLOAT)
        mine = graph.stop(graph.map("finite_or", (largest, graph.const(0.0)), FLOAT))
        total = graph.reduce("sum", node.attribute, Rewriter(graph, replaced={anchor: mine})(node.body), node.domain)
        moved = Rewriter(graph, replaced={shift(graph): graph.sub(anchor, mine)})(weight.by)
        nothing = graph.compare("==", graph.stop(largest), graph.const(float("-inf")))
        return graph.guard(graph.negate(nothing), graph.mul(moved, total))
    return node


def is_shift(node: Node) -> bool:
    """A maximum that a result was proved to be invariant in."""
    if node.kind != "stop" or node.args[0].op != "finite_or":
        return False
    return node.args[0].args[1].is_const(0.0)


def _extremes(anchor: Node) -> list[Node]:
    """The maxima that a shift is the largest of."""
    found: list[Node] = []
    stack = [anchor.args[0].args[0]]
    while stack:
        node = stack.pop()
        if node.kind == "reduce" and node.op == "max":
            found.append(node)
        elif node.kind == "map" and node.op == "max":
            stack.extend(node.args)
    return sorted(found)


def _bounds(graph: Graph, total: Node, anchor: Node, own: list[Node]) -> bool:
    """Whether these maxima are of what the sum's exponentials hold, so that none of them exceeds 1."""
    bodies = {extreme.body for extreme in own}
    moving = [part for part in walk(total.body) if part.op == "exp" and anchor in set(walk(part))]
    return bool(moving) and all(graph.add(part.args[0], anchor) in bodies for part in moving)
