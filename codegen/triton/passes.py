"""A pass -> a Triton kernel: one program for a block of rows of one index of the grid."""

from __future__ import annotations

from itertools import product

from attnc.analysis.intervals import LARGEST_SIZE
from attnc.analysis.tiles import corners
from attnc.ir import Axis, Node, Tensor
from attnc.ir.node import FLOAT, INT, walk
from attnc.ir.roles import SPLITS
from attnc.planning.plan import Solve, Store

from ..statements import AccumulateColumns, Collect, Local, Packed, RunPass, Sweep
from .arithmetic import LOG2_E, from_order, joined
from .emitter import Block, Emitter, Value
from .names import ELEMENTS, TURN, Part
from .reads import read_raw, store_value
from .reductions import neutral, over
from .tiles import TileWriter

Parts = tuple[Part, ...]


class PassWriter:
    """Writes the kernel of one pass. `buffers` hold the operands that an earlier kernel prepared."""

    def __init__(
        self, em: Emitter, run: RunPass, packed: list[Packed], buffers: dict[str, Tensor], takes_turns: bool = False
    ) -> None:
        self.em = em
        self.run = run
        self.packed = packed
        self.buffers = buffers
        self.takes_turns = takes_turns
        self.running_level = 0
        self.in_base_two = _exponent_anchors(run)
        self.operands: dict[tuple[Node, Parts], str] = {}
        self.tile = TileWriter(self)
        em.order = tuple(axis for axis in (run.row, run.loop) if axis is not None)
        em.statistics = frozenset(local.node for local in run.accumulators)

    def write(self, header: str) -> list[str]:
        self._decode()
        self._know_packed()
        for prepare in self.run.prepares:
            self.prepare(prepare.local)
        if self.run.solve is not None:
            self._solve(self.run.solve)
        else:
            self._start()
            self.tile.write()
        self.running_level = 0
        for epilogue in self.run.epilogue:
            self._store(epilogue)
        self.tile.sweeps.deposits.finish()
        return self.em.function(header)

    # --- where a program is ------------------------------------------------------------------------------------

    def _decode(self) -> None:
        """Blocks of rows run fastest, so that neighbours share what they read; heavy ones first."""
        em, run = self.em, self.run
        em.line("rest = tl.program_id(0)")
        if run.row is not None:
            count = em.size(run.row.size)
            rows = em.names.block("ROWS")
            em.line(f"blocks = tl.cdiv({count}, {rows})")
            if self.takes_turns:
                workers = em.size(em.graph.size(SPLITS))
                em.line(f"worker = rest % {workers}")
                em.line(f"rest = rest // {workers}")
                em.line(f"block = worker + {em.names.parameter(TURN, INT)} * {workers}")
            else:
                em.line("block = rest % blocks")
                em.line("rest = rest // blocks")
            if self._is_heavier_later() and not self.takes_turns:
                em.line("block = blocks - 1 - block")
            em.line(f"first_row = block * {rows}")
            em.line(f"last_row = tl.minimum(first_row + {rows}, {count}) - 1")
            em.line(f"row_offsets = tl.arange(0, {rows})")
            em.line("row_valid = first_row + row_offsets <= last_row")
            em.fix_block(run.row, Block("first_row", "row_offsets", rows, "row_valid"))
            at = corners(em.graph)
            for corner, name in ((at.first_row, "first_row"), (at.last_row, "last_row")):
                em.known[corner] = lambda _, name=name: Value(name, INT)  # type: ignore[misc]
                em.intervals.done[corner] = (0, LARGEST_SIZE)
        if run.split is not None:
            em.fix(run.split, "0" if run.row is None else "worker" if self.takes_turns else "block")
        self._decode_grid()

    def _decode_grid(self) -> None:
        em = self.em
        for place, axis in enumerate(reversed(self.run.grid)):
            name = em.fresh(axis.name.lower() if axis.name.isidentifier() and axis.name.isascii() else "g")
            if place == len(self.run.grid) - 1:
                em.line(f"{name} = rest")
            else:
                size = em.size(axis.size)
                em.line(f"{name} = rest % {size}")
                em.line(f"rest = rest // {size}")
            em.fix(axis, name)

    def _is_heavier_later(self) -> bool:
        at = corners(self.em.graph)
        rows = {at.first_row, at.last_row}
        classes = self.run.tiles.classes
        return any(n in rows for n in walk(classes.high)) and not any(n in rows for n in walk(classes.low))

    # --- operands ----------------------------------------------------------------------------------------------

    def _know_packed(self) -> None:
        """What an earlier kernel prepared is read from its buffer."""
        graph = self.em.graph
        for packed in self.packed:
            buffer = self.buffers.get(packed.name)
            if buffer is None:
                continue
            width = (packed.width,) if packed.width is not None else ()
            axes = (*packed.outer, self.run.loop, *width)
            moved = tuple(axis for axis, _ in packed.moves)
            read = graph.read(buffer, tuple(graph.index(axis) for axis in axes))
            node = graph.at(read, moved, tuple(position for _, position in packed.moves))
            self.em.known[packed.read_as] = lambda em, node=node: em.value(node)  # type: ignore[misc]
            self.tile.prepared[packed.read_as] = node

    def prepare(self, local: Local) -> None:
        """Computes a local for the block of rows, for each part of its features."""
        em = self.em
        for parts in self.parts(local.widths):
            self._in_parts(local, parts)
        node, widths = local.node, local.widths

        def access(inner: Emitter) -> Value | None:
            found = self._open_parts(inner, widths)
            if found is None:
                return None
            text = self.operands[node, found]
            dims = self._dims(inner, node)
            level = inner.level_of(node.axes) if node.axes else 0
            return inner.define(Value(f"tl.cast({text}, {inner.names.float})", FLOAT, dims, level))

        em.known[node] = access

    def _in_parts(self, local: Local, parts: Parts) -> None:
        em, node = self.em, local.node
        with _opened(em, local.widths, parts):
            wanted = self.tile.operand_dtypes.get(node)
            plain = self.plain(node)
            if plain is not None and (wanted is None or em.names.dtype(plain.attribute) == wanted):
                value = read_raw(em, plain)
            else:
                value = em.value(node)
                if wanted is not None and ELEMENTS[wanted] != em.names.float and not self._is_also_a_value(local):
                    value = em.define(
                        Value(f"tl.cast({value.text}, {ELEMENTS[wanted]})", FLOAT, value.dims, value.level)
                    )
            name = local.name if len(self.parts(local.widths)) == 1 else f"{local.name}_at{parts[-1].start}"
            dims = em.union(value.dims, tuple(a for a in local.widths))
            em.line(f"{name} = {em.full(value, dims) if dims else value.text}")
            self.operands[node, parts] = name

    def _is_also_a_value(self, local: Local) -> bool:
        """Whether it is used other than as an operand of matrix products, where rounding it would show."""
        return local.node in self.tile.value_nodes

    def plain(self, node: Node) -> Node | None:
        """A bare read of floats, at positions that this scope knows; None for what has to be computed."""
        em = self.em
        node = self.tile.prepared.get(node, node)
        if node.kind == "at":
            if node.args[0].kind != "read":
                return None
            for axis, position in zip(node.attribute, node.args[1:]):
                if em.value(position).dims or not em.bind(axis, position):
                    return None
            node = node.args[0]
        return node if node.kind == "read" and node.type == FLOAT else None

    def parts(self, widths: tuple[Axis, ...]) -> list[Parts]:
        """Every combination of the parts of some widths."""
        return list(product(*(self.em.names.parts(axis) for axis in widths)))

    def _open_parts(self, em: Emitter, widths: tuple[Axis, ...]) -> Parts | None:
        blocks = [em.block(axis) for axis in widths]
        parts = tuple(block.part for block in blocks if block is not None and block.part is not None)
        return parts if len(parts) == len(widths) else None

    def _dims(self, em: Emitter, node: Node) -> tuple[Axis, ...]:
        return em.union(tuple(axis for axis in node.axes if em.block(axis) is not None))

    # --- accumulators ------------------------------------------------------------------------------------------

    def variable(self, local: Local, parts: Parts) -> str:
        """The name of an accumulator's block."""
        if len(self.parts(local.widths)) == 1:
            return local.name
        return local.name + "".join(f"_at{part.start}" for part in parts)

    def _start(self) -> None:
        em = self.em
        rows = (self.run.row,) if self.run.row is not None else ()
        for local in self.run.accumulators:
            kind = em.names.float if local.node.type == FLOAT else "tl.int64"
            kind = "tl.float64" if local.node.op == "total" else kind
            start = "-1" if local.node.op == "argmax" else neutral(em, local.node.op, local.node.type)
            for parts in self.parts(local.widths):
                sizes = [*(em.block(axis).size for axis in rows), *(str(part.size) for part in parts)]  # type: ignore[union-attr]
                shape = f"[{', '.join(sizes)}]"
                name = self.variable(local, parts)
                em.line(f"{name} = tl.full({shape}, {start}, {kind})")
                if local.node.op == "argmax":
                    em.line(f'{name}_best = tl.full({shape}, float("-inf"), {em.names.float})')
            self._know(local)
        for number, anchor in enumerate(self.run.anchors):
            em.line(f"anchor{number} = {em.value(anchor).text}")
        for local in self.run.accumulators:
            em.forget(local.node)

    def _solve(self, solve: Solve) -> None:
        """Sums for a first value of the unknown, then for better ones until none of the rows' moves any more."""
        em = self.em
        rows = (self.run.row,) if self.run.row is not None else ()
        level = 0
        is_float = solve.unknown.type == FLOAT

        def access(inner: Emitter) -> Value:
            return Value("unknown", solve.unknown.type, rows, level, not is_float)

        for name, node in (("below", solve.low), ("above", solve.high)):
            bound = em.full(em.value(node), rows)
            if solve.is_search:
                kind = em.names.float if is_float else "tl.int64"
                is_literal = bound.startswith('float("') or bound.lstrip("-").isdigit()
                bound = f"tl.full([], {bound}, {kind})" if is_literal else f"tl.cast({bound}, {kind})"
            em.line(f"{name} = {f'in_order({bound})' if solve.is_search and is_float else bound}")
        em.known[solve.unknown] = access
        if solve.is_search:
            em.line(f"unknown = {from_order(em, 'middle_of(below, above)') if is_float else 'middle_of(below, above)'}")
        else:
            em.line("unknown = below")
        if solve.asked:  # what is read after the loop is there before it
            self._start()
        em.line("moves = 1")
        em.line("step = 0")
        with em.loop("while moves > 0:", {}):
            level = self.running_level = em.depth
            self._start()
            self.tile.write()
            self.running_level = level
            f, slope, size = (em.full(em.value(node), rows) for node in (solve.value, solve.slope, solve.size))
            sign = "" if solve.rises else "-"
            step = f"solve_step({sign}({f}), {sign}({slope}), {size}, step, unknown, below, above)"
            if solve.is_search:
                step = f"search_step({f}, below, above)"
            em.line(f"unknown, below, above, moving = {step}")
            if solve.is_search and is_float:
                em.line(f"unknown = {from_order(em, 'unknown')}")
            valid = " & row_valid" if rows else ""
            em.line(
                f"moves = tl.sum(tl.cast(moving{valid}, tl.int32), 0)" if rows else "moves = tl.cast(moving, tl.int32)"
            )
            em.line("step = step + 1")
        level = self.running_level = 0
        em.forget(solve.unknown)

    def _know(self, local: Local) -> None:
        em, node, widths = self.em, local.node, local.widths
        rows = (self.run.row,) if self.run.row is not None else ()

        def access(inner: Emitter) -> Value:
            level = max(self.running_level, inner.level_of(frozenset(widths)) if widths else 0)
            parts = self._open_parts(inner, widths)
            if parts is None:
                return self._picked(inner, local, level)
            dims = inner.union(rows, widths)
            return Value(self.variable(local, parts), node.type, dims, level, node.type == INT)

        if node not in self.in_base_two:
            em.known[node] = access
            return

        def natural(inner: Emitter) -> Value:
            return joined(inner, FLOAT, [access(inner)], lambda t: f"{t[0]} * {1 / LOG2_E!r}")

        em.known[node] = natural
        em.known[em.graph.scale(LOG2_E, node)] = access

    def _picked(self, em: Emitter, local: Local, level: int) -> Value:
        """Features at scalar indices, taken out of blocks in registers: a sum of which all but one term are 0."""
        rows = (self.run.row,) if self.run.row is not None else ()
        every = (*rows, *local.widths)
        terms = []
        for parts in self.parts(local.widths):
            text, tests, kept = self.variable(local, parts), [], True
            for axis, part in zip(local.widths, parts):
                block = em.block(axis)
                if block is not None:
                    kept = kept and block.part == part
                    continue
                place = em.coordinate(axis) if not part.start else f"{em.coordinate(axis)} - {part.start}"
                tests.append(em.spread(Value(f"({em._arange(part.size)} == {place})", "bool", (axis,)), every))
            if kept:
                text = f"tl.where({' & '.join(tests)}, {text}, 0)"
                for axis in reversed([a for a in local.widths if em.block(a) is None]):
                    text = f"tl.sum({text}, {every.index(axis)})"
                terms.append(text)
        dims = tuple(axis for axis in every if em.block(axis) is not None)
        return em.define(Value(" + ".join(terms), local.node.type, dims, level, local.node.type == INT), "feature")

    # --- the end -----------------------------------------------------------------------------------------------

    def _store(self, item: Store) -> None:
        em = self.em
        opened = [axis for axis in item.axes if not em.has_coordinate(axis)]
        widths = tuple(axis for axis in opened if em.names.constant(axis.size) is not None)
        longer = [axis for axis in opened if axis not in widths]

        def write() -> None:
            for parts in self.parts(widths):
                with _opened(em, widths, parts):
                    store_value(em, item)

        over(em, longer, frozenset(longer[-1:]), write)


