"""The reductions of a graph that need a pass or a nest of their own, what each depends on, and where its tiles lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..analysis.groups import group_of
from ..analysis.support import NotLowered
from ..ir import Axis, Graph, Node
from ..ir.axis import in_order
from ..ir.logic import conjuncts
from ..ir.node import open_nodes, reachable, walk
from ..ir.rewrite import Rewriter, substitute
from ..ir.roles import LENGTH, OUTER, WIDTH, Roles
from .carried import scans_below


@dataclass(frozen=True)
class Shape:
    """Where a statistic is computed: over tiles of (row, loop), for each of `kept` outer and further length axes;
    `row` is None for a single row, `loop` None for what needs no tiles."""

    row: Axis | None
    loop: Axis | None
    kept: frozenset[Axis]


def separate_widths(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """A sum over widths and longer axes at once becomes a sum of inner sums, so that contractions are seen; conditions
    on the features that a sum keeps stand outside of it, where a tile holds all features."""

    def visit(node: Node) -> Node:
        if node.kind != "reduce" or node.op not in ("sum", "prod"):
            return node
        is_long = is_statistic(node, roles)
        if is_long and node.op == "sum":
            node = _with_conditions_of_features(graph, _along_positions(graph, node, roles), roles)
        outside = [c for c in conjuncts(node.domain) if not c.axes or (is_long and _is_of_widths(c, roles))]
        outside = [c for c in outside if not c.axes & set(node.attribute) and not c.is_const()]
        if outside and node.op == "sum" and not (is_long and all(not c.axes for c in outside)):
            rest = graph.all(*(c for c in conjuncts(node.domain) if c not in outside))
            return graph.guard(graph.all(*outside), visit(graph.reduce("sum", node.attribute, node.body, rest)))
        widths = tuple(axis for axis in node.attribute if roles.of(axis) == WIDTH)
        if not widths or len(widths) == len(node.attribute):
            return node
        inside = [c for c in conjuncts(node.domain) if c.axes & frozenset(widths)]
        outside = [c for c in conjuncts(node.domain) if c not in inside]
        inner = graph.reduce(node.op, widths, node.body, graph.all(*inside))
        longer = tuple(axis for axis in node.attribute if axis not in widths)
        return graph.reduce(node.op, longer, inner, graph.all(*outside))

    return Rewriter(graph, visit=visit).all(roots)


def _with_conditions_of_features(graph: Graph, node: Node, roles: Roles) -> Node:
    """Which positions are summed up may differ by feature: then the others add 0, since a pass masks pairs alone. What
    is scattered to places along a feature axis stays so, unless rows are kept: these are summed up as they stream."""
    parts = conjuncts(node.domain)
    keeps_rows = bool(roles.axes(node.axes, LENGTH))
    places = {c for axis, c in scattered(node, roles) if not keeps_rows or roles.of(axis) != WIDTH}
    mixed = [c for c in parts if c.axes & frozenset(node.attribute) and _kept_widths(c, node, roles)]
    mixed = [c for c in mixed if c not in places]
    if not mixed:
        return node
    rest = graph.all(*(c for c in parts if c not in mixed))
    chosen = graph.map("where", (graph.all(*mixed), node.body, graph.zero(node.type)), node.type)
    return graph.reduce("sum", node.attribute, chosen, rest)


def _along_positions(graph: Graph, node: Node, roles: Roles) -> Node:
    """What goes to places along a length: once lengths that these do not depend on are summed up. Features that they do
    depend on (the taps of a convolution, say) are gone through as lengths are."""
    told = [condition for axis, condition in scattered(node, roles) if roles.of(axis) != WIDTH]
    if not told or roles.axes(node.axes - scattered_axes(node, roles), LENGTH):
        return node
    known = frozenset().union(*(condition.axes for condition in told))
    body, domain, bound = node.body, node.domain, node.attribute
    others = frozenset(roles.axes(bound, LENGTH)) - known
    if others and len(roles.axes(known & frozenset(bound), LENGTH)) == 1:  # of pairs, sums would fill memory
        inside = [c for c in conjuncts(domain) if c.axes & others]
        body = graph.reduce(node.op, in_order(others), body, graph.all(*inside))
        domain = graph.all(*(c for c in conjuncts(domain) if c not in inside))
        bound = tuple(axis for axis in bound if axis not in others)
    moves = {axis: graph.streamed(axis) for axis in roles.axes(bound, WIDTH) if axis in known}
    positions = {axis: graph.index(new) for axis, new in moves.items()}
    body, domain = (substitute(graph, arg, positions) for arg in (body, domain))
    return graph.reduce_as_is(node.op, tuple(moves.get(axis, axis) for axis in bound), body, domain)


def _kept_widths(condition: Node, node: Node, roles: Roles) -> bool:
    return any(roles.of(axis) == WIDTH for axis in condition.axes - frozenset(node.attribute))


def _is_of_widths(condition: Node, roles: Roles) -> bool:
    return any(roles.of(axis) == WIDTH for axis in condition.axes)


def statistics_of(roots: Iterable[Node], roles: Roles) -> list[Node]:
    """Reductions over lengths or outer axes, roots and recurrences, operands first; not what only these know."""
    nodes = reachable(list(roots))
    hidden = open_nodes(nodes)
    return [node for node in nodes if is_statistic(node, roles) and node not in hidden]


def is_statistic(node: Node, roles: Roles) -> bool:
    if node.kind != "reduce":
        return node.kind in ("root", "recur")
    return any(roles.of(axis) != WIDTH for axis in node.attribute) and not is_of_steps(node, roles)


def is_of_steps(node: Node, roles: Roles) -> bool:
    """A sum of pairs over the steps of a recurrence: made within each tile."""
    over_steps = all(axis.size in roles.steps and roles.of(axis) == OUTER for axis in node.attribute)
    return over_steps and len(roles.axes(node.axes, LENGTH)) > 1


def direct_statistics(roots: Iterable[Node], roles: Roles) -> list[Node]:
    """The outermost statistics that nodes read."""
    found: set[Node] = set()
    seen: set[Node] = set()
    stack = list(roots)
    hidden = open_nodes(reachable(stack))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if is_statistic(node, roles) and node not in hidden:
            found.add(node)
        else:
            stack.extend(node.args)
    return sorted(found)


def inner_statistics(root: Node, roles: Roles) -> list[Node]:
    """The sums that a root's own pass takes, again for every value of the unknown."""
    nodes = reachable(list(root.args[:2]))
    hidden = open_nodes(nodes)
    return [node for node in nodes if node in hidden and node.kind == "reduce" and is_statistic(node, roles)]


