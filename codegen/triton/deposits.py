"""What a sweep adds to memory: pair by pair, one share for a program, or where positions say; nothing is atomic.

A program owns all that it adds to; what it read back it wrote itself, behind a barrier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attnc.ir import Axis, Graph, Node, Tensor
from attnc.ir.node import FLOAT, INT

from ..statements import AccumulateColumns, Collect
from .emitter import Emitter, Value
from .names import ELEMENTS
from .reads import Place, load, locate, store
from .reductions import fold, masked

if TYPE_CHECKING:
    from .sweeps import SweepWriter


class DepositWriter:
    """Writes additions to an accumulator's storage."""

    def __init__(self, sweeps: SweepWriter) -> None:
        self.sweeps = sweeps
        self.em: Emitter = sweeps.em
        self.shares: list[tuple[Collect, str]] = []

    def _target(self, collect: Collect, positions: dict[Axis, Node] | None = None) -> Place:
        assert collect.storage is not None
        graph, moved = self.em.graph, positions or {}
        at = tuple(moved.get(axis, graph.index(axis)) for axis in collect.storage_axes)
        return locate(self.em, collect.storage, at)

    def _add(self, collect: Collect, place: Place, text: str) -> None:
        assert collect.storage is not None
        self._add_to(place, collect.storage, collect.value.type, text)

    def _add_to(self, place: Place, storage: Tensor, type: str, text: str) -> None:
        store(self.em, place, f"{load(place, type)} + tl.cast({text}, {ELEMENTS[self.em.names.dtype(storage)]})")
        self.em.line("tl.debug_barrier()")

    def _through(self, widths: list[Axis], body: Callable[[], None]) -> None:
        """One feature after another."""
        if not widths:
            body()
            return
        index = self.em.fresh("w")
        header = f"for {index}_ in range(0, {self.em.size(widths[0].size)}):"
        with self.em.loop(header, {widths[0]: index}):
            self.em.line(f"{index} = tl.cast({index}_, tl.int32)")
            self._through(widths[1:], body)

    def pairs(self, collect: Collect, widths: list[Axis]) -> None:
        """storage[pair] += value; the program owns the pair."""

        def add() -> None:
            em = self.em
            domain = None if self.sweeps.tiles.is_full else collect.domain
            text = masked(em, "sum", collect.value, domain, self.sweeps.dims, ())
            self._add(collect, self._target(collect), text)

        self._through(widths, add)

    def columns(self, statement: AccumulateColumns, text: str) -> None:
        """storage[column, feature] += value."""
        graph = self.em.graph
        place = locate(self.em, statement.storage, tuple(graph.index(axis) for axis in statement.storage_axes))
        self._add_to(place, statement.storage, FLOAT, text)

    # --- shares ------------------------------------------------------------------------------------------------

    def share(self, collect: Collect, widths: list[Axis]) -> None:
        """One number for the program, kept to its end; with further axes, added to memory tile by tile."""
        own = {*self.sweeps.tiles.run.grid, self.sweeps.tiles.run.split}
        if not widths and set(collect.storage_axes) <= own:
            name = self._kept(collect)
            self.em.line(f"{name} += {self._total(collect)}")
            return
        self._through(widths, lambda: self._add(collect, self._target(collect), self._total(collect)))

    def _kept(self, collect: Collect) -> str:
        for known, name in self.shares:
            if known is collect or known == collect:
                return name
        name = f"share{len(self.shares)}"
        kind = self.em.names.float if collect.value.type == FLOAT else "tl.int64"
        self.em.scopes[0].lines.append(f"{name} = tl.full([], 0, {kind})")
        self.shares.append((collect, name))
        return name

    def _total(self, collect: Collect) -> str:
        """The sum over a tile, rows first; what is stored for each row or column is not summed along these."""
        dims = self.sweeps.dims
        domain = None if self.sweeps.tiles.is_full else collect.domain
        text = masked(self.em, "sum", collect.value, domain, dims, dims)
        for place in reversed(range(len(dims))):
            if dims[place] not in collect.storage_axes:
                text = fold("sum", text, place)
        return text

    def finish(self) -> None:
        """What was kept goes to the program's own place."""
        em = self.em
        for collect, name in self.shares:
            assert collect.storage is not None
            place, text = self._target(collect), f"tl.cast({name}, {ELEMENTS[em.names.dtype(collect.storage)]})"
            if self.sweeps.owner.takes_turns:  # it has been here for other rows
                text = f"{load(place, collect.value.type)} + {text}"
            store(em, place, text)

    # --- scattering --------------------------------------------------------------------------------------------

    def scatter(self, collect: Collect) -> None:
        """For every position that the tile's pairs go to: the sum of those that do, in order."""
        em, dims = self.em, self.sweeps.dims
        domain = None if self.sweeps.tiles.is_full else collect.domain
        masks = em.valid(dims, dims)
        if domain is not None and not domain.is_const(True):
            masks.append(em.spread(em.value(domain), dims))
        mask = " & ".join(masks) if masks else None
        first = [axis for axis in collect.widths if any(axis in position.axes for _, position in collect.positions)]
        self._through(first, lambda: self._at_positions(collect, list(collect.positions), mask, {}))

    def _at_positions(
        self, collect: Collect, positions: list[tuple[Axis, Node]], mask: str | None, tests: dict[Axis, str]
    ) -> None:
        em, dims = self.em, self.sweeps.dims
        if not positions:
            self._one_position(collect, mask, tests)
            return
        axis, node = positions[0]
        value, size = em.value(node), em.size(axis.size)
        full = em.full(value, dims)
        inside = f"tl.minimum(tl.maximum({full}, -1), {size})"
        at = em.define(Value(f"tl.cast({inside}, tl.int32)", INT, dims, em.depth), "position").text
        low, high = at, at
        if mask is not None:
            low, high = f"tl.where({mask}, {at}, {size})", f"tl.where({mask}, {at}, -1)"
        for place in reversed(range(len(dims))):
            low, high = fold("min", low, place), fold("max", high, place)
        index = em.fresh("target")
        em.line(f"{index}_low = tl.maximum({low}, 0)")
        em.line(f"{index}_high = tl.minimum({high} + 1, {size})")
        with em.loop(f"for {index}_ in range({index}_low, {index}_high):", {axis: index}):
            em.line(f"{index} = tl.cast({index}_, tl.int32)")
            self._at_positions(collect, positions[1:], mask, {**tests, axis: f"({at} == {index})"})

    def _one_position(self, collect: Collect, mask: str | None, tests: dict[Axis, str]) -> None:
        em, dims = self.em, self.sweeps.dims
        test = " & ".join([*([mask] if mask is not None else []), *tests.values()])
        here = em.define(Value(test, "bool", dims, em.depth), "here").text
        kept = tuple(axis for axis in dims if axis in collect.storage_axes)
        widths = [axis for axis in collect.widths if not em.has_coordinate(axis)]
        split = _featured(em.graph, collect, dims) if len(widths) == 1 and not kept else None
        if split is not None:
            self._product(collect, here, *split)
            return

        def add() -> None:
            text = f"tl.where({here}, {em.full(em.value(collect.value), dims)}, 0)"
            for place in reversed(range(len(dims))):
                if dims[place] not in kept:
                    text = fold("sum", text, place)
            self._add(collect, self._target(collect), text)

        self._through(widths, add)

    def _product(self, collect: Collect, here: str, pairs: Node, features: Node, side: Axis) -> None:
        """Σ pairs · features, the features of one side only: pairs are summed along the other side first."""
        em, dims = self.em, self.sweeps.dims
        (width,) = (axis for axis in collect.widths if not em.has_coordinate(axis))
        other = next(place for place, axis in enumerate(dims) if axis is not side)
        text = fold("sum", f"tl.where({here}, {em.full(em.value(pairs), dims)}, 0)", other)
        sums = em.define(Value(text, FLOAT, (side,), em.depth), "sums")
        for part in em.names.parts(width):
            with em.part(width, part):
                value = em.value(features)
                both = em.union((side,), (width,))
                total = fold("sum", f"{em.spread(sums, both)} * {em.full(value, both)}", both.index(side))
                self._add(collect, self._target(collect), total)


def _featured(graph: Graph, collect: Collect, dims: tuple[Axis, ...]) -> tuple[Node, Node, Axis] | None:
    """A value as (factor of the pair, factor with features and one side of the tile, that side)."""
    value, width = collect.value, collect.widths[-1]
    if not value.is_product or len(dims) < 2:
        return None
    factors = list(zip(value.args, value.attribute))
    featured = graph.product([(b, e) for b, e in factors if width in b.axes])
    sides = [axis for axis in dims if axis in featured.axes]
    if len(sides) != 1:
        return None
    return graph.product([(b, e) for b, e in factors if width not in b.axes]), featured, sides[0]
