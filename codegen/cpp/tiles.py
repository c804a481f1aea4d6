"""The body of a pass: tiles in order, full ones without masks; contractions and accumulations of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.analysis.tile_reads import LONG_RUN, RUN
from attnc.analysis.tiles import Corners, corners, long_corners
from attnc.analysis.weights import shift
from attnc.ir import Axis, Node
from attnc.ir.node import BOOL, FLOAT, INT, walk
from attnc.ir.scans import LATEST, TILL_NEXT

from ..statements import (
    NATURAL,
    Accumulate,
    Carry,
    Contract,
    Follow,
    Gather,
    Local,
    Packed,
    Sweep,
    Tiles,
    TileStatement,
)
from . import own_walks
from .emitter import Emitter, Known, Value
from .factors import NARROW
from .names import literal
from .products import ProductWriter
from .reads import locate
from .sweeps import SweepWriter

if TYPE_CHECKING:
    from .passes import PassWriter

HELD = (LATEST, TILL_NEXT)


class TileWriter:
    """Writes the loop over tiles."""

    def __init__(self, owner: PassWriter, tiles: Tiles | None = None) -> None:
        """`tiles`: of a walk before that of the pass."""
        self.owner = owner
        self.em = owner.em
        self.tiles = owner.run.tiles if tiles is None else tiles
        self.counts = tiles is None
        self.loop: Axis = owner.run.tiles.loop
        self.columns = owner.blocks.columns
        self.stride = owner.blocks.stride
        self.is_full = False
        self.sweeps = SweepWriter(self)
        self.products = ProductWriter(self)

    def write(self) -> None:
        em, classes = self.em, self.tiles.classes
        size = em.size(self.loop.size)
        low, high = em.scalar(classes.low), em.scalar(classes.high)
        em.line(f"const int64_t low = larger({low}, 0), stop = smaller({high}, {size});")
        for scan in self.tiles.scans:
            if not scan.is_kept:
                self._start_scan(scan)
        for node in self._of_rows():
            em.value(node)
        order = f"int64_t tile = low / {self.columns}; tile * {self.columns} < stop; ++tile"
        if self.tiles.is_reverse:
            order = f"int64_t tile = block_count(stop, {self.columns}) - 1; tile >= low / {self.columns}; --tile"
        with em.scope(f"for ({order})", {}):
            self._skip_run()
            em.line(f"const int64_t first = tile * {self.columns};")
            em.line(f"const int64_t columns = smaller({self.columns}, {size} - first);")
            em.line("int64_t begin = larger(low - first, 0) / lanes<T> * lanes<T>;")
            em.line("int64_t end = smaller(stop - first, columns);")
            self._know_ends("begin", "end")
            if not classes.may.is_const(True):
                em.line(f"if (!{em.scalar(classes.may)}) continue;")
            self._narrow()
            self._know_tiles()
            self._variants()

    def _of_rows(self) -> list[Node]:
        """What tells tiles and is looked up once for a block of rows."""
        at, run = corners(self.em.graph), long_corners(self.em.graph)
        columns = {at.first, at.last, run.first, run.last}
        found = {node for root in self.tiles.classes.nodes for node in walk(root) if node.kind == "reduce"}
        here = (node for node in found if all(self.em.has_coordinate(axis) for axis in node.axes))
        return sorted(node for node in here if not columns & set(walk(node)))

    def _skip_run(self) -> None:
        """At the first of a run of tiles: none of it may hold pairs."""
        em, may = self.em, self.tiles.classes.may_long
        count = LONG_RUN // self.columns
        if may.is_const(True) or count < 2 or self.tiles.is_reverse:
            return
        with em.scope(f"if (tile % {count} == 0 || tile == low / {self.columns})", {}):
            em.line(f"const int64_t next = (tile / {count} + 1) * {count};")
            at = long_corners(em.graph)
            self.owner._know_scalar(at.first, f"(tile * {self.columns})")
            self.owner._know_scalar(at.last, f"(smaller(next * {self.columns}, stop) - 1)")
            em.line(f"if (!{em.scalar(may)}) {{ tile = next - 1; continue; }}")

    def _know_ends(self, begin: str, end: str) -> None:
        """Which of the tile's columns are looked at."""
        at = corners(self.em.graph)
        for node, text in ((at.first, f"(first + {begin})"), (at.last, f"(first + {end} - 1)")):
            self.em.forget(node)
            self.owner._know_scalar(node, text)

    def _narrow(self) -> None:
        """Runs of columns at either end of the tile that may hold no pair are left out, where bounds of the loop do not
        tell that already."""
        em, may = self.em, self.tiles.classes.may
        if self.columns <= RUN or not _tells_runs(may, corners(em.graph)):
            return
        em.line("int64_t from = end, upto = begin;")
        with em.scope(f"for (int64_t c = begin / {RUN} * {RUN}; c < end; c += {RUN})", {}):
            self._know_ends("larger(c, begin)", f"smaller(c + {RUN}, end)")
            em.line(f"if (!{em.scalar(may)}) continue;")
            em.line(f"from = smaller(from, larger(c, begin)); upto = smaller(c + {RUN}, end);")
        em.line("if (upto <= from) continue;")
        em.line("begin = from; end = upto;")
        self._know_ends("begin", "end")

    def _start_scan(self, scan: Carry) -> None:
        """What the state is before the first tile."""
        em, node = self.em, scan.tile.node
        field = f"{'double' if node.op == 'rest' else 'T'} {scan.state}[{self.owner.blocks.rows}];"
        if field not in self.owner.fields:
            self.owner.fields.append(field)
        with self.owner.row_loop():
            if node.op == "rest":
                total = node.args[2]
                assert total.kind == "read", "a total that was not taken before"
                place = locate(em, total.attribute, total.args)
                start = f"{em.names.tensor(total.attribute)}[{place.offset}]"
            else:
                op = "sum" if node.op in HELD else node.op
                start = literal(em.graph.neutral(op, FLOAT).attribute, FLOAT)
            em.line(f"s.{scan.state}[r] = {start};")

    def _variants(self) -> None:
        em, must = self.em, self.tiles.classes.must
        if must.is_const(False):
            self._partial()
            return
        test = f"begin == 0 && end == {self.columns}"
        if not must.is_const(True):
            test += f" && {em.scalar(must)}"
        with em.scope(f"if ({test})", {}):
            self._count("full_tiles")
            self._body(is_full=True)
        with em.scope("else", {}):
            self._partial()

    def _count(self, tiles: str) -> None:
        if self.counts:
            self.em.line(f"++{tiles};")

    def _partial(self) -> None:
        """From `inner_begin` to `inner_end` every pair is there: only the borders of a window need masks."""
        em, classes = self.em, self.tiles.classes
        low, high = em.scalar(classes.inner_low), em.scalar(classes.inner_high)
        self._count("partial_tiles")
        em.line(f"int64_t inner_begin = whole_vectors<T>(larger({low} - first, begin));")
        em.line(f"int64_t inner_end = smaller({high} - first, end) / lanes<T> * lanes<T>;")
        em.line("if (inner_end <= inner_begin) inner_begin = inner_end = begin;")
        self._body(is_full=False)

    # --- what stands in memory ---------------------------------------------------------------------------------

    def _know_tiles(self) -> None:
        for local in self.owner.run.tile_locals:
            kind = NARROW if local.name in self.owner.factors.tiles else "T"
            field = f"{kind} {local.name}[{self.owner.blocks.rows * self.stride}];"
            if field not in self.owner.fields:
                self.owner.fields.append(field)
            if local.name.startswith(("scores", "scan")):
                self._place(local)
                self.know_tile(local)
        for packed in self.owner.packed:
            if packed.name not in self.owner.direct:
                self.owner.open_block(packed)
            if packed.layout != NATURAL:
                self._know_packed(packed)

    def _place(self, local: Local) -> None:
        """Where a tile of scores lies that is kept between the steps of a root."""
        cached, size = self.owner.cached, self.owner.blocks.rows * self.stride
        if local.name in cached:
            place = f"(tile * {len(cached)} + {cached.index(local.name)}) * {size}"
            self.em.line(f"T *const {local.name} = keeps ? cache + {place} : s.{local.name};")

    def place_of(self, local: Local) -> str:
        return local.name if local.name in self.owner.cached else f"s.{local.name}"

    def know_tile(self, local: Local) -> None:
        row, loop, stride = self.owner.row, self.loop, self.stride

        def access(em: Emitter) -> Value:
            level = em.level_of(frozenset((row, loop)))
            return em.define(FLOAT, f"load(&{self.place_of(local)}[r * {stride} + c])", level, lanes=True)

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
            if node.type == BOOL:
                return inner.define(BOOL, f"(load_ints<T, int32_t>({pointer} + {place}) != 0)", level, lanes=True)
            wide = self.owner.factors.element_of(packed) == "int64_t"
            text = (
                f"load_longs<T, int64_t>({pointer} + {place})"
                if wide
                else f"load_ints<T, int32_t>({pointer} + {place})"
            )
            return inner.define(INT, text, level, lanes=True, wide=wide)

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
            self.products.contract(statement)
        elif isinstance(statement, Carry):
            if statement.is_kept:
                own_walks.place(self, statement)
            else:
                self.sweeps.carry(statement)
        elif isinstance(statement, Gather):
            own_walks.gather(self, statement)
        elif isinstance(statement, Follow):
            self._follow(statement)
        elif isinstance(statement, Sweep):
            self.sweeps.write(statement)
        elif isinstance(statement, Accumulate):
            self.products.accumulate(statement)
        else:
            self.products.accumulate_columns(statement)

    def _follow(self, statement: Follow) -> None:
        """Accumulators move to where their anchors are; nothing is done where no anchor moved."""
        em = self.em
        changed = em.fresh("changed")
        factors = em.fresh("factor")
        adds = statement.rescales[0].adds
        em.line(f"bool {changed} = false; T {factors}[{self.owner.blocks.rows}];")
        with self.owner.row_loop():
            parts, places = [], []
            for rescale in statement.rescales:
                number = self.owner.run.anchors.index(rescale.anchor)
                new = em.value(rescale.anchor).text
                em.line(f"s.moved{number}[r] = {new};")
                places.append((new, f"s.anchor{number}[r]"))
            still = " && ".join(f"{new} == {old}" for new, old in places)
            em.line(f"{factors}[r] = T({0 if adds else 1});")
            em.line(f"if ({still}) continue;")
            for rescale, (new, old) in zip(statement.rescales, places):
                moved = f"log({new} / {old})" if rescale.in_logs else f"{new} - {old}"
                shifted = em.define(FLOAT, moved, em.depth)
                em.known[shift(em.graph)] = Known(lambda inner, text=shifted: text)  # type: ignore[misc]
                parts.append(f"finite_or({em.value(rescale.by).text}, T(0))")
                del em.known[shift(em.graph)]
                em.forget(shift(em.graph))
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


def _tells_runs(may: Node, at: Corners) -> bool:
    """Whether it knows more of columns than where they begin and end: what is read there, quotients or remainders."""
    columns = {at.first, at.last}
    return any(
        node.kind == "reduce" or (node.kind == "map" and node.op in ("floordiv", "mod"))
        for node in walk(may)
        if columns & set(walk(node))
    )
