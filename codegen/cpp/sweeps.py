"""The body of a pass: tiles in order, full ones without masks; contractions, sweeps and accumulations of each."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from attnc.analysis.tiles import corners
from attnc.analysis.weights import shift
from attnc.ir import Axis, Node
from attnc.ir.node import BOOL, FLOAT, INT
from attnc.planning.plan import Store

from ..statements import (
    NATURAL,
    Accumulate,
    AccumulateColumns,
    Collect,
    Contract,
    Fill,
    Follow,
    Local,
    Packed,
    Sweep,
    TileStatement,
)
from .blocks import width_of
from .deposits import DepositWriter, combine
from .emitter import Emitter, Known, Value
from .loops import counted_loop, store_value
from .names import literal
from .reads import locate, stride_of

if TYPE_CHECKING:
    from .passes import PassWriter


class TileWriter:
    """Writes the loop over tiles."""

    def __init__(self, owner: PassWriter) -> None:
        self.owner = owner
        self.em = owner.em
        self.tiles = owner.run.tiles
        self.loop: Axis = owner.run.tiles.loop
        self.columns = owner.blocks.columns
        self.stride = owner.blocks.stride
        self.is_full = False
        self.deposits = DepositWriter(owner)

    def write(self) -> None:
        em, classes = self.em, self.tiles.classes
        size = em.size(self.loop.size)
        low, high = em.scalar(classes.low), em.scalar(classes.high)
        em.line(f"const int64_t low = larger({low}, 0), stop = smaller({high}, {size});")
        with em.scope(f"for (int64_t tile = low / {self.columns}; tile * {self.columns} < stop; ++tile)", {}):
            em.line(f"const int64_t first = tile * {self.columns};")
            em.line(f"const int64_t columns = smaller({self.columns}, {size} - first);")
            em.line("const int64_t begin = larger(low - first, 0) / lanes<T> * lanes<T>;")
            em.line("const int64_t end = smaller(stop - first, columns);")
            at = corners(em.graph)
            self.owner._know_scalar(at.first, "(first + begin)")
            self.owner._know_scalar(at.last, "(first + end - 1)")
            if not classes.may.is_const(True):
                em.line(f"if (!{em.scalar(classes.may)}) continue;")
            self._know_tiles()
            self._variants()

    def _variants(self) -> None:
        em, must = self.em, self.tiles.classes.must
        if must.is_const(False):
            em.line("++partial_tiles;")
            self._body(is_full=False)
            return
        test = f"begin == 0 && end == {self.columns}"
        if not must.is_const(True):
            test += f" && {em.scalar(must)}"
        with em.scope(f"if ({test})", {}):
            em.line("++full_tiles;")
            self._body(is_full=True)
        with em.scope("else", {}):
            em.line("++partial_tiles;")
            self._body(is_full=False)

    # --- what stands in memory ---------------------------------------------------------------------------------

    def _know_tiles(self) -> None:
        for local in self.owner.run.tile_locals:
            field = f"T {local.name}[{self.owner.blocks.rows * self.stride}];"
            if field not in self.owner.fields:
                self.owner.fields.append(field)
            if local.name.startswith("scores"):
                self._know_tile(local)
        for packed in self.owner.packed:
            if packed.layout != NATURAL:
                self._know_packed(packed)

    def _know_tile(self, local: Local) -> None:
        row, loop, stride = self.owner.row, self.loop, self.stride

        def access(em: Emitter) -> Value:
            level = em.level_of(frozenset((row, loop)))
            return em.define(FLOAT, f"load(&s.{local.name}[r * {stride} + c])", level, lanes=True)

        self.em.known[local.node] = Known(access)

    def _know_packed(self, packed: Packed) -> None:
        """Panels are read by index of the width and lanes of the looped axis, vectors by lanes alone."""
        em, loop, stride = self.em, self.loop, self.stride
        pointer = em.fresh("p")
        em.line(f"const auto {pointer} = {self.owner.pointer_to(packed)};")
        node = packed.read_as

        def access(inner: Emitter) -> Value:
            axes = frozenset((loop,)) | (frozenset((packed.width,)) if packed.width is not None else frozenset())
            level = inner.level_of(axes)
            place = "c" if packed.width is None else f"({inner.coordinate(packed.width)}) * {stride} + c"
            if node.type == FLOAT:
                return inner.define(FLOAT, f"load({pointer} + {place})", level, lanes=True)
            text = f"load_longs<T, int64_t>({pointer} + {place})"
            if node.type == BOOL:
                return inner.define(BOOL, f"to_ints<T>({text} != int64_t(0))", level, lanes=True)
            return inner.define(INT, text, level, lanes=True, wide=True)

        em.known[node] = Known(access)

    # --- the statements of a tile ------------------------------------------------------------------------------

    def _body(self, is_full: bool) -> None:
        self.is_full = is_full
        for local in self.owner.run.tile_locals:
            if local.name.startswith("values"):
                self.em.known.pop(local.node, None)  # each variant of the body computes it first
        for statement in self.tiles.body:
            self._statement(statement)
        if self.owner.run.anchors:
            moved = [f"s.anchor{n}[r] = s.moved{n}[r];" for n in range(len(self.owner.run.anchors))]
            self.em.line(f"for (int64_t r = 0; r < rows; ++r) {{ {' '.join(moved)} }}")

    def _statement(self, statement: TileStatement) -> None:
        if isinstance(statement, Contract):
            self._contract(statement)
        elif isinstance(statement, Follow):
            self._follow(statement)
        elif isinstance(statement, Sweep):
            self._sweep(statement)
        elif isinstance(statement, Accumulate):
            self._accumulate(statement)
        else:
            self._accumulate_columns(statement)

    def _width(self, local: Local) -> int:
        return width_of(self.owner.names, local.widths[-1])

    def _contract(self, statement: Contract) -> None:
        stride, width = self.owner.stride(statement.left), self._width(statement.left)
        self.em.line(
            f"gemm_columns<T>(rows, {self._range()}, {width}, s.{statement.left.name}, {stride}, "
            f"{self.owner.pointer_to(statement.right)}, {self.stride}, s.{statement.tile.name}, {self.stride});"
        )

    def _range(self) -> str:
        """The columns of the tile that may hold pairs."""
        return f"0, {self.columns}" if self.is_full else "begin, end"

    def _accumulate(self, statement: Accumulate) -> None:
        stride = self.owner.stride(statement.local)
        pointer, step = self.owner.natural(statement.right)
        count, skip, right = (str(self.columns), "", pointer)
        if not self.is_full:
            count, skip, right = "end - begin", " + begin", f"{pointer} + begin * {step}"
        self.em.line(
            f"gemm<T, {stride}>(rows, {stride}, {count}, s.{statement.tile.name}{skip}, {self.stride}, 1, "
            f"{right}, {step}, s.{statement.local.name}, {stride}, true);"
        )

    def _accumulate_columns(self, statement: AccumulateColumns) -> None:
        """Straight into memory where the width is whole vectors, else by way of a local."""
        em, stride = self.em, self.owner.stride(statement.right)
        width = self._width(statement.right)
        tensor = statement.storage
        begin, end = ("0", str(self.columns)) if self.is_full else ("begin", "end")
        with em.scope("", {self.loop: f"(first + {begin})", statement.right.widths[-1]: "0"}):
            positions = tuple(em.graph.index(axis) for axis in statement.storage_axes)
            place = locate(em, tensor, positions)
            step = stride_of(em, tensor, statement.storage_axes.index(self.loop))
            target = f"{em.names.tensor(tensor)} + {place.offset}"
            product = (
                f"gemm<T, {stride}>({end} - {begin}, {stride}, rows, s.{statement.tile.name} + {begin}, "
                f"1, {self.stride}, s.{statement.right.name}, {stride}, "
            )
            if width == stride:
                em.line(f"{product}{target}, {step}, true);")
                return
            field = f"T turned[{self.columns * stride}];"
            if field not in self.owner.fields:
                self.owner.fields.append(field)
            em.line(f"{product}s.turned, {stride}, false);")
            em.line(
                f"for (int64_t n = 0; n < {end} - {begin}; ++n) for (int64_t w = 0; w < {width}; ++w) "
                f"({target})[n * {step} + w] += s.turned[n * {stride} + w];"
            )

    def _follow(self, statement: Follow) -> None:
        """Accumulators move to where their anchors are; nothing is done where no anchor moved."""
        em = self.em
        changed = em.fresh("changed")
        factors = em.fresh("factor")
        adds = statement.rescales[0].adds
        em.line(f"bool {changed} = false; T {factors}[{self.owner.blocks.rows}];")
        with self.owner.row_loop():
            parts = []
            for rescale in statement.rescales:
                number = self.owner.run.anchors.index(rescale.anchor)
                new = em.value(rescale.anchor).text
                em.line(f"s.moved{number}[r] = {new};")
                old = f"s.anchor{number}[r]"
                moved = f"log({new} / {old})" if rescale.in_logs else f"{new} - {old}"
                shifted = em.define(FLOAT, moved, em.depth)
                em.known[shift(em.graph)] = Known(lambda inner, text=shifted: text)  # type: ignore[misc]
                em.scopes[-1].values.pop(rescale.by, None)
                parts.append(f"finite_or({em.value(rescale.by).text}, T(0))")
                del em.known[shift(em.graph)]
            joined = (" + " if adds else " * ").join(parts)
            em.line(f"{factors}[r] = {joined};")
            em.line(f"{changed} |= {factors}[r] != T({0 if adds else 1});")
        operator = "+" if adds else "*"
        with em.scope(f"if ({changed})", {}):
            for local in statement.scaled:
                stride = self.owner.stride(local)
                em.line(
                    f"for (int64_t r = 0; r < rows; ++r) for (int64_t n = 0; n < {stride}; ++n) "
                    f"s.{local.name}[r * {stride} + n] {operator}= {factors}[r];"
                )

    # --- sweeps ------------------------------------------------------------------------------------------------

    def _lanes(self) -> AbstractContextManager[None]:
        """`for` over the tile's columns by vectors."""
        begin, end = ("0", str(self.columns)) if self.is_full else ("begin", "end")
        valid = None if self.is_full else "valid_lanes<T>(end - c)"
        header = f"for (int64_t c = {begin}; c < {end}; c += lanes<T>)"
        return self.em.scope(header, {self.loop: "(first + c)"}, lane_axis=self.loop, valid=valid)

    def _sweep(self, sweep: Sweep) -> None:
        em = self.em
        joint = [c for c in sweep.collects if not c.widths or c.positions]
        looped = [c for c in sweep.collects if c.widths and not c.positions]
        whole = {c: self._start(c, "") for c in joint if c.home == "free" and not c.positions}
        columns = {c: self.deposits.column_local(c) for c in joint if c.home == "loop" and not c.positions}
        with self.owner.row_loop():
            parts = {c: self._start(c, "") for c in joint if c in whole or (c.home == "row" and c.op != "argmax")}
            if joint or sweep.fills or sweep.stores:
                with self._lanes():
                    for fill in sweep.fills:
                        self._fill(fill)
                    for collect in joint:
                        self._collect(collect, parts, columns)
                    for store in sweep.stores:
                        self._store(store)
            for collect, part in parts.items():
                if collect in whole:  # row by row, so that no sum is longer than a row and a column
                    em.line(f"{whole[collect]} = {combine(collect.op, whole[collect], part)};")
                else:
                    self._finish_row(collect, part, "r")
            for collect in looped:
                self._looped(collect, list(collect.widths))
        for fill in sweep.fills:
            if fill.is_shared:
                self._know_tile(fill.tile)
        for collect, part in whole.items():
            self.deposits.scalar_to_memory(collect, self._folded(collect, part))
        for collect, name in columns.items():
            self.deposits.columns_to_memory(collect, name)

    def _start(self, collect: Collect, suffix: str) -> str:
        em = self.em
        name = em.fresh("part")
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
        mask = self._mask(domain)
        if mask is None:
            return text
        neutral = em.graph.neutral(op, value.type)
        zero = literal(neutral.attribute, value.type)
        return f"select({mask}, {text}, {f'splat_longs<T>({zero})' if wide else f'splat<T>({zero})'})"

    def _mask(self, domain: Node | None) -> str | None:
        em = self.em
        if self.is_full:
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
        else:
            part = parts[collect]
            text = self._masked(collect.value, collect.domain, collect.op)
            em.line(f"{part} = {combine(collect.op, part, text)};")

    def _folded(self, collect: Collect, part: str) -> str:
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
        mask = self._mask(collect.domain)
        test = f"{mask}[l] && " if mask is not None else ""
        best, found = f"s.{name}_best[{place}]", f"s.{name}[{place}]"
        em.line(
            f"for (int64_t l = 0; l < lanes<T>; ++l) if ({test}({found} < 0 || {value}[l] > {best})) "
            f"{{ {best} = {value}[l]; {found} = first + c + l; }}"
        )
