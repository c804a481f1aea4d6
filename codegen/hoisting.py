"""Sums that go through features one by one: what no feature changes is computed once for a pair, and kept in a tile."""

from __future__ import annotations

from collections.abc import Callable

from attnc.ir import Axis, Graph, Node
from attnc.ir.node import FLOAT


def hoisted(
    graph: Graph,
    value: Node,
    widths: frozenset[Axis],
    is_pairwise: Callable[[Node], bool],
    is_dear: Callable[[Node], bool],
) -> tuple[Node, list[Node]]:
    """The value of each pair and feature with its other factors as one, and what to keep: that one, or the parts that
    are dear. A stop keeps factors from being taken together with the others again."""
    if value.is_product:
        factors = list(zip(value.args, value.attribute))
        rest = [(base, e) for base, e in factors if base.axes & widths]
        own = graph.product([(base, e) for base, e in factors if not base.axes & widths])
        if rest and is_pairwise(own) and (is_dear(own) or own.is_product):
            kept = graph.stop(own)
            return graph.product([*rest, (kept, 1)]), [kept]
    return value, _parts(value, widths, is_pairwise, is_dear)


def _parts(
    root: Node, widths: frozenset[Axis], is_pairwise: Callable[[Node], bool], is_dear: Callable[[Node], bool]
) -> list[Node]:
    """The largest dear parts that no feature changes."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.type == FLOAT and not node.axes & widths and is_pairwise(node) and is_dear(node):
            found[node] = None
        else:
            stack.extend(node.args)
    return list(found)
