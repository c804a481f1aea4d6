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
from attnc.ir.node import walk
from attnc.ir.roles import OUTER

from .dense import make_evaluator
from .entry import _arrange
from .mistakes import CallMistake, compiling
from .pointwise import Array
from .signature import bind_sizes, check_tensors

if TYPE_CHECKING:
    from attnc.spec import Attention

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
    """`pairs[i, j]` says whether a pair exists; tiles are of `rows` by `columns` pairs, as the forward goes through
    them."""

    row: str
    column: str
    pairs: Array
    rows: int
    columns: int

    def tiles(self) -> Array:
        """For each tile: 0 none of its pairs exists, 1 some, 2 all."""
        height, width = self.pairs.shape
        down, across = -(-height // self.rows), -(-width // self.columns)
        some = torch.zeros(down, across, dtype=torch.int64)
        for y in range(down):
            for x in range(across):
                tile = self.pairs[y * self.rows : (y + 1) * self.rows, x * self.columns : (x + 1) * self.columns]
                some[y, x] = 2 if bool(tile.all()) else int(tile.any())
        return some

    def density(self) -> float:
        """The share of pairs that exist; 0 of none."""
        return float(self.pairs.double().mean()) if self.pairs.numel() else 0.0


def draw_mask(attention: Attention, args: Sequence[Any], kwargs: dict[str, Any], batch: int, head: int) -> Drawing:
    """The mask of the first pass over pairs, for a sequence and a head of these tensors."""
    card, tensors, parameters = _arrange(attention, tuple(args), kwargs)
    check_tensors(card, tensors)
    derivation = attention.derivation(tuple((p.name, parameters[p.name]) for p in card.statics))
    bound = bind_sizes(card, [t.shape for t in tensors], parameters)
    with compiling(attention.name):
        plan = derivation.plan_forward(())
        runs = derivation.statements(plan).passes
    found = [(made, run) for made, run in zip(plan.passes, runs) if made.row is not None]
    if not found:
        raise NotDrawn(attention.name, "it has no pass over pairs").error()
    made, run = found[0]
    assert made.row is not None
    if any(_is_computed(node) for node in walk(made.domain)):
        raise NotDrawn(attention.name, "which pairs exist is computed by an earlier pass").error()
    evaluator = make_evaluator(card, tensors, parameters)
    height, width = evaluator.length(made.row), evaluator.length(made.loop)
    if height * width > MOST_PAIRS:
        raise NotDrawn(attention.name, f"{height} by {width} pairs are more than {MOST_PAIRS}").error()
    order = (*derivation.roles.axes(made.domain.axes, OUTER), made.row, made.loop)
    if made.domain.axes - set(order):
        raise NotDrawn(attention.name, "it depends on a third length").error()
    value = evaluator.result(made.domain, order)
    for axis in order[:-2]:
        value = value[_chosen(axis, batch, head, evaluator.sizes, attention.name)]
    blocks = choose_blocks(Names("float", dict(bound.widths), {}, {}), run)
    return Drawing(made.row.name, made.loop.name, value, blocks.rows, blocks.columns)


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


__all__ = ["Drawing", "draw_mask"]
