"""Nodes -> Triton expressions over blocks. Every value is computed in the outermost scope that knows its indices.

An axis has a scalar index in a scope, or a block of indices; a value's dimensions are those of its axes that have
blocks, rows before columns before features. What a pass accumulates changes as it runs: `forget` drops what was
computed of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from attnc.analysis.intervals import Intervals
from attnc.ir import Axis, Graph, Node
from attnc.ir.node import FLOAT, walk

from ..names import identifier
from ..scopes import Scope, ScopeStack
from .names import Names, Part, literal


@dataclass(frozen=True)
class Value:
    """An expression: its dimensions, the depth of the scope that computes it, and whether integers have 64 bits."""

    text: str
    type: str
    dims: tuple[Axis, ...] = ()
    level: int = 0
    wide: bool = False


@dataclass(frozen=True)
class Block:
    """A block of indices: `start` is the first, `local` counts from 0, `size` is how many, `valid` which of them exist
    (None: all)."""

    start: str
    local: str
    size: str
    valid: str | None
    part: Part | None = None


@dataclass
class BlockScope(Scope):
    """A scope with its blocks and what was computed in it; `raw` are loads before their conversion."""

    blocks: dict[Axis, Block] = field(default_factory=dict)
    values: dict[Node, Value] = field(default_factory=dict)
    raw: dict[object, Value] = field(default_factory=dict)
    parts: dict[tuple[Axis, Part], BlockScope] = field(default_factory=dict)

    def every(self) -> Iterator[BlockScope]:
        """This scope and the parts opened in it."""
        yield self
        for part in self.parts.values():
            yield from part.every()


Access = Callable[["Emitter"], Value | None]


class Emitter(ScopeStack[BlockScope]):
    """Writes expressions into nested scopes. `known` nodes stand in locals."""

    def __init__(self, graph: Graph, names: Names) -> None:
        super().__init__(graph, BlockScope({}))
        self.names = names
        self.intervals = Intervals()
        self.known: dict[Node, Access] = {}
        self.statistics: frozenset[Node] = frozenset()
        self.corners: dict[Node, int] = {}  # of the tile, with the scope that knows them
        self.order: tuple[Axis, ...] = ()

    # --- scopes ------------------------------------------------------------------------------------------------

    @contextmanager
    def loop(self, header: str, axes: dict[Axis, str]) -> Iterator[None]:
        """An indented block in which these axes have scalar indices."""
        self.scopes.append(BlockScope(dict(axes)))
        yield
        inner = self.scopes.pop()
        self.line(header)
        self.scopes[-1].lines += ["    " + text for text in inner.lines or ["pass"]]

    def fix_block(self, axis: Axis, block: Block) -> None:
        """Gives an axis a block of indices for the rest of the current scope."""
        self.scopes[-1].coordinates[axis] = f"({block.start} + {block.local})" if block.start != "0" else block.local
        self.scopes[-1].blocks[axis] = block

    @contextmanager
    def part(self, axis: Axis, part: Part) -> Iterator[None]:
        """A part of a width as a block; coming back to it in the same scope finds what was computed there."""
        key = (axis, part)
        scope = self.scopes[-1].parts.get(key)
        if scope is None:
            scope = self.scopes[-1].parts[key] = BlockScope({})
            local = self._arange(part.size)
            valid = None if part.is_whole else f"({local} < {part.count})"
            block = Block(str(part.start), local, str(part.size), valid, part)
            scope.coordinates[axis] = f"({part.start} + {local})" if part.start else local
            scope.blocks[axis] = block
        self.scopes.append(scope)
        yield
        self.scopes.pop()
        self.scopes[-1].lines += scope.lines
        scope.lines = []

    def _arange(self, size: int) -> str:
        name = f"offsets{size}"
        body = self.scopes[0]
        line = f"{name} = tl.arange(0, {size})"
        if line not in body.lines:
            body.lines.insert(0, line)
        return name

    def block(self, axis: Axis) -> Block | None:
        """The block that an axis has here; None where its index is scalar."""
        for scope in reversed(self.scopes):
            if axis in scope.coordinates:
                return scope.blocks.get(axis)
        return None

    def position(self, node: Node) -> tuple[str, int]:
        value = self.value(node)
        assert not value.dims, "a group that varies within a block"
        return self.define(value, identifier("at")).text, value.level

    def function(self, header: str) -> list[str]:
        """Everything written so far as the body of a function."""
        (body,) = self.scopes
        return [header, *("    " + text for text in body.lines)]

    # --- values ------------------------------------------------------------------------------------------------

    def value(self, node: Node) -> Value:
        """The value of a node here, computed at most once in the scope where it belongs."""
        for scope in reversed(self.scopes):
            if node in scope.values:
                return scope.values[node]
            if scope.fixes(node.axes):
                break
        value = self._compute(node)
        self.scopes[value.level].values[node] = value
        return value

    def _compute(self, node: Node) -> Value:
        from .operations import RULES

        if node in self.known:
            found = self.known[node](self)
            if found is not None:
                return found
        return RULES[node.kind](self, node)

    def forget(self, changed: Node) -> None:
        """Drops everything that was computed of a node."""
        for scope in (part for outer in self.scopes for part in outer.every()):
            scope.values = {node: value for node, value in scope.values.items() if changed not in set(walk(node))}

    def define(self, value: Value, stem: str = "t") -> Value:
        """The value under a name of its own."""
        name = self.fresh(stem)
        self.scopes[value.level].lines.append(f"{name} = {value.text}")
        return replace(value, text=name)

    def number(self, node: Node) -> float | None:
        """The value of a node that is made of numbers and widths."""
        if node.kind == "map" and node.op == "to_float":
            known = self.names.constant(node.args[0])
            return None if known is None else float(known)
        return float(node.attribute) if node.kind == "const" and node.type == FLOAT else None

    def size(self, node: Node) -> str:
        """A size as a scalar expression."""
        known = self.names.constant(node)
        if known is not None:
            return str(known)
        value = self.value(node)
        assert not value.dims, "a size that varies"
        return value.text

    # --- shapes ------------------------------------------------------------------------------------------------

    def union(self, *dims: tuple[Axis, ...]) -> tuple[Axis, ...]:
        """All these dimensions, in the order that tiles have."""
        place = {axis: n for n, axis in enumerate(self.order)}
        return tuple(sorted({a for one in dims for a in one}, key=lambda a: (place.get(a, len(place)), a.number)))

    def spread(self, value: Value, dims: tuple[Axis, ...]) -> str:
        """The value's text, with a place for every dimension that it lacks."""
        if value.dims == dims or not value.dims:
            return value.text
        return f"{value.text}[{', '.join(':' if axis in value.dims else 'None' for axis in dims)}]"

    def shape(self, dims: tuple[Axis, ...]) -> str:
        blocks = [self.block(axis) for axis in dims]
        return f"[{', '.join(block.size for block in blocks if block is not None)}]"

    def full(self, value: Value, dims: tuple[Axis, ...]) -> str:
        """The value at every index of these dimensions."""
        if value.dims == dims:
            return value.text
        kind = self.names.float if value.type == FLOAT else "tl.int64" if value.type == "int" else "tl.int1"
        if not value.dims:
            return f"tl.full({self.shape(dims)}, {value.text}, {kind})"
        return f"tl.broadcast_to({self.spread(value, dims)}, {self.shape(dims)})"

    def valid(self, dims: tuple[Axis, ...], axes: tuple[Axis, ...]) -> list[str]:
        """Which indices of these axes exist, as masks with the dimensions `dims`."""
        masks = []
        for axis in axes:
            block = self.block(axis)
            if block is not None and block.valid is not None:
                masks.append(self.spread(Value(block.valid, "bool", (axis,)), dims))
        return masks

    def cast_wide(self, value: Value) -> str:
        """An integer with 64 bits."""
        if value.wide or value.text.lstrip("-").isdigit():
            return value.text
        return f"tl.cast({value.text}, tl.int64)"


__all__ = ["Block", "Emitter", "Part", "Value", "literal"]
