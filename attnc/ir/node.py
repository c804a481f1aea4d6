"""Nodes of the graph. Immutable and interned: equal values are the same object, so `is` compares meaning.

kind     args                      attribute            value
const    -                         number or bool       itself
param    -                         name                 a host number, given at the call
size     -                         name                 a length, width or count
index    -                         axis                 the position along the axis
read     one per dimension         tensor               an element; 0 (false) where any position is outside
map      operands                  see primitives.py    pointwise `op`
guard    condition, value          -                    value where the condition holds, else 0 (false)
stop     value                     -                    value, with derivative 0
at       value, one per axis       axes                 value with the axes read at other positions
reduce   body, domain              axes                 `op` of body over the tuples of the axes in the domain
join     one per part              joined axis          a value over the union of its parts (see joined.py)
root     f, slope, low, high       tensor               t where f is 0, from low to high; f reads the tensor for t;
                                                        `op` least: the first t at which the condition f holds
recur    one value per state       (recurrence, place) the state of this place, over all steps; values read the states
                                                        at other steps
scan     body, domain (, total)    (axis, reverse, exclusive) `op` of body over the indices up to this one, in plans;
                                                        `op` rank: the place in the order of all of them
opaque   operands                  (axes, label)        a construct of the language that no pass lowers yet
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import NOWHERE, Span
from .axis import Axis

FLOAT, INT, BOOL = "float", "int", "bool"
RANK = "rank"  # the op of scans that count what comes before: integers in a meaning, floating numbers in a plan
# what is derived of a tensor or a result is named after it, with a space that no name in a spec holds
COTANGENT, GRADIENT, TANGENT = "d ", "g ", "t "


@dataclass(frozen=True)
class Tensor:
    """Something read by position. `origin`: "input", "cotangent" (given by autograd), "saved", "result", "unknown"
    (of a root) or "state" (of a recurrence). `is_small`: its integers are no larger than indices."""

    name: str
    sizes: tuple[Node, ...] = field(compare=False, repr=False)
    type: str = FLOAT
    origin: str = "input"
    is_small: bool = False

    @property
    def label(self) -> str:
        """The name for readers."""
        return self.name.replace(" ", "_")


@dataclass(frozen=True)
class Recurrence:
    """Values found step by step along an axis, from the first index or (`is_reverse`) from the last: each reads the
    states at steps before its own. `axes` has one axis for each dimension of each state."""

    axis: Axis
    states: tuple[Tensor, ...]
    axes: tuple[tuple[Axis, ...], ...]
    is_reverse: bool


class Node:
    """See the module's table. `number` grows with creation, so operands always have smaller numbers."""

    __slots__ = ("args", "attribute", "axes", "kind", "number", "op", "span", "type")

    kind: str
    op: str
    args: tuple[Node, ...]
    attribute: Any
    axes: frozenset[Axis]
    type: str
    number: int
    span: Span

    def __init__(
        self, number: int, kind: str, op: str, args: tuple[Node, ...], attribute: Any, axes: frozenset[Axis], type: str
    ) -> None:
        self.number = number
        self.kind = kind
        self.op = op
        self.args = args
        self.attribute = attribute
        self.axes = axes
        self.type = type
        self.span = NOWHERE

    def __lt__(self, other: Node) -> bool:
        return self.number < other.number

    def __repr__(self) -> str:
        return f"%{self.number}"

    def is_const(self, value: Any = None) -> bool:
        return self.kind == "const" and (value is None or self.attribute == value)

    @property
    def is_unknown(self) -> bool:
        """What a root around it is solved for."""
        return self.kind == "read" and self.attribute.origin == "unknown"

    def reads(self, tensor: Tensor) -> bool:
        return self.kind == "read" and bool(self.attribute == tensor)

    @property
    def binds(self) -> tuple[Tensor, ...]:
        """What operands read that has no value outside of this node: a root's unknown, the states of a recurrence."""
        if self.kind == "root":
            return (self.attribute,)
        return self.attribute[0].states if self.kind == "recur" else ()

    @property
    def is_least(self) -> bool:
        """A search for the first value at which a condition holds."""
        return self.kind == "root" and self.op == "least"

    @property
    def is_rank(self) -> bool:
        return self.kind == "scan" and self.op == RANK

    @property
    def is_sum(self) -> bool:
        """A linear combination: `attribute` is (coefficients, constant)."""
        return self.kind == "map" and self.op == "add"

    @property
    def is_product(self) -> bool:
        """A product of powers: `attribute` is the tuple of exponents."""
        return self.kind == "map" and self.op == "mul"

    @property
    def bound(self) -> tuple[Axis, ...]:
        """Axes that this node binds: those of a reduction or of an `at`."""
        return self.attribute if self.kind in ("reduce", "at") else ()

    @property
    def body(self) -> Node:
        return self.args[0]

    @property
    def domain(self) -> Node:
        """The condition of a reduction or a scan; of a guard, its condition."""
        return self.args[1] if self.kind in ("reduce", "scan") else self.args[0]


def reachable(roots: list[Node], without: Container[Node] = ()) -> list[Node]:
    """Every node that the roots use, operands first; not through those left out."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen and node not in without:
            seen.add(node)
            stack.extend(node.args)
    return sorted(seen, key=lambda node: node.number)


def outermost(roots: Iterable[Node], is_wanted: Callable[[Node], bool]) -> list[Node]:
    """On every way down from the roots the first node that is wanted."""
    found: list[Node] = []
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if is_wanted(node):
            found.append(node)
        else:
            stack.extend(node.args)
    return sorted(found, key=lambda node: node.number)


def open_nodes(nodes: Iterable[Node], known: Container[str] = ()) -> set[Node]:
    """Those (operands first) that read the unknown of a root, or the state of a recurrence, around them; but for states
    that are known, by their name."""
    free: dict[Node, frozenset[Tensor]] = {}
    for node in nodes:
        own = frozenset[Tensor]().union(*(free.get(arg, frozenset()) for arg in node.args))
        is_open = node.kind == "read" and node.attribute.origin in ("unknown", "state")
        if is_open and node.attribute.name not in known:
            own |= {node.attribute}
        free[node] = own.difference(node.binds)
    return {node for node, own in free.items() if own}


def walk(root: Node) -> Iterator[Node]:
    """Every node below the root (itself too), operands first."""
    yield from reachable([root])


def is_zero(node: Node) -> bool:
    """The constant 0, or false."""
    return node.kind == "const" and not node.attribute


def depends_on(root: Node, targets: frozenset[Node]) -> bool:
    """Whether any of these nodes is used by the root."""
    return any(node in targets for node in walk(root))
