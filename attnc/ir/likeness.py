"""Values that differ by the names of axes alone: one key for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from .axis import Axis
from .node import Node


class Likeness:
    """Keys of nodes; equal ones have equal keys. Axes stand for the numbers that they are given."""

    def __init__(self) -> None:
        self.keys: dict[Hashable, int] = {}
        self.known: dict[tuple[Node, Hashable], int] = {}

    def key(self, node: Node, axes: tuple[Axis, ...]) -> tuple[Hashable, ...]:
        """The key of a value along these axes, in this order."""
        sizes = tuple((axis.size, axis.streams) for axis in axes)
        return (sizes, self._key(node, {axis: place for place, axis in enumerate(axes)}, len(axes)))

    def _key(self, node: Node, names: Mapping[Axis, int], depth: int) -> int:
        if not node.axes and not node.args:
            return self._number(node)
        own = (node, (depth if node.bound else 0, *sorted((axis.number, names.get(axis, -1)) for axis in node.axes)))
        if own not in self.known:
            self.known[own] = self._number(self._content(node, names, depth))
        return self.known[own]

    def _content(self, node: Node, names: Mapping[Axis, int], depth: int) -> Hashable:
        if node.kind == "index":
            return "index", names.get(node.attribute, node.attribute)
        if node.kind == "reduce":
            inner = {**names, **{axis: depth + place for place, axis in enumerate(node.attribute)}}
            sizes = tuple(axis.size for axis in node.attribute)
            parts = tuple(self._key(arg, inner, depth + len(sizes)) for arg in node.args)
            return node.kind, node.op, depth, sizes, parts  # the depth says which numbers are its own axes
        if node.bound or node.binds or node.kind in ("scan", "opaque", "join"):
            return node, tuple(sorted((axis.number, names.get(axis, -1)) for axis in node.axes))
        parts = tuple(self._key(arg, names, depth) for arg in node.args)
        if node.is_sum:
            return node.op, tuple(sorted(zip(node.attribute[0], parts))), node.attribute[1]
        if node.is_product:
            return node.op, tuple(sorted(zip(node.attribute, parts)))
        return node.kind, node.op, node.attribute, node.type, parts

    def _number(self, content: Hashable) -> int:
        return self.keys.setdefault(content, len(self.keys))
