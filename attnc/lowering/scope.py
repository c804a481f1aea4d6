"""The names of one attention: sizes, indices, inputs, parameters and lets, and where each was declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from attnc.grammar import tree

from ..diagnostics import NOWHERE, Findings, Mistake, Source, Span, did_you_mean
from ..ir import Axis, Graph, Node, Tensor
from .meaning import InputDeclaration, ParameterDeclaration
from .mistakes import DuplicateName, FunctionAsValue, NotAnIndex, ReplacedSize, UnknownName, spelled
from .sizes import size_text
from .value import Component, Hopeless, Poisoned, Value

STANDARD_INDICES = {"b": "B", "h": "H", "i": "M", "j": "N", "d": "D", "e": "E"}
STANDARD_SIZES = ("B", "H", "G", "M", "N", "D", "E")
DEFAULT_INPUTS = {"q": ("b", "h", "i", "d"), "k": ("b", "G", "j", "d"), "v": ("b", "G", "j", "e")}
DEFAULT_RESULTS = {"s": "score", "p": "normalize", "out": "aggregate"}
_INDEX = "an index"
_MOST_STEPS = 20_000  # a hundred times what any attention known to us takes, and well under a second
_MOST_NODES = 10_000
CONSTANTS = {"inf": float("inf"), "pi": 3.141592653589793}


@dataclass
class LetEntry:
    """A let, score, normalize, aggregate or output value, and what it was lowered to. `is_circular`: it reads itself,
    at once or through others."""

    clause: tree.Let
    position: int
    indices: tuple[Axis, ...] | None
    span: Span
    value: Value | None = None
    state: str = "waiting"
    is_circular: bool = False


@dataclass(frozen=True)
class MaskEntry:
    """A mask: the clauses after `position` obey it. `axes` are those that its condition depends on; `ragged` is the
    axis whose size it says, which has no other indices for anybody."""

    position: int
    condition: Node
    axes: frozenset[Axis]
    span: Span
    ragged: Axis | None = None


class LetRead(NamedTuple):
    """A let that reads another, or itself; `offsets` say how far from its own index, for each written one."""

    reader: str
    target: str
    offsets: tuple[int | None, ...]
    span: Span


@dataclass
class Scope:
    """Everything that names mean in one attention."""

    graph: Graph
    findings: Findings
    statics: Mapping[str, bool | str]
    definitions: Mapping[str, tree.Define]
    source: Source | None = None
    sizes: dict[str, Node] = field(default_factory=dict)
    axes: dict[str, Axis] = field(default_factory=dict)
    components: dict[Axis, tuple[Component, ...]] = field(default_factory=dict)
    parameters: dict[str, ParameterDeclaration] = field(default_factory=dict)
    inputs: dict[str, InputDeclaration] = field(default_factory=dict)
    lets: dict[str, LetEntry] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    masks: list[MaskEntry] = field(default_factory=list)
    waiting_masks: dict[int, tree.Mask] = field(default_factory=dict)
    extents: dict[str, Node] = field(default_factory=dict)
    equal: dict[str, Node] = field(default_factory=dict)
    replaced: dict[str, tuple[str, str, Span]] = field(default_factory=dict)
    exact_divisions: list[tuple[Node, Node, Span]] = field(default_factory=list)
    declared: dict[str, tuple[Span, str]] = field(default_factory=dict)
    poisoned: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)
    reads: list[LetRead] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    expansions: int = 0
    steps: int = 0

    def take_steps(self, count: int) -> None:
        """Counts work that grows with the spec; a spec that takes too much of it is given up."""
        self.steps += count
        if self.steps > _MOST_STEPS:
            raise Hopeless("this spec takes too long to check", f"{_MOST_STEPS} steps")
        if self.graph.count > _MOST_NODES:
            raise Hopeless("this spec is too large", f"{_MOST_NODES} operations after its definitions are expanded")

    # --- declaring ---------------------------------------------------------------------------------------------

    def declare(self, name: str, span: Span, role: str) -> None:
        """Takes a name, which `span` begins with; a second taking is a mistake."""
        if name in self.declared:
            first, first_role = self.declared[name]
            raise DuplicateName(span.name(name), name, first, first_role).error()
        self.declared[name] = (span.name(name), role)

    # --- looking up --------------------------------------------------------------------------------------------

    def axis(self, name: str) -> Axis | None:
        """The axis of a declared or standard index."""
        if name in self.axes:
            return self.axes[name]
        if name in STANDARD_INDICES and name not in self.declared:
            self.axes[name] = self.graph.axis(name, self.size(STANDARD_INDICES[name]))
            return self.axes[name]
        return None

    def current(self, name: str) -> Axis:
        """The batch ("b") or head ("h") that a left-out leading axis takes."""
        axis = self.axis(name)
        if axis is None or axis.size is not self.size(STANDARD_INDICES[name]):
            key = f"current {name}"
            if key not in self.axes:
                self.axes[key] = self.graph.axis(name, self.size(STANDARD_INDICES[name]))
            axis = self.axes[key]
        return axis

    def group_axis(self) -> Axis:
        """The key/value head that values read by every head of a group are computed for."""
        if "current g" not in self.axes:
            self.axes["current g"] = self.graph.axis("g", self.size("G"))
        return self.axes["current g"]

    def size(self, name: str) -> Node:
        if name not in self.sizes:
            self.sizes[name] = self.graph.size(name)
        return self.sizes[name]

    def canonical(self, size: Node) -> Node:
        """The size that this one was declared equal to, if any."""
        for _ in range(len(self.equal) + 1):
            if size.kind != "size" or size.attribute not in self.equal:
                return size
            size = self.equal[size.attribute]
        return size

    def same_size(self, left: Node, right: Node) -> bool:
        return self.canonical(left) is self.canonical(right)

    def input(self, name: str) -> InputDeclaration | None:
        """A declared input, or a default one (made on first use)."""
        if name in self.inputs:
            return self.inputs[name]
        if name in DEFAULT_INPUTS and name not in self.declared and name not in self.lets:
            return self._default_input(name)
        return None

    def _default_input(self, name: str) -> InputDeclaration:
        sizes = []
        for index in DEFAULT_INPUTS[name]:
            axis = self.axis(index) if index != "G" else None
            sizes.append(axis.size if axis is not None else self.size("G" if index == "G" else STANDARD_INDICES[index]))
        texts = tuple(size_text(size) for size in sizes)
        declaration = InputDeclaration(Tensor(name, tuple(sizes)), texts, NOWHERE, is_default=True)
        self.inputs[name] = declaration
        return declaration

    # --- what a name is ----------------------------------------------------------------------------------------

    def role(self, name: str) -> str | None:
        """What a name is, in a message; None for an unknown one."""
        if name in self.declared:
            return self.declared[name][1]
        if name in STANDARD_INDICES:
            return f"the index over {STANDARD_INDICES[name]}"
        if name in self.sizes:
            return "a size"
        if name in DEFAULT_INPUTS:
            return "an input"
        return "a constant" if name in CONSTANTS else None

    def indices(self) -> list[str]:
        """Every name that is an index."""
        declared = [name for name in self.axes if " " not in name]
        return [*declared, *(name for name in STANDARD_INDICES if name not in self.declared)]

    def not_an_index(self, name: tree.Name, where: str, also: tuple[str, ...] = ()) -> Mistake:
        """The mistake of a name that stands where only an index can; `also` lists other words allowed there."""
        role = self.role(name.id)
        if role == _INDEX:
            raise Poisoned
        near = None if role else did_you_mean(name.id, [*self.indices(), *also])
        if name.id in self.sizes and name.id not in self.declared:
            over = [index for index in self.indices() if self.axis(index).size is self.sizes[name.id]]  # type: ignore[union-attr]
            return NotAnIndex(name.span, name.id, where, role, None, over[0] if over else None)
        return NotAnIndex(name.span, name.id, where, role, near)

    def unknown(self, name: tree.Name, is_subscripted: bool = False) -> Mistake:
        """The mistake of a name that is nothing here; each name is reported once."""
        from .calls import BUILT_IN

        if name.id in self.reported:
            raise Poisoned
        self.reported.add(name.id)
        if name.id in self.replaced:
            index, size, span = self.replaced[name.id]
            return ReplacedSize(name.span, name.id, index, size, span)
        if name.id in self.definitions:
            axes = ", ".join(axis.id for axis in self.definitions[name.id].axes)
            form = f"{name.id}{f'[{axes}]' if axes else ''}(…)"
            return FunctionAsValue(name.span, name.id, "a definition", f"call it: '{form}'")
        if name.id in BUILT_IN:
            return FunctionAsValue(name.span, name.id, "a function", f"call it: '{name.id}(…)'")
        role = DEFAULT_RESULTS.get(name.id, "")
        if role in self.roles:
            let = self.lets[self.roles[role]]
            return UnknownName(name.span, name.id, let.clause.name, let.span, f"the {role} clause")
        known = [*self.declared, *STANDARD_INDICES, *self.sizes, *DEFAULT_INPUTS, *CONSTANTS, *DEFAULT_RESULTS]
        swapped = name.id.swapcase()
        is_tensor = swapped in self.inputs or swapped in self.lets or swapped in DEFAULT_INPUTS
        near = swapped if is_subscripted and is_tensor else did_you_mean(name.id, known)
        first = self.declared.get(near or "")
        place, what = first if first is not None else (None, "")
        form = f"{name.id}[…]" if is_subscripted else name.id
        declared = spelled(name.span, "input", form if is_subscripted else f"{form}: float")
        remedy = f"declare it: '{declared}' or '{spelled(name.span, 'let', f'{form} = …')}'"
        if not is_subscripted:
            remedy = remedy.replace("declare it:", f"declare it: the parameter '{name.id}: int',")
        return UnknownName(name.span, name.id, near, place, what, remedy)
