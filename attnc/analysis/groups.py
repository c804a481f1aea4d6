"""Values of key/value heads that query heads share: computed once for each group, read by every head of it.

`f(x at g = h // n, y)` becomes `f(x, y) at g = h // n` where nothing else in it depends on the head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..ir import Axis, Graph, Node
from ..ir.logic import conjuncts
from ..ir.node import walk
from ..ir.rewrite import Rewriter, rebuild
from ..ir.roles import OUTER, Roles


def group_of(condition: Node, roles: Roles) -> tuple[Axis, Axis, Node] | None:
    """(head, group, heads in a group) of the condition `head // n == group`."""
    if condition.kind != "map" or condition.op != "equal_zero" or not condition.args[0].is_sum:
        return None
    form = condition.args[0]
    coefficients, constant = form.attribute
    if constant or len(form.args) != 2 or sorted(coefficients) != [-1, 1]:
        return None
    index = next((t for t in form.args if t.kind == "index"), None)
    quotient = next((t for t in form.args if t.kind == "map" and t.op == "floordiv"), None)
    if index is None or quotient is None or quotient.args[0].kind != "index" or quotient.args[1].axes:
        return None
    head = quotient.args[0].attribute
    return (head, index.attribute, quotient.args[1]) if roles.of(head) == OUTER else None


def find_groups(graph: Graph, root: Node, roles: Roles) -> Node:
    """`sum[g: h // n == g](f)` becomes f at g = h // n: so the derivative of a sum over a group's heads is a read."""

    def visit(node: Node) -> Node:
        if node.kind != "reduce" or node.op != "sum":
            return node
        for condition in conjuncts(node.domain):
            found = group_of(condition, roles)
            if found is not None and found[1] in node.attribute and found[0] not in node.attribute:
                head, group, count = found
                position = graph.map("floordiv", (graph.index(head), count), "int")
                rest = [c for c in conjuncts(node.domain) if c is not condition]
                body, domain = (at_group(graph, arg, head, group, position) for arg in (node.body, graph.all(*rest)))
                return graph.reduce("sum", tuple(a for a in node.attribute if a is not group), body, domain)
        return node

    return Rewriter(graph, visit=visit)(root)


def at_group(graph: Graph, node: Node, head: Axis, group: Axis, position: Node) -> Node:
    """A value at a group, read there wherever it does not depend on the head as well."""
    if group not in node.axes:
        return node
    if node.kind == "index":
        return position
    if head not in node.axes:
        return graph.at(node, (group,), (position,))
    return rebuild(graph, node, tuple(at_group(graph, arg, head, group, position) for arg in node.args))


def known_groups(graph: Graph, node: Node, heads: Mapping[Axis, tuple[Axis, Node]], keep: Iterable[Node] = ()) -> Node:
    """A value where heads (head -> group, heads in a group) are gone through within their group: `head // heads in a
    group` is the group."""

    def visit(part: Node) -> Node:
        if part.kind == "map" and part.op == "floordiv" and part.args[0].kind == "index":
            head = heads.get(part.args[0].attribute)
            if head is not None and part.args[1] is head[1]:
                return graph.index(head[0])
        return part

    own = {one for one in walk(node) if frozenset(one.bound) & heads.keys()}
    return Rewriter(graph, visit=visit, replaced={one: one for one in own.union(keep)})(node)


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
