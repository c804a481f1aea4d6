"""The graph's builder: interns nodes and keeps them in normal form as they are made.

Sums and products are n-ary (see algebra.py), conditions are canonical (see logic.py), constants fold. Every
constructor infers axes and element type; what cannot be is a compiler bug, since lowering checks the user's text.
"""

from __future__ import annotations

import math
from typing import Any

from ..diagnostics import NOWHERE, Span
from .algebra import Algebra
from .axis import Axis, Part
from .joined import reduce_parts
from .logic import Logic
from .node import BOOL, FLOAT, INT, RANK, Node, Recurrence, Tensor, is_zero
from .summation import Summation

_NO_AXES: frozenset[Axis] = frozenset()


class Graph(Algebra, Logic, Summation):
    """Makes and owns nodes and axes. Nodes of different graphs must not be mixed."""

    def __init__(self) -> None:
        self._interned: dict[tuple[Any, ...], Node] = {}
        self._axes = 0
        self._vector_axes: dict[tuple[Node, int], Axis] = {}
        self._streamed: dict[Axis, Axis] = {}
        self.span: Span = NOWHERE

    # --- interning ---------------------------------------------------------------------------------------------

    def _intern(
        self, kind: str, op: str, args: tuple[Node, ...], attribute: Any, axes: frozenset[Axis], type: str
    ) -> Node:
        marked = (attribute.__class__, math.copysign(1.0, attribute)) if isinstance(attribute, (int, float)) else None
        key = (kind, op, args, attribute, marked, type)
        node = self._interned.get(key)
        if node is None:
            node = Node(len(self._interned), kind, op, args, attribute, axes, type)
            node.span = self.span
            self._interned[key] = node
        return node

    @property
    def count(self) -> int:
        """How many nodes were made so far."""
        return len(self._interned)

    # --- axes --------------------------------------------------------------------------------------------------

    def axis(self, name: str, size: Node, is_vector: bool = False, construct: str | None = None) -> Axis:
        self._axes += 1
        return Axis(self._axes, name, size, is_vector, construct)

    def streamed(self, axis: Axis) -> Axis:
        """A copy of an axis of features, always the same one, that plans go through as through a length."""
        if axis not in self._streamed:
            self._axes += 1
            self._streamed[axis] = Axis(self._axes, axis.name, axis.size, axis.is_vector, streams=True)
        return self._streamed[axis]

    def _twin(self, axis: Axis) -> Axis:
        if axis.parts:
            return self.joined_axis(axis.name, tuple(part.of for part in axis.parts))
        return self.fresh(axis)

    def fresh(self, axis: Axis) -> Axis:
        """Another axis of the same size and kind."""
        self._axes += 1
        return Axis(self._axes, axis.name, axis.size, axis.is_vector, streams=axis.streams)

    def joined_axis(self, name: str, parts: tuple[Axis, ...]) -> Axis:
        """The disjoint union of axes, in this order."""
        own = tuple(Part(self._twin(axis), axis) for axis in parts)
        self._axes += 1
        return Axis(self._axes, name, self.add(*(axis.size for axis in parts)), parts=own)

    def vector_axis(self, size: Node, place: int) -> Axis:
        """The anonymous trailing axis of this size, `place` counted from the right."""
        key = (size, place)
        if key not in self._vector_axes:
            name = size.attribute.lower() if size.kind == "size" else "x"
            self._vector_axes[key] = self.axis(name + "'" * (place + 1), size, is_vector=True)
        return self._vector_axes[key]

    # --- leaves ------------------------------------------------------------------------------------------------

    def const(self, value: int | float | bool) -> Node:
        type = BOOL if isinstance(value, bool) else INT if isinstance(value, int) else FLOAT
        return self._intern("const", "", (), value, _NO_AXES, type)

    def param(self, name: str, type: str) -> Node:
        return self._intern("param", "", (), name, _NO_AXES, type)

    def size(self, name: str) -> Node:
        return self._intern("size", "", (), name, _NO_AXES, INT)

    def index(self, axis: Axis) -> Node:
        return self._intern("index", "", (), axis, frozenset((axis,)), INT)

    def read(self, tensor: Tensor, positions: tuple[Node, ...]) -> Node:
        return self._intern("read", "", positions, tensor, _axes_of(positions), tensor.type)

    # --- structure ---------------------------------------------------------------------------------------------

    def map(self, op: str, args: tuple[Node, ...], type: str, attribute: Any = None) -> Node:
        """A pointwise primitive other than sums, products and conditions, which have constructors of their own."""
        return self._intern("map", op, args, attribute, _axes_of(args), type)

    def guard(self, condition: Node, value: Node) -> Node:
        if condition.is_const(True) or is_zero(value):
            return value
        if condition.is_const(False):
            return self.zero(value.type)
        if value.kind == "guard":
            return self.guard(self.all(condition, value.args[0]), value.args[1])
        return self._intern("guard", "", (condition, value), None, _axes_of((condition, value)), value.type)

    def stop(self, value: Node) -> Node:
        if value.kind in ("const", "param", "size", "index", "stop") or value.type != FLOAT:
            return value
        return self._intern("stop", "", (value,), None, value.axes, value.type)

    def at(self, value: Node, axes: tuple[Axis, ...], positions: tuple[Node, ...]) -> Node:
        """`value` with each of `axes` read at a position (inside, which the maker has proved or guarded)."""
        kept = [(a, p) for a, p in zip(axes, positions) if a in value.axes and p is not self.index(a)]
        if not kept:
            return value
        axes, positions = tuple(a for a, _ in kept), tuple(p for _, p in kept)
        free = (value.axes - frozenset(axes)) | _axes_of(positions)
        return self._intern("at", "", (value, *positions), axes, free, value.type)

    def join(self, axis: Axis, args: tuple[Node, ...]) -> Node:
        """One value over a joined axis: each of `args` is written with its part's own axis."""
        if all(arg is args[0] for arg in args) and args[0].kind == "const":
            return args[0]
        own = frozenset(part.own for part in axis.parts)
        return self._intern("join", "", args, axis, (_axes_of(args) - own) | {axis}, args[0].type)

    def root(self, unknown: Tensor, f: Node, slope: Node, low: Node, high: Node) -> Node:
        """t at which f is 0, from low to high; f reads the unknown for t, at its own indices. `slope` is the derivative
        of f in t (until it is derived, the constant 0)."""
        args = (f, slope, low, high)
        return self._intern("root", "", args, unknown, _axes_of(args), FLOAT)

    def least(self, unknown: Tensor, condition: Node, low: Node, high: Node) -> Node:
        """The first number (integer, for an unknown of that type) from low to high at which a condition holds that goes
        on to hold from there; high where none does."""
        args = (condition, self.const(0.0), low, high)
        return self._intern("root", "least", args, unknown, _axes_of(args), unknown.type)

    def recur(self, recurrence: Recurrence, place: int, values: tuple[Node, ...]) -> Node:
        """One state of a recurrence, of which `values` has one for each."""
        axes = frozenset(recurrence.axes[place])
        return self._intern("recur", "", values, (recurrence, place), axes, values[place].type)

    def reduce(self, op: str, axes: tuple[Axis, ...], body: Node, domain: Node | None = None) -> Node:
        """`op` is sum, prod, max, min or argmax (in plans also total, a sum with more digits); an empty domain gives
        0, 1, -inf, inf or -1."""
        domain = self.true if domain is None else domain
        axes = tuple(sorted(set(axes), key=lambda axis: axis.number))
        joined = next((axis for axis in axes if axis.parts), None)
        if joined is not None:
            return reduce_parts(self, op, joined, tuple(axis for axis in axes if axis is not joined), body, domain)
        if not axes:
            assert op != "argmax", "argmax needs an axis"
            return self.guard(domain, body) if op == "sum" else self.where(domain, body, self.neutral(op, body.type))
        if op == "sum":
            return self.sum_over(axes, body, domain)
        if op in ("max", "min") and len(axes) > 1:
            return self.reduce(op, axes[:-1], self.reduce(op, axes[-1:], body, domain))
        free = (body.axes | domain.axes) - frozenset(axes)
        type = INT if op == "argmax" else body.type
        return self._intern("reduce", op, (body, domain), axes, free, type)

    def reduce_as_is(self, op: str, axes: tuple[Axis, ...], body: Node, domain: Node) -> Node:
        """A reduction in the form given: for passes, whose statistics must stay reductions."""
        free = (body.axes | domain.axes) - frozenset(axes)
        type = INT if op == "argmax" else body.type
        return self._intern("reduce", op, (body, domain), axes, free, type)

    def scan(self, op: str, axis: Axis, args: tuple[Node, ...], is_reverse: bool, is_exclusive: bool) -> Node:
        """A reduction of body within a domain, carried along an axis (see scans.py): for plans, which say in which
        order tiles come. `op` rest: a third operand, a `total`, less the sum; rank: see `rank`."""
        return self._intern("scan", op, args, (axis, is_reverse, is_exclusive), _axes_of(args) | {axis}, args[0].type)

    def rank(self, axis: Axis, x: Node, domain: Node) -> Node:
        """How many of the domain come before an index of the axis in descending order of x, ties by the index."""
        args = (x, domain)
        return self._intern("scan", RANK, args, (axis, False, False), _axes_of(args) | {axis}, INT)

    def opaque(
        self, op: str, args: tuple[Node, ...], axes: frozenset[Axis], type: str, label: str, key: Any = None
    ) -> Node:
        """A construct that is checked but not lowered yet; `label` names it to the user, `key` tells two apart."""
        return self._intern("opaque", op, args, (axes, label, key), axes, type)

    # --- small things ------------------------------------------------------------------------------------------

    @property
    def true(self) -> Node:
        return self.const(True)

    def zero(self, type: str) -> Node:
        return self.const({FLOAT: 0.0, INT: 0, BOOL: False}[type])

    def neutral(self, op: str, type: str) -> Node:
        """What a reduction over nothing gives."""
        if op in ("sum", "total"):
            return self.zero(type)
        if op == "prod":
            return self.const(1 if type == INT else 1.0)
        if op == "argmax":
            return self.const(-1)
        largest = 1 << 62 if type == INT else math.inf
        return self.const(-largest if op == "max" else largest)

    def to_type(self, value: Node, type: str) -> Node:
        return self.to_float(value) if type == FLOAT else self.to_int(value) if type == INT else value

    def to_float(self, value: Node) -> Node:
        if value.type == FLOAT:
            return value
        if value.kind == "const":
            return self.const(float(value.attribute))
        if value.type == BOOL:
            return self.guard(value, self.const(1.0))
        if value.kind == "guard":
            return self.guard(value.args[0], self.to_float(value.args[1]))
        return self.map("to_float", (value,), FLOAT)

    def to_int(self, value: Node) -> Node:
        if value.type == BOOL:
            return self.const(int(value.attribute)) if value.kind == "const" else self.guard(value, self.const(1))
        assert value.type == INT, "a float becomes an integer only through floor, ceil or round"
        return value


def _axes_of(nodes: tuple[Node, ...]) -> frozenset[Axis]:
    if len(nodes) == 1:
        return nodes[0].axes
    return frozenset().union(*(node.axes for node in nodes))
