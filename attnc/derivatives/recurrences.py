"""Derivatives of recurrences: the adjoint of a state is a state itself, found from the last step to the first.

With a state x[t] = f(x[t - 1], y), what x[t] gets is what reads it from outside and what f at t + 1 hands on to it;
what y gets is what f hands on to it with that adjoint. So both are gradients of the values f, and any order follows.

While one is derived, gradients read the states at other steps without saying what these are; see ir/recurrences.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..ir import Axis, Graph, Node
from ..ir.node import Recurrence
from ..ir.rewrite import substitute

if TYPE_CHECKING:
    from .vjp import Part, Reverse


class Groups:
    """The recurrences below some results, each with those of its states that are read, and their adjoints so far."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.members: dict[tuple[Recurrence, tuple[Node, ...]], list[Node]] = {}
        self.adjoints: dict[Node, Node] = {}
        for node in nodes:
            if node.kind == "recur":
                self.members.setdefault((node.attribute[0], node.args), []).append(node)

    def of(self, node: Node) -> list[Node]:
        return self.members[node.attribute[0], node.args]


def spread_recurrence(reverse: Reverse, groups: Groups, node: Node) -> None:
    """Keeps the adjoint of one state; with that of the last one of a recurrence, hands all on to their values."""
    graph = reverse.graph
    if node in reverse.adjoints:
        terms = reverse.adjoints.pop(node).summed(graph)
        groups.adjoints[node] = graph.add(*(graph.guard(domain, value) for _, domain, value in terms))
    members = groups.of(node)
    if node is members[0] and any(member in groups.adjoints for member in members):
        _spread(reverse, members, {member.attribute[1]: groups.adjoints.get(member) for member in members})


def _spread(reverse: Reverse, members: list[Node], outside: Mapping[int, Node | None]) -> None:
    from .vjp import Reverse, Seed

    graph = reverse.graph
    recurrence, values = members[0].attribute[0], members[0].args
    adjoints = tuple(
        replace(state, name=f"adjoint {graph.count} of {state.name}", origin="state") for state in recurrence.states
    )
    seeds = [Seed(value, axes, tensor) for value, axes, tensor in zip(values, recurrence.axes, adjoints)]
    inner = Reverse(graph, frozenset(recurrence.states), reverse.roles)
    found = inner.run(seeds)
    reverse.recurrences |= inner.recurrences
    for place, state in enumerate(recurrence.states):
        reverse.recurrences[state] = graph.recur(recurrence, place, values)
    totals = []
    for place, (state, axes) in enumerate(zip(recurrence.states, recurrence.axes)):
        own = outside.get(place)
        handed = [_along(graph, part, axes) for part in found[state]]
        totals.append(graph.add(*handed, graph.const(0.0) if own is None else own))
    turned = Recurrence(recurrence.axis, adjoints, recurrence.axes, not recurrence.is_reverse)
    for place, (value, axes) in enumerate(zip(values, recurrence.axes)):
        reverse.push(value, frozenset(axes), graph.true, graph.recur(turned, place, tuple(totals)))


def _along(graph: Graph, part: Part, axes: tuple[Axis, ...]) -> Node:
    """A gradient along the axes of its state."""
    return substitute(graph, part.node, {old: graph.index(new) for old, new in zip(part.axes, axes) if old is not new})


__all__ = ["Groups", "spread_recurrence"]
