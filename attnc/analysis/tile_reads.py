"""Bounds of what is read at the places of a tile: the least and the largest entry there.

A tensor read at an index of its own (`doc[j]`) is summarised beforehand, a number for each run of entries, so that a
tile looks at a few numbers and no tile at an entry. One read at a coarser place (`chosen[i // 64, j // 64]`) is looked
at itself: a tile has few such places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..ir import Axis, Graph, Node, Tensor
from ..ir.node import BOOL, FLOAT, INT
from .interval_rules import Bounds

if TYPE_CHECKING:
    from .tiles import TileAnalysis

SUMMARY = "summary"  # the origin of tensors that hold summaries
# entries to a run: of the axis of rows, of the looped axis, and of the looped axis for many tiles at once
ROW_RUN, RUN, LONG_RUN = 16, 64, 4096


@dataclass(frozen=True)
class Summary:
    """The least ("min") or largest ("max") entry of each run of `length` entries of a tensor along one dimension."""

    tensor: Tensor
    place: int
    op: str
    length: int

    def axes_and_value(self, graph: Graph) -> tuple[tuple[Axis, ...], Node]:
        """An axis for each dimension, that of runs among them, and the value along these."""
        sizes = list(self.tensor.sizes)
        size = sizes[self.place]
        count = graph.map("floordiv", (graph.add(size, graph.const(self.length - 1)), graph.const(self.length)), INT)
        sizes[self.place] = count
        axes = tuple(graph.axis("run" if n == self.place else f"x{n}", size) for n, size in enumerate(sizes))
        entry = graph.axis("entry", graph.const(self.length))
        positions = [graph.index(axis) for axis in axes]
        start = graph.scale(self.length, positions[self.place])
        positions[self.place] = graph.add(start, graph.index(entry))
        inside = graph.compare("<", positions[self.place], size)
        value = graph.read(self.tensor, tuple(positions))
        return axes, graph.reduce(self.op, (entry,), as_number(graph, value), inside)


Summarise = Callable[[Summary], Tensor]


def as_number(graph: Graph, value: Node) -> Node:
    """Conditions count as 0 and 1."""
    return graph.to_int(value) if value.type == BOOL else value


class TileReads:
    """Bounds of reads over a tile. `summarise` gives the tensor of a summary; without it, none are used."""

    def __init__(self, owner: TileAnalysis, summarise: Summarise | None, run: int) -> None:
        self.owner = owner
        self.graph: Graph = owner.graph
        self.summarise = summarise
        self.run = run

    def bounds(self, node: Node) -> Bounds:
        if node.attribute.origin in ("unknown", "state"):
            return None
        if node.type == FLOAT and node.attribute.origin != "input":
            return None  # what is computed is compared with 0, as a divisor: that leaves out no tile
        moving = [place for place, position in enumerate(node.args) if position.axes & self.owner.moving]
        plain = [place for place in moving if self._own_index(node, place) is not None]
        if plain and len(moving) == 1:
            return self._summarised(node, plain[0])
        if plain:
            return None  # as many places as pairs
        return self._looked_at(node, moving)

    def _own_index(self, node: Node, place: int) -> Axis | None:
        """The row or looped axis, where the position is its index and the dimension its size."""
        position = node.args[place]
        if position.kind != "index" or position.attribute not in (self.owner.row, self.owner.loop):
            return None
        axis: Axis = position.attribute
        return axis if axis.size is node.attribute.sizes[place] else None

    def _summarised(self, node: Node, place: int) -> Bounds:
        if self.summarise is None:
            return None
        axis, graph = self._own_index(node, place), self.graph
        length = ROW_RUN if axis is self.owner.row else self.run
        first, last = (graph.map("floordiv", (end, graph.const(length)), INT) for end in self.owner.ends(axis))
        found = []
        for op in ("min", "max"):
            tensor = self.summarise(Summary(node.attribute, place, op, min(length, RUN)))
            if length > RUN:
                tensor = self.summarise(Summary(tensor, place, op, length // RUN))
            found.append(self._extreme(op, tensor, {place: (first, last)}, node.args))
        return found[0], found[1]

    def _looked_at(self, node: Node, moving: list[int]) -> Bounds:
        """All places that the tile's positions may reach."""
        ranges = {}
        for place in moving:
            ends = self.owner.bounds(node.args[place])
            if ends is None or any(part.kind in ("read", "reduce") for part in _below(node.args[place])):
                return None
            if not self._is_coarse(node.args[place]):
                return None
            ranges[place] = ends
        low, high = (self._extreme(op, node.attribute, ranges, node.args) for op in ("min", "max"))
        return low, high

    def _is_coarse(self, position: Node) -> bool:
        """A quotient by a number or parameter: it moves slowly, so that a tile has few such places."""
        if position.kind == "index":
            return position.attribute in self.owner.widths
        if position.kind != "map":
            return not position.axes & self.owner.moving
        if position.op == "floordiv":
            return not position.args[1].axes
        return all(self._is_coarse(arg) for arg in position.args)

    def _extreme(
        self, op: str, tensor: Tensor, ranges: dict[int, tuple[Node, Node]], positions: tuple[Node, ...]
    ) -> Node:
        """The least or largest entry within these ranges."""
        graph, places, axes = self.graph, list(positions), []
        for place, (first, last) in ranges.items():
            axis = graph.axis("near", graph.add(graph.sub(last, first), graph.const(1)))
            places[place] = graph.add(first, graph.index(axis))
            axes.append(axis)
        return graph.reduce(op, tuple(axes), as_number(graph, graph.read(tensor, tuple(places))))


def _below(node: Node) -> list[Node]:
    from ..ir.node import walk

    return list(walk(node))


__all__ = ["LONG_RUN", "ROW_RUN", "RUN", "SUMMARY", "Summarise", "Summary", "TileReads"]
