"""Where an expression stands: what its names mean there, and which masks and reductions are around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..ir import Axis, Node
from ..ir.rewrite import substitute
from .scope import MaskEntry, Scope
from .value import Over, Value


@dataclass(frozen=True)
class Environment:
    """`local` holds what a definition sees (nothing else is captured there); `free` the axes of the clause's left
    side, `enclosing` those bound by reductions around; `masks` those that stand above the clause. `obeyed` gathers the
    conditions that reductions in it obey."""

    scope: Scope
    masks: tuple[MaskEntry, ...] = ()
    free: frozenset[Axis] = frozenset()
    enclosing: frozenset[Axis] = frozenset()
    local: Mapping[str, Value | Over] | None = None
    definition: str | None = None
    depth: int = 0
    variables: Mapping[str, Node] = field(default_factory=dict)
    obeyed: set[Node] = field(default_factory=set)

    def inside(self, axes: tuple[Axis, ...]) -> Environment:
        """Within a reduction over these axes."""
        return replace(self, enclosing=self.enclosing | frozenset(axes))

    def governing(self, axes: tuple[Axis, ...]) -> list[Node]:
        """Conditions of the masks that a reduction over these axes obeys here."""
        self.scope.take_steps(len(self.masks))
        bound = frozenset(axes)
        batch = frozenset((self.scope.current("b"),))
        around = bound | self.free | self.enclosing | batch
        found = [mask.condition for mask in self.masks if mask.axes & bound and mask.axes <= around]
        for axis in sorted(around):
            for mask in self.masks if axis.parts else ():
                if axis in bound or mask.axes & bound:
                    found += self.part_conditions(mask, axis, around)
        self.obeyed.update(found)
        return found

    def part_conditions(self, mask: MaskEntry, axis: Axis, around: frozenset[Axis]) -> list[Node]:
        """What a mask that names one part of a joined axis says of it: on that part only."""
        graph, conditions = self.scope.graph, []
        for part in axis.parts:
            if part.of in mask.axes and mask.axes - {part.of} <= around:
                says = [mask.condition]
            else:
                says = self.part_conditions(mask, part.of, around)
            conditions.append([substitute(graph, one, {part.of: graph.index(part.own)}) for one in says])
        if sum(map(bool, conditions)) != 1:
            return []
        return [graph.join(axis, tuple(says[0] if says else graph.true for says in conditions))]
