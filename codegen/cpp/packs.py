"""Packed operands -> a C++ function that prepares one block of the looped axis of one of them."""

from __future__ import annotations

from attnc.analysis.intervals import is_in_range
from attnc.ir import Axis, Graph, Node
from attnc.ir.node import FLOAT, walk

from ..statements import NATURAL, PANEL, VECTOR, Pack, Packed
from .blocks import Blocks, packed_block, width_of
from .emitter import Emitter
from .factors import Factors
from .loops import lane_loop
from .names import Names
from .reads import stride_of


class PackWriter:
    """Writes one function for each packed operand of a stage."""

    def __init__(self, em: Emitter, pack: Pack, packed: Packed, stage: str, blocks: Blocks, factors: Factors) -> None:
        self.em = em
        self.loop: Axis = pack.loop
        self.packed = packed
        self.stage = stage
        self.blocks = blocks
        self.factors = factors

    def write(self) -> list[str]:
        em, packed = self.em, self.packed
        em.line("int64_t rest = task;")
        size = em.size(self.loop.size)
        count = f"block_count({size}, {self.blocks.columns})"
        em.line(f"const int64_t tile = rest % {count}; rest /= {count};")
        em.line(f"const int64_t first = tile * {self.blocks.columns};")
        em.line(f"const int64_t columns = smaller({self.blocks.columns}, {size} - first);")
        self._decode_outer()
        block = packed_block(em.names, self.blocks, packed)
        self._fill()
        return [
            *em.function(
                f"static void {self.stage}_to({self.factors.element_of(packed)} *to, const Context &x, int64_t task)"
            ),
            f"static void {self.stage}(void *context, int64_t task, int worker) {{",
            "  const Context &x = *(const Context *)context;",
            "  (void)worker;",
            f"  {self.stage}_to(x.{packed.name} + task * {block}, x, task);",
            "}",
        ]

    def _decode_outer(self) -> None:
        em = self.em
        for axis in reversed(self.packed.outer):
            name = em.fresh("g")
            size = em.size(axis.size)
            em.line(f"const int64_t {name} = rest % {size}; rest /= {size};")
            em.fix(axis, name)

    def tasks(self, em: Emitter) -> str:
        """How many tasks the stage has, spelt by an emitter of the entry."""
        parts = [em.size(axis.size) for axis in self.packed.outer]
        return " * ".join([*parts, f"block_count({em.size(self.loop.size)}, {self.blocks.columns})"])

    @property
    def needs_memory(self) -> bool:
        """Whether filling takes a worker's own memory, which a pass around it would be using."""
        is_copied = self.packed.layout == PANEL or self._is_narrow
        return is_copied and self.packed.layout != VECTOR and not self._is_plain()

    @property
    def _is_narrow(self) -> bool:
        return self.packed.name in self.factors.packed

    def workspace(self, em: Emitter) -> str:
        """How many values the operand takes."""
        return f"{self.tasks(em)} * {packed_block(em.names, self.blocks, self.packed)}"

    # --- filling -----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        if self.packed.layout == VECTOR:
            self._vector()
        elif self._is_plain():
            self._plain()
        elif self.packed.layout == NATURAL and not self._is_narrow:
            self._rows("to")
        else:
            self._by_rows()

    def _vector(self) -> None:
        """Lanes along the looped axis, unless features are reduced: they are the contiguous ones."""
        em, node = self.em, self.packed.node
        reduces = any(part.kind == "reduce" for part in walk(node))
        if reduces or node.type != FLOAT:
            with em.scope("for (int64_t c = 0; c < columns; ++c)", {self.loop: "(first + c)"}):
                em.line(f"to[c] = {em.value(node).text};")
            return
        valid = "valid_lanes<T>(columns - c)"
        header = "for (int64_t c = 0; c < columns; c += lanes<T>)"
        with em.scope(header, {self.loop: "(first + c)"}, lane_axis=self.loop, valid=valid):
            em.line(f"store(to + c, {em.with_lanes(em.value(node)).text});")

    def _rows(self, target: str) -> None:
        """One looped index after another, lanes along the width."""
        em, width = self.em, self.packed.width
        assert width is not None
        stride = self.blocks.padded(width_of(em.names, width))
        with em.scope("for (int64_t c = 0; c < columns; ++c)", {self.loop: "(first + c)"}), lane_loop(em, width):
            text = em.with_lanes(em.value(self.packed.node)).text
            em.line(f"store({target} + c * {stride} + {em.coordinate(width)}, {text});")

    def _by_rows(self) -> None:
        """Values in memory of the worker's own first, then as they are laid out."""
        em, width = self.em, self.packed.width
        assert width is not None
        count = width_of(em.names, width)
        stride = self.blocks.padded(count)
        size = self.blocks.columns * stride
        em.line(f"T *rows = (T *)x.scratch({size} * sizeof(T));")
        self._rows("rows")
        self._lay_out("T", "rows", stride, "1", count)

    def _lay_out(self, element: str, source: str, row_step: int | str, column_step: str, count: int) -> None:
        """The header's packing of a matrix with a row for each looped index."""
        ends = f"{source}, {row_step}, {column_step}, columns, {count}"
        if self.packed.layout == NATURAL:
            call = "pack_narrow_rows" if self._is_narrow else f"pack_rows<T, {element}>"
            self.em.line(f"{call}(to, {self.blocks.padded(count)}, {ends});")
        elif self._is_narrow:
            self.em.line(f"pack_narrow_panel<{self.blocks.stride}>(to, {ends});")
        else:
            self.em.line(f"pack_transposed<T, {element}>(to, {self.blocks.stride}, {ends});")

    # --- plain reads -------------------------------------------------------------------------------------------

    def _is_plain(self) -> bool:
        return is_plain(self.em.graph, self.packed, self.loop)

    def _plain(self) -> None:
        em, node, width = self.em, self.packed.node, self.packed.width
        assert width is not None
        tensor = node.attribute
        parts, row_step, column_step = [], "0", "0"
        for dim, position in enumerate(node.args):
            step = stride_of(em, tensor, dim)
            axis: Axis | None = position.attribute if position.kind == "index" else None
            if axis is self.loop:
                row_step = step
                parts.append(f"first * {step}")
            elif axis == width:
                column_step = step
            else:
                parts.append(f"{em.value(position).text} * {step}")
        source = f"{em.names.tensor(tensor)} + {' + '.join(parts) or '0'}"
        self._lay_out(em.names.element(tensor), source, row_step, column_step, width_of(em.names, width))


