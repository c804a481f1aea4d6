"""Recurrences in the dense meaning: values of one step at a time, which read the states of the steps before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from attnc.ir import Axis, Node
from attnc.ir.axis import in_order
from attnc.ir.node import Recurrence, open_nodes, reachable

from .pointwise import Array

if TYPE_CHECKING:
    from .reference import Evaluator

Rows = list[Array | None]  # the steps of a state that are known, each with one entry along the axis of steps


@dataclass(frozen=True)
class Step:
    """What an evaluator of one step knows: along the axis of a recurrence it has the index `number` alone. What reads
    no state is asked of `outer`, which has all steps."""

    recurrence: Recurrence
    number: int
    outer: Evaluator

    @property
    def axis(self) -> Axis:
        return self.recurrence.axis


def recur(ev: Evaluator, node: Node) -> Array:
    """One state, over all steps."""
    recurrence, place = node.attribute
    count = ev.length(recurrence.axis)
    states: list[Rows] = [[None] * count for _ in node.args]
    for number in range(count - 1, -1, -1) if recurrence.is_reverse else range(count):
        inner = step_of(ev, all_states(ev, recurrence, states), Step(recurrence, number, ev))
        for rows, axes, value in zip(states, recurrence.axes, node.args):
            found = inner.aligned(value, frozenset(axes))
            rows[number] = found.expand([inner.length(axis) for axis in in_order(frozenset(axes))])
    axes = recurrence.axes[place]
    whole_state = all_steps(ev, states[place], axes, recurrence.axis)
    return whole_state.permute([axes.index(axis) for axis in in_order(node.axes)])


def step_of(ev: Evaluator, states: Mapping[str, Array], step: Step) -> Evaluator:
    """An evaluator of one step alone, with these states."""
    from .reference import Evaluator

    inner = Evaluator(ev.sizes, ev.parameters, {**ev.tensors, **states}, ev.dtype, ev.device)
    inner.step = step
    return inner


def one_step(value: Array, part: Node, step: Step) -> Array:
    """A value of all steps, at one of them."""
    if step.axis not in part.axes:
        return value
    return value.narrow(in_order(part.axes).index(step.axis), step.number, 1)


def other_step(ev: Evaluator, node: Node) -> Evaluator:
    """The evaluator of the step at which an `at` reads its value."""
    assert ev.step is not None
    axis = ev.step.axis
    position = int(ev(node.args[1 + node.attribute.index(axis)]))
    last = ev.integer(axis.size) - 1  # beyond it a guard stands around
    return step_of(ev, {}, replace(ev.step, number=min(max(position, 0), last)))


def all_states(ev: Evaluator, recurrence: Recurrence, states: Sequence[Rows]) -> dict[str, Array]:
    return {
        state.name: all_steps(ev, rows, axes, recurrence.axis)
        for state, rows, axes in zip(recurrence.states, states, recurrence.axes)
    }


def all_steps(ev: Evaluator, rows: Rows, axes: tuple[Axis, ...], along: Axis) -> Array:
    """A state as its tensor: 0 at steps that are not known yet."""
    order = in_order(frozenset(axes))
    shape = [1 if axis is along else ev.length(axis) for axis in order]
    empty = torch.zeros(shape, dtype=ev.dtype, device=ev.device)
    place = order.index(along)
    found = [empty if row is None else row for row in rows]
    whole = torch.cat(found, place) if found else empty.narrow(place, 0, 0)
    return whole.permute([order.index(axis) for axis in axes])


def still(values: Iterable[Node]) -> list[Node]:
    """The largest parts that are the same whatever the states are."""
    values = list(values)
    moving = open_nodes(reachable(values))
    found = {arg for node in moving for arg in node.args} | set(values)
    return sorted(part for part in found if part not in moving)


__all__ = ["Rows", "Step", "all_states", "all_steps", "one_step", "other_step", "recur", "step_of", "still"]
