"""Products of matrices within a tile. Where pairs follow the rows, as in a causal mask, tiles at the border are
multiplied in strips of a few rows, each with its own columns: whole, half of such a tile would be computed in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..statements import Accumulate, AccumulateColumns, Contract, Local, Sweep
from .blocks import width_of
from .factors import NARROW
from .reads import locate, stride_of

if TYPE_CHECKING:
    from .tiles import TileWriter

_STRIP = 24  # rows: whole register tiles of six and of four


@dataclass(frozen=True)
class Part:
    """Rows and columns of a tile, as text; `skip` and `down` lead to the first of them."""

    rows: str
    begin: str
    end: str
    first_row: str = ""

    def down(self, stride: int | str) -> str:
        """How far the first row's values lie behind those of the tile's first row."""
        return f" + {self.first_row} * {stride}" if self.first_row else ""

    @property
    def count(self) -> str:
        return self.end if self.begin == "0" else f"{self.end} - {self.begin}"

    def skip(self, step: int | str = "") -> str:
        """How far the first column's values lie behind those of the tile's first column."""
        return "" if self.begin == "0" else f" + {self.begin}{f' * {step}' if step else ''}"


class ProductWriter:
    """Writes the products of one pass."""

    def __init__(self, tiles: TileWriter) -> None:
        self.tiles = tiles
        self.owner = tiles.owner
        self.em = tiles.em
        self.stride = tiles.stride

    def _width(self, local: Local) -> int:
        return width_of(self.owner.names, local.widths[-1])

    @property
    def _whole(self) -> Part:
        """The columns of the tile that may hold pairs, of all rows."""
        begin, end = ("0", str(self.tiles.columns)) if self.tiles.is_full else ("begin", "end")
        return Part("rows", begin, end)

    # --- strips ------------------------------------------------------------------------------------------------

    @contextmanager
    def _parts(self) -> Iterator[Part]:
        """The tile, or strip after strip of it."""
        if self.tiles.is_full or not self._can_strip():
            yield self._whole
            return
        em = self.em
        with em.scope(f"for (int64_t strip = 0; strip < rows; strip += {_STRIP})", {}):
            em.line(f"const int64_t strip_rows = smaller({_STRIP}, rows - strip);")
            name = self.tiles.sweeps.part_of_rows("(first_row + strip)", "(first_row + strip + strip_rows - 1)")
            em.line(f"if ({name}.end <= {name}.begin) continue;")
            yield Part("strip_rows", f"{name}.begin", f"{name}.end", "strip")

    def _can_strip(self) -> bool:
        """Whether what is not computed is not read: each sweep keeps to the columns of the row that it is at, and
        products take what sweeps have filled."""
        made, taken = set(), set()
        for statement in self.tiles.tiles.body:
            if isinstance(statement, Sweep):
                if not self.tiles.sweeps.keeps_to_rows(statement):
                    return False
            elif isinstance(statement, Contract):
                made.add(statement.tile)
            elif isinstance(statement, (Accumulate, AccumulateColumns)):
                taken.add(statement.tile)
        return bool(made) and not made & taken and not self.owner.cached and not self.tiles.tiles.scans

    # --- products ----------------------------------------------------------------------------------------------

    def contract(self, statement: Contract) -> None:
        stride, width = self.owner.stride(statement.left), self._width(statement.left)
        once = "if (!keeps || step == 0) " if statement.tile.name in self.owner.cached else ""
        left, call = f"s.{statement.left.name}", "gemm_columns<T>"
        if statement in self.owner.factors:
            left, call = f"{left}_narrow", "narrow_columns"
        right = f"{self.owner.pointer_to(statement.right)}, {self.stride}"
        tile = self.tiles.place_of(statement.tile)
        if statement.right.name in self.owner.dots:
            place, step = self.owner.in_place(statement.right)
            part = self._whole
            dots = f"{part.begin}, {part.end}, {width}, {left}, {stride}, {place}, {step}, {tile}, {self.stride}"
            self.em.line(f"if ({self.owner.passing} && {self.owner.few}) gemm_dots<T>(rows, {dots});")
            self.em.line("else")
        with self._parts() as part:
            operands = f"{width}, {left}{part.down(stride)}, {stride}, {right}"
            result = f"{tile}{part.down(self.stride)}, {self.stride}"
            self.em.line(f"{once}{call}({part.rows}, {part.begin}, {part.end}, {operands}, {result});")

    def accumulate(self, statement: Accumulate) -> None:
        stride = self.owner.stride(statement.local)
        pointer, step = self.owner.natural(statement.right)
        tile, local = self.tiles.place_of(statement.tile), f"s.{statement.local.name}"
        if statement.right.name in self.owner.dots:
            width, (place, own_step) = self._width(statement.local), self.owner.in_place(statement.right)
            part = self._whole
            left = f"{tile}{part.skip()}, {self.stride}"
            own = f"{place}{part.skip(own_step)}, {own_step}"
            mix = f"gemm_mix<T, {width}>(rows, {part.count}, {left}, {own}, {local}, {stride});"
            self.em.line(f"if ({self.owner.passing} && {self.owner.few}) {mix}")
            self.em.line("else")
        with self._parts() as part:
            left = f"{tile}{part.down(self.stride)}{part.skip()}, {self.stride}"
            right = f"{pointer}{part.skip(step)}, {step}"
            result = f"{local}{part.down(stride)}, {stride}"
            if statement in self.owner.factors:
                call = f"narrow_product<{stride}>({part.rows}, {part.count}, {left}, {right}, {result});"
            else:
                call = f"gemm<T, {stride}>({part.rows}, {stride}, {part.count}, {left}, 1, {right}, {result}, true);"
            self.em.line(call)

    def accumulate_columns(self, statement: AccumulateColumns) -> None:
        """Straight into memory where the width is whole vectors, else by way of a local."""
        em, stride = self.em, self.owner.stride(statement.right)
        width = self._width(statement.right)
        tensor = statement.storage
        begin, end = ("0", str(self.tiles.columns)) if self.tiles.is_full else ("begin", "end")
        with em.scope("", {self.tiles.loop: f"(first + {begin})", statement.right.widths[-1]: "0"}):
            positions = tuple(em.graph.index(axis) for axis in statement.storage_axes)
            place = locate(em, tensor, positions)
            step = stride_of(em, tensor, statement.storage_axes.index(self.tiles.loop))
            target = f"{em.names.tensor(tensor)} + {place.offset}"
            product = self._turned(statement, begin, end)
            if width == stride:
                em.line(f"{product}{target}, {step}, true);")
                return
            field = f"T turned{stride}[{self.tiles.columns * stride}];"
            if field not in self.owner.fields:
                self.owner.fields.append(field)
            em.line(f"{product}s.turned{stride}, {stride}, false);")
            em.line(
                f"for (int64_t n = 0; n < {end} - {begin}; ++n) for (int64_t w = 0; w < {width}; ++w) "
                f"({target})[n * {step} + w] += s.turned{stride}[n * {stride} + w];"
            )

    def _turned(self, statement: AccumulateColumns, begin: str, end: str) -> str:
        """The call of a product with a tile turned, up to where its result goes."""
        tile, right, stride = statement.tile.name, statement.right.name, self.owner.stride(statement.right)
        if statement not in self.owner.factors:
            return (
                f"gemm<T, {stride}>({end} - {begin}, {stride}, rows, s.{tile} + {begin}, 1, {self.stride}, "
                f"s.{right}, {stride}, "
            )
        field = f"{NARROW} turned_pairs[{self.owner.blocks.rows * self.stride}];"
        if field not in self.owner.fields:
            self.owner.fields.append(field)
        return (
            f"narrow_turned<{stride}>({begin}, {end}, rows, s.{tile}, {self.stride}, s.turned_pairs, "
            f"s.{right}_paired, {stride}, "
        )
