"""Sums that go through features one by one: what no feature changes is computed once for a pair, and kept in a tile."""

from __future__ import annotations

from collections.abc import Callable

from attnc.ir import Axis, Graph, Node
from attnc.ir.node import FLOAT, outermost


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

    def is_kept(node: Node) -> bool:
        return node.type == FLOAT and not node.axes & widths and is_pairwise(node) and is_dear(node)

    return value, outermost([value], is_kept)
