"""The statement tree: what a kernel does, step by step, before any spelling.

A program is a list of stages. Inside a pass, values live in locals whose dimensions are blocks of the pass's row and
looped axes and widths; nodes of the graph say what is computed, and `known` locals stand for nodes already computed.
Nothing here is decided: every choice was the plan's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from attnc.analysis.tiles import TileClasses
from attnc.ir import Axis, Node, Tensor
from attnc.ir.node import reachable
from attnc.planning.plan import Rescale, Sequential, Solve, Store

PANEL, NATURAL, VECTOR = "panel", "natural", "vector"


@dataclass(frozen=True)
class Local:
    """A block of values of one worker: `rows`/`columns` say whether it has the row and the looped dimension."""

    name: str
    node: Node
    rows: bool
    columns: bool
    widths: tuple[Axis, ...] = ()


@dataclass(frozen=True)
class Packed:
    """Values along the looped axis, prepared once for all blocks of rows that use them.

    panel: features by looped index within a block (for contractions over features); natural: looped index by features
    (for sums over the looped axis); vector: one value for each looped index. `node` is what is packed, for each index
    of `outer`; the pass reads it as `read_as`, with some outer axes at other positions (`moves`).
    """

    name: str
    node: Node
    layout: str
    outer: tuple[Axis, ...]
    width: Axis | None
    read_as: Node
    moves: tuple[tuple[Axis, Node], ...] = ()


@dataclass(frozen=True)
class Pack:
    """Stage: fills packed values, in parallel over their outer axes and blocks of the looped axis."""

    loop: Axis
    packed: tuple[Packed, ...]


@dataclass(frozen=True)
class Prepare:
    """Computes a local once for a block of rows."""

    local: Local


@dataclass(frozen=True)
class Contract:
    """tile[row, loop] = Σ over the width of left[row, width] · right[width, loop]."""

    tile: Local
    left: Local
    right: Packed


@dataclass(frozen=True)
class Carry:
    """tile[row, loop] = a scan (its node says of what) over all columns so far; `state` goes on with the next tile.
    What `is_kept` stands there already, from a walk of its own: a rank, and what runs the other way."""

    tile: Local
    state: str
    is_kept: bool = False


@dataclass(frozen=True)
class Gather:
    """Keeps the tile of a scan, or what a rank is of, for all columns of the rows of a block."""

    tile: Local


@dataclass(frozen=True)
class Follow:
    """Moves accumulators to where their anchors are now: `scaled` are multiplied by the same factors row by row."""

    rescales: tuple[Rescale, ...]
    scaled: tuple[Local, ...]


@dataclass(frozen=True)
class Fill:
    """tile[row, loop] = node, 0 where the domain does not hold; `is_shared` where later sweeps read it back."""

    tile: Local
    domain: Node | None
    is_shared: bool = False


@dataclass(frozen=True)
class Collect:
    """accumulator[row] op= over the looped axis (or the other way round, or both) of a value, within a domain.

    `widths` are gone through one index at a time. Without a local, the storage is added to: at the tile's own
    position, or where `positions` say.
    """

    op: str
    value: Node
    domain: Node
    local: Local | None = None
    storage: Tensor | None = None
    storage_axes: tuple[Axis, ...] = ()
    home: str = "row"
    widths: tuple[Axis, ...] = ()
    positions: tuple[tuple[Axis, Node], ...] = ()


@dataclass(frozen=True)
class Sweep:
    """One walk over the tile that does all of these."""

    fills: tuple[Fill, ...]
    collects: tuple[Collect, ...]
    stores: tuple[Store, ...] = ()


@dataclass(frozen=True)
class Accumulate:
    """accumulator[row, width] += Σ over the looped axis of tile · right."""

    local: Local
    tile: Local
    right: Packed


@dataclass(frozen=True)
class AccumulateColumns:
    """storage[loop, width] += Σ over rows of tile · right."""

    storage: Tensor
    storage_axes: tuple[Axis, ...]
    tile: Local
    right: Local


TileStatement = Contract | Carry | Gather | Follow | Sweep | Accumulate | AccumulateColumns


@dataclass(frozen=True)
class Tiles:
    """Goes through the blocks of the looped axis that the classes leave (`is_reverse`: the last one first); full ones
    run without masks."""

    loop: Axis
    classes: TileClasses
    body: tuple[TileStatement, ...]
    is_reverse: bool = False

    @property
    def scans(self) -> list[Carry]:
        return [statement for statement in self.body if isinstance(statement, Carry)]

    @property
    def walks(self) -> list[tuple[Local, Tiles]]:
        """The tile of each scan that is kept, in order, and the walk that keeps it."""
        found = []
        for place, statement in enumerate(self.body):
            if isinstance(statement, Carry) and statement.is_kept:
                found.append((statement.tile, self._walk(place, statement)))
        return found

    def _walk(self, place: int, statement: Carry) -> Tiles:
        node = statement.tile.node
        read = set(reachable(list(node.args)))
        body: list[TileStatement] = [
            one for one in self.body[:place] if isinstance(one, Contract | Carry) and one.tile.node in read
        ]
        if not node.is_rank:
            body.append(replace(statement, is_kept=False))
        is_reverse = self.is_reverse if node.is_rank else node.attribute[1]
        return replace(self, body=(*body, Gather(statement.tile)), is_reverse=is_reverse)

    def with_kept(self) -> Tiles:
        """With the scans kept that are not carried along with this walk, or are read in walks of the other way."""
        carries = [one for one in self.body if isinstance(one, Carry)]
        ways = {one.tile.node: one.tile.node.attribute[1] for one in carries if not one.tile.node.is_rank}
        kept = {one.tile.node for one in carries if ways.get(one.tile.node, not self.is_reverse) != self.is_reverse}
        for node in sorted(kept, reverse=True):
            way = ways.get(node, self.is_reverse)
            kept |= {part for part in reachable(list(node.args)) if ways.get(part, way) != way}
        body = tuple(
            replace(one, is_kept=one.tile.node in kept) if isinstance(one, Carry) else one for one in self.body
        )
        return replace(self, body=body)


def swept(tiles: Tiles) -> Iterator[Node]:
    """What sweeps of the walk compute for each pair, conditions too."""
    for statement in tiles.body:
        if isinstance(statement, Sweep):
            yield from (fill.tile.node for fill in statement.fills)
            yield from (collect.value for collect in statement.collects)
            yield from (store.node for store in statement.stores)
            domains = [fill.domain for fill in statement.fills] + [one.domain for one in statement.collects]
            yield from (domain for domain in domains if domain is not None)


def read_in_sweeps(tiles: Tiles, packed: Iterable[Packed]) -> set[Node]:
    """What sweeps compute pair by pair, down to products and to what was computed for each column before."""
    made = {statement.tile.node for statement in tiles.body if isinstance(statement, Contract)}
    made |= {one.read_as for one in packed if one.layout == VECTOR}
    return set(reachable(list(swept(tiles)), without=made))


def collecting(tiles: Tiles, wanted: Callable[[Node], bool]) -> Tiles:
    """The same walk, for some of its sums kept by rows alone."""

    def part(statement: TileStatement) -> TileStatement:
        if not isinstance(statement, Sweep):
            return statement
        kept = tuple(c for c in statement.collects if c.local is None or wanted(c.local.node))
        return replace(statement, collects=kept)

    return replace(tiles, body=tuple(part(statement) for statement in tiles.body))


@dataclass(frozen=True)
class RunPass:
    """Stage: blocks of rows in parallel over the grid (or, `owns_rows`, in order within one worker)."""

    row: Axis | None
    loop: Axis
    grid: tuple[Axis, ...]
    owns_rows: bool
    split: Axis | None
    prepares: tuple[Prepare, ...]
    accumulators: tuple[Local, ...]
    anchors: tuple[Node, ...]
    sequential: tuple[Sequential, ...]
    inner_prepares: tuple[Prepare, ...]
    tiles: Tiles
    epilogue: tuple[Store, ...]
    tile_locals: tuple[Local, ...]
    zeroed: tuple[tuple[Tensor, tuple[Axis, ...]], ...]
    solve: Solve | None = None


@dataclass(frozen=True)
class RunNest:
    """Stage: stores computed point by point, in parallel over the leading axes."""

    stores: tuple[Store, ...]


@dataclass(frozen=True)
class RunSteps:
    """Stages run again for each step of an axis: see `Repeat` of the plan. `zeroed` are filled with 0 before."""

    axis: Axis
    step: Node
    is_reverse: bool
    states: tuple[tuple[Tensor, tuple[Axis, ...], Tensor], ...]
    stages: tuple[StageStatement, ...]
    zeroed: tuple[Tensor, ...]
    until: Tensor | None = None


StageStatement = Pack | RunPass | RunNest | RunSteps


@dataclass(frozen=True)
class Program:
    """All stages, and the tensors and workspaces that they use."""

    stages: tuple[StageStatement, ...]
    tensors: tuple[Tensor, ...]
    temporaries: tuple[tuple[Tensor, tuple[Axis, ...]], ...]
    outputs: tuple[tuple[Tensor, tuple[Axis, ...]], ...]
    packed: tuple[tuple[Packed, Axis], ...] = field(default=())

    @property
    def passes(self) -> list[RunPass]:
        """Those of repeated stages too."""
        return [stage for stage in flat(self.stages) if isinstance(stage, RunPass)]

    @property
    def repeats(self) -> list[RunSteps]:
        return list(_steps(self.stages))


def with_packs(stages: Sequence[StageStatement]) -> Iterator[tuple[RunPass | RunNest | RunSteps, list[Pack]]]:
    """The stages that are run, each with what is packed for it before."""
    packs: list[Pack] = []
    for stage in stages:
        if isinstance(stage, Pack):
            packs.append(stage)
        else:
            yield stage, packs
            packs = []


def _steps(stages: Sequence[StageStatement]) -> Iterator[RunSteps]:
    """Those within others too."""
    for stage in stages:
        if isinstance(stage, RunSteps):
            yield stage
            yield from _steps(stage.stages)


def flat(stages: Sequence[StageStatement]) -> Iterator[Pack | RunPass | RunNest]:
    """The stages, with those that are repeated in their place."""
    for stage in stages:
        if isinstance(stage, RunSteps):
            yield from flat(stage.stages)
        else:
            yield stage