def is_inside(graph: Graph, read: Node) -> bool:
    """Whether all positions are proved to be inside: nothing asks for them where a tensor is copied or read whole."""
    return all(is_in_range(graph, position, size) for position, size in zip(read.args, read.attribute.sizes))


def is_plain(graph: Graph, packed: Packed, loop: Axis) -> bool:
    """A tensor read at bare indices: copied by the header's packing."""
    node = packed.node
    if node.kind != "read" or node.type != FLOAT or not is_inside(graph, node):
        return False
    bare = [position.attribute for position in node.args if position.kind == "index"]
    sizes_fit = all(
        position.kind != "index" or position.attribute.size is size or position.attribute is not packed.width
        for position, size in zip(node.args, node.attribute.sizes)
    )
    once = bare.count(loop) == 1 and bare.count(packed.width) == 1
    assert packed.width is not None
    others = [p for p in node.args if p.kind != "index" or p.attribute not in (loop, packed.width)]
    return sizes_fit and once and not any(p.axes & {loop, packed.width} for p in others)


def lies_side_by_side(graph: Graph, names: Names, loop: Axis, packed: Packed) -> bool:
    """Whether each looped index's features can be read where the caller has them, one behind the other."""
    if packed.layout == VECTOR or not is_plain(graph, packed, loop) or not names.is_unit_last(packed.node.attribute):
        return False
    positions = packed.node.args
    return all(p.kind == "index" for p in positions) and positions[-1].attribute == packed.width


def lies_ready(graph: Graph, names: Names, loop: Axis, packed: Packed) -> bool:
    """Whether an operand can be read where the caller has it: features side by side, in whole vectors, of the compute
    type."""
    node = packed.node
    if packed.layout != NATURAL or node.kind != "read" or packed.width is None or not is_inside(graph, node):
        return False
    if any(position.kind != "index" for position in node.args) or node.args[-1].attribute != packed.width:
        return False
    axes = [position.attribute for position in node.args]
    same = names.element(node.attribute) in ("T", names.compute) and names.is_unit_last(node.attribute)
    whole = width_of(names, packed.width) % (16 if names.compute == "float" else 8) == 0
    return same and whole and axes.count(loop) == 1 and len(set(axes)) == len(axes)


__all__ = ["Node", "PackWriter", "lies_ready"]
