"""Sweeps: one walk over a tile that fills, collects and stores; masks only where the tile's columns need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from attnc.analysis.tiles import corners
from attnc.ir import Axis, Node
from attnc.ir.node import FLOAT, INT, walk
from attnc.ir.scans import LATEST, TILL_NEXT
from attnc.planning.plan import Store

from ..statements import Carry, Collect, Fill, Sweep
from .deposits import DepositWriter, combine
from .exponents import rounded
from .loops import counted_loop, store_value
from .names import literal

if TYPE_CHECKING:
    from .tiles import TileWriter


class SweepWriter:
    """Writes the sweeps of one pass."""

    def __init__(self, tiles: TileWriter) -> None:
        self.tiles = tiles
        self.owner = tiles.owner
        self.em = tiles.em
        self.loop: Axis = tiles.loop
        self.stride = tiles.stride
        self.deposits = DepositWriter(tiles.owner)
        self.is_unmasked = False

    # --- columns -----------------------------------------------------------------------------------------------

    def _columns(self, begin: str, end: str, valid: str | None) -> AbstractContextManager[None]:
        """`for` over columns by vectors, of which `valid` lanes lie within the tile."""
        header = f"for (int64_t c = {begin}; c < {end}; c += lanes<T>)"
        return self.em.scope(header, {self.loop: "(first + c)"}, lane_axis=self.loop, valid=valid)

    @contextmanager
    def _lanes(self) -> Iterator[None]:
        """All columns of the tile, in order."""
        if self.tiles.is_full:
            with self.unmasked(), self._columns("0", str(self.tiles.columns), None):
                yield
        else:
            with self._columns("begin", "end", "valid_lanes<T>(end - c)"):
                yield

    def _by_parts(self, body: Callable[[], None]) -> None:
        """All columns of the tile: first those that need masks, on both sides, then those between them."""
        if self.tiles.is_full:
            with self._lanes():
                body()
            return
        self._sides("", body)

    def _sides(self, within: str, body: Callable[[], None]) -> None:
        """Both sides of the columns that need no masks, then these."""
        begin, end, first, last = (within + name for name in ("begin", "end", "inner_begin", "inner_end"))
        sides = self.em.scope("for (int side = 0; side < 2; ++side)", {})
        columns = f"(side ? {last} : {begin})", f"(side ? {end} : {first})", "valid_lanes<T>(end - c)"
        with sides, self._columns(*columns):
            body()
        with self.unmasked(), self._columns(first, last, None):
            body()

    def _by_row(self, sweep: Sweep, body: Callable[[], None]) -> None:
        """The same with the columns of this very row; what is filled is 0 where none of its pairs exist."""
        em = self.em
        part = self.part_of_rows("(first_row + r)", "(first_row + r)")
        for fill in sweep.fills:
            store = f"store(&s.{fill.tile.name}[r * {self.stride} + c], splat<T>(T(0)));"
            em.line(f"for (int64_t c = begin; c < {part}.begin; c += lanes<T>) {store}")
            em.line(f"for (int64_t c = whole_vectors<T>({part}.end); c < end; c += lanes<T>) {store}")
        self._sides(part + ".", body)

    def part_of_rows(self, first: str, last: str) -> str:
        """The name of what says which of the tile's columns hold pairs of these rows."""
        em, classes, at = self.em, self.tiles.tiles.classes, corners(self.em.graph)
        before = {node: em.known[node] for node in (at.first_row, at.last_row)}
        for node, text in ((at.first_row, first), (at.last_row, last)):
            em.forget(node)
            self.owner._know_scalar(node, text)
        bounds = (classes.low, classes.high, classes.inner_low, classes.inner_high)
        texts = ", ".join(f"{em.scalar(bound)} - first" for bound in bounds)
        part = em.fresh("part_of_rows")
        em.line(f"const RowPart {part} = row_part<T>(begin, end, {texts});")
        for node, known in before.items():
            em.forget(node)
            em.known[node] = known
        return part

    def keeps_to_rows(self, sweep: Sweep) -> bool:
        """Whether a sweep of a tile at the border reads, in each row, no columns but those that hold its pairs."""
        is_joint = all(not collect.widths or collect.positions for collect in sweep.collects)
        return is_joint and self._tells_rows(sweep) and all(collect.op != "argmax" for collect in sweep.collects)

    def _tells_rows(self, sweep: Sweep) -> bool:
        """Whether bounds of the loop, known for a block of rows, are closer for one row; values of all pairs that are
        stored must be found for all."""
        at, classes = corners(self.em.graph), self.tiles.tiles.classes
        rows, columns = {at.first_row, at.last_row}, {at.first, at.last}
        seen = {node for bound in (classes.low, classes.high) for node in walk(bound)}
        inside = any(home == "tile" for home in (collect.home for collect in sweep.collects))
        return bool(seen & rows) and not seen & columns and not sweep.stores and not inside

    @contextmanager
    def unmasked(self, is_unmasked: bool = True) -> Iterator[None]:
        before, self.is_unmasked = self.is_unmasked, is_unmasked
        yield
        self.is_unmasked = before

    # --- a sweep -----------------------------------------------------------------------------------------------

    def write(self, sweep: Sweep) -> None:
        em = self.em
        joint = [c for c in sweep.collects if not c.widths or c.positions]
        looped = [c for c in sweep.collects if c.widths and not c.positions]
        along = [c for c in looped if c.home == "loop" and c.op == "sum"]
        whole = {c: self._start(c, "") for c in joint if c.home == "free" and not c.positions}
        columns = {c: self.deposits.column_local(c) for c in joint if c.home == "loop" and not c.positions}
        with self.owner.row_loop():
            parts = {c: self._start(c, "") for c in joint if c in whole or (c.home == "row" and c.op != "argmax")}
            self._joint(sweep, joint, parts, columns)
            for collect, part in parts.items():
                if collect in whole:  # row by row, so that no sum is longer than a row and a column
                    em.line(f"{whole[collect]} = {combine(collect.op, whole[collect], part)};")
                else:
                    self._finish_row(collect, part, "r")
            for collect in looped:
                if collect not in along:
                    self._looped(collect, list(collect.widths))
        for collect in along:
            self._looped_columns(collect, list(collect.widths))
        for fill in sweep.fills:
            if fill.is_shared:
                self.tiles.know_tile(fill.tile)
        for collect, part in whole.items():
            self.deposits.scalar_to_memory(collect, self._folded(collect, part))
        for collect, name in columns.items():
            self.deposits.columns_to_memory(collect, name)

    def _joint(
        self, sweep: Sweep, joint: list[Collect], parts: dict[Collect, str], columns: dict[Collect, str]
    ) -> None:
        """What is done in one walk along a row."""

        def body() -> None:
            for fill in sweep.fills:
                self._fill(fill)
            for collect in joint:
                self._collect(collect, parts, columns)
            for store in sweep.stores:
                self._store(store)

        if any(collect.op == "argmax" for collect in joint):
            with self._lanes():  # in order, for the lowest index
                body()
        elif not self.tiles.is_full and self._tells_rows(sweep):
            self._by_row(sweep, body)
        elif joint or sweep.fills or sweep.stores:
            self._by_parts(body)

    def carry(self, scan: Carry) -> None:
        """Vector after vector, in the order of the tiles."""
        em, node, tiles = self.em, scan.tile.node, self.tiles
        _, is_reverse, is_exclusive = node.attribute
        begin, end = ("0", str(tiles.columns)) if tiles.is_full else ("begin", "end")
        order = f"int64_t c = {begin}; c < {end}; c += lanes<T>"
        if is_reverse:
            order = f"int64_t c = ({end} - 1) / lanes<T> * lanes<T>; c >= {begin}; c -= lanes<T>"
        flags = ", ".join(str(flag).lower() for flag in (is_reverse, is_exclusive))
        valid = None if tiles.is_full else "valid_lanes<T>(end - c)"
        with self.owner.row_loop():
            state = em.fresh("state")
            em.line(f"auto {state} = s.{scan.state}[r];")
            with em.scope(f"for ({order})", {self.loop: "(first + c)"}, lane_axis=self.loop, valid=valid):
                with self.unmasked(tiles.is_full):
                    text = f"{self._carried(node, flags)}, {state})"
                em.line(f"store(&s.{scan.tile.name}[r * {self.stride} + c], {text});")
            em.line(f"s.{scan.state}[r] = {state};")

    def _carried(self, node: Node, flags: str) -> str:
        """The call for a vector, but for its state."""
        own = "sum" if node.op in ("rest", LATEST, TILL_NEXT) else node.op
        text = self._masked(node.body, node.domain, own)
        if node.op == "rest":
            return f"take_off<T, {flags}>({text}"
        if own == node.op:
            return f"carry_on<T, {node.op.capitalize()}, {flags}>({text}"
        records = self.em.with_lanes(self.em.value(node.args[2])).text
        mask = self.mask(None)
        records = records if mask is None else f"({mask} & {records})"
        return f"{'hold_latest' if node.op == LATEST else 'hold_till_next'}<T, {flags}>({text}, {records}"

    def _start(self, collect: Collect, suffix: str) -> str:
        em = self.em
        name = em.fresh("part")
        if collect.op == "total":
            em.line(f"double {name} = 0;")
            return name
        value = em.graph.neutral(collect.op, collect.value.type)
        text = literal(value.attribute, collect.value.type)
        is_float = collect.value.type == FLOAT
        em.line(f"auto {name} = {f'splat<T>({text})' if is_float else f'splat_longs<T>({text})'};")
        return name

    def _masked(self, value: Node, domain: Node | None, op: str) -> str:
        """A value with lanes, neutral where the domain or the tile's edge excludes it."""
        em = self.em
        wide = value.type == INT
        text = em.with_lanes(em.value(value), wide).text
        if op in ("max", "min") and not wide:
            text = rounded(em, value)
        mask = self.mask(domain)
        if mask is None:
            return text
        neutral = em.graph.neutral(op, value.type)
        zero = literal(neutral.attribute, value.type)
        return f"select({mask}, {text}, {f'splat_longs<T>({zero})' if wide else f'splat<T>({zero})'})"

    def mask(self, domain: Node | None) -> str | None:
        em = self.em
        if self.is_unmasked:
            return None
        masks = [f"first_lanes<T>({em.valid})"]
        if domain is not None and not domain.is_const(True):
            masks.append(em.with_lanes(em.value(domain)).text)
        return f"({' & '.join(masks)})"

    def _fill(self, fill: Fill) -> None:
        text = self._masked(fill.tile.node, fill.domain, "sum")
        self.em.line(f"store(&s.{fill.tile.name}[r * {self.stride} + c], {text});")

    def _store(self, store: Store) -> None:
        """A value of every pair; its features, if it has any, one after another."""
        self._store_along(store, [axis for axis in store.axes if not self.em.has_coordinate(axis)])

    def _store_along(self, store: Store, widths: list[Axis]) -> None:
        if not widths:
            store_value(self.em, store)
            return
        with counted_loop(self.em, widths[0]):
            self._store_along(store, widths[1:])

    def _collect(self, collect: Collect, parts: dict[Collect, str], columns: dict[Collect, str]) -> None:
        em = self.em
        if collect.positions:
            self._scatter(collect, list(collect.widths))
        elif collect.op == "argmax":
            self._argmax(collect, "r")
        elif collect.home == "tile":
            masked = em.fresh("masked")
            em.line(f"const auto {masked} = {self._masked(collect.value, collect.domain, 'sum')};")
            self.deposits.lanes_to_memory(collect, masked)
        elif collect in columns:
            name = columns[collect]
            text = self._masked(collect.value, collect.domain, collect.op)
            em.line(f"store(&s.{name}[c], {combine(collect.op, f'load(&s.{name}[c])', text)});")
        elif collect.op == "total":
            em.line(f"{parts[collect]} += double(hsum({self._masked(collect.value, collect.domain, 'sum')}));")
        else:
            part = parts[collect]
            text = self._masked(collect.value, collect.domain, collect.op)
            em.line(f"{part} = {combine(collect.op, part, text)};")

    def _folded(self, collect: Collect, part: str) -> str:
        if collect.op == "total":
            return part
        fold = {"sum": "hsum", "prod": "hprod", "max": "hmax", "min": "hmin"}[collect.op]
        return f"{fold}_longs({part})" if collect.value.type == INT else f"{fold}({part})"

    def _finish_row(self, collect: Collect, part: str, place: str) -> None:
        assert collect.local is not None
        target = f"s.{collect.local.name}[{place}]"
        self.em.line(f"{target} = {combine(collect.op, target, self._folded(collect, part))};")

    def _looped(self, collect: Collect, widths: list[Axis]) -> None:
        """One index of the widths after another: the fallback that always works."""
        em = self.em
        if widths:
            with counted_loop(em, widths[0]):
                self._looped(collect, widths[1:])
            return
        place = ""
        if collect.home == "row":
            assert collect.local is not None
            place = f"r * {self.owner.stride(collect.local)}" + self.owner._width_offset(em, collect.widths)
        if collect.op == "argmax":
            with self._lanes():
                self._argmax(collect, place)
            return
        part = self._start(collect, "") if collect.home in ("row", "free") else ""
        with self._lanes():
            if collect.home in ("row", "free"):
                text = self._masked(collect.value, collect.domain, collect.op)
                em.line(f"{part} = {combine(collect.op, part, text)};")
            else:
                masked = em.fresh("masked")
                em.line(f"const auto {masked} = {self._masked(collect.value, collect.domain, 'sum')};")
                self.deposits.lanes_to_memory(collect, masked)
        if collect.home == "row":
            self._finish_row(collect, part, place)
        elif collect.home == "free":
            self.deposits.scalar_to_memory(collect, self._folded(collect, part))

    def _looped_columns(self, collect: Collect, widths: list[Axis]) -> None:
        """One index of the widths after another, for vectors of columns: summed over rows before memory is touched."""
        em = self.em
        if widths:
            with counted_loop(em, widths[0]):
                self._looped_columns(collect, widths[1:])
            return

        with self._lanes():
            part = self._start(collect, "")
            with self.owner.row_loop():
                em.line(f"{part} = {part} + {self._masked(collect.value, collect.domain, 'sum')};")
            self.deposits.lanes_to_memory(collect, part)

    def _scatter(self, collect: Collect, widths: list[Axis]) -> None:
        em = self.em
        if widths:
            with counted_loop(em, widths[0]):
                self._scatter(collect, widths[1:])
            return
        text = em.fresh("lane")
        em.line(f"const auto {text} = {self._masked(collect.value, collect.domain, 'sum')};")
        self.deposits.scatter(collect, text)

    def _argmax(self, collect: Collect, place: str) -> None:
        """The lowest index of the largest value so far, lane by lane in order."""
        em = self.em
        assert collect.local is not None and collect.home == "row"
        name = collect.local.name
        value = em.with_lanes(em.value(collect.value)).text
        mask = self.mask(collect.domain)
        test = f"{mask}[l] && " if mask is not None else ""
        best, found = f"s.{name}_best[{place}]", f"s.{name}[{place}]"
        better = f"{value}[l] > {best}"
        if self.tiles.tiles.is_reverse:
            better += f" || ({value}[l] == {best} && first + c + l < {found})"
        em.line(
            f"for (int64_t l = 0; l < lanes<T>; ++l) if ({test}({found} < 0 || {better})) "
            f"{{ {best} = {value}[l]; {found} = first + c + l; }}"
        )
