"""The pairs that a mask leaves, and its tiles: for one sequence and head, evaluated pair by pair, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from attnc.codegen.cpp.blocks import choose_blocks
from attnc.codegen.cpp.names import Names
from attnc.diagnostics import Diagnostic
from attnc.ir import Axis, Node
from attnc.ir.host import encode
from attnc.ir.node import walk
from attnc.ir.roles import OUTER

from . import caches
from .dense import make_evaluator
from .entry import _arrange
from .mistakes import CallMistake, compiling
from .pointwise import Array
from .signature import bind_sizes, check_tensors
from .token_orders import choose_orders, places_along

if TYPE_CHECKING:
    from attnc.card import Card
    from attnc.pipeline import Derivation
    from attnc.planning.plan import Pass
    from attnc.spec import Attention

    from .reference import Evaluator

MOST_PAIRS = 1 << 25


@dataclass(frozen=True)
class NotDrawn(CallMistake):
    """A mask that cannot be evaluated pair by pair beforehand, or is too large to look at."""

    code: ClassVar[str] = "not-drawn"
    reason: str

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(self.code, f"the mask of '{self.attention}' cannot be drawn: {self.reason}")


@dataclass(frozen=True)
class Drawing:
    """`pairs[i, j]` says whether a pair exists, `in_order` the same as the forward goes through them, in tiles of
    `rows` by `columns`. `head`: which one, where they differ."""

    row: str
    column: str
    pairs: Array
    in_order: Array
    rows: int
    columns: int
    head: int | None

    @property
    def is_sorted(self) -> bool:
        """Whether tokens are sorted before they are gone through."""
        return self.in_order is not self.pairs

    def tiles(self) -> Array:
        """For each tile: 0 none of its pairs exists, 1 some, 2 all."""
        height, width = self.in_order.shape
        down, across = -(-height // self.rows), -(-width // self.columns)
        some = torch.zeros(down, across, dtype=torch.int64)
        for y in range(down):
            for x in range(across):
                tile = self.in_order[y * self.rows : (y + 1) * self.rows, x * self.columns : (x + 1) * self.columns]
                some[y, x] = 2 if bool(tile.all()) else int(tile.any())
        return some

    def density(self) -> float:
        """The share of pairs that exist; 0 of none."""
        return float(self.pairs.double().mean()) if self.pairs.numel() else 0.0


def draw_masks(
    attention: Attention, args: Sequence[Any], kwargs: dict[str, Any], batch: int, head: int | None
) -> list[Drawing]:
    """The mask of the first pass over pairs, for a sequence and a head of these tensors; for all heads where none is
    said, if they differ."""
    card, tensors, parameters = _arrange(attention, tuple(args), kwargs)
    check_tensors(card, tensors)
    derivation = attention.derivation(tuple((p.name, parameters[p.name]) for p in card.statics))
    bound = bind_sizes(card, [t.shape for t in tensors], parameters, tensors)
    with compiling(attention.name):
        plan = derivation.plan_forward(())
        runs = derivation.statements(plan).passes
    found = [(made, run) for made, run in zip(plan.passes, runs) if made.row is not None]
    if not found:
        raise NotDrawn(attention.name, "it has no pass over pairs").error()
    made, run = found[0]
    assert made.row is not None
    evaluator = make_evaluator(card, tensors, parameters)
    order = (*_outer(attention.name, derivation, made, evaluator), made.row, made.loop)
    values = evaluator.result(made.domain, order)
    blocks = choose_blocks(Names("float", dict(bound.widths), {}, {}, near_bytes=caches.near_bytes()), run)
    places = _places(card, (made.row, made.loop), {**parameters, **bound.sizes})
    drawings = []
    for number in _heads(order[:-2], evaluator.sizes, head):
        value = values
        for axis in order[:-2]:
            value = value[_chosen(axis, batch, number or 0, evaluator.sizes, attention.name)]
        in_order = value if places is None else value[places[0]][:, places[1]]
        drawings.append(Drawing(made.row.name, made.loop.name, value, in_order, blocks.rows, blocks.columns, number))
    return drawings


def _outer(name: str, derivation: Derivation, made: Pass, evaluator: Evaluator) -> tuple[Axis, ...]:
    """What the pairs of a pass depend on beside its rows and columns: sequences and heads. AttnError for a mask that is
    not drawn."""
    assert made.row is not None
    if any(_is_computed(node) for node in walk(made.domain)):
        raise NotDrawn(name, "which pairs exist is computed by an earlier pass").error()
    height, width = evaluator.length(made.row), evaluator.length(made.loop)
    if height * width > MOST_PAIRS:
        raise NotDrawn(name, f"{height} by {width} pairs are more than {MOST_PAIRS}").error()
    outer = derivation.roles.axes(made.domain.axes, OUTER)
    if made.domain.axes - {*outer, made.row, made.loop}:
        raise NotDrawn(name, "it depends on a third length").error()
    return outer


def _places(card: Card, axes: Sequence[Axis], known: dict[str, Any]) -> list[Array] | None:
    """Where the tokens of rows and columns come from, if they are sorted."""
    cpu = torch.device("cpu")
    chosen = choose_orders(card, known, cpu)
    if chosen is None:
        return None
    return [places_along(card, encode(axis.size), known, chosen, cpu) for axis in axes]


def _heads(outer: Sequence[Axis], sizes: dict[str, int], head: int | None) -> list[int | None]:
    """The heads to draw: None where they do not differ."""
    if not any(axis.size.attribute in ("H", "G") for axis in outer):
        return [None]
    return [head] if head is not None else list(range(sizes.get("H", sizes.get("G", 1))))


def _is_computed(node: Node) -> bool:
    """Whether a stage makes it: sums over features of inputs are not."""
    return node.kind in ("root", "recur") or (node.kind == "read" and node.attribute.origin != "input")


def _chosen(axis: Axis, batch: int, head: int, sizes: dict[str, int], name: str) -> int:
    """The index along a batch or head axis; a group is that of the head."""
    size = str(axis.size.attribute)
    count = sizes.get(size, 1)
    index = batch if size == "B" else head
    if size == "G" and sizes.get("H"):
        index = head // max(sizes["H"] // max(count, 1), 1)
    if not 0 <= index < count:
        what = "sequence" if size == "B" else "head"
        raise NotDrawn(name, f"there is no {what} {index}: there are {count}").error()
    return index


__all__ = ["Drawing", "draw_masks"]
