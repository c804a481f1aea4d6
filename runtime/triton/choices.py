"""Block sizes, warps and stages that a kernel may be compiled with, best first; the first one that fits is taken.

Nothing is timed: a candidate counts as good when the installed Triton compiles it without spilling and within the
architecture's memory. Larger tiles do more work for each value that they load, so they stand first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .limits import Architecture

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Choice:
    """Constants and options of a kernel."""

    rows: int
    columns: int
    warps: int
    stages: int
    precision: str

    def constants(self) -> dict[str, int | str]:
        return {"ROWS": self.rows, "COLUMNS": self.columns, "PRECISION": self.precision}

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns} w{self.warps} s{self.stages}"


@dataclass(frozen=True)
class Shape:
    """What a choice depends on, see `Launch`."""

    features: tuple[int, ...]
    products: int
    operand: str
    streams: bool
    has_rows: bool = True

    @property
    def widest(self) -> int:
        return max(self.features, default=0)


def candidates(shape: Shape, architecture: Architecture, precision: str) -> Iterator[Choice]:
    """Choices for a kernel, best first."""
    if not shape.streams or not shape.products:
        for rows, columns, warps in ((64, 64, 4), (32, 32, 4), (16, 16, 4), (16, 16, 8)):
            rows = rows if shape.streams or shape.widest <= 128 else max(16, rows // 2)
            yield Choice(rows, columns, warps, 1, precision)
        return
    tiles = list(dict.fromkeys(_tiles(shape, architecture)))
    ahead = [(tile, stages) for tile in tiles for stages in range(architecture.stages, 1, -1)]
    for (rows, columns, warps), stages in [*ahead, *((tile, 1) for tile in tiles)]:
        choice = Choice(rows, columns, warps, stages, precision)
        if _least_shared(shape, choice, architecture) <= architecture.shared:
            yield choice


def _least_shared(shape: Shape, choice: Choice, architecture: Architecture) -> int:
    """Bytes of shared memory at the least: two operands of columns for each stage, on some architectures but one, and
    where matrix instructions read shared memory those of rows."""
    reads_shared = architecture.matrix in ("wgmma", "tcgen05.mma")
    buffers = choice.stages if reads_shared else max(choice.stages - 1, 1)
    rows = choice.rows * (1 if shape.products <= 2 else 2) if architecture.is_nvidia else 0
    return BYTES[shape.operand] * shape.widest * (rows + 2 * choice.columns * buffers)


def _tiles(shape: Shape, architecture: Architecture) -> Iterator[tuple[int, int, int]]:
    """(rows, columns, warps) by how many products a tile takes: two or three forward and for queries, four for keys."""
    wide = shape.widest
    if not architecture.is_nvidia and BYTES[shape.operand] < 4:
        kind = "forward" if shape.products <= 2 else "queries" if shape.products == 3 else "keys"
        yield from _AMD[kind, 64 if wide <= 64 else 128 if wide <= 128 else 256]
    if BYTES[shape.operand] >= 4:
        sizes = [(64, 32, 4), (64, 32, 8), (32, 32, 4), (32, 32, 8), (16, 32, 4), (16, 16, 4), (16, 16, 8)]
        if shape.products <= 2 and wide <= 128:
            sizes.insert(0, (128, 32, 8))
    elif shape.products <= 2:
        sizes = _FORWARD[64 if wide <= 64 else 96 if wide <= 96 else 128 if wide <= 128 else 256]
    elif shape.products == 3:
        sizes = _QUERIES[64 if wide <= 64 else 128 if wide <= 128 else 256]
    else:
        sizes = _KEYS[64 if wide <= 64 else 128 if wide <= 128 else 256]
    if architecture.matrix == "mma.sync" and wide > 64 and BYTES[shape.operand] < 4:
        sizes = [item for item in sizes if item[0] * item[1] <= 8192]
    yield from sizes
    yield from ((32, 32, 4), (32, 32, 8), (16, 32, 4), (32, 16, 4), (16, 16, 4), (16, 16, 8))


_FORWARD = {
    64: [(128, 128, 8), (128, 64, 4), (128, 64, 8), (64, 64, 4), (64, 64, 8), (128, 32, 8)],
    96: [(128, 128, 8), (128, 64, 8), (128, 64, 4), (64, 64, 4), (128, 32, 8), (64, 64, 8), (64, 32, 4)],
    128: [(128, 64, 8), (128, 64, 4), (64, 64, 4), (128, 32, 8), (64, 64, 8), (64, 32, 4)],
    256: [(128, 64, 8), (128, 32, 8), (64, 64, 8), (64, 32, 8), (64, 32, 4), (64, 16, 4)],
}
_QUERIES = {
    64: [(128, 64, 8), (128, 64, 4), (64, 64, 4), (128, 32, 8), (64, 64, 8), (64, 32, 4)],
    128: [(128, 64, 8), (64, 64, 8), (128, 32, 8), (64, 64, 4), (64, 32, 8), (64, 32, 4)],
    256: [(128, 32, 8), (64, 64, 8), (64, 32, 8), (32, 64, 8), (64, 32, 4)],
}
_KEYS = {
    64: [(128, 64, 8), (128, 32, 8), (64, 64, 4), (64, 64, 8), (64, 32, 4), (64, 32, 8)],
    128: [(64, 64, 8), (64, 32, 8), (64, 32, 4), (32, 32, 8)],
    256: [(64, 32, 8), (32, 32, 8), (32, 32, 4), (32, 16, 8)],
}

_AMD = {
    ("forward", 64): [(128, 64, 4), (64, 64, 4)],
    ("forward", 128): [(128, 64, 4), (64, 64, 4), (128, 32, 8)],
    ("forward", 256): [(128, 32, 4), (64, 32, 4), (64, 16, 4)],
    ("queries", 64): [(128, 64, 8), (128, 32, 4), (64, 64, 4)],
    ("queries", 128): [(128, 32, 8), (64, 32, 4)],
    ("queries", 256): [(64, 32, 8), (32, 32, 4)],
    ("keys", 64): [(64, 64, 4), (64, 32, 4)],
    ("keys", 128): [(64, 32, 4), (64, 32, 8), (32, 32, 4)],
    ("keys", 256): [(32, 32, 4), (32, 16, 4)],
}

__all__ = ["Choice", "Shape", "candidates"]