class _opened:
    """Several widths at once as blocks."""

    def __init__(self, em: Emitter, widths: tuple[Axis, ...], parts: Parts) -> None:
        from contextlib import ExitStack

        self.em, self.items = em, list(zip(widths, parts))
        self.stack = ExitStack()

    def __enter__(self) -> None:
        for axis, part in self.items:
            self.stack.enter_context(self.em.part(axis, part))

    def __exit__(self, *error: object) -> None:
        self.stack.close()


def sums_columns(run: RunPass) -> bool:
    """Whether workers that share the rows each have sums of all columns: then there are few workers, which take turns
    at their blocks of rows, launch after launch."""
    columns = (
        isinstance(one, AccumulateColumns)
        or (isinstance(one, Sweep) and any(c.home == "loop" and not c.positions for c in one.collects))
        for one in run.tiles.body
    )
    return run.split is not None and run.row is not None and any(columns)


def _exponent_anchors(run: RunPass) -> frozenset[Node]:
    """Maxima that shift exponents: kept times log2(e), as exponents are."""
    maxima = {local.node for local in run.accumulators if local.node.op == "max" and local.node.type == FLOAT}
    found: set[Node] = set()
    for statement in run.tiles.body:
        if not isinstance(statement, Sweep):
            continue
        values = [fill.tile.node for fill in statement.fills] + [c.value for c in statement.collects]
        for part in (part for value in values for part in walk(value)):
            if part.kind == "map" and part.op == "exp" and part.args[0].is_sum:
                for term in part.args[0].args:
                    inner = term.args[0] if term.kind == "stop" else term
                    found |= {inner} & maxima
                    found |= {arg for arg in inner.args if inner.op == "finite_or"} & maxima
    return frozenset(found)


__all__ = ["Collect", "Parts", "PassWriter", "store_value"]
