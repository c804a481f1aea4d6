"""Sums that loops of a nest would compute again and again: computed once, in a nest of their own before it.

A nest has a loop for each axis that it stores along, and one for each axis of a sum in it. A sum is made in the
innermost loop whose index it reads, so for every index of the loops around that one too, whether it reads them or not.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from ..ir import Axis, Graph, Node, Tensor
from ..ir.likeness import Likeness
from ..ir.node import BOOL, open_nodes, outermost, walk
from ..ir.rewrite import Rewriter
from ..ir.roles import LENGTH, OUTER, WIDTH, Roles
from .plan import Nest, Pass, Stage, Store, Term

_NOMINAL = {LENGTH: 1024, OUTER: 8, WIDTH: 32}  # what sizes are taken to be that no constant says
_LEAST = 16  # operations saved for each value that is kept: it is written and read back
_MOST = 64  # how many times as many numbers may be kept as are stored
_KINDS = ("reduce", "map", "guard")

Loops = tuple[tuple[frozenset[Axis], float], ...]  # from the outermost: what it goes through, how many times
Sums = Callable[[float, float], float]
Room = Callable[[tuple[Axis, ...], str], Tensor]


def keep_values(graph: Graph, roles: Roles, stages: Sequence[Stage], room: Room) -> list[Stage]:
    """The stages, with nests before those that would compute values again. `room` makes a temporary tensor."""
    keeper = _Keeper(graph, roles, room)
    return [one for stage in stages for one in keeper.stages(stage)]


def _moved(loops: Loops, at: Node) -> Loops:
    """The loops as a value at other indices knows them: those that tell its positions tell its indices."""
    for axis, position in zip(at.attribute, at.args[1:]):
        told = max((n for n, (axes, _) in enumerate(loops) if axes & position.axes), default=0)
        loops = tuple((axes | {axis} if n == told else axes - {axis}, count) for n, (axes, count) in enumerate(loops))
    return loops


class _Keeper:
    def __init__(self, graph: Graph, roles: Roles, room: Room) -> None:
        self.graph = graph
        self.roles = roles
        self.room = room
        self.works: dict[Node, float] = {}
        self.likeness = Likeness()
        self.made: dict[Hashable, Tensor] = {}
        self.given: dict[Node, Node] = {}  # what a pass sums up

    def stages(self, stage: Stage) -> list[Stage]:
        """The stage, after nests that compute what it reads: each reads what earlier ones keep."""
        kept: list[Store] = []
        if isinstance(stage, Nest):
            stage = Nest(tuple(self._settled(stage.stores, kept)))
        elif isinstance(stage, Pass) and stage.solve is None:
            stage = self._pass(stage, kept)
        return [*self._nests(kept), stage]

    def _pass(self, made: Pass, kept: list[Store]) -> Pass:
        """A pass that reads what is kept of its operands, and of what its epilogue makes of its sums."""
        self.given = {a.node: a.node for a in made.accumulators}
        operands = [self._operands(made, term) for a in made.accumulators for term in a.terms]
        nodes = list(dict.fromkeys(node for found in operands for node in found))
        nowhere = Tensor("operand", ())
        stores = [Store(nowhere, self.roles.memory_order(node.axes), node) for node in nodes]
        settled = self._settled([*stores, *made.epilogue], kept, max)  # one operand's time is little beside the pairs'
        epilogue = tuple(settled[len(nodes) :])
        rewriter = Rewriter(self.graph, replaced={**self.given, **{n: s.node for n, s in zip(nodes, settled)}})
        self.given = {}
        if not kept:
            return made

        def renewed(term: Term) -> Term:
            return replace(term, tile=rewriter(term.tile), operand=term.operand and rewriter(term.operand))

        accumulators = tuple(replace(a, terms=tuple(map(renewed, a.terms))) for a in made.accumulators)
        return replace(made, accumulators=accumulators, epilogue=epilogue)

    def _operands(self, made: Pass, term: Term) -> list[Node]:
        """What a term has of one side of its pairs alone."""
        pair = {made.row, made.loop}

        def is_operand(node: Node) -> bool:
            alone = node.kind in _KINDS and node.type != BOOL and not pair <= node.axes
            return alone and any(part.kind == "reduce" for part in walk(node)) and not set(walk(node)) & set(self.given)

        return outermost([term.tile, *([term.operand] if term.operand is not None else [])], is_operand)

    def _nests(self, kept: list[Store]) -> list[Nest]:
        """Nests for what is kept, in the order in which one value needs others."""
        below = {s.tensor: {n.attribute for n in walk(s.node) if n.kind == "read"} for s in kept}
        order: dict[Tensor, int] = {}

        def place(tensor: Tensor) -> int:
            if tensor not in order:
                order[tensor] = 1 + max((place(other) for other in below[tensor] if other in below), default=-1)
            return order[tensor]

        levels = sorted({place(store.tensor) for store in kept})
        return [Nest(tuple(s for s in kept if order[s.tensor] == level)) for level in levels]

    def _settled(self, stores: Sequence[Store], kept: list[Store], of_all: Sums = operator.add) -> list[Store]:
        """The stores with what is kept read; what that takes is added to `kept`, and settled too. `of_all` says how
        often a value is computed that several stores compute."""
        found = [self._parts(store) for store in stores]
        total: dict[Hashable, float] = {}
        for parts in found:
            for node, times in parts.items():
                key = self._key(node)
                total[key] = of_all(total.get(key, 0.0), times)
        new: list[Store] = []
        out = []
        for store, parts in zip(stores, found):
            wanted = {node for node in parts if self._is_worth_it(node, total[self._key(node)])}
            replaced = dict(self.given)
            for node in outermost([store.node], wanted.__contains__):
                axes = self.roles.memory_order(node.axes)
                key = self._key(node)
                if key not in self.made:
                    self.made[key] = self.room(axes, node.type)
                    new.append(Store(self.made[key], axes, node))
                replaced[node] = self.graph.read(self.made[key], tuple(self.graph.index(axis) for axis in axes))
            out.append(replace(store, node=Rewriter(self.graph, replaced=replaced)(store.node)))
        if new:
            kept += self._settled(sorted(new, key=lambda store: self._work(store.node), reverse=True), kept)
        return out

    def _key(self, node: Node) -> Hashable:
        return self.likeness.key(node, self.roles.memory_order(node.axes))

    # --- which -------------------------------------------------------------------------------------------------

    def _parts(self, store: Store) -> dict[Node, float]:
        """Values below a store that may be kept, and how many times they are computed."""
        found: dict[Node, float] = {}
        seen: set[tuple[Node, Loops]] = set()
        hidden = {*open_nodes(walk(store.node)), *self.given}
        running: set[Node] = set()  # what is known at the end of the pass alone
        for node in walk(store.node):
            if node in self.given or not running.isdisjoint(node.args):
                running.add(node)
        own = frozenset(store.axes)
        stack: list[tuple[Node, Loops]] = [(store.node, self._loops(store.axes[:-1], store.axes[-1:]))]
        while stack:
            node, loops = stack.pop()
            depth = max((n for n, (axes, _) in enumerate(loops) if axes & node.axes), default=-1) + 1
            loops = loops[:depth]
            if (node, loops) in seen or node in hidden:
                continue
            seen.add((node, loops))
            axes = frozenset[Axis]().union(*(axes for axes, _ in loops))
            if node is not store.node and node.axes <= axes and node not in running and self._can_be_kept(node, own):
                found[node] = found.get(node, 0.0) + math.prod(count for _, count in loops)
                if self._key(node) in self.made:
                    continue
            if node.kind == "at":
                stack.append((node.args[0], _moved(loops, node)))
            within = loops
            if node.kind == "reduce":
                within = (*loops, *self._loops(*((axis,) for axis in node.attribute)))
            stack += [(arg, within) for arg in node.args[node.kind == "at" :]]
        return found

    def _loops(self, *axes: Sequence[Axis]) -> Loops:
        """A loop for each of these, and how often each is gone through."""
        return tuple((frozenset(own), self._count(frozenset(own))) for own in axes)

    def _can_be_kept(self, node: Node, own: frozenset[Axis]) -> bool:
        """Whether it sums something up, and takes no more memory than what is stored."""
        if node.type == BOOL or node.kind not in _KINDS:
            return False
        parts = list(walk(node))
        if not any(part.kind == "reduce" and part.axes == node.axes for part in parts):
            return False
        if any(part.kind in ("root", "recur", "scan", "opaque") for part in parts):
            return False
        is_linear = self._lengths(node.axes) <= max(1, self._lengths(own))
        return is_linear and self._count(node.axes) <= _MOST * self._count(own)

    def _is_worth_it(self, node: Node, times: float) -> bool:
        if self._key(node) in self.made:
            return True
        return (times / self._count(node.axes) - 1) * self._work(node) >= _LEAST

    def _lengths(self, axes: frozenset[Axis]) -> int:
        return len(self.roles.axes(axes, LENGTH))

    def _count(self, axes: frozenset[Axis]) -> float:
        """About how many indices there are."""
        count = 1.0
        for axis in axes:
            count *= axis.size.attribute if axis.size.is_const() else _NOMINAL[self.roles.of(axis)]
        return count

    def _work(self, node: Node) -> float:
        """About how many operations a value takes."""
        if node not in self.works:
            own = sum(self._work(arg) for arg in node.args) + (node.kind == "map")
            self.works[node] = own * self._count(frozenset(node.attribute)) if node.kind == "reduce" else own
        return self.works[node]
