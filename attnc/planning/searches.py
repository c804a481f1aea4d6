"""The stages that solve a root.

One pass does where all its sums go over the same tiles: it is repeated for each block of rows. Otherwise (the parts of
a joined axis, sums that read one another) stages are run again for better values of all rows, until none moves; what a
step makes of the sums is an expression like any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..analysis.ranges import range_of
from ..analysis.support import NotLowered
from ..ir import Graph, Node, Tensor
from ..ir.node import BOOL, FLOAT, INT, walk
from ..ir.rewrite import Rewriter
from ..ir.roles import LENGTH
from .levels import Group
from .passes import PassBuilder
from .plan import ROW, STEP, Nest, Repeat, Solve, Store, Target
from .statistics import is_one_pass, statistics_of
from .terms import size_of

if TYPE_CHECKING:
    from .planner import Planner

_MOST_STEPS = 128  # of Newton's; every other one of the later ones halves what is left
_MOST_HALVINGS = 65  # of 64 bits


def solve(planner: Planner, group: Group, root: Node) -> None:
    """Adds the stages that solve a root, and what else its pass is asked for."""
    if is_one_pass(root, planner.roles):
        _in_one_pass(planner, group, root)
    else:
        _in_steps(planner, root)


# --- one pass ------------------------------------------------------------------------------------------------------


def _in_one_pass(planner: Planner, group: Group, root: Node) -> None:
    """A pass that is repeated for other values of the unknown; it takes the sums of f and its slope each time, and
    with the last value what else is asked of it."""
    graph = planner.graph
    tensor, axes = planner.temporary(root)
    unknown = planner.read(tensor, axes)
    rewriter = _with_unknown(planner, root, unknown)
    f, slope, low, high = rewriter.all(root.args)
    asked = {other: planner.as_is(rewriter, other) for other in group.members[1:]}
    own = [n for n in statistics_of([f, slope], planner.roles) if unknown in set(walk(n))]
    members = list(dict.fromkeys([*own, *asked.values()]))
    solved = replace(group, members=members)
    builder = PassBuilder(graph, planner.roles, solved, {m: m for m in members}, {}, unknown, planner.summarise)
    made = builder.build([])
    assert all(accumulator.home == ROW for accumulator in made.accumulators), "a root with sums along columns"
    final = {member: builder.nodes[member] for member in members}
    value, rate = (
        builder.settle_groups(Rewriter(graph, replaced=final)(node), keep=frozenset(final.values()))
        for node in (f, slope)
    )
    last = tuple(final[now] for now in asked.values())
    size, rises = size_of(graph, value), _rises(root)
    epilogue = [Store(tensor, axes, unknown)]
    for other, now in asked.items():
        place, along = planner.temporary(other)
        epilogue.append(Store(place, along, final[now]))
        planner.provide(other, planner.read(place, along))
    found = Solve(unknown, low, high, value, rate, size, rises, root.is_least, last)
    planner.append(replace(made, solve=found, epilogue=tuple(epilogue)))
    planner.provide(root, unknown)


def _with_unknown(planner: Planner, root: Node, unknown: Node) -> Rewriter:
    """Puts what is known, and a value for the unknown, into the operands of a root."""
    reads = {part: unknown for arg in root.args for part in walk(arg) if part.reads(root.attribute)}
    return Rewriter(planner.graph, replaced={**planner.available, **reads, root: unknown}, visit=planner.settle_at)


def _rises(root: Node) -> bool:
    return range_of(root.args[1])[0] >= 0


# --- steps of all rows ---------------------------------------------------------------------------------------------


def _in_steps(planner: Planner, root: Node) -> None:
    graph, roles = planner.graph, planner.roles
    axes = roles.memory_order(root.axes)
    if len(roles.axes(axes, LENGTH)) > 1:
        raise NotLowered(root.span, "a root for every pair").error()
    step = graph.param(f"{STEP}{len(planner.temporaries)}", INT)

    def memory(types: dict[str, str]) -> tuple[dict[str, Tensor], dict[str, Node]]:
        tensors = {name: planner.new_temporary(axes, type) for name, type in types.items()}
        return tensors, {name: planner.read(tensor, axes) for name, tensor in tensors.items()}

    types = {"unknown": root.type, "below": INT if root.is_least else FLOAT, "above": INT if root.is_least else FLOAT}
    at, known = memory(types)
    kept, last = memory({name: type for name, type in types.items() if not root.is_least or name != "unknown"})
    moving, _ = memory({"moves": BOOL})
    f, slope, low, high = _with_unknown(planner, root, known["unknown"]).all(root.args)
    if root.is_least:
        now = {**last, "unknown": _middle_number(graph, last["below"], last["above"], root.type)}
        start = {name: _place(graph, bound) for name, bound in (("below", low), ("above", high))}
        later, moves = _halved(graph, known, f)
    else:
        now, start = last, {"unknown": low, "below": low, "above": high}
        signed = (f, slope) if _rises(root) else (graph.neg(f), graph.neg(slope))
        later, moves = _next_guess(graph, known, *signed, size_of(graph, f), step)
    planner.stages.append(Nest(tuple(Store(kept[name], axes, node) for name, node in start.items())))
    begin = Nest(tuple(Store(at[name], axes, node) for name, node in now.items()))
    targets = [Target(kept[name], axes, node) for name, node in later.items()]
    targets.append(Target(moving["moves"], axes, moves))
    count = graph.const(_MOST_HALVINGS if root.is_least else _MOST_STEPS)
    stages = (begin, *planner.stages_for(targets))
    planner.stages.append(Repeat(graph.axis("step", count), step, False, (), stages, moving["moves"]))
    planner.provide(root, known["unknown"] if root.is_least else last["unknown"])


Found = tuple[dict[str, Node], Node]


def _next_guess(graph: Graph, at: dict[str, Node], f: Node, slope: Node, size: Node, step: Node) -> Found:
    """Newton's next value where that stays inside what is left, else half of it (and now and then, for what Newton is
    slow on); f, which rises, is known at this one. Where numbers of this size cancel in f to their last digit, or the
    lowest value is too large already, it stays."""
    zero, t = graph.const(0.0), at["unknown"]
    above_zero, below_zero = graph.compare(">", f, zero), graph.compare("<", f, zero)
    is_first = graph.compare("==", step, graph.const(0))
    is_open = graph.all(
        graph.compare(">", _size(graph, f), graph.scale(0.5, graph.map("rounding", (size,), FLOAT))),
        graph.negate(graph.all(above_zero, is_first)),
    )
    above = graph.where(graph.all(is_open, above_zero), t, at["above"])
    below = graph.where(graph.all(is_open, below_zero), t, at["below"])
    is_flat = graph.compare("==", slope, zero)
    newton = graph.sub(t, graph.div(f, graph.where(is_flat, graph.const(1.0), slope)))
    is_late = graph.compare(">", step, graph.const(8))
    is_slow = graph.all(is_late, graph.equal_zero(graph.map("mod", (step, graph.const(2)), INT)))
    inside = (graph.compare(">", newton, below), graph.compare("<", newton, above))
    half = graph.add(graph.scale(0.5, below), graph.scale(0.5, above))
    found = graph.where(graph.all(*inside, graph.negate(is_flat), graph.negate(is_slow)), newton, half)
    is_open = graph.all(is_open, graph.compare(">", found, below), graph.compare("<", found, above))
    least = graph.scale(2.0, graph.map("rounding", (found,), FLOAT))
    moves = graph.all(is_open, graph.compare(">", _size(graph, graph.sub(found, t)), least))
    return {"unknown": graph.where(is_open, found, t), "below": below, "above": above}, moves


def _size(graph: Graph, value: Node) -> Node:
    return graph.map("abs", (value,), FLOAT)


def _halved(graph: Graph, at: dict[str, Node], holds: Node) -> Found:
    """The half of the places in which the first one lies where the condition holds, known in the middle."""
    below, above = at["below"], at["above"]
    middle = _middle(graph, below, above)
    is_open = graph.negate(graph.equal_zero(graph.map("bit_xor", (below, above), INT)))
    later = {
        "below": graph.where(graph.all(is_open, graph.negate(holds)), graph.add(middle, graph.const(1)), below),
        "above": graph.where(graph.all(is_open, holds), middle, above),
    }
    return later, is_open


def _place(graph: Graph, number: Node) -> Node:
    return number if number.type == INT else graph.map("in_order", (number,), INT)


def _middle_number(graph: Graph, below: Node, above: Node, type: str) -> Node:
    middle = _middle(graph, below, above)
    return middle if type == INT else graph.map("from_order", (middle,), FLOAT)


def _middle(graph: Graph, below: Node, above: Node) -> Node:
    """Rounded down; neither sum nor difference of two places fits their type."""
    half = graph.map("shift_right", (graph.map("bit_xor", (below, above), INT), graph.const(1)), INT)
    return graph.add(graph.map("bit_and", (below, above), INT), half)


__all__ = ["solve"]
