"""One entry of a subscript, as it was written and as it was lowered."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.grammar import tree

from ..ir import Axis, Node


@dataclass(frozen=True)
class Entry:
    """One entry of a subscript: a position, or a slice (then `axis` is new and `node` runs along it)."""

    expr: tree.Expr | tree.Slice
    node: Node
    axis: Axis | None = None

    @property
    def bare(self) -> Axis | None:
        """The axis of an entry that is just an index."""
        axis: Axis | None = self.node.attribute if self.node.kind == "index" and self.axis is None else None
        return axis
