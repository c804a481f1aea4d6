"""Shift proof: a row statistic that a result is invariant in needs no derivative, and any value of it will do.

It is replaced by `stop(m where finite, else 0)`: true for derivatives of every order, and what keeps rows of -inf
scores at weight 0. A result that reads the statistic in another way keeps its own, unstopped copy.
"""

from __future__ import annotations

from ..ir import Axis, Graph, Node
from ..ir.node import FLOAT, walk
from ..ir.rewrite import Rewriter
from .weights import ADD, MUL, STILL, Weights


def prove_shifts(graph: Graph, root: Node) -> Node:
    """The root with every statistic that it is invariant in stopped; the largest expressions are tried first."""
    tried: set[Node] = set()
    while True:
        candidate = next((node for node in _candidates(root) if node not in tried), None)
        if candidate is None:
            return root
        tried.add(candidate)
        kind = _invariance(graph, root, candidate)
        if kind is not None:
            neutral = graph.const(0.0 if kind == ADD else 1.0)
            anchor = graph.stop(graph.map("finite_or", (candidate, neutral), FLOAT))
            root = Rewriter(graph, replaced={candidate: anchor})(root)
            tried.add(anchor)


def _candidates(root: Node) -> list[Node]:
    """Row expressions that hold a max or min, the largest first; what is stopped already is left alone."""
    open_nodes = unstopped(root)
    holders: dict[Node, bool] = {}
    for node in sorted(open_nodes):
        inner = [holders.get(arg, True) for arg in node.args if _holds_extreme(arg)]
        is_extreme = node.kind == "reduce" and node.op in ("max", "min")
        holders[node] = is_extreme or (bool(inner) and all(inner) and node.kind == "map")
    found = [n for n in open_nodes if holders[n] and n.type == FLOAT and n is not root and _is_row(n)]
    return sorted(found, key=lambda node: -node.number)


def unstopped(root: Node) -> set[Node]:
    """The nodes below a root that derivatives pass through."""
    seen: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in seen and node.kind != "stop":
            seen.add(node)
            stack.extend(node.args)
    return seen


def _holds_extreme(root: Node) -> bool:
    return any(node.kind == "reduce" and node.op in ("max", "min") for node in walk(root) if node.kind != "stop")


def _is_row(node: Node) -> bool:
    """Free of every axis that a max or min in it runs over; what such a one reads does not count."""
    bound: set[Axis] = set()
    seen: set[Node] = set()
    stack = [node]
    while stack:
        part = stack.pop()
        if part in seen:
            continue
        seen.add(part)
        if part.kind == "reduce" and part.op in ("max", "min"):
            bound |= set(part.attribute)
        else:
            stack.extend(part.args)
    return bool(bound) and not node.axes & bound


def _invariance(graph: Graph, root: Node, candidate: Node) -> str | None:
    for kind in (ADD, MUL):
        weight = Weights(graph, candidate, kind)(root)
        if weight is not None and weight.kind == STILL:
            return kind
    return None
