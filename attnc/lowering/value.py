"""What an expression lowers to: a node and the anonymous vector axes that trail it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..diagnostics import Span
from ..ir import Axis, Node


@dataclass(frozen=True)
class Value:
    """`vector` lists the trailing axes of `q[i]` and its like, left to right, all of them axes of `node`.

    `is_reduction` marks what came straight from a reduction: a quotient by it is 0 where it is 0.
    """

    node: Node
    vector: tuple[Axis, ...] = ()
    is_reduction: bool = False

    @property
    def type(self) -> str:
        return self.node.type


@dataclass(frozen=True)
class Over:
    """What a bracket index stands for: the axes it binds and the conditions that came with them."""

    axes: tuple[Axis, ...]
    conditions: tuple[Node, ...] = ()


class Component(NamedTuple):
    """One component of a product axis: the last one counts up fastest."""

    name: str
    size: Node


class Poisoned(Exception):
    """Something that was reported already; whoever reads it stays silent."""


class Hopeless(Exception):
    """The spec is too large to be worth looking at any further; `span` is the user's call that leads there."""

    def __init__(self, what: str, limit: str, span: Span | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.limit = limit
        self.span = span
