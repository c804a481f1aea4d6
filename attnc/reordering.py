"""An attention whose tokens come in another order: what it means of tensors that are sorted that way.

Its inputs are those of the attention, each sorted along the lengths concerned, and tables that say of each sorted token
where it was and what its coordinates are. So bounds of a tile's coordinates are bounds of these tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .analysis.token_orders import TokenOrder
from .diagnostics import NOWHERE
from .ir import Graph, Node, Tensor
from .ir.axis import in_order
from .ir.node import INT, reachable
from .ir.rewrite import rebuild, substitute
from .lowering.meaning import InputDeclaration, Meaning
from .lowering.sizes import size_text

TABLE = "order "


def tables_of(orders: Sequence[TokenOrder]) -> list[tuple[str, TokenOrder, Node | None]]:
    """The tables that the sorted attention takes after its inputs: the coordinate that each holds, or None for where a
    token was."""
    found: list[tuple[str, TokenOrder, Node | None]] = []
    for number, order in enumerate(orders):
        found.append((f"{TABLE}{number}", order, None))
        found += [(f"{TABLE}{number} {n}", order, one) for n, one in enumerate(order.coordinates)]
    return found


def reordered_meaning(meaning: Meaning, orders: Sequence[TokenOrder]) -> Meaning:
    """What the attention means of sorted tensors."""
    tables = [
        (Tensor(name, (order.axis.size,), INT, is_small=True), order, coordinate)
        for name, order, coordinate in tables_of(orders)
    ]
    inputs = [InputDeclaration(t, (size_text(t.sizes[0]),), NOWHERE, False) for t, _, _ in tables]
    rewrite = _Rewrite(meaning.graph, tables)
    results = [replace(result, node=rewrite(result.node)) for result in meaning.results]
    return replace(meaning, inputs=(*meaning.inputs, *inputs), results=tuple(results))


class _Rewrite:
    """Reads coordinates and positions of sorted tokens from tables; tensors are read at the sorted index itself."""

    def __init__(self, graph: Graph, tables: Sequence[tuple[Tensor, TokenOrder, Node | None]]) -> None:
        self.graph = graph
        self.done: dict[Node, Node] = {}
        for tensor, order, coordinate in tables:
            for axis in in_order(order.axes):
                index = graph.index(axis)
                told = index if coordinate is None else substitute(graph, coordinate, {order.axis: index})
                self.done[told] = graph.read(tensor, (index,))

    def __call__(self, root: Node) -> Node:
        for node in reachable([root], without=self.done):
            args = tuple(
                arg if node.kind == "read" and arg.kind == "index" else self.done.get(arg, arg) for arg in node.args
            )
            self.done[node] = rebuild(self.graph, node, args)
        return self.done[root]
