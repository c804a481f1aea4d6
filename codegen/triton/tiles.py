"""The body of a pass: loops over blocks of columns, full ones without masks, and the matrix products of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.analysis.tiles import corners
from attnc.analysis.weights import shift
from attnc.ir import Axis, Node, Tensor
from attnc.ir.node import FLOAT, INT, walk

from ..contractions import DTYPES, product_dtype
from ..statements import Accumulate, AccumulateColumns, Carry, Contract, Follow, Packed, Sweep, TileStatement
from .emitter import Block, Emitter, Value
from .names import ELEMENTS
from .reads import read_raw
from .sweeps import SweepWriter

if TYPE_CHECKING:
    from .passes import PassWriter


class TileWriter:
    """Writes the loops over tiles of one pass."""

    def __init__(self, owner: PassWriter) -> None:
        self.owner = owner
        self.em: Emitter = owner.em
        self.run = owner.run
        self.loop: Axis = owner.run.loop
        self.prepared: dict[Node, Node] = {}
        self.operand_dtypes = self._operand_dtypes()
        self.value_nodes = self._value_nodes()
        self.sweeps = SweepWriter(self)
        self.is_full = False

    # --- dtypes of matrix products -----------------------------------------------------------------------------

    def _operand_dtypes(self) -> dict[Node, str]:
        """What each row operand is multiplied in."""
        found: dict[Node, str] = {}
        for statement in self.run.tiles.body:
            if isinstance(statement, Contract):
                dtype = self.common(statement.left.node, statement.right)
                found[statement.left.node] = max(found.get(statement.left.node, dtype), dtype, key=DTYPES.index)
        return found

    def _value_nodes(self) -> set[Node]:
        """Nodes that sweeps compute with."""
        found: set[Node] = set()
        for statement in self.run.tiles.body:
            if isinstance(statement, Sweep):
                for value in [fill.tile.node for fill in statement.fills] + [c.value for c in statement.collects]:
                    found |= _outside_products(value)
        return found

    def common(self, left: Node | None, right: Packed) -> str:
        """The dtype of a product: that of the tensors it reads plainly, else that of the results."""
        nodes = [node for node in (left, right.read_as) if node is not None]
        return product_dtype(nodes, self._dtype, self.em.names.result)

    def _dtype(self, tensor: Tensor) -> str:
        dtype = self.em.names.dtype(tensor)
        return "float32" if dtype == "float64" and self.em.names.compute == "float" else dtype

    # --- loops -------------------------------------------------------------------------------------------------

    def write(self) -> None:
        em, classes = self.em, self.run.tiles.classes
        columns = em.names.block("COLUMNS")
        em.line(f"column_offsets = tl.arange(0, {columns})")
        if not self.run.sequential:
            self._bounds()
            self._loops()
            return
        heads = frozenset(one.axis for one in self.run.sequential)
        bounds = [classes.low, classes.high]
        bounds += [bound for one in self.run.sequential for bound in (one.low, one.high)]
        moving = any(part.axes & heads for bound in bounds for part in walk(bound))
        wide = any(prepare.local.widths for prepare in self.run.inner_prepares)
        if moving or wide or self.run.tiles.scans:
            self._nested(0)
        else:
            self._bounds()
            self._flat()

    def _bounds(self) -> None:
        """`begin` to `end`: the columns that may hold pairs, from the start of a block."""
        em, classes = self.em, self.run.tiles.classes
        size, columns = em.size(self.loop.size), "COLUMNS"
        low, high = em.value(classes.low).text, em.value(classes.high).text
        if low == "0":
            em.line("begin = 0")
        else:
            em.line(f"begin = tl.maximum({self._narrow(low)}, 0) // {columns} * {columns}")
        em.line(f"end = {size}" if high == size else f"end = tl.minimum({self._narrow(high)}, {size})")

    def _narrow(self, text: str) -> str:
        """A bound as a 32-bit number, whatever it was."""
        if text.lstrip("-").isdigit():
            return text
        largest = (1 << 31) - 1 - (1 << 12)
        return f"tl.cast(tl.minimum(tl.maximum({text}, -{largest}), {largest}), tl.int32)"

    def _loops(self) -> None:
        """Full blocks in a loop of their own, those at the borders in another; one loop where that is cheaper."""
        em, classes = self.em, self.run.tiles.classes
        if classes.must.is_const(False) or self.products() > 3 or self.run.tiles.scans or self._asks_each():
            self._in_order()
            return
        low, high = em.value(classes.inner_low).text, em.value(classes.inner_high).text
        em.line(f"whole = tl.maximum(begin, {self._narrow(low)})")
        em.line("full_begin = begin + tl.cdiv(whole - begin, COLUMNS) * COLUMNS")
        em.line(f"full_end = tl.minimum(end, {self._narrow(high)}) // COLUMNS * COLUMNS")
        em.line(
            "full_begin = tl.maximum(tl.minimum(full_begin, begin + tl.cdiv(end - begin, COLUMNS) * COLUMNS), begin)"
        )
        em.line("full_end = tl.maximum(full_begin, full_end)")
        with em.loop("for first_ in range(full_begin, full_end, COLUMNS):", {}):
            em.line("first = tl.cast(first_, tl.int32)")
            self._columns("first", is_full=True)
            self._body()
        em.line("left = (full_begin - begin) // COLUMNS")
        em.line("right = tl.maximum(tl.cdiv(end - full_end, COLUMNS), 0)")
        with em.loop("for border_ in range(0, left + right):", {}):
            em.line("border = tl.cast(border_, tl.int32)")
            em.line("first = begin + border * COLUMNS + tl.where(border >= left, full_end - full_begin, 0)")
            self._columns("first", is_full=False)
            self._body()

    def _in_order(self) -> None:
        """All blocks in one loop, the last one first where scans are carried that way."""
        em, tiles = self.em, self.run.tiles
        for scan in tiles.scans:
            self.sweeps.start_scan(scan)
        if tiles.is_reverse:
            em.line("count = tl.maximum(tl.cdiv(end - begin, COLUMNS), 0)")
        header = "range(0, count)" if tiles.is_reverse else "range(begin, end, COLUMNS)"
        with em.loop(f"for first_ in {header}:", {}):
            em.line("first = tl.cast(first_, tl.int32)")
            if tiles.is_reverse:
                em.line("first = begin + (count - 1 - first) * COLUMNS")
            self._columns("first", is_full=False)
            self._asked_body()

    def _asks_each(self) -> bool:
        """Whether bounds of the loop leave tiles in that a test leaves out."""
        classes, at = self.run.tiles.classes, corners(self.em.graph)
        parts = set(walk(classes.may))
        if self.run.solve is not None or not parts & {at.first, at.last}:
            return False
        is_read = any(node.kind == "read" for node in parts)
        return is_read or (classes.low.is_const(0) and classes.high is self.loop.size)

    def _asked_body(self) -> None:
        """Where a tile may hold pairs; asked only where the loop's bounds do not tell."""
        if not self._asks_each():
            self._body()
            return
        em, at = self.em, corners(self.em.graph)
        em.line("last = tl.minimum(first + COLUMNS, end) - 1")
        level = em.depth
        for corner, name in ((at.first, "first"), (at.last, "last")):
            em.known[corner] = lambda _, name=name: Value(name, INT, (), level)  # type: ignore[misc]
            em.corners[corner] = level
        with em.loop(f"if {em.value(self.run.tiles.classes.may).text}:", {}):
            self._body()

    def products(self) -> int:
        """How many matrix products a tile takes: bodies with many are not written twice."""
        return sum(
            isinstance(statement, (Contract, Accumulate, AccumulateColumns)) for statement in self.run.tiles.body
        )

    def _flat(self) -> None:
        """One loop over (index along the sequential axes, block of columns)."""
        em = self.em
        em.line("count = tl.maximum(tl.cdiv(end - begin, COLUMNS), 0)")
        sizes, lows = [], []
        for one in self.run.sequential:
            low, high = em.value(one.low).text, em.value(one.high).text
            lows.append(low)
            sizes.append(high if low == "0" else em.define(Value(f"{high} - {low}", "int")).text)
        em.line(f"steps = {' * '.join(f'tl.cast({size}, tl.int32)' for size in sizes)} * count")
        with em.loop("for step_ in range(0, steps):", {}):
            em.line("step = tl.cast(step_, tl.int32)")
            em.line("first = begin + step % count * COLUMNS")
            em.line("step = step // count")
            for one, size, low in reversed(list(zip(self.run.sequential, sizes, lows))):
                name = em.fresh("at")
                em.line(f"{name} = {low} + step % {size}" if low != "0" else f"{name} = step % {size}")
                em.line(f"step = step // {size}")
                em.fix(one.axis, name)
            for prepare in self.run.inner_prepares:
                self.owner.prepare(prepare.local)
            self._columns("first", is_full=False)
            self._body()

    def _nested(self, place: int) -> None:
        em, run = self.em, self.run
        if place == len(run.sequential):
            for prepare in run.inner_prepares:
                self.owner.prepare(prepare.local)
            self._bounds()
            self._in_order()
            return
        one = run.sequential[place]
        name = em.fresh("at")
        low, high = em.value(one.low).text, em.value(one.high).text
        with em.loop(f"for {name}_ in range({low}, {high}):", {one.axis: name}):
            em.line(f"{name} = tl.cast({name}_, tl.int32)")
            self._nested(place + 1)

    def _columns(self, first: str, is_full: bool) -> None:
        em = self.em
        valid = None
        if not is_full:
            em.line(f"column_valid = {first} + column_offsets < {em.size(self.loop.size)}")
            valid = "column_valid"
        em.fix_block(self.loop, Block(first, "column_offsets", "COLUMNS", valid))
        self.is_full = is_full

    # --- the statements of a tile ------------------------------------------------------------------------------

    def _body(self) -> None:
        self.owner.running_level = self.em.depth
        self.sweeps.begin()
        for statement in self.run.tiles.body:
            self._statement(statement)
        for number in range(len(self.run.anchors)):
            self.em.line(f"anchor{number} = moved{number}")
        for local in self.run.accumulators:
            self.em.forget(local.node)

    def _statement(self, statement: TileStatement) -> None:
        if isinstance(statement, Contract):
            self._contract(statement)
        elif isinstance(statement, Carry):
            self.sweeps.carry(statement)
        elif isinstance(statement, Follow):
            self._follow(statement)
        elif isinstance(statement, Sweep):
            self.sweeps.write(statement)
        elif isinstance(statement, AccumulateColumns):
            self._accumulate_columns(statement)
        else:
            assert isinstance(statement, Accumulate), "a walk before that of the pass"
            self._accumulate(statement)

    def _contract(self, statement: Contract) -> None:
        em = self.em
        (width,) = statement.left.widths
        dtype = self.common(statement.left.node, statement.right)
        tile = statement.tile.name
        for number, part in enumerate(em.names.parts(width)):
            with em.part(width, part):
                left = self.owner.operands[statement.left.node, (part,)]
                if self.operand_dtypes[statement.left.node] != dtype or self.owner._is_also_a_value(statement.left):
                    left = f"tl.cast({left}, {ELEMENTS[dtype]})"
                right = self.operand(statement.right, dtype)
                em.line(f"{tile} = {self._dot(left, f'tl.trans({right})', tile if number else None)}")
        dims = tuple(axis for axis in (self.run.row, self.loop) if axis is not None)
        level = em.depth
        em.known[statement.tile.node] = lambda _: Value(tile, FLOAT, dims, level)

    def _dot(self, left: str, right: str, added: str | None) -> str:
        precision = self.em.names.block("PRECISION")
        more = f", {added}" if added else ""
        kind = f", out_dtype={self.em.names.float}" if self.em.names.compute == "double" else ""
        return f"tl.dot({left}, {right}{more}, input_precision={precision}{kind})"

    def operand(self, packed: Packed, dtype: str) -> str:
        """A block of columns by features, as matrix products take it; loaded once for all of them."""
        em, node = self.em, packed.read_as
        plain = self.owner.plain(node)
        is_plain = plain is not None and em.names.dtype(plain.attribute) == dtype
        if is_plain and plain is not None and self.loop in plain.axes:
            return read_raw(em, plain).text
        key = (node, dtype)
        for scope in reversed(em.scopes):
            if key in scope.raw:
                return scope.raw[key].text
        assert packed.width is not None
        dims = (self.loop, packed.width)
        value = read_raw(em, plain) if is_plain and plain is not None else em.value(node)
        if value.dims != dims:
            value = em.define(Value(em.full(value, dims), FLOAT, dims, em.depth))
        if not is_plain and ELEMENTS[dtype] != em.names.float:
            value = em.define(Value(f"tl.cast({value.text}, {ELEMENTS[dtype]})", FLOAT, value.dims, value.level))
        em.scopes[value.level].raw[key] = value
        return value.text

    def _accumulate(self, statement: Accumulate) -> None:
        em, local = self.em, statement.local
        (width,) = local.widths
        if self.run.row is None:
            self._accumulate_row(statement)
            return
        dtype = self.common(None, statement.right)
        tile = self.sweeps.tile_as(statement.tile, dtype)
        for part in em.names.parts(width):
            with em.part(width, part):
                right = self.operand(statement.right, dtype)
                name = self.owner.variable(local, (part,))
                em.line(f"{name} = {self._dot(tile, right, name)}")
        em.forget(local.node)

    def _accumulate_columns(self, statement: AccumulateColumns) -> None:
        """The sums of a tile's columns, added to what the program's share of them is so far."""
        em, right = self.em, statement.right
        (width,) = right.widths
        dtype = product_dtype([right.node], self._dtype, em.names.result)
        tile = self.sweeps.tile_as(statement.tile, dtype)
        for part in em.names.parts(width):
            with em.part(width, part):
                operand = self.owner.operands[right.node, (part,)]
                if ELEMENTS[dtype] != em.names.float or right.node in self.operand_dtypes:
                    operand = f"tl.cast({operand}, {ELEMENTS[dtype]})"
                product = self._dot(f"tl.trans({tile})", operand, None)
                self.sweeps.deposits.columns(statement, product)

    def _accumulate_row(self, statement: Accumulate) -> None:
        """A single row: a sum of the columns' features, each times its weight."""
        em, local = self.em, statement.local
        (width,) = local.widths
        tile = self.sweeps.filled[statement.tile.name]
        for part in em.names.parts(width):
            with em.part(width, part):
                right = em.full(em.value(statement.right.read_as), (self.loop, width))
                name = self.owner.variable(local, (part,))
                em.line(f"{name} = {name} + tl.sum({tile}[:, None] * {right}, 0)")
        em.forget(local.node)

    def _follow(self, statement: Follow) -> None:
        """Accumulators move to where their anchors are."""
        em = self.em
        adds = statement.rescales[0].adds
        factors = []
        for rescale in statement.rescales:
            number = self.run.anchors.index(rescale.anchor)
            new = em.value(rescale.anchor)
            em.line(f"moved{number} = {new.text}")
            old = f"anchor{number}"
            moved = f"tl.log(moved{number} / {old})" if rescale.in_logs else f"moved{number} - {old}"
            shifted = em.define(Value(moved, FLOAT, new.dims, em.depth), "shift")
            symbol = shift(em.graph)
            em.known[symbol] = lambda _, value=shifted: value  # type: ignore[misc]
            by = em.value(rescale.by)
            em.forget(symbol)
            del em.known[symbol]
            still = f"moved{number} == {old}"
            text = f"tl.where({still}, {0.0 if adds else 1.0}, finite_or({by.text}, 0.0))"
            factors.append(em.define(Value(text, FLOAT, new.dims, em.depth), "factor").text)
        factor = (" + " if adds else " * ").join(factors)
        rows = (self.run.row,) if self.run.row is not None else ()
        for local in statement.scaled:
            for parts in self.owner.parts(local.widths):
                name = self.owner.variable(local, parts)
                spread = em.spread(
                    Value(f"({factor})" if " " in factor else factor, FLOAT, rows), (*rows, *local.widths)
                )
                em.line(f"{name} = {name} {'+' if adds else '*'} {spread}")
            em.forget(local.node)


def _outside_products(value: Node) -> set[Node]:
    """Nodes below a value, those inside sums over features left out."""
    found: set[Node] = set()
    stack = [value]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(() if node.kind == "reduce" else node.args)
    return found