def is_one_pass(root: Node, roles: Roles) -> bool:
    """Whether the sums of a root's own go over the same tiles, a number for each row, and read none of one another."""
    inner = inner_statistics(root, roles)
    shapes = {shape_of(one, roles) for one in inner}
    if len(shapes) != 1 or roles.axes(root.axes, WIDTH):
        return False
    (shape,) = shapes
    if shape.loop is None or any(shape.row is not None and shape.row not in one.axes for one in inner):
        return False
    below = {part for one in inner for part in walk(one) if part is not one}
    return not below & set(inner)


def shape_of(statistic: Node, roles: Roles, both: bool = False) -> Shape:
    """The tiles of a statistic. Its row axis is a kept length; where none is kept, one of two reduced ones. `both`:
    whether many workers may go through rows that are summed up."""
    if statistic.kind == "recur":
        return Shape(None, None, frozenset())
    if statistic.kind == "root":
        if not is_one_pass(statistic, roles):
            return Shape(None, None, frozenset())
        return shape_of(inner_statistics(statistic, roles)[0], roles)
    own = statistic.axes - scattered_axes(statistic, roles)
    scans = scans_below(statistic, roles)
    if scans:
        return shape_of_scans(scans, own, statistic.attribute, roles)
    kept = roles.axes(own, LENGTH)
    reduced = tuple(sorted(roles.axes(statistic.attribute, LENGTH), key=lambda a: not a.streams))
    outer = frozenset(roles.axes(own, OUTER))
    if not reduced and len(kept) < 2:
        return Shape(None, None, outer | frozenset(kept))
    if not reduced:
        return Shape(kept[0], kept[1], outer | frozenset(kept[2:]))
    if both and kept and not outer and all(axis.streams for axis in kept):  # gradients of weights have many rows
        return Shape(reduced[-1], kept[0], frozenset(kept[1:]))
    if kept:
        return Shape(kept[0], reduced[-1], outer | frozenset(kept[1:]))
    row = reduced[0] if len(reduced) > 1 else None
    return Shape(row, reduced[-1], outer)


