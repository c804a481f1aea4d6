"""Lets and their roles: lowered on demand, with defaults, masks and the order of circular ones.

A value is lowered twice: once without masks, which tells its axes (a mask never adds one), then with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnc.grammar import tree

from ..diagnostics import AttnError, Label, Span
from ..ir import Axis, Node
from ..ir.node import BOOL
from ..ir.roles import OUTER, find_roles
from .declarations import depends_on_static, names_in
from .defaults import default_clause
from .environment import Environment
from .expressions import evaluate
from .mistakes import (
    CyclicLets,
    MaskNever,
    MaskNotBoolean,
    MissingIndex,
    OneCondition,
    ReboundIndex,
    StateOfVectors,
    WrongType,
    a_type,
)
from .scope import DEFAULT_RESULTS, LetEntry, LetRead, MaskEntry, Scope
from .sizes import is_never_true, size_text
from .value import Poisoned, Value

if TYPE_CHECKING:
    import networkx

    from .entry import Entry

_LAST = 1 << 30


def has_default(scope: Scope, name: str) -> bool:
    """Whether `s`, `p` or `out` is used with no clause of that name: then it gets its default, once."""
    role = DEFAULT_RESULTS.get(name)
    if role is None or name in scope.declared or role in scope.roles:
        return False
    if name in scope.inputs or scope.axes.get(name) is not None:
        return False
    clause = default_clause(scope, role, name)
    scope.lets[name] = LetEntry(clause, _LAST, None, clause.span)
    scope.roles[role] = name
    return True


# --- lowering a let ------------------------------------------------------------------------------------------------


def let_value(
    scope: Scope, name: tree.Name, entries: Sequence[Entry] | None, span: Span
) -> tuple[Value | None, LetEntry]:
    """The value of a let; None where it is read inside its own definition, which makes a recurrence."""
    entry = scope.lets[name.id]
    if scope.stack:
        scope.reads.append(LetRead(scope.stack[-1], name.id, _offsets(entry, entries), span))
    if entry.state == "running":
        around = scope.stack[scope.stack.index(name.id) :]
        if entry.indices is None and any(scope.lets[reader].indices for reader in around):
            return _lower(scope, entry), entry  # a name for an expression: the circle goes through those with indices
        if entries is None or entry.indices is None:
            raise _circle(scope, span, tuple(around)).error()
        for reader in around:
            scope.lets[reader].is_circular = scope.lets[reader].indices is not None
        return None, entry
    if entry.state == "poisoned":
        raise Poisoned
    if entry.state == "waiting":
        lower_let(scope, name.id)
    return entry.value, entry


def lower_let(scope: Scope, name: str) -> None:
    entry = scope.lets[name]
    if entry.state != "waiting":
        return
    entry.state = "running"
    scope.stack.append(name)
    try:
        entry.value = _lower(scope, entry)
        if entry.is_circular:
            _check_state(name, entry, entry.value)
        entry.state = "done"
    except AttnError as error:
        entry.state = "poisoned"
        scope.findings.absorb(error)
        raise Poisoned from None
    except Poisoned:
        entry.state = "poisoned"
        raise
    finally:
        scope.stack.pop()


def _check_state(name: str, entry: LetEntry, value: Value) -> None:
    """A let that reads itself is one number for each tuple of its indices."""
    span = entry.clause.name_span.name(name)
    if value.vector:
        indices = tuple(axis.name for axis in entry.indices or ())
        raise StateOfVectors(span, name, indices, size_text(value.vector[-1].size)).error()
    if value.type == BOOL:
        raise WrongType(span, "a number", a_type(BOOL), "a let that reads itself").error()


def _lower(scope: Scope, entry: LetEntry) -> Value:
    clause = entry.clause
    written = frozenset(entry.indices or ())
    bare = evaluate(clause.value, Environment(scope, free=written))
    _check_indices(scope, entry, bare)
    _lower_masks_above(scope, entry)
    masks = tuple(mask for mask in scope.masks if mask.position < entry.position)
    if not masks:
        return bare
    free = bare.node.axes | written
    around = Environment(scope, masks, free)
    value = evaluate(clause.value, around)
    governed = bool(around.obeyed) and value.node is not bare.node
    implied = frozenset((scope.current("b"), scope.current("h"), scope.group_axis()))
    conditions = [mask.condition for mask in masks if mask.ragged in free and mask.axes - implied <= free]
    conditions += [
        mask.condition
        for mask in masks
        if mask.axes <= free and (clause.role == "normalize" or (governed and _governs(scope, entry, mask, free, bare)))
    ]
    if clause.role == "normalize":
        env = Environment(scope, masks, free)
        for axis in sorted(value.node.axes):
            conditions += [c for mask in masks for c in env.part_conditions(mask, axis, free)]
    node = scope.graph.guard(scope.graph.all(*conditions), value.node)
    return Value(node, value.vector, value.is_reduction and not conditions)


def _governs(scope: Scope, entry: LetEntry, mask: MaskEntry, free: frozenset[Axis], bare: Value) -> bool:
    """Whether this mask, alone, changes some reduction of the value."""
    around = Environment(scope, (mask,), free)
    return evaluate(entry.clause.value, around).node is not bare.node and bool(around.obeyed)


def _check_indices(scope: Scope, entry: LetEntry, value: Value) -> None:
    """Written indices are exact: nothing else may be free, but batch and head."""
    clause = entry.clause
    if entry.indices is None:
        return
    roles = find_roles(declared.tensor.sizes for declared in scope.inputs.values())
    implied = {scope.current("b"), scope.current("h"), scope.group_axis()}
    rebound = _rebound(clause.value)
    for axis, name in zip(entry.indices, clause.indices or ()):
        if axis not in value.node.axes and axis.name in rebound:
            size = size_text(axis.size)
            raise ReboundIndex(rebound[axis.name], axis.name, name.span, size).error()
    for axis in sorted(value.node.axes):
        if axis in entry.indices or axis in value.vector or axis in implied:
            continue
        if roles.of(axis) == OUTER and axis.name in ("b", "h"):
            continue
        listed = tuple(name.id for name in clause.indices or ())
        span = clause.name_span.name(clause.name)
        uses = [name.span for name in names_in(clause.value) if name.id == axis.name]
        raise MissingIndex(span, clause.name, axis.name, uses[0] if uses else clause.value.span, listed).error()


def _rebound(value: tree.Expr) -> dict[str, Span]:
    """Indices that brackets inside an expression bind, by name."""
    found: dict[str, Span] = {}
    stack: list[object] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, tree.Bracket):
            for name in item.indices:
                found.setdefault(name.id, name.span)
        if isinstance(item, tuple):
            stack.extend(item)
        elif isinstance(item, tree.Node):
            stack.extend(getattr(item, field) for field in item.__dataclass_fields__ if field != "span")
    return found


# --- masks ---------------------------------------------------------------------------------------------------------


def _lower_masks_above(scope: Scope, entry: LetEntry) -> None:
    """A let that is read further up obeys the masks between all the same. A default has no place of its own: where a
    mask depends on what reads it, it stands above that mask."""
    for position, clause in list(scope.waiting_masks.items()):
        if position < entry.position and (entry.position < _LAST or not _reads_of(scope, clause) & set(scope.stack)):
            lower_mask(scope, position)


def _reads_of(scope: Scope, clause: tree.Mask) -> set[str]:
    """Lets that a mask reads, at once or through others."""
    found: set[str] = set()
    stack: list[tree.Expr] = [clause.condition]
    while stack:
        names = {name.id for name in names_in(stack.pop())} - found
        found |= names
        stack.extend(scope.lets[name].clause.value for name in names if name in scope.lets)
    return found


def lower_mask(scope: Scope, position: int) -> None:
    """The mask at a position, unless it is known already."""
    clause = scope.waiting_masks.pop(position, None)
    if clause is None:
        return
    above = tuple(mask for mask in scope.masks if mask.position < position)
    value = evaluate(clause.condition, Environment(scope))
    if value.node.type != BOOL:
        raise MaskNotBoolean(clause.condition.span, a_type(value.node.type)).error()
    if value.vector:
        raise OneCondition(clause.condition.span, "a mask", size_text(value.vector[-1].size)).error()
    if above:
        value = evaluate(clause.condition, Environment(scope, above, value.node.axes))
    if not depends_on_static(scope, clause.condition):
        _refuse_empty(scope, value.node, clause, above)
    scope.masks.append(MaskEntry(position, value.node, value.node.axes, clause.condition.span))


def _refuse_empty(scope: Scope, condition: Node, clause: tree.Mask, above: Sequence[MaskEntry]) -> None:
    """A mask that leaves no index tuple, alone or with one above it."""
    span, graph = clause.condition.span, scope.graph
    if is_never_true(condition, graph):
        raise MaskNever(span).error()
    scope.take_steps(3 * len(above))
    for mask in above:
        if is_never_true(graph.all(mask.condition, condition), graph):
            raise MaskNever(span, Label(mask.span, "this mask keeps the others only")).error()


# --- circular lets -------------------------------------------------------------------------------------------------


def _offsets(entry: LetEntry, entries: Sequence[Entry] | None) -> tuple[int | None, ...]:
    """Per written index: the sign of (position read - own index); None where that cannot be told."""
    if entries is None or entry.indices is None:
        return ()
    return tuple(_offset(axis, e.node) for axis, e in zip(entry.indices, entries[-len(entry.indices) :]))


def _offset(axis: Axis, position: Node) -> int | None:
    if position.kind == "index":
        return 0 if position.attribute.size is axis.size else None
    if position.is_sum and len(position.args) == 1 and position.args[0].kind == "index":
        coefficients, constant = position.attribute
        if coefficients == (1,):
            return 1 if constant > 0 else -1
    return None


def check_circles(scope: Scope) -> None:
    """Every circle of lets must step strictly one way along some axis."""
    for reads in circles(scope):
        if not _are_ordered(reads):
            scope.findings.add(_circle_in(scope, reads))


def circles(scope: Scope) -> list[list[LetRead]]:
    """The reads of each circle of lets; a circle that another one reads comes before it."""
    import networkx

    found = []
    for component in networkx.strongly_connected_components(_graph_of(scope.reads)):
        reads = [read for read in scope.reads if {read.reader, read.target} <= component]
        if reads:
            found.append(reads)
    return found


def step_of(reads: Sequence[LetRead]) -> tuple[int, int]:
    """The place of the index that a circle steps along, and -1 where it reads earlier steps, 1 for later ones."""
    places = max(len(read.offsets) for read in reads)
    return next((place, sign) for place in range(places) for sign in (-1, 1) if _go_one_way(reads, place, sign))


def _graph_of(reads: Sequence[LetRead]) -> networkx.DiGraph[str]:
    """Who reads whom, in the order of reading (a part of another graph would be in the order of a set)."""
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_edges_from((read.reader, read.target) for read in reads)
    return graph


def _circle_in(scope: Scope, reads: Sequence[LetRead]) -> CyclicLets:
    """The first circle that has no order by itself, or all of these lets where only several contradict one another."""
    import networkx

    graph = _graph_of(reads)
    for read in reads:
        names = (read.reader, *networkx.shortest_path(graph, read.target, read.reader)[:-1])
        steps = set(zip(names, (*names[1:], read.reader)))
        if not _are_ordered([other for other in reads if (other.reader, other.target) in steps]):
            return _circle(scope, read.span, names)
    return _circle(scope, reads[0].span, tuple(graph))


def _are_ordered(reads: Sequence[LetRead]) -> bool:
    places = max(len(read.offsets) for read in reads)
    return any(_go_one_way(reads, place, sign) for place in range(places) for sign in (-1, 1))


def _go_one_way(reads: Sequence[LetRead], place: int, sign: int) -> bool:
    """Whether all reads go one way along a written index, and each circle has one that goes strictly."""
    import networkx

    level = []
    for read in reads:
        offset = read.offsets[place] if place < len(read.offsets) else 0
        if offset == -sign:
            return False
        if offset == 0:
            level.append(read)
    return bool(networkx.is_directed_acyclic_graph(_graph_of(level)))


def _circle(scope: Scope, span: Span, names: tuple[str, ...]) -> CyclicLets:
    first = next((n for n in names if scope.lets[n].clause.indices), None)
    if first is None:
        return CyclicLets(span, names, f"{names[0]}[t - 1]")
    indices = scope.lets[first].clause.indices or ()
    rest = "".join(f", {index.id}" for index in indices[1:])
    return CyclicLets(span, names, f"{first}[{indices[0].id} - 1{rest}]")
