"""Values of key/value heads that query heads share: computed once for each group, read by every head of it.

`f(x at g = h // n, y)` becomes `f(x, y) at g = h // n` where nothing else in it depends on the head.
"""

from __future__ import annotations

from ..ir import Graph, Node
from ..ir.rewrite import Rewriter, rebuild


def lift_groups(graph: Graph, root: Node) -> Node:
    """The root with reads at a group moved as far out as they go."""
    return Rewriter(graph, visit=lambda node: _lift(graph, node))(root)


def _lift(graph: Graph, node: Node) -> Node:
    if node.kind not in ("map", "guard", "stop", "reduce"):
        return node
    shared = [arg for arg in node.args if arg.kind == "at"]
    if not shared or any(arg.attribute != shared[0].attribute or arg.args[1:] != shared[0].args[1:] for arg in shared):
        return node
    moved = frozenset().union(*(position.axes for position in shared[0].args[1:]))
    others = [arg for arg in node.args if arg.kind != "at"]
    if any(arg.axes & (moved | frozenset(shared[0].attribute)) for arg in others) or moved & frozenset(node.bound):
        return node
    inside = frozenset().union(*(arg.args[0].axes for arg in shared))
    if inside & moved or any(not arg.axes <= inside for arg in others):
        return node
    inner = rebuild(graph, node, tuple(arg.args[0] if arg.kind == "at" else arg for arg in node.args))
    return graph.at(inner, shared[0].attribute, shared[0].args[1:])
