"""Sizes of tiles and strides of locals: chosen from widths and caches alone, so lengths never recompile."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.analysis.intervals import Intervals
from attnc.ir import Axis, Node
from attnc.ir.node import BOOL, FLOAT, walk

from ..statements import Packed, RunPass
from .names import Names


@dataclass(frozen=True)
class Blocks:
    """Rows and looped indices of a tile, and how many values of the compute type fit a vector at most."""

    rows: int
    columns: int
    lanes: int

    @property
    def stride(self) -> int:
        """Values from one row of a tile to the next: no power of two, whose lines would push each other out."""
        return self.columns + self.lanes

    def padded(self, width: int) -> int:
        """A width rounded up to whole vectors (of the widest machine, so that one plan serves all)."""
        return -(-width // self.lanes) * self.lanes


def choose_blocks(names: Names, run: RunPass) -> Blocks:
    """The widest tiles whose numbers stay in a core's second-level cache: scores, the operands that they are made of
    and multiplied by, and the rows' own operands and sums. Three eighths are left to what comes and goes."""
    lanes = 16 if names.compute == "float" else 8
    widest = max([width_of(names, axis) for local in run.accumulators for axis in local.widths] or [64])
    choices = [lanes * 16, lanes * 8, lanes * 4]
    rows = _rows(run)
    for columns in choices:
        values = rows * (columns + lanes) + 2 * widest * (columns + rows)
        if values * 64 // lanes <= names.near_bytes * 5 // 8:
            return Blocks(rows, columns, lanes)
    return Blocks(-(-rows // 2), choices[-1], lanes)


def _rows(run: RunPass) -> int:
    """Whole register tiles of six rows; fewer where pairs follow the rows on both sides, or where tensors say which
    there are: short blocks leave more of them out."""
    if run.row is None:
        return 1
    classes = run.tiles.classes
    moving = (bound for bound in (classes.low, classes.high) if any(_is_corner(node) for node in walk(bound)))
    follows = len(list(moving)) == 2
    return 64 if follows or any(node.kind == "reduce" for node in walk(classes.may)) else 96


def _is_corner(node: Node) -> bool:
    return node.kind == "param" and node.attribute.startswith("#")


def width_of(names: Names, axis: Axis) -> int:
    """The compiled-in size of a width."""
    size: Node = axis.size
    known = names.constant(size)
    assert known is not None, f"the width {axis.name} is not known"
    return known


def element_of(packed: Packed) -> str:
    """The C++ type of a packed operand's values."""
    node = packed.node
    if node.type == FLOAT:
        return "T"
    return "int32_t" if node.type == BOOL or Intervals().fits_narrow(node) else "int64_t"


def packed_block(names: Names, blocks: Blocks, packed: Packed) -> int:
    """Values in one block of a packed operand."""
    if packed.width is None:
        return blocks.columns
    width = width_of(names, packed.width)
    if packed.layout == "natural":
        return blocks.columns * blocks.padded(width)
    return blocks.stride * (width + width % 2)  # whole pairs
