"""Reverse mode: results and their cotangents -> gradients of tensors, as nodes of the same graph.

The gradient of a tensor is a list of parts, one for each way the spec reads it: a node and, for each axis of the
tensor, the axis of the node that runs along it. The parts are added where they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..ir import Axis, Graph, Node, Tensor
from ..ir.logic import conjuncts
from ..ir.node import FLOAT, reachable, walk
from ..ir.recurrences import with_states
from ..ir.rewrite import substitute
from ..ir.roles import LENGTH, OUTER, WIDTH, Roles
from .adjoint import Adjoint, Term, is_plain, sum_term
from .recurrences import Groups, spread_recurrence
from .roots import make_implicit, make_plain
from .rules import RULES


@dataclass(frozen=True)
class Part:
    """`node` has one axis of `axes` (in order) for each axis of the tensor."""

    axes: tuple[Axis, ...]
    node: Node


@dataclass(frozen=True)
class Seed:
    """A result, the order of its axes, and the tensor that holds its cotangent."""

    node: Node
    axes: tuple[Axis, ...]
    cotangent: Tensor


def vjp(graph: Graph, seeds: Sequence[Seed], wanted: Sequence[Tensor], roles: Roles) -> dict[Tensor, tuple[Part, ...]]:
    """The gradient of Σ cotangent · result for each wanted tensor (no parts: it is 0 everywhere)."""
    seeds = [replace(seed, node=make_implicit(graph, seed.node)) for seed in seeds]
    reverse = Reverse(graph, frozenset(wanted), roles)
    found = reverse.run(seeds)

    recurrences = {state: make_plain(graph, node) for state, node in reverse.recurrences.items()}

    def whole(node: Node) -> Node:
        return with_states(graph, make_plain(graph, node), recurrences)

    return {t: tuple(replace(part, node=whole(part.node)) for part in parts) for t, parts in found.items()}


class Reverse:
    """`recurrences` are the states that gradients read without saying what they are: see recurrences.py."""

    def __init__(self, graph: Graph, wanted: frozenset[Tensor], roles: Roles) -> None:
        self.graph = graph
        self.wanted = wanted
        self.roles = roles
        self.adjoints: dict[Node, Adjoint] = {}
        self.needed: set[Node] = set()
        self.forward: frozenset[Node] = frozenset()
        self.recurrences: dict[Tensor, Node] = {}
        self.found: dict[Tensor, dict[tuple[Axis, ...], list[Node]]] = {tensor: {} for tensor in wanted}

    def run(self, seeds: Sequence[Seed]) -> dict[Tensor, tuple[Part, ...]]:
        nodes = reachable([seed.node for seed in seeds])
        self.forward = frozenset(nodes)
        for node in nodes:
            if self._needs(node):
                self.needed.add(node)
        for seed in seeds:
            read = self.graph.read(seed.cotangent, tuple(self.graph.index(axis) for axis in seed.axes))
            self.push(seed.node, frozenset(seed.axes), self.graph.true, read)
        groups = Groups(nodes)
        for node in reversed(nodes):
            if node.kind == "recur" and node in self.needed:
                spread_recurrence(self, groups, node)
            elif node in self.adjoints:
                self._spread(node)
        return {tensor: self._parts(tensor) for tensor in self.wanted}

    def _needs(self, node: Node) -> bool:
        if node.type != FLOAT or node.kind in ("stop", "param", "const", "root"):
            return False
        if node.kind == "read":
            return node.attribute in self.wanted
        return any(arg in self.needed for arg in node.args)

    def push(self, node: Node, space: frozenset[Axis], domain: Node, value: Node) -> None:
        """Adds a term to the adjoint of a node."""
        if node not in self.needed or value.is_const(0.0):
            return
        if not self._waits(node, space):
            space, domain, value = sum_term(self.graph, node.axes, space, domain, value, self.forward)
        self.adjoints.setdefault(node, Adjoint()).add(space, domain, value)

    def _waits(self, node: Node, space: frozenset[Axis]) -> bool:
        """Whether terms stay unreduced: at what is read, and at pointwise values shared by batches or heads."""
        if node.kind == "read":
            return True
        return all(self.roles.of(axis) == OUTER for axis in space - node.axes) and is_plain(node)

    def _spread(self, node: Node) -> None:
        for space, domain, value in self.adjoints.pop(node).summed(self.graph):
            if node.kind == "read":
                self._collect(node, space, domain, value)
            else:
                RULES[node.kind](self, node, space, domain, value)

    # --- gradients of what is read -----------------------------------------------------------------------------

    def _collect(self, read: Node, space: frozenset[Axis], domain: Node, value: Node) -> None:
        """Sums a term over everything but one axis for each axis of the tensor."""
        graph = self.graph
        tensor: Tensor = read.attribute
        kept: dict[int, Axis] = {}
        for dim, (position, size) in enumerate(zip(read.args, tensor.sizes)):
            axis = position.attribute if position.kind == "index" else None
            if axis is not None and axis not in kept.values() and axis in space and axis.size is size:
                kept[dim] = axis
        positions = list(read.args)
        for dim, size in enumerate(tensor.sizes):
            if dim not in kept:
                axis = graph.axis("t", size)
                fixed = frozenset(kept.values())
                is_step = tensor.origin == "state"
                term, gone = self.solve(axis, positions[dim], Term(space, domain, value), fixed, is_step)
                space, domain, value = term
                positions = [substitute(graph, position, gone) for position in positions]
                kept[dim] = axis
        axes = tuple(kept[dim] for dim in range(len(kept)))
        wanted = frozenset(axes)
        space, domain, total = sum_term(graph, wanted, space | wanted, domain, value, self.forward)
        node = graph.guard(domain, total)
        self.found[tensor].setdefault(axes, []).append(node)

    def solve(
        self, target: Axis, position: Node, term: Term, fixed: frozenset[Axis], is_step: bool = False
    ) -> tuple[Term, dict[Axis, Node]]:
        """Adds `position == target` to a term; where it says an axis of the space (x[d + R]: d = t - R), that axis is
        eliminated: where other positions have it, it is what the mapping says. Axes that are `fixed` stay.
        `is_step`: also among pairs, where a step reads another one."""
        graph = self.graph
        space, domain, value = term
        form = graph.sub(position, graph.index(target))
        solved = self._solvable(target, form, term, fixed, is_step)
        if solved is None:
            return Term(space | {target}, graph.all(domain, graph.equal_zero(form)), value), {}
        axis, place = solved
        inside = graph.all(graph.compare(">=", place, graph.const(0)), graph.compare("<", place, axis.size))
        value = self.moved(value, axis, place)
        domain = graph.all(*(self.moved(condition, axis, place) for condition in conjuncts(domain)))
        return Term((space - {axis}) | {target}, graph.all(domain, inside), value), {axis: place}

    def moved(self, value: Node, axis: Axis, position: Node) -> Node:
        """A value at another position; where it holds a statistic, that one is read there, not computed again."""
        if axis in value.axes and self.roles.holds_statistic(value):
            return self.graph.at(value, (axis,), (position,))
        return substitute(self.graph, value, {axis: position})

    def _solvable(
        self, target: Axis, form: Node, term: Term, fixed: frozenset[Axis], is_step: bool
    ) -> tuple[Axis, Node] | None:
        """An axis with coefficient ±1, of a term that is not pairwise (there, a scatter keeps the tiles, but for
        features, for another name of the same index and for steps of a recurrence). Where that leaves all pairs of
        positions to be looked at, it is left to a scatter too."""
        graph = self.graph
        space, domain, value = term
        if not form.is_sum:
            return None
        is_pairwise = not is_step and len(self.roles.axes(value.axes | domain.axes, LENGTH)) > 1
        terms = sorted(zip(form.attribute[0], form.args), key=lambda item: self._is_width(item[1]))
        for coefficient, part in terms:
            axis = part.attribute if part.kind == "index" else None
            if axis is None or axis not in space - fixed or abs(coefficient) != 1:
                continue
            rest = graph.add(form, graph.scale(-coefficient, part))
            of_features = self._is_width(part) and self.roles.of(target) == WIDTH
            is_name = axis.size is target.size and graph.scale(-coefficient, rest) is graph.index(target)
            if is_pairwise and not of_features and not is_name and axis.size not in self.roles.steps:
                continue
            if self._is_width(part) and self.roles.of(target) == LENGTH and self._jumps(rest, space - {axis}):
                continue
            if axis not in rest.axes:
                return axis, graph.scale(-coefficient, rest)
        return None

    def _jumps(self, position: Node, space: frozenset[Axis]) -> bool:
        """Whether a position goes on with what is summed up in a way that bounds of tiles do not tell."""
        if not self.roles.axes(position.axes & space, LENGTH):
            return False
        return any(
            part.axes & space and (part.is_product or part.kind == "read" or part.op == "mod")
            for part in walk(position)
        )

    def _is_width(self, index: Node) -> bool:
        return index.kind == "index" and self.roles.of(index.attribute) == WIDTH

    def _parts(self, tensor: Tensor) -> tuple[Part, ...]:
        found = self.found[tensor]
        return tuple(Part(axes, self.graph.add(*nodes)) for axes, nodes in found.items())
