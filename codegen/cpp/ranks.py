"""Ranks of pairs: before the walk of a pass, another one gathers what is put in order, all columns of a block of rows.

Each row is then sorted, and the place of every entry stands where its value stood, to be read by tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..statements import Carry, Gather, Tiles
from .exponents import rounded

if TYPE_CHECKING:
    from .passes import PassWriter
    from .tiles import TileWriter


class RankMemory:
    """Where a worker keeps what it puts in order."""

    def __init__(self, owner: PassWriter) -> None:
        self.owner = owner
        self.walks: list[Tiles] = owner.run.tiles.ranks
        self.names = {walk.body[-1].tile.name: f"ranked{n}" for n, walk in enumerate(self.walks)}  # type: ignore[union-attr]

    def declare(self) -> str:
        """The bytes that are needed, as what is added to others."""
        em, blocks = self.owner.em, self.owner.blocks
        if not self.walks:
            return ""
        size = em.size(self.owner.run.loop.size)
        em.line(f"const int64_t all_columns = block_count({size}, {blocks.columns}) * {blocks.columns};")
        em.line(f"const int64_t each_rank = rank_bytes<T>({blocks.rows}, all_columns);")
        return f" + {len(self.walks)} * each_rank"

    def place(self, start: str) -> None:
        rows = self.owner.blocks.rows
        for number, name in enumerate(self.names.values()):
            memory = f"(char *)({start}) + {number} * each_rank"
            self.owner.em.line(f"const Ranked<T> {name} = ranked_at<T>({memory}, {rows}, all_columns);")

    def find(self) -> None:
        """The ranks of a block of rows, each from a walk of its own."""
        from .tiles import TileWriter

        em = self.owner.em
        for name, walk in zip(self.names.values(), self.walks):
            em.line(f"memset({name}.counts, ABSENT, rows * all_columns);")
            with em.scope("", {}):
                TileWriter(self.owner, walk).write()
            em.line(f"rank_rows({name}, rows, all_columns);")


def gather(writer: TileWriter, statement: Gather) -> None:
    """What is put in order, and which of it counts."""
    em, node, owner = writer.em, statement.tile.node, writer.owner
    name, sweeps = owner.ranks.names[statement.tile.name], writer.sweeps
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
    """The ranks of a tile's columns."""
    name, stride = writer.owner.ranks.names[statement.tile.name], writer.stride
    begin, end = ("0", str(writer.columns)) if writer.is_full else ("begin", "end")
    to, source = f"s.{statement.tile.name}[r * {stride} + {begin}]", f"{name}.values[r * all_columns + first + {begin}]"
    copied = f"memcpy(&{to}, &{source}, ({end} - {begin}) * sizeof(T));"
    writer.em.line(f"for (int64_t r = 0; r < rows; ++r) {copied}")
