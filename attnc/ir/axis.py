"""Axes: what values are indexed by. Identity is the object; the name is for display."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .node import Node


@dataclass(frozen=True, eq=False)
class Axis:
    """`number` orders axes and is unique in a graph; `size` is an integer node, without axes unless ragged.

    `is_vector` marks the anonymous trailing axes of `q[i]`, one for each size and place from the right.
    `parts` are those of a joined axis, which no result of lowering has: see ir/joined.py.
    `streams` marks an axis of features that a plan goes through in tiles, as through a length.
    `construct` names what makes an axis special ("a product axis"); such axes are checked but not lowered yet.
    """

    number: int
    name: str
    size: Node = field(repr=False)
    is_vector: bool = False
    construct: str | None = None
    parts: tuple[Part, ...] = ()
    streams: bool = False

    def __repr__(self) -> str:
        return f"{self.name}'{self.number}"

    def __lt__(self, other: Axis) -> bool:
        return self.number < other.number


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a joined axis: `own` is what values over the joined axis are written with, `of` the axis that it is a
    copy of."""

    own: Axis
    of: Axis


def in_order(axes: frozenset[Axis]) -> tuple[Axis, ...]:
    """The axes by number: the one order used wherever a set of axes must be written down."""
    return tuple(sorted(axes, key=lambda axis: axis.number))
