"""Roots and their derivatives: t with f(t, x) = 0 moves by -(df/dx) / (df/dt) (the implicit function theorem).

While something is differentiated, every root stands as `implicit(t, f at t, -1 / slope at t)`: a value t whose
derivative is that of f, times a factor. Rules for sums and products then do the rest, to any order.
"""

from __future__ import annotations

from ..ir import Graph, Node, Tensor
from ..ir.axis import in_order
from ..ir.node import FLOAT, walk
from ..ir.rewrite import Rewriter
from ..ir.roles import Roles


def find_slopes(graph: Graph, node: Node, roles: Roles) -> Node:
    """The node with every root's slope derived."""

    def visit(part: Node) -> Node:
        if part.kind != "root" or part.is_least or not part.args[1].is_const(0.0):
            return part
        f, _, low, high = part.args
        made = graph.root(part.attribute, f, _slope(graph, f, part.attribute, roles), low, high)
        made.span = part.span
        return made

    return Rewriter(graph, visit=visit)(node)


def _slope(graph: Graph, f: Node, unknown: Tensor, roles: Roles) -> Node:
    """df/dt, as a gradient in the unknown."""
    from .vjp import Seed, vjp

    axes = in_order(f.axes)
    ones = Tensor("#ones", tuple(axis.size for axis in axes), FLOAT)
    parts = vjp(graph, [Seed(f, axes, ones)], [unknown], roles)[unknown]
    total = graph.add(*(part.node for part in parts)) if parts else graph.const(0.0)
    read = graph.read(ones, tuple(graph.index(axis) for axis in axes))
    return Rewriter(graph, replaced={read: graph.const(1.0)})(total)


def make_implicit(graph: Graph, node: Node) -> Node:
    """The node with its roots as values that have a derivative."""

    def visit(part: Node) -> Node:
        if part.kind != "root" or part.is_least:
            return part
        value = make_plain(graph, part)
        f, slope = (at_root(graph, arg, part.attribute, value) for arg in part.args[:2])
        return graph.map("implicit", (value, f, graph.neg(graph.pow(make_plain(graph, slope), -1))), FLOAT)

    return Rewriter(graph, visit=visit)(node)


def at_root(graph: Graph, node: Node, unknown: Tensor, value: Node) -> Node:
    """A node with a value for the unknown; not within a root of its own by that name, as one in a recurrence may be."""
    others = {part: part for part in walk(node) if unknown in part.binds}
    reads = {part: value for part in walk(node) if part.reads(unknown)}
    return Rewriter(graph, replaced={**reads, **others})(node)


def make_plain(graph: Graph, node: Node) -> Node:
    """The node with its roots as they are computed."""
    return Rewriter(graph, visit=lambda part: part.args[0] if part.op == "implicit" else part)(node)
