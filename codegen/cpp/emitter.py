"""Nodes -> C++ expressions. Every value is computed in the outermost loop that knows its indices.

Loops are scopes. At most one of them runs over vector lanes; a value is then scalar or has lanes, integers with lanes
are narrow (32 bits beside float) where an interval proves that they fit, else 64-bit. Conditions with lanes are masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from attnc.analysis.intervals import Intervals
from attnc.ir import Axis, Graph, Node
from attnc.ir.node import FLOAT, INT, walk

from ..scopes import Scope, ScopeStack
from .names import Names, literal


@dataclass(frozen=True)
class Value:
    """A C++ expression. `level` is the depth of the scope that computes it; `lanes` and `wide` say what it holds."""

    text: str
    type: str
    level: int = 0
    lanes: bool = False
    wide: bool = False


@dataclass
class LaneScope(Scope):
    """A scope with what was computed in it; one that runs over vector lanes says along which axis, how many hold
    something."""

    values: dict[Node, Value] = field(default_factory=dict)
    lane_axis: Axis | None = None
    valid: str | None = None


@dataclass(frozen=True)
class Known:
    """A node that stands in memory: `access(emitter)` spells a load of it, in the scope of these axes or deeper."""

    access: Callable[[Emitter], Value]


class Emitter(ScopeStack[LaneScope]):
    """Writes expressions into nested scopes; along a lane axis, the coordinate is that of lane 0."""

    def __init__(self, graph: Graph, names: Names, intervals: Intervals | None = None) -> None:
        super().__init__(graph, LaneScope({}))
        self.names = names
        self.intervals = intervals or Intervals()
        self.known: dict[Node, Known] = {}
        self.statistics: frozenset[Node] = frozenset()

    # --- scopes ------------------------------------------------------------------------------------------------

    @property
    def lane_axis(self) -> Axis | None:
        scope = self._lane_scope()
        return scope.lane_axis if scope is not None else None

    def _lane_scope(self) -> LaneScope | None:
        """The loop over lanes, unless a deeper loop goes through the same axis again, index by index."""
        for depth in range(len(self.scopes) - 1, -1, -1):
            axis = self.scopes[depth].lane_axis
            if axis is not None:
                again = any(axis in scope.coordinates for scope in self.scopes[depth + 1 :])
                return None if again else self.scopes[depth]
        return None

    @property
    def valid(self) -> str | None:
        """How many lanes hold something, where that may be fewer than all."""
        scope = self._lane_scope()
        return scope.valid if scope is not None else None

    @contextmanager
    def scope(
        self, header: str, axes: dict[Axis, str], lane_axis: Axis | None = None, valid: str | None = None
    ) -> Iterator[None]:
        """A block `header { … }` in which these axes have coordinates; along a lane axis, that of lane 0."""
        self.scopes.append(LaneScope(dict(axes), lane_axis=lane_axis, valid=valid))
        yield
        inner = self.scopes.pop()
        self.line(header + " {")
        self.scopes[-1].lines += ["  " + text for text in inner.lines]
        self.line("}")

    def position(self, node: Node) -> tuple[str, int]:
        value = self.value(node)
        assert not value.lanes, "a group that varies within a vector"
        name = self.fresh("at")
        self.scopes[value.level].lines.append(f"const int64_t {name} = {value.text};")
        return name, value.level

    def function(self, header: str) -> list[str]:
        """Everything written so far as the body of a function."""
        (body,) = self.scopes
        return [header + " {", *("  " + text for text in body.lines), "}"]

    def forget(self, changed: Node) -> None:
        """Drops everything that was computed of a node."""
        for scope in self.scopes:
            scope.values = {node: value for node, value in scope.values.items() if changed not in set(walk(node))}

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
            return self.known[node].access(self)
        return RULES[node.kind](self, node)

    def define(self, type: str, text: str, level: int, lanes: bool = False, wide: bool = False) -> Value:
        """A named constant in the scope of that level."""
        name = self.fresh()
        self.scopes[level].lines.append(f"const auto {name} = {text};")
        return Value(name, type, level, lanes, wide)

    def scalar(self, node: Node) -> str:
        value = self.value(node)
        assert not value.lanes, f"{node} has lanes"
        return value.text

    def constant(self, size: Node) -> int | None:
        return self.names.constant(size)

    def size(self, node: Node) -> str:
        """A size as a scalar expression."""
        known = self.constant(node)
        return f"int64_t({known})" if known is not None else self.scalar(node)

    # --- conversions -------------------------------------------------------------------------------------------

    def with_lanes(self, value: Value, wide: bool = False) -> Value:
        """The same value with lanes (for integers: of the wanted width)."""
        if value.lanes and (value.type != INT or value.wide == wide):
            return value
        if value.lanes:
            convert = "to_longs<T>" if wide else "to_ints<T>"
            return replace(value, text=f"{convert}({value.text})", wide=wide)
        if value.type == FLOAT:
            text = f"splat<T>({value.text})"
        elif value.type == INT:
            text = f"splat_longs<T>({value.text})" if wide else f"splat_ints<T>((int32_t)({value.text}))"
        else:
            text = f"splat_ints<T>(-(int32_t)({value.text}))"
        return Value(text, value.type, value.level, True, wide)

    def zero(self, type: str) -> str:
        return literal(0, type)
