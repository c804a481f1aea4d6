"""A pass -> a C++ function that one worker runs for one task: a block of rows, or all rows of a head."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import replace

from attnc.analysis.tiles import corners
from attnc.ir import Axis, Node
from attnc.ir.node import FLOAT, INT
from attnc.planning.plan import Solve, Store

from ..statements import Local, Packed, Prepare, RunPass, collecting
from .blocks import Blocks, packed_block, width_of
from .emitter import Emitter, Known, Value
from .factors import NARROW, Factors
from .loops import nest_body
from .names import Names, literal
from .own_walks import KeptScans
from .reads import stride_of
from .tasks import task_blocks
from .tiles import TileWriter

_MOST_STEPS = 300
_MOST_KEPT = 8 << 20  # bytes
_MUTABLE = {"sum": "0", "prod": "1", "max": "-__builtin_inf()", "min": "__builtin_inf()"}


class PassWriter:
    """Writes the function of one pass; `lines` is its text."""

    def __init__(
        self,
        em: Emitter,
        run: RunPass,
        stage: int,
        blocks: Blocks,
        packed: list[Packed],
        factors: Factors,
        direct: set[str],
        passing: str = "",
        dots: Collection[str] = (),
    ) -> None:
        self.em = em
        self.run = run
        self.stage = stage
        self.blocks = blocks
        self.packed = packed
        self.factors = factors
        self.direct = direct
        self.passing = passing
        self.dots = dots
        self.row: Axis = run.row if run.row is not None else em.graph.axis("row", em.graph.const(1))
        self.fields: list[str] = []
        self.cached: list[str] = []
        self.kept_scans = KeptScans(self)

    @property
    def names(self) -> Names:
        return self.em.names

    def write(self) -> list[str]:
        em, run = self.em, self.run
        em.line("const Context &x = *(const Context *)context;")
        more = self._cache() + self.kept_scans.declare()
        taken = f"x.scratch(sizeof(Scratch{self.stage}){more})"
        if self.kept_scans.walks:  # which grows with the columns, unlike all else that a worker takes
            em.line(f"void *const memory = {taken};")
            em.line("if (!memory) { ((Context *)context)->lacks_memory = true; return; }")
            taken = "memory"
        em.line(f"Scratch{self.stage} &s = *(Scratch{self.stage} *){taken};")
        if self.cached:
            em.line("T *const cache = (T *)(&s + 1);")
        self.kept_scans.place("cache + (keeps ? kept : 0) / sizeof(T)" if self.cached else "&s + 1")
        em.line("int64_t full_tiles = 0, partial_tiles = 0;")
        with task_blocks(em, run, self.blocks, self.passing):
            self._row_block()
        em.line("count_tiles(x, worker, full_tiles, partial_tiles);")
        text = em.function(f"static void stage{self.stage}(void *context, int64_t task, int worker)")
        return [*self._scratch(), *text]

    def _cache(self) -> str:
        """Scores that a repeated pass keeps from its first step to the next ones, where they are few enough."""
        run = self.run
        if run.solve is not None and not run.sequential:
            self.cached = [local.name for local in run.tile_locals if local.name.startswith("scores")]
        if not self.cached:
            return ""
        tiles = f"block_count({self.em.size(run.loop.size)}, {self.blocks.columns})"
        each = f"{len(self.cached) * self.blocks.rows * self.blocks.stride} * (int64_t)sizeof(T)"
        self.em.line(f"const int64_t kept = {tiles} * {each};")
        self.em.line(f"const bool keeps = kept <= {_MOST_KEPT};")
        return " + (keeps ? kept : 0)"

    # --- a block of rows ---------------------------------------------------------------------------------------

    def _row_block(self) -> None:
        em, run = self.em, self.run
        size = em.size(self.row.size)
        em.line(f"const int64_t first_row = block * {self.blocks.rows};")
        em.line(f"const int64_t rows = smaller({self.blocks.rows}, {size} - first_row);")
        em.line("const int64_t last_row = first_row + rows - 1;")
        at = corners(em.graph)
        self._know_scalar(at.first_row, "first_row")
        self._know_scalar(at.last_row, "last_row")
        for prepare in run.prepares:
            self._prepare(prepare)
        for local in run.accumulators:
            self._know_local(local)
        em.statistics = frozenset(local.node for local in run.accumulators)
        if run.solve is not None:
            self._solve(run.solve)
        else:
            self._start_accumulators()
            self._sequential(0)
        self._epilogue()

    def _know_scalar(self, node: Node, text: str) -> None:
        depth = self.em.depth
        self.em.known[node] = Known(lambda em: Value(text, INT, depth))

    def _know_local(self, local: Local) -> None:
        """A local with rows is read at row `r` of the block."""
        kind = "double" if local.node.op == "total" else "T" if local.node.type == FLOAT else "int64_t"
        stride = self.stride(local)
        self.fields.append(f"{kind} {local.name}[{self.blocks.rows * stride}];")
        if local.node.op == "argmax":
            self.fields.append(f"T {local.name}_best[{self.blocks.rows * stride}];")
        row, widths = self.row, local.widths

        def access(em: Emitter) -> Value:
            level = em.level_of(frozenset((row, *widths)))
            offset = f"r * {stride}" + self._width_offset(em, widths)
            if em.lane_axis in widths[:-1]:  # only the last width lies side by side
                step = self._width_step(widths, widths.index(em.lane_axis))
                text = f"load_steps<T>(&s.{local.name}[{offset}], {step}, {em.valid or 'lanes<T>'})"
                return em.define(local.node.type, text, level, lanes=True)
            if em.lane_axis is not None and em.lane_axis in widths:
                return em.define(local.node.type, f"load(&s.{local.name}[{offset}])", level, lanes=True)
            return em.define(local.node.type, f"s.{local.name}[{offset}]", level)

        self.em.known[local.node] = Known(access)

    def _width_offset(self, em: Emitter, widths: tuple[Axis, ...]) -> str:
        """The last width is contiguous (and padded), the others are spread out before it."""
        text, factor = "", 1
        for place, axis in enumerate(reversed(widths)):
            text += f" + ({em.coordinate(axis)}) * {factor}" if factor != 1 else f" + ({em.coordinate(axis)})"
            width = width_of(self.names, axis)
            factor *= self.blocks.padded(width) if place == 0 else width
        return text

    def _width_step(self, widths: tuple[Axis, ...], place: int) -> int:
        """Values between one index of a width and the next."""
        step = self.blocks.padded(width_of(self.names, widths[-1]))
        for axis in widths[place + 1 : -1]:
            step *= width_of(self.names, axis)
        return step

    def stride(self, local: Local) -> int:
        """Values between one row of a local and the next."""
        total = 1
        for place, axis in enumerate(reversed(local.widths)):
            width = width_of(self.names, axis)
            total *= self.blocks.padded(width) if place == 0 else width
        return total

    def row_loop(self) -> AbstractContextManager[None]:
        """`for` over the rows of the block."""
        return self.em.scope("for (int64_t r = 0; r < rows; ++r)", {self.row: "(first_row + r)"})

    def _prepare(self, prepare: Prepare) -> None:
        """Fills a row local; from then on its node is read from there."""
        local = prepare.local
        with self.row_loop():
            self._fill_widths(local, list(local.widths), f"r * {self.stride(local)}")
        self._know_local(local)
        self._narrow(local)

    def _narrow(self, local: Local) -> None:
        """Copies that are factors of narrow products."""
        em, name, stride = self.em, local.name, self.stride(local)
        if name in self.factors.rows:
            self.fields.append(f"{NARROW} {name}_narrow[{self.blocks.rows * stride}];")
            width = width_of(self.names, local.widths[-1])
            em.line(f"narrow_rows(s.{name}_narrow, s.{name}, rows, {stride}, {width});")
        if name in self.factors.paired:
            self.fields.append(f"{NARROW} {name}_paired[{self.blocks.rows * stride}];")
            em.line(f"pack_narrow_rows(s.{name}_paired, {stride}, s.{name}, {stride}, 1, rows, {stride});")

    def _fill_widths(self, local: Local, widths: list[Axis], offset: str) -> None:
        from .loops import counted_loop, lane_loop

        em = self.em
        if not widths:
            value = em.value(local.node)
            em.line(f"s.{local.name}[r * {self.stride(local)}] = {value.text};")
            return
        axis = widths[0]
        if len(widths) == 1:
            with lane_loop(em, axis):
                text = em.with_lanes(em.value(local.node)).text
                place = f"r * {self.stride(local)}" + self._width_offset(em, local.widths)
                em.line(f"store(&s.{local.name}[{place}], {text});")
            return
        with counted_loop(em, axis):
            self._fill_widths(local, widths[1:], offset)

    def _start_accumulators(self, wanted: Callable[[Node], bool] = lambda _: True) -> None:
        em = self.em
        for local in self.run.accumulators:
            if not wanted(local.node):
                continue
            stride = self.stride(local)
            start = "int64_t(-1)" if local.node.op == "argmax" else self._neutral(local.node)
            em.line(f"for (int64_t n = 0; n < rows * {stride}; ++n) s.{local.name}[n] = {start};")
            if local.node.op == "argmax":
                em.line(f"for (int64_t n = 0; n < rows * {stride}; ++n) s.{local.name}_best[n] = T(-__builtin_inf());")
        for number, anchor in enumerate(self.run.anchors):
            self.fields += [f"T anchor{number}[{self.blocks.rows}];", f"T moved{number}[{self.blocks.rows}];"]
            with self.row_loop():
                em.line(f"s.anchor{number}[r] = {em.value(anchor).text};")

    def _solve(self, solve: Solve) -> None:
        """Sums for a first value of the unknown, then for better ones until none of the rows' moves any more."""
        if solve.is_search:
            self._search(solve)
            return
        em = self.em
        unknown = Local("unknown", solve.unknown, True, False)
        self.fields += [f"T below[{self.blocks.rows}];", f"T above[{self.blocks.rows}];"]
        with self.row_loop():
            em.line(f"s.below[r] = s.unknown[r] = {em.value(solve.low).text};")
            em.line(f"s.above[r] = {em.value(solve.high).text};")
        self._know_local(unknown)
        with em.scope(f"for (int step = 0; step < {_MOST_STEPS}; ++step)", {}):
            self._start_accumulators()
            self._sequential(0)
            em.line("bool moves = false;")
            with self.row_loop():
                f, slope, size = (em.value(node).text for node in (solve.value, solve.slope, solve.size))
                sign = "" if solve.rises else "-"
                now = f"{sign}({f}), {sign}({slope}), {size}, step"
                em.line(f"moves |= solve_step<T>({now}, s.unknown[r], s.below[r], s.above[r]);")
            em.line("if (!moves) break;")

    def _search(self, solve: Solve) -> None:
        """Sums for the middle of what is left of each row's numbers, until one is left; then what else is asked."""
        em = self.em
        kind = "T" if solve.unknown.type == FLOAT else "int64_t"
        self.fields += [f"int64_t below[{self.blocks.rows}];", f"int64_t above[{self.blocks.rows}];"]
        em.line("bool moves = false;")
        with self.row_loop():
            for name, bound in (("below", solve.low), ("above", solve.high)):
                em.line(f"s.{name}[r] = in_order({kind}({em.value(bound).text}));")
            em.line(f"s.unknown[r] = from_order<{kind}>(middle_of(s.below[r], s.above[r]));")
            em.line("moves |= s.below[r] < s.above[r];")
        self._know_local(Local("unknown", solve.unknown, True, False))
        em.line("int step = 0;")
        with em.scope("for (; moves; ++step)", {}):
            self._sums(lambda node: node not in solve.asked)
            em.line("moves = false;")
            with self.row_loop():
                holds = em.value(solve.value).text
                em.line(f"moves |= search_step({holds}, s.unknown[r], s.below[r], s.above[r]);")
        if solve.asked:
            with em.scope("", {}):
                self._sums(lambda node: node in solve.asked)

    def _sums(self, wanted: Callable[[Node], bool]) -> None:
        run = self.run
        self.run = replace(run, tiles=collecting(run.tiles, wanted))
        self._start_accumulators(wanted)
        self._sequential(0)
        self.run = run

    def _neutral(self, node: Node) -> str:
        value = self.em.graph.neutral(node.op, node.type)
        return literal(value.attribute, node.type)

    # --- tiles -------------------------------------------------------------------------------------------------

    def _sequential(self, place: int) -> None:
        em, run = self.em, self.run
        if place == len(run.sequential):
            for prepare in run.inner_prepares:
                self._prepare(prepare)
            self.kept_scans.find()
            TileWriter(self).write()
            return
        one = run.sequential[place]
        name = em.fresh("q")
        low, high = em.size(one.low), em.size(one.high)
        with em.scope(f"for (int64_t {name} = {low}; {name} < {high}; ++{name})", {one.axis: name}):
            self._sequential(place + 1)

    # --- the end of a block ------------------------------------------------------------------------------------

    def _epilogue(self) -> None:
        for store in self.run.epilogue:
            with self.row_loop():
                nest_body(self.em, store, self._open_axes(store))

    def _open_axes(self, store: Store) -> tuple[Axis, ...]:
        return tuple(axis for axis in store.axes if not self.em.has_coordinate(axis))

    def _scratch(self) -> list[str]:
        fields = [f"  alignas(64) {field}" for field in self.fields]
        return [f"struct Scratch{self.stage} {{", *fields, "  char end;", "};"]

    @property
    def few(self) -> str:
        """Whether operands are multiplied where the caller has them: a question of how many rows there are in all. Sums
        are added up in another order then, and threads, which decide the rest, must not change a result."""
        return f"{self.em.size(self.row.size)} <= most_dot_rows"

    def natural(self, packed: Packed) -> tuple[str, str]:
        """Where an operand's features for each looped index lie, and the step between indices."""
        if packed.name in self.direct:
            return self.in_place(packed)
        assert packed.width is not None
        return self.pointer_to(packed), str(self.blocks.padded(width_of(self.names, packed.width)))

    def in_place(self, packed: Packed) -> tuple[str, str]:
        """The caller's own memory, from the tile's first index."""
        em, node = self.em, packed.node
        self._bind(packed)
        parts, step = [], "0"
        for dim, position in enumerate(node.args):
            axis: Axis = position.attribute
            stride = stride_of(em, node.attribute, dim)
            if axis is self.run.loop:
                step = stride
                parts.append(f"first * {stride}")
            elif axis is not packed.width:
                parts.append(f"{em.coordinate(axis)} * {stride}")
        return f"{em.names.tensor(node.attribute)} + {' + '.join(parts)}", step

    def _bind(self, packed: Packed) -> None:
        for axis, position in packed.moves:
            if axis in packed.outer:
                assert self.em.bind(axis, position), "one operand at two groups"

    def pointer_to(self, packed: Packed) -> str:
        """The block `tile` of a packed value at the current outer indices."""
        return f"at_{packed.name}"

    def open_block(self, packed: Packed) -> None:
        """Finds the block `tile` of a packed value, or prepares it here."""
        em = self.em
        self._bind(packed)
        text = "0"
        for axis in packed.outer:
            text = f"({text} * {em.size(axis.size)} + {em.coordinate(axis)})"
        count = f"block_count({em.size(self.run.loop.size)}, {self.blocks.columns})"
        kind = self.factors.element_of(packed)
        size = packed_block(self.names, self.blocks, packed)
        em.line(f"const int64_t task_{packed.name} = {text} * {count} + tile;")
        em.line(f"const {kind} *at_{packed.name} = x.{packed.name} + task_{packed.name} * {size};")
        if self.passing:
            field = f"{kind} own_{packed.name}[{size}];"
            if field not in self.fields:
                self.fields.append(field)
            test = f"{self.passing} && !({self.few})" if packed.name in self.dots else self.passing
            with em.scope(f"if ({test})", {}):
                ready, task = f"ready_{packed.name}", f"task_{packed.name}"
                start = f"int64_t {ready} = -1;"
                if start not in em.scopes[0].lines:
                    em.scopes[0].lines.append(start)
                em.line(f"if ({ready} != {task}) pack_{packed.name}_to(s.own_{packed.name}, x, {task});")
                em.line(f"{ready} = {task};")
                em.line(f"at_{packed.name} = s.own_{packed.name};")
