"""One entry of a subscript, as it was written and as it was lowered."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.grammar import tree

from ..ir import Axis, Node


@dataclass(frozen=True)
class Entry:
    """One entry of a subscript: a position, or the start of a slice. An index of a product axis has the condition under
    which no component is outside, and the size of that axis."""

    expr: tree.Expr | tree.Slice
    node: Node
    is_inside: Node | None = None
    whole: Node | None = None

    @property
    def bare(self) -> Axis | None:
        """The axis of an entry that is just an index."""
        axis: Axis | None = self.node.attribute if self.node.kind == "index" and self.is_inside is None else None
        return axis
