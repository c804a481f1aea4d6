"""Sweeps over a tile: what is filled, collected and stored, with masks where the tile's columns need them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from attnc.ir import Axis, Node
from attnc.ir.node import FLOAT, INT
from attnc.planning.plan import Store

from ..statements import AccumulateColumns, Carry, Collect, Local, Sweep
from .arithmetic import LOG2_E
from .deposits import DepositWriter
from .emitter import Emitter, Value
from .names import ELEMENTS, Part
from .reads import read_raw, store_value
from .reductions import combine, fold, masked, neutral

if TYPE_CHECKING:
    from .tiles import TileWriter


_NOWHERE = (1 << 31) - 1


class SweepWriter:
    """Writes the sweeps of one pass."""

    def __init__(self, tiles: TileWriter) -> None:
        self.tiles = tiles
        self.owner = tiles.owner
        self.em: Emitter = tiles.em
        self.loop: Axis = tiles.loop
        self.row = tiles.run.row
        self.dims = tuple(axis for axis in (self.row, self.loop) if axis is not None)
        self.deposits = DepositWriter(self)
        self.done: dict[tuple[Node, Node | None, str], str] = {}
        self.filled: dict[str, str] = {}
        self.casts: dict[tuple[str, str], str] = {}
        self.turned = {one.tile.name for one in tiles.run.tiles.body if isinstance(one, AccumulateColumns)}

    def begin(self) -> None:
        """A new body: nothing was computed in it yet."""
        self.done, self.filled, self.casts = {}, {}, {}

    def write(self, sweep: Sweep) -> None:
        for fill in sweep.fills:
            if not fill.is_shared:
                by_rows = fill.tile.name in self.turned  # other rows than these must add nothing to sums of columns
                self.filled[fill.tile.name] = self.masked(fill.tile.node, fill.domain, "sum", by_rows)
        for collect in sweep.collects:
            self._collect(collect)
        for item in sweep.stores:
            self._store(item, [axis for axis in item.axes if not self.em.has_coordinate(axis)])

    def tile_as(self, tile: Local, dtype: str) -> str:
        """A filled tile as the left side of a matrix product."""
        text = self.filled[tile.name]
        if ELEMENTS[dtype] == self.em.names.float:
            return text
        if (text, dtype) not in self.casts:
            value = Value(f"tl.cast({text}, {ELEMENTS[dtype]})", FLOAT, self.dims, self.em.depth)
            self.casts[text, dtype] = self.em.define(value, tile.name).text
        return self.casts[text, dtype]

    def masked(self, node: Node, domain: Node | None, op: str, checks_rows: bool = False) -> str:
        """A value at every pair of the tile, neutral outside its domain."""
        em = self.em
        domain = None if self.tiles.is_full or (domain is not None and domain.is_const(True)) else domain
        key = (node, domain, f"{op} {checks_rows}")
        if em.depth != self.owner.running_level:  # within a loop over features
            text = masked(em, op, node, domain, self.dims, (self.loop,) if not checks_rows else self.dims)
            return em.define(Value(text, node.type, self.dims, em.depth), "pairs").text
        if key not in self.done:
            checked = (self.loop,) if not checks_rows else self.dims
            text = masked(em, op, node, domain, self.dims, checked)
            if text.isidentifier():
                self.done[key] = text
            else:
                self.done[key] = em.define(Value(text, node.type, self.dims, em.depth), "pairs").text
        return self.done[key]

    # --- scans -------------------------------------------------------------------------------------------------

    def start_scan(self, scan: Carry) -> None:
        """What the state is before the first tile."""
        em, node = self.em, scan.tile.node
        assert self.row is not None
        if node.op == "rest":
            total = read_raw(em, node.args[2])
            em.line(f"{scan.state} = tl.cast({em.full(total, (self.row,))}, tl.float64)")
        else:
            start = f"{em.shape((self.row,))}, {neutral(em, node.op, FLOAT)}"
            em.line(f"{scan.state} = tl.full({start}, {em.names.float})")

    def carry(self, scan: Carry) -> None:
        """The tile's own scan, and what came before it."""
        em, node, state = self.em, scan.tile.node, scan.state
        _, is_reverse, is_exclusive = node.attribute
        op = "sum" if node.op == "rest" else node.op
        values, place = self.masked(node.body, node.domain, op), len(self.dims) - 1
        if is_exclusive:
            last = em.fresh("last")
            start = f"tl.full({em.shape(self.dims)}, {neutral(em, op, FLOAT)}, {em.names.float})"
            both = f"({start}, {values}), {place}, reverse={is_reverse}, combine_fn={op}_before"
            em.line(f"{scan.tile.name}, {last} = tl.associative_scan({both})")
        elif op == "sum":
            em.line(f"{scan.tile.name} = tl.cumsum({values}, {place}, reverse={is_reverse})")
        else:
            name = {"max": "larger", "min": "smaller"}[op]
            both = f"{values}, {place}, reverse={is_reverse}, combine_fn={name}"
            em.line(f"{scan.tile.name} = tl.associative_scan({both})")
        before = f"tl.cast({state}, {em.names.float})[:, None]"
        if node.op == "rest":
            left = f"{state}[:, None] - tl.cast({scan.tile.name}, tl.float64)"
            em.line(f"{scan.tile.name} = tl.cast({left}, {em.names.float})")
            em.line(f"{state} = {state} - {fold('total', values, place)}")
        else:
            em.line(f"{scan.tile.name} = {combine(op, before, scan.tile.name)}")
            em.line(f"{state} = {combine(op, state, fold(op, values, place))}")
        dims, level, name = self.dims, em.depth, scan.tile.name
        em.known[node] = lambda _: Value(name, FLOAT, dims, level)

    # --- collecting --------------------------------------------------------------------------------------------

    def _collect(self, collect: Collect) -> None:
        if collect.positions:
            self.deposits.scatter(collect)
        elif collect.home == "tile":
            self.deposits.pairs(collect, list(collect.widths))
        elif collect.home in ("free", "loop"):
            self.deposits.share(collect, list(collect.widths))
        elif collect.op == "argmax":
            self._argmax(collect)
        elif collect.widths:
            for parts in self.owner.parts(collect.widths):
                self._looped(collect, parts)
        else:
            self._whole(collect)

    def _whole(self, collect: Collect) -> None:
        assert collect.local is not None
        node = collect.value
        if collect.local.node in self.owner.in_base_two:
            node = self.em.graph.scale(LOG2_E, node)
        text = fold(collect.op, self.masked(node, collect.domain, collect.op), len(self.dims) - 1)
        name = collect.local.name
        self.em.line(f"{name} = {combine(collect.op, name, text)}")
        self.em.forget(collect.local.node)

    def _looped(self, collect: Collect, parts: tuple[Part, ...]) -> None:
        """One index of the widths after another; over single rows, the last width as a block."""
        em = self.em
        assert collect.local is not None
        name = self.owner.variable(collect.local, parts)
        count = len(parts) if self.row is not None else len(parts) - 1
        items = list(zip(collect.widths, parts))
        with ExitStack() as stack:
            for axis, part in items[:count]:
                index = em.fresh("w")
                header = f"for {index}_ in range({part.start}, {part.start + part.count}):"
                stack.enter_context(em.loop(header, {axis: index}))
                em.line(f"{index} = tl.cast({index}_, tl.int32)")
            for axis, part in items[count:]:
                stack.enter_context(em.part(axis, part))
            self._insert(collect, name, items, count)
        em.forget(collect.local.node)

    def _insert(self, collect: Collect, name: str, items: list[tuple[Axis, Part]], count: int) -> None:
        """The sum of one feature, put at its place in the accumulator."""
        em = self.em
        own = tuple(axis for axis, _ in items[count:])
        dims = em.union(self.dims, own)
        domain = None if self.tiles.is_full else collect.domain
        text = masked(em, collect.op, collect.value, domain, dims, (self.loop,))
        part = em.define(Value(fold(collect.op, text, dims.index(self.loop)), collect.value.type, (), em.depth), "part")
        rows = (self.row,) if self.row is not None else ()
        kept = (*rows, *(axis for axis, _ in items))
        spread = em.spread(Value(part.text, part.type, (*rows, *own)), kept)
        tests = []
        for axis, block in items[:count]:
            place = em.coordinate(axis) if not block.start else f"{em.coordinate(axis)} - {block.start}"
            tests.append(em.spread(Value(f"({em._arange(block.size)} == {place})", "bool", (axis,)), kept))
        if tests:
            spread = f"tl.where({' & '.join(tests)}, {spread}, {neutral(em, collect.op, collect.value.type)})"
        em.line(f"{name} = {combine(collect.op, name, spread)}")

    def _argmax(self, collect: Collect) -> None:
        """The lowest index of the largest value so far, in whatever order tiles come; one feature after another."""
        assert collect.local is not None
        for parts in self.owner.parts(collect.widths):
            self._argmax_of(collect, list(zip(collect.widths, parts)), self.owner.variable(collect.local, parts))
        self.em.forget(collect.local.node)

    def _argmax_of(self, collect: Collect, items: list[tuple[Axis, Part]], name: str) -> None:
        em = self.em
        with ExitStack() as stack:
            for axis, part in items:
                index = em.fresh("w")
                header = f"for {index}_ in range({part.start}, {part.start + part.count}):"
                stack.enter_context(em.loop(header, {axis: index}))
                em.line(f"{index} = tl.cast({index}_, tl.int32)")
            best, found = self._highest(collect)
            rows = (self.row,) if self.row is not None else ()
            kept = (*rows, *(axis for axis, _ in items))
            best, found = (em.spread(Value(text, INT, rows), kept) for text in (best, found))
            higher = f"({best} > {name}_best) | (({best} == {name}_best) & ({found} < {name})) | ({name} < 0)"
            tests = [f"({found} != {_NOWHERE})", f"({higher})"]
            for axis, block in items:
                place = em.coordinate(axis) if not block.start else f"{em.coordinate(axis)} - {block.start}"
                tests.append(em.spread(Value(f"({em._arange(block.size)} == {place})", "bool", (axis,)), kept))
            better = em.define(Value(" & ".join(tests), "bool", (), em.depth), "better").text
            em.line(f"{name}_best = tl.where({better}, {best}, {name}_best)")
            em.line(f"{name} = tl.where({better}, tl.cast({found}, tl.int64), {name})")

    def _highest(self, collect: Collect) -> tuple[str, str]:
        """The tile's largest value for each row, and its first column (where there is none: nowhere)."""
        em, place = self.em, len(self.dims) - 1
        values = self.masked(collect.value, collect.domain, "max")
        masks = em.valid(self.dims, (self.loop,))
        if not (self.tiles.is_full or collect.domain.is_const(True)):
            masks.append(em.spread(em.value(collect.domain), self.dims))
        top = em.define(Value(fold("max", values, place), FLOAT, (), em.depth), "top").text
        rows = (self.row,) if self.row is not None else ()
        test = " & ".join([f"({values} == {em.spread(Value(top, FLOAT, rows), self.dims)})", *masks])
        index = em.spread(Value(em.coordinate(self.loop), INT, (self.loop,)), self.dims)
        at = f"tl.where({test}, {index}, {_NOWHERE})"
        return top, em.define(Value(fold("min", at, place), INT, (), em.depth), "place").text

    # --- stores ------------------------------------------------------------------------------------------------

    def _store(self, item: Store, widths: list[Axis]) -> None:
        """A value of every pair; its features, if it has any, one after another."""
        em = self.em
        if not widths:
            store_value(em, item)
            return
        index = em.fresh("w")
        with em.loop(f"for {index}_ in range(0, {em.size(widths[0].size)}):", {widths[0]: index}):
            em.line(f"{index} = tl.cast({index}_, tl.int32)")
            self._store(item, widths[1:])
