"""Which matrix products of a pass multiply bfloat16 factors, and so how their operands are laid out (attnc_narrow.h).

A product does where the tensors that it reads are bfloat16, the same on every target: what is computed is rounded to
them, sums stay as wide as they are. An operand that something else reads too stays as wide as what is computed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..contractions import product_dtype
from ..statements import (
    Accumulate,
    AccumulateColumns,
    Carry,
    Contract,
    Fill,
    Packed,
    RunPass,
    Sweep,
    TileStatement,
    read_in_sweeps,
)
from .blocks import element_of
from .names import Names

NARROW = "narrow_factor"


class Factors:
    """Narrow products of one pass. `tiles` and `packed` are the operands that are narrow themselves; of row locals a
    copy is made: `rows` have the summed index along their width, `paired` along the rows."""

    def __init__(self, names: Names, run: RunPass, packed: Iterable[Packed]) -> None:
        self.names = names
        body = run.tiles.body
        products = [one for one in body if isinstance(one, Contract | Accumulate | AccumulateColumns)]
        narrow = [one for one in products if self._is_narrow(one)]
        wide = _read_by_sweeps(run, packed)
        while True:
            wide |= {name for one in products if one not in narrow for name in _own(one)}
            kept = [one for one in narrow if not wide & _own(one)]
            if len(kept) == len(narrow):
                break
            narrow = kept
        self.narrow = narrow
        self.tiles = {one.tile.name for one in narrow if not isinstance(one, Contract)}
        self.packed = {one.right.name for one in narrow if not isinstance(one, AccumulateColumns)}
        self.rows = {one.left.name for one in narrow if isinstance(one, Contract)}
        self.paired = {one.right.name for one in narrow if isinstance(one, AccumulateColumns)}

    def __contains__(self, statement: TileStatement) -> bool:
        return statement in self.narrow

    def element_of(self, packed: Packed) -> str:
        """The C++ type of a packed operand's values."""
        return NARROW if packed.name in self.packed else element_of(packed)

    def _is_narrow(self, one: Contract | Accumulate | AccumulateColumns) -> bool:
        if self.names.compute != "float":
            return False
        nodes = [one.right.node if isinstance(one, AccumulateColumns) else one.right.read_as]
        if isinstance(one, Contract):
            nodes.append(one.left.node)
        return product_dtype(nodes, self.names.dtype, self.names.layouts["#result"].dtype) == "bfloat16"


def _own(one: Contract | Accumulate | AccumulateColumns) -> set[str]:
    """Operands that every reader must know the layout of."""
    if isinstance(one, Contract):
        return {one.right.name}
    return {one.tile.name, one.right.name} if isinstance(one, Accumulate) else {one.tile.name}


def _read_by_sweeps(run: RunPass, packed: Iterable[Packed]) -> set[str]:
    read = read_in_sweeps(run.tiles, packed)
    fills: list[Fill] = [fill for one in run.tiles.body if isinstance(one, Sweep) for fill in one.fills]
    found = {fill.tile.name for fill in fills if fill.is_shared}
    found |= {one.tile.name for one in run.tiles.body if isinstance(one, Contract | Carry)}
    return found | {one.name for one in packed if one.read_as in read}