def shape_of_scans(scans: list[Node], kept: frozenset[Axis], summed: Sequence[Axis], roles: Roles) -> Shape:
    """Scans are carried along the looped axis, whichever axis is summed; the other one of their pairs is the row."""
    loops = {scan.attribute[0] for scan in scans}
    loop = min(loops)
    pairs = {axis for scan in scans for axis in roles.axes(scan.axes, LENGTH)} - loops
    lengths = roles.axes(kept | frozenset(summed), LENGTH)
    if len(loops) > 1 or len(pairs) != 1 or not {loop, *pairs} <= set(lengths):
        raise NotLowered(scans[-1].span, "a scan of pairs beside a scan or a sum along other lengths").error()
    rest = frozenset(lengths) - {loop, *pairs}
    if not rest <= kept:
        raise NotLowered(scans[-1].span, "a scan of pairs summed along a third length").error()
    return Shape(min(pairs), loop, frozenset(roles.axes(kept, OUTER)) | rest)


def scattered_axes(statistic: Node, roles: Roles) -> frozenset[Axis]:
    """Kept axes that only a condition `position == axis` of the domain mentions, the position depending on what is
    summed: where contributions are scattered to."""
    return frozenset(axis for axis, _ in scattered(statistic, roles))


def scattered(statistic: Node, roles: Roles) -> list[tuple[Axis, Node]]:
    """Scattered axes of a sum and the position along each; a group of heads is not one (a loop runs over it)."""
    out: list[tuple[Axis, Node]] = []
    bound = frozenset(statistic.attribute)
    for condition in conjuncts(statistic.domain) if statistic.op == "sum" else ():
        found = None if group_of(condition, roles) else _equation(condition, statistic, bound)
        if found is not None:
            out.append(found)
    return out


def _equation(condition: Node, statistic: Node, bound: frozenset[Axis]) -> tuple[Axis, Node] | None:
    if condition.kind != "map" or condition.op != "equal_zero" or not condition.args[0].is_sum:
        return None
    form = condition.args[0]
    for coefficient, term in zip(form.attribute[0], form.args):
        if term.kind != "index" or abs(coefficient) != 1:
            continue
        axis: Axis = term.attribute
        others = [c for c in conjuncts(statistic.domain) if c is not condition]
        used = axis in statistic.body.axes or any(axis in other.axes for other in others)
        rest = [(c, t) for c, t in zip(form.attribute[0], form.args) if t is not term]
        moving = any(t.axes & bound for _, t in rest)
        if axis in statistic.axes and not used and moving:
            return axis, condition
    return None


def position_of(graph: Graph, axis: Axis, condition: Node) -> Node:
    """The position p of a condition `p == axis`."""
    form = condition.args[0]
    index = graph.index(axis)
    coefficient = dict(zip(form.args, form.attribute[0]))[index]
    rest = graph.sub(form, graph.scale(coefficient, index))
    return rest if coefficient < 0 else graph.neg(rest)
