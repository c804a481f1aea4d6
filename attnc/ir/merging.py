"""Nested sums as one."""

from __future__ import annotations

from collections.abc import Callable

from .graph import Graph
from .node import Node


def merge_sums(graph: Graph, outer: Node, is_long: Callable[[Node], bool]) -> Node:
    """Σ x · Σ y as one sum, where the body of a sum has one factor that is such a sum."""
    body = outer.body
    factors = list(zip(body.args, body.attribute)) if body.is_product else [(body, 1)]
    inner = [arg for arg, e in factors if e == 1 and is_long(arg)]
    if len(inner) != 1:
        return outer
    (found,) = inner
    rest = [(arg, e) for arg, e in factors if arg is not found]
    bound = frozenset(found.attribute)
    # the inner sum's axes may have another meaning outside of it
    if bound & (frozenset(outer.attribute) | outer.axes | outer.domain.axes) or any(
        arg.axes & bound for arg, _ in rest
    ):
        return outer
    # features that only the rest has would be gone through for every tuple of the inner sum
    if any(axis.is_vector and axis in outer.axes and axis not in found.axes for arg, _ in rest for axis in arg.axes):
        return outer
    value = graph.product([*rest, (found.body, 1)])
    axes = (*outer.attribute, *found.attribute)
    return graph.reduce("sum", axes, value, graph.all(outer.domain, found.domain))
