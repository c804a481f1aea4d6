"""Scans that a pass reads but does not carry: before its walk, another one keeps them for all columns of its rows.

What runs the other way is kept as it is carried. For ranks, what is put in order is gathered; each row is then sorted,
and the place of every entry stands where its value stood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..statements import Carry, Gather
from .exponents import rounded

if TYPE_CHECKING:
    from .passes import PassWriter
    from .tiles import TileWriter


class KeptScans:
    """Where a worker keeps what is known for all columns of a block of rows."""

    def __init__(self, owner: PassWriter) -> None:
        self.owner = owner
        self.walks = owner.run.tiles.walks
        self.names = {tile.name: f"kept{n}" for n, (tile, _) in enumerate(self.walks)}

    def declare(self) -> str:
        """The bytes that are needed, as what is added to others."""
        em, blocks = self.owner.em, self.owner.blocks
        if not self.walks:
            return ""
        size = em.size(self.owner.run.loop.size)
        em.line(f"const int64_t all_columns = block_count({size}, {blocks.columns}) * {blocks.columns};")
        em.line(f"const int64_t each_kept = rank_bytes<T>({blocks.rows}, all_columns);")
        return f" + {len(self.walks)} * each_kept"

    def place(self, start: str) -> None:
        rows = self.owner.blocks.rows
        for number, name in enumerate(self.names.values()):
            memory = f"(char *)({start}) + {number} * each_kept"
            self.owner.em.line(f"const Ranked<T> {name} = ranked_at<T>({memory}, {rows}, all_columns);")

    def find(self) -> None:
        """What is kept of a block of rows, each from a walk of its own."""
        from .tiles import TileWriter

        em = self.owner.em
        for tile, walk in self.walks:
            name = self.names[tile.name]
            if tile.node.is_rank:
                em.line(f"memset({name}.counts, ABSENT, rows * all_columns);")
            with em.scope("", {}):
                TileWriter(self.owner, walk).write()
            if tile.node.is_rank:
                em.line(f"rank_rows({name}, rows, all_columns);")


def gather(writer: TileWriter, statement: Gather) -> None:
    """A tile of what is kept; for ranks, what is put in order, and which of it counts."""
    em, node, owner = writer.em, statement.tile.node, writer.owner
    if not node.is_rank:
        _copy(writer, statement.tile.name, is_placed=False)
        return
    name, sweeps = owner.kept_scans.names[statement.tile.name], writer.sweeps
    begin, end = ("0", str(writer.columns)) if writer.is_full else ("begin", "end")
    valid = None if writer.is_full else "valid_lanes<T>(end - c)"
    header = f"for (int64_t c = {begin}; c < {end}; c += lanes<T>)"
    lanes = em.scope(header, {writer.loop: "(first + c)"}, lane_axis=writer.loop, valid=valid)
    with owner.row_loop(), lanes, sweeps.unmasked(writer.is_full):
        place = "r * all_columns + first + c"
        em.line(f"store(&{name}.values[{place}], {rounded(em, node.body)});")
        mask = sweeps.mask(node.domain)
        marked = f"memset(&{name}.counts[{place}], INSIDE, lanes<T>);"
        em.line(marked if mask is None else f"mark<T>(&{name}.counts[{place}], {mask}, {em.valid});")


def place(writer: TileWriter, statement: Carry) -> None:
    """What is known of a tile's columns."""
    _copy(writer, statement.tile.name, is_placed=True)


def _copy(writer: TileWriter, tile: str, is_placed: bool) -> None:
    name, stride = writer.owner.kept_scans.names[tile], writer.stride
    begin, end = ("0", str(writer.columns)) if writer.is_full else ("begin", "end")
    here, kept = f"&s.{tile}[r * {stride} + {begin}]", f"&{name}.values[r * all_columns + first + {begin}]"
    to, source = (here, kept) if is_placed else (kept, here)
    copied = f"memcpy({to}, {source}, ({end} - {begin}) * sizeof(T));"
    writer.em.line(f"for (int64_t r = 0; r < rows; ++r) {copied}")
