"""The plan: one frozen record with every decision. Nothing after it decides anything.

A plan is a list of stages. A nest computes values that need no tiles; a pass runs over tiles of two axes (rows and the
looped axis), accumulates statistics, and stores what its epilogue makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..analysis.tiles import TileClasses
from ..ir import Axis, Graph, Node, Tensor

# where an accumulator lives, by which tile axes it keeps
ROW, LOOP, FREE, TILE = "row", "loop", "free", "tile"
# the origin of a tensor that many pairs are added to, number by number, or of totals: backends give it more digits
SHARES = "shares"
# what stands for the index of a repeated stage; what the tensor of one step is called, after that of all
STEP, NOW = "#step", "_now"
# how its body is summed
MATMUL, LANES, LOOPED, SCATTER = "matmul", "lanes", "looped", "scatter"


@dataclass(frozen=True)
class Target:
    """A tensor to fill: its dimensions run along `axes` of `node`. Several targets of one tensor are added up."""

    tensor: Tensor
    axes: tuple[Axis, ...]
    node: Node


@dataclass(frozen=True)
class Store:
    """A value written to a tensor, whose dimensions run along `axes`. `adds` where another store came first."""

    tensor: Tensor
    axes: tuple[Axis, ...]
    node: Node
    adds: bool = False


@dataclass(frozen=True)
class Rescale:
    """When `anchor` moves by the shift symbol, the accumulator is multiplied by (or, `adds`, increased by) `by`.

    The shift is new - old, or, where the anchor moves by a factor (`in_logs`), log(new / old).
    """

    anchor: Node
    by: Node
    adds: bool = False
    in_logs: bool = False


@dataclass(frozen=True)
class Term:
    """One summand of an accumulator's body and how it is summed.

    matmul: Σ tile · operand, the operand having one of the tile's axes and `widths`; lanes: Σ tile; looped: the same
    for each index of `widths`; scatter: added at `positions` along the accumulator's scattered axes.
    """

    form: str
    coefficient: float
    tile: Node
    operand: Node | None = None
    widths: tuple[Axis, ...] = ()


@dataclass(frozen=True)
class Accumulator:
    """A statistic of a pass: `node` is the reduction in the graph, computed tile by tile.

    `phase` orders statistics that read one another within a tile; `scattered` pairs kept axes that no loop runs over
    with the position along them; `partial` is where each worker's share goes, to be added in a fixed order.
    """

    node: Node
    op: str
    home: str
    domain: Node
    terms: tuple[Term, ...]
    widths: tuple[Axis, ...]
    phase: int
    rescales: tuple[Rescale, ...] = ()
    scattered: tuple[tuple[Axis, Node], ...] = ()
    storage: Tensor | None = None
    storage_axes: tuple[Axis, ...] = ()


@dataclass(frozen=True)
class Sequential:
    """An outer axis that a worker goes through by itself, from `low` up to (not including) `high`."""

    axis: Axis
    low: Node
    high: Node


@dataclass(frozen=True)
class Solve:
    """What a pass is repeated for: `unknown` (a read of its own temporary) goes from `low` to `high` until `value` is
    0, by Newton's steps with `slope` where they stay within what is left of the bounds, else by halves. `size` is how
    large the numbers are that `value` adds up: where they cancel to the last digit it is as good as 0.

    A search halves the numbers in order, for the first at which the condition `value` holds. `asked` are
    sums of the pass that are wanted for the last value alone.
    """

    unknown: Node
    low: Node
    high: Node
    value: Node
    slope: Node
    size: Node
    rises: bool
    is_search: bool = False
    asked: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Pass:
    """Tiles of `row` (blocks of rows; None: a single row) by blocks of `loop`.

    `grid` axes run in parallel, and so do blocks of rows unless `owns_rows`: then a worker goes through many blocks of
    rows, which lets it accumulate in both orientations. `split` is how many workers share the rows of one grid index,
    each with a place of its own for what it adds; chosen at the call, from the sizes and the machine alone. Scans are
    carried from tile to tile, from the first or (`is_reverse`) from the last one.
    """

    row: Axis | None
    loop: Axis
    grid: tuple[Axis, ...]
    sequential: tuple[Sequential, ...]
    owns_rows: bool
    split: Axis | None
    accumulators: tuple[Accumulator, ...]
    tile_stores: tuple[Store, ...]
    domain: Node
    classes: TileClasses
    epilogue: tuple[Store, ...]
    solve: Solve | None = None
    is_reverse: bool = False


@dataclass(frozen=True)
class Nest:
    """Stores computed point by point; reductions in them are plain loops."""

    stores: tuple[Store, ...]


@dataclass(frozen=True)
class Repeat:
    """Stages run again for each step of an axis, from the first or (`is_reverse`) from the last. `step` stands for the
    index in them. `states` are what stages fill, a state of one step, with its axes and the tensor of all steps, whose
    first dimension is the axis; they read the latter at other steps. It ends early once `until`, if there is one,
    holds nothing but false."""

    axis: Axis
    step: Node
    is_reverse: bool
    states: tuple[tuple[Tensor, tuple[Axis, ...], Tensor], ...]
    stages: tuple[Stage, ...]
    until: Tensor | None = None


Stage = Pass | Nest | Repeat


@dataclass(frozen=True)
class Later:
    """Why a statistic takes another pass than one that it reads."""

    statistic: Node
    read: Node
    reason: str


@dataclass(frozen=True)
class Plan:
    """Stages in order; `temporaries` are tensors that live from one stage to the next, with the compute type's dtype.

    `tensors` are all tensors of the caller: inputs, cotangents, kept values, results; `zeroed` those that stages only
    add to. `later` says why there are as many passes.
    """

    graph: Graph = field(repr=False)
    stages: tuple[Stage, ...]
    temporaries: tuple[tuple[Tensor, tuple[Axis, ...]], ...]
    outputs: tuple[tuple[Tensor, tuple[Axis, ...]], ...]
    later: tuple[Later, ...] = ()

    @property
    def passes(self) -> list[Pass]:
        return [stage for stage in flat(self.stages) if isinstance(stage, Pass)]


def flat(stages: Sequence[Stage]) -> Iterator[Pass | Nest]:
    """The stages, with those that are repeated in their place."""
    for stage in stages:
        if isinstance(stage, Repeat):
            yield from flat(stage.stages)
        else:
            yield stage
