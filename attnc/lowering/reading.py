"""Names and subscripts -> values: inputs, lets and formals read by position.

Leading batch and head axes may be left out, trailing axes left out make a vector, a position outside reads 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from attnc.grammar import tree

from ..diagnostics import Span, did_you_mean
from ..ir import Axis, Node
from ..ir.joined import part_of
from ..ir.node import INT
from ..ir.rewrite import substitute
from .entry import Entry
from .environment import Environment
from .fitting import let_mismatch, mismatch
from .grids import grid_place, is_grid_index
from .meaning import InputDeclaration
from .mistakes import (
    AlwaysOutside,
    BadSlice,
    FewEntriesOfCircle,
    FormalSubscript,
    LetWithoutIndices,
    NotSubscriptable,
    TooManyEntries,
    UnknownInDefinition,
)
from .scope import CONSTANTS, LetEntry, Scope
from .sizes import is_proved_outside, size_text
from .value import Over, Value
from .vectors import settle


def read_name(name: tree.Name, env: Environment) -> Value:
    """A name outside definitions: a let, an index, a parameter, an input without entries, a size or a constant."""
    scope = env.scope
    if name.id in scope.lets or _has_default(scope, name.id):
        return _read_let(name, None, env, name.span)
    if name.id in scope.parameters:
        return Value(scope.graph.param(name.id, scope.parameters[name.id].type))
    declared = scope.inputs.get(name.id) or (scope.input(name.id) if scope.axis(name.id) is None else None)
    if declared is not None:
        return _read_input(declared, (), env, name.span)
    axis = scope.axis(name.id)
    if axis is not None:
        return Value(scope.graph.index(axis))
    if name.id in CONSTANTS:
        return Value(scope.graph.const(CONSTANTS[name.id]))
    if name.id in scope.sizes and name.id not in scope.replaced:
        return Value(scope.sizes[name.id])
    raise scope.unknown(name).error()


def _has_default(scope: Scope, name: str) -> bool:
    from .clauses import has_default

    return has_default(scope, name)


def read_subscript(expr: tree.Subscript, env: Environment) -> Value:
    name = expr.base
    if env.local is not None:
        return _read_formal(expr, env)
    scope = env.scope
    if name.id in scope.lets or _has_default(scope, name.id):
        return _read_let(name, expr.entries, env, expr.span)
    declared = scope.input(name.id)
    if declared is None:
        role = scope.role(name.id)
        if role is not None and name.id not in scope.replaced:
            raise NotSubscriptable(name.span, name.id, role).error()
        raise scope.unknown(name, is_subscripted=True).error()
    return _read_input(declared, _entries(expr.entries, env), env, expr.span)


def _entries(exprs: Sequence[tree.Expr | tree.Slice], env: Environment) -> tuple[Entry, ...]:
    from .expressions import integer, together

    def read(expr: tree.Expr | tree.Slice) -> Entry:
        if isinstance(expr, tree.Slice):
            return Entry(expr, env.scope.graph.const(0))
        if is_grid_index(expr, env):
            assert isinstance(expr, tree.Call)
            return Entry(expr, *grid_place(expr, env), env.scope.axes[expr.function.id].size)
        return Entry(expr, integer(expr, env, "a position"))

    return tuple(together([partial(read, expr) for expr in exprs]))


# --- inputs --------------------------------------------------------------------------------------------------------


def _read_input(declared: InputDeclaration, entries: tuple[Entry, ...], env: Environment, span: Span) -> Value:
    scope, graph = env.scope, env.scope.graph
    sizes = declared.tensor.sizes
    filled = _fill_leading(scope, declared, entries, span)
    positions: list[Node] = []
    vector: list[Axis] = []
    groups: list[tuple[Axis, Node]] = []
    for place, (size, entry) in enumerate(zip(sizes, filled)):
        position = _leading_position(scope, size, entry, groups) if place < _leading(scope, declared) else None
        if position is None and entry is None:
            axis = graph.vector_axis(scope.canonical(size), len(sizes) - 1 - place)
            vector.append(axis)
            position = graph.index(axis)
        elif position is None:
            assert entry is not None
            position = _position(env, declared, place, entry, vector, filled)
        positions.append(position)
    node = graph.read(declared.tensor, tuple(positions))
    for axis, head in groups:
        node = graph.at(node, (axis,), (head,))
    inside = [entry.is_inside for entry in filled if entry is not None and entry.is_inside is not None]
    node = graph.guard(graph.all(*inside), node)
    return settle(env, node, vector)


def _leading(scope: Scope, declared: InputDeclaration) -> int:
    sizes = declared.tensor.sizes
    count = 1 if sizes and sizes[0] is scope.size("B") else 0
    if len(sizes) > count and sizes[count] in (scope.size("H"), scope.size("G")):
        count += 1
    return count


def _fill_leading(
    scope: Scope, declared: InputDeclaration, entries: tuple[Entry, ...], span: Span
) -> list[Entry | None]:
    """Which entry stands for which axis; None where an axis is left out."""
    sizes = declared.tensor.sizes
    leading = _leading(scope, declared)
    filled: list[Entry | None] = []
    rest = list(entries)
    for place in range(leading):
        must = len(rest) - (len(sizes) - leading) >= leading - place
        if rest and (must or _mentions(scope, rest[0], sizes[place])):
            filled.append(rest.pop(0))
        else:
            filled.append(None)
    filled += rest
    if len(filled) > len(sizes):
        where = None if declared.is_default else declared.span
        extra = entries[len(sizes)].expr.span
        raise TooManyEntries(extra, declared.name, len(sizes), len(entries), declared.shape, where).error()
    return filled + [None] * (len(sizes) - len(filled))


def _mentions(scope: Scope, entry: Entry, size: Node) -> bool:
    """Whether an index over this size (a head or its group) is written in the entry, not inside another read."""
    heads = (scope.size("H"), scope.size("G"))
    wanted = [scope.canonical(one) for one in (heads if size in heads else (size,))]
    axes = [scope.axis(name) for name in _plain_names(entry.expr) if name not in scope.lets]
    return any(axis is not None and scope.canonical(axis.size) in wanted for axis in axes)


def _plain_names(expr: object) -> list[str]:
    """Names in an expression, but for those between the brackets of reads."""
    if isinstance(expr, tree.Name):
        return [expr.id]
    if isinstance(expr, tree.Call):
        return _plain_names(tuple(argument.value for argument in expr.arguments))
    if isinstance(expr, tuple):
        return [name for item in expr for name in _plain_names(item)]
    if isinstance(expr, tree.Node) and not isinstance(expr, tree.Subscript):
        return [name for field in expr.__dataclass_fields__ for name in _plain_names(getattr(expr, field))]
    return []


def _leading_position(scope: Scope, size: Node, entry: Entry | None, groups: list[tuple[Axis, Node]]) -> Node | None:
    """The position on a leading axis: the current batch or head, or the group of a head."""
    graph = scope.graph
    if size is scope.size("G"):
        head = graph.index(scope.current("h")) if entry is None else entry.node if entry.bare is not None else None
        if head is not None and head.attribute.size is scope.size("H") and scope.size("H") is not scope.size("G"):
            heads_per_group = graph.map("floordiv", (scope.size("H"), scope.size("G")), INT)
            groups.append((scope.group_axis(), graph.map("floordiv", (head, heads_per_group), INT)))
            return graph.index(scope.group_axis())
    if entry is None:
        return graph.index(scope.current("b" if size is scope.size("B") else "h"))
    return None


def _position(
    env: Environment,
    declared: InputDeclaration,
    place: int,
    entry: Entry,
    vector: list[Axis],
    filled: Sequence[Entry | None],
) -> Node:
    scope, graph = env.scope, env.scope.graph
    size = declared.tensor.sizes[place]
    if isinstance(entry.expr, tree.Slice):
        axis, start = _slice(env, entry.expr, size)
        vector.append(axis)
        return graph.add(graph.index(axis), start)
    if entry.bare is not None and not scope.same_size(entry.bare.size, size):
        raise mismatch(scope, declared, place, filled).error()
    if is_proved_outside(entry.node, size, graph):
        raise _outside(declared.name, entry, size).error()
    return entry.node


def _outside(name: str, entry: Entry, size: Node) -> AlwaysOutside:
    text = size_text(size)
    return AlwaysOutside(entry.expr.span, name, text)


def _slice(env: Environment, expr: tree.Slice, size: Node) -> tuple[Axis, Node]:
    from .expressions import integer

    graph = env.scope.graph
    low = integer(expr.low, env, "the start of a slice") if expr.low is not None else graph.const(0)
    high = integer(expr.high, env, "the end of a slice") if expr.high is not None else size
    width = graph.sub(high, low)
    if width.axes or (width.is_const() and width.attribute <= 0):
        reason = "its width depends on an index" if width.axes else "it is empty"
        raise BadSlice(expr.span, reason).error()
    return graph.axis("x", width, is_vector=True), low


# --- lets and formals ----------------------------------------------------------------------------------------------


def _read_let(name: tree.Name, exprs: Sequence[tree.Expr | tree.Slice] | None, env: Environment, span: Span) -> Value:
    from .clauses import let_value

    scope = env.scope
    entries = None if exprs is None else _entries(exprs, env)
    value, entry = let_value(scope, name, entries, span)
    if value is None or entry.is_circular:
        return _circular(env, name.id, entry, entries, span)
    if entries is None:
        return value
    if entry.indices is None:
        joined = _read_part(env, value, entries)
        if joined is not None:
            return joined
        inferred = [axis.name for axis in sorted(value.node.axes - set(value.vector)) if axis.name not in "bhg"]
        names = [e.bare.name if e.bare else inferred[n] if n < len(inferred) else "…" for n, e in enumerate(entries)]
        left = f"{entry.clause.role} {name.id}[{', '.join(names)}]"
        raise LetWithoutIndices(span, name.id, left, entry.span).error()
    return _read_at(env, name.id, value, _let_axes(scope, entry, value, len(entries)), entries, span)


def _let_axes(scope: Scope, entry: LetEntry, value: Value, count: int) -> list[Axis]:
    """The axes that entries stand for: the written ones, and implied leading ones if there are more entries."""
    assert entry.indices is not None
    implied = [
        scope.current(name)
        for name in ("b", "h")
        if scope.current(name) in value.node.axes and scope.current(name) not in entry.indices
    ]
    extra = max(0, min(count - len(entry.indices) - len(value.vector), len(implied)))
    return [*(implied[len(implied) - extra :]), *entry.indices]


def _circular(env: Environment, name: str, entry: LetEntry, entries: tuple[Entry, ...] | None, span: Span) -> Value:
    """A let that reads itself, read anywhere: what stands for it until its circle is resolved."""
    from .recurrences import CIRCULAR

    scope, graph = env.scope, env.scope.graph
    indices = entry.indices or ()
    nodes = tuple(graph.index(axis) for axis in indices)
    if entries is not None:
        if len(entries) > len(indices):
            raise TooManyEntries(entries[len(indices)].expr.span, name, len(indices), len(entries)).error()
        if len(entries) < len(indices):
            raise FewEntriesOfCircle(span, name, tuple(axis.name for axis in indices), len(entries)).error()
        for place, (axis, one) in enumerate(zip(indices, entries)):
            _inside(env, name, place, axis, one, indices, entries)
        nodes = tuple(one.node for one in entries)
    axes = frozenset().union(*(node.axes for node in nodes)) | {scope.current("b"), scope.current("h")}
    return Value(graph.opaque(CIRCULAR, nodes, axes, "float", "a let that reads itself", name))


def _read_part(env: Environment, value: Value, entries: Sequence[Entry]) -> Value | None:
    """`p[j]` where p, whose clause writes no indices, runs over the joined axis `u: j | c`; None for anything else."""
    for axis in sorted(axis for axis in value.node.axes if axis.parts):
        if len(entries) == 1 and part_of(axis, entries[0].node) is not None:
            return Value(substitute(env.scope.graph, value.node, {axis: entries[0].node}), value.vector)
    return None


def _read_at(
    env: Environment, name: str, value: Value, axes: Sequence[Axis], entries: tuple[Entry, ...], span: Span
) -> Value:
    """A let or formal with `axes` read at `entries`; what is left out at the end makes a vector."""
    graph = env.scope.graph
    all_axes = [*axes, *value.vector]
    if len(entries) > len(all_axes):
        raise TooManyEntries(entries[len(all_axes)].expr.span, name, len(all_axes), len(entries)).error()
    conditions: list[Node] = []
    moves: dict[Axis, Node] = {}
    vector: list[Axis] = []
    for place, axis in enumerate(all_axes):
        if place >= len(entries):
            vector.append(axis)
            continue
        entry = entries[place]
        if isinstance(entry.expr, tree.Slice):
            new, start = _slice(env, entry.expr, axis.size)
            vector.append(new)
            moves[axis] = graph.add(graph.index(new), start)
            continue
        moves[axis] = entry.node
        conditions += _inside(env, name, place, axis, entry, all_axes, entries)
    node = graph.guard(graph.all(*conditions), read_moved(env, value.node, moves))
    return settle(env, node, vector)


def _inside(
    env: Environment,
    name: str,
    place: int,
    axis: Axis,
    entry: Entry,
    axes: Sequence[Axis],
    entries: Sequence[Entry],
) -> list[Node]:
    """Conditions under which a position lies on the axis; none for an index over the same size."""
    scope, graph = env.scope, env.scope.graph
    if part_of(axis, entry.node) is not None:
        return []
    if entry.bare is not None:
        if scope.same_size(entry.bare.size, axis.size):
            return []
        raise let_mismatch(scope, name, place, axes, entries).error()
    if is_proved_outside(entry.node, axis.size, graph):
        raise _outside(name, entry, axis.size).error()
    inside = [] if entry.is_inside is None else [entry.is_inside]
    if entry.whole is not None and scope.same_size(entry.whole, axis.size):
        return inside
    return [*inside, graph.compare(">=", entry.node, graph.const(0)), graph.compare("<", entry.node, axis.size)]


def read_moved(env: Environment, node: Node, moves: dict[Axis, Node]) -> Node:
    """A value at other positions: recomputed there, or kept as `at` where it holds a statistic."""
    from .roles import holds_statistic

    graph = env.scope.graph
    moves = {a: p for a, p in moves.items() if a in node.axes and p is not graph.index(a)}
    parts = {axis: moves.pop(axis) for axis in list(moves) if axis.parts}
    node = substitute(graph, node, parts)
    if not moves:
        return node
    if holds_statistic(env.scope, node):
        return graph.at(node, tuple(moves), tuple(moves.values()))
    return substitute(graph, node, moves)


def _read_formal(expr: tree.Subscript, env: Environment) -> Value:
    """`x[d + R]` in a definition: a formal read at another index of the definition's axis."""
    assert env.local is not None
    found = env.local.get(expr.base.id)
    if found is None:
        raise unknown_in_definition(expr.base, env).error()
    if isinstance(found, Over):
        raise FormalSubscript(expr.base.span, expr.base.id, env.definition or "").error()
    axes = [axis for over in env.local.values() if isinstance(over, Over) for axis in over.axes]
    entries = _entries(expr.entries, env)
    if found.vector:
        return _read_at(env, expr.base.id, found, (), entries, expr.span)
    if len(entries) > len(axes):
        extra = entries[len(axes)].expr.span
        raise TooManyEntries(extra, expr.base.id, len(axes), len(entries)).error()
    return _read_at(env, expr.base.id, found, axes[: len(entries)], entries, expr.span)


def unknown_in_definition(name: tree.Name, env: Environment) -> UnknownInDefinition:
    return unknown_in(env.scope.definitions[env.definition or ""], name, [*(env.local or {})])


def unknown_in(definition: tree.Define, name: tree.Name, known: list[str]) -> UnknownInDefinition:
    """A name that a definition does not see; the help passes it in, or binds it earlier."""
    axes = f"[{', '.join(axis.id for axis in definition.axes)}]" if definition.axes else ""
    formals = ", ".join([*(formal.name for formal in definition.formals if formal.default is None), name.id])
    remedy = f"pass it in: 'define {definition.name}{axes}({formals}) = …'"
    near = did_you_mean(name.id, [*known, *CONSTANTS])
    if any(bound.id == name.id for bound, _ in definition.bindings):
        return UnknownInDefinition(name.span, name.id, definition.name, None, f"bind '{name.id} = …' before it", True)
    return UnknownInDefinition(name.span, name.id, definition.name, near, remedy)
