"""Lets and their roles: lowered on demand, with defaults, masks and the order of circular ones.

A value is lowered twice: once without masks, which tells its axes (a mask never adds one), then with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnc.grammar import tree

from ..diagnostics import AttnError, Span
from ..ir import Axis, Node
from ..ir.node import BOOL
from ..ir.roles import OUTER, find_roles
from .environment import Environment
from .expressions import evaluate
from .mistakes import MissingIndex, Wrong
from .scope import LetEntry, MaskEntry, Scope
from .value import Poisoned, Value

if TYPE_CHECKING:
    from .reading import Entry

_LAST = 1 << 30


def has_default(scope: Scope, name: str) -> bool:
    """Whether `s`, `p` or `out` is used with no clause of that name: then it gets its default, once."""
    role = {"s": "score", "p": "normalize", "out": "aggregate"}.get(name)
    if role is None or name in scope.declared or role in scope.roles:
        return False
    if name in scope.inputs or scope.axes.get(name) is not None:
        return False
    clause = tree.Let(role, name, None, _default_body(scope, role))
    scope.lets[name] = LetEntry(clause, _LAST, None, clause.span)
    scope.roles[role] = name
    return True


def _default_body(scope: Scope, role: str) -> tree.Expr:
    def name(text: str) -> tree.Name:
        return tree.Name(text)

    def at(tensor: str, index: str) -> tree.Expr:
        return tree.Subscript(name(tensor), (name(index),))

    def call(function: str, index: str | None, value: tree.Expr) -> tree.Expr:
        bracket = tree.Bracket((name(index),), None) if index else None
        return tree.Call(name(function), bracket, (tree.Argument(value),))

    if role == "score":
        return tree.Binary("/", tree.Binary("@", at("q", "i"), at("k", "j")), call("sqrt", None, name("D")))
    if role == "normalize":
        return call("softmax", "j", name(scope.roles.get("score", "s")))
    weights = name(scope.roles.get("normalize", "p"))
    return call("sum", "j", tree.Binary("*", weights, at("v", "j")))


# --- lowering a let ------------------------------------------------------------------------------------------------


def let_value(
    scope: Scope, name: tree.Name, entries: Sequence[Entry] | None, span: Span
) -> tuple[Value | None, LetEntry]:
    """The value of a let; None where it is read inside its own definition, which makes a recurrence."""
    entry = scope.lets[name.id]
    if scope.stack:
        scope.reads.append((scope.stack[-1], name.id, _offsets(entry, entries), span))
    if entry.state == "running":
        if entries is None or entry.indices is None:
            _refuse_circle(scope, name.id, span)
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


def _lower(scope: Scope, entry: LetEntry) -> Value:
    clause = entry.clause
    written = frozenset(entry.indices or ())
    bare = evaluate(clause.value, Environment(scope, free=written))
    _check_indices(scope, entry, bare)
    masks = tuple(mask for mask in scope.masks if mask.position < entry.position)
    if not masks:
        return bare
    free = bare.node.axes | written
    value = evaluate(clause.value, Environment(scope, masks, free))
    governed = value.node is not bare.node
    conditions = [
        mask.condition
        for mask in masks
        if mask.axes <= free and (clause.role == "normalize" or governed and _governs(scope, entry, mask, free, bare))
    ]
    node = scope.graph.guard(scope.graph.all(*conditions), value.node)
    return Value(node, value.vector, value.is_reduction and not conditions)


def _governs(scope: Scope, entry: LetEntry, mask: MaskEntry, free: frozenset[Axis], bare: Value) -> bool:
    """Whether this mask, alone, changes some reduction of the value."""
    return evaluate(entry.clause.value, Environment(scope, (mask,), free)).node is not bare.node


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
            from .mistakes import ReboundIndex

            raise ReboundIndex(rebound[axis.name], axis.name, name.span).error()
    for axis in sorted(value.node.axes):
        if axis in entry.indices or axis in value.vector or axis in implied:
            continue
        if roles.of(axis) == OUTER and axis.name in ("b", "h"):
            continue
        raise MissingIndex(clause.value.span, clause.name, axis.name, clause.name_span).error()


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


def lower_mask(scope: Scope, clause: tree.Mask, position: int) -> None:
    from .mistakes import MaskNotBoolean, a_type

    above = tuple(mask for mask in scope.masks if mask.position < position)
    value = evaluate(clause.condition, Environment(scope))
    if value.node.type != BOOL:
        raise MaskNotBoolean(clause.condition.span, a_type(value.node.type)).error()
    if value.vector:
        helps = ("reduce it first: 'any(…)' or 'all(…)'",)
        raise Wrong("mask-vector", "a mask must be one condition, not a vector", clause.condition.span, helps=helps).error()
    if above:
        value = evaluate(clause.condition, Environment(scope, above, value.node.axes))
    if value.node.is_const(False):
        text = "this is never true"
        raise Wrong("mask-never", "this mask removes every index tuple", clause.condition.span, text).error()
    scope.masks.append(MaskEntry(position, value.node, value.node.axes))


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
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for reader, target, offsets, span in scope.reads:
        graph.add_edge(reader, target)
        graph.edges[reader, target].setdefault("reads", []).append((offsets, span))
    for component in networkx.strongly_connected_components(graph):
        inner = graph.subgraph(component)
        if inner.number_of_edges() and not any(_orders(inner, place, sign) for place in range(8) for sign in (-1, 1)):
            names = tuple(sorted(component))
            _refuse_circle(scope, names[0], next(iter(inner.edges(data=True)))[2]["reads"][0][1], names)


def _orders(graph: object, place: int, sign: int) -> bool:
    """Whether all reads go one way along a written index, and each circle has one that goes strictly."""
    import networkx

    assert isinstance(graph, networkx.DiGraph)
    level: networkx.DiGraph[str] = networkx.DiGraph()
    level.add_nodes_from(graph.nodes)
    for reader, target, data in graph.edges(data=True):
        for offsets, _ in data["reads"]:
            offset = offsets[place] if place < len(offsets) else 0
            if offset is None:
                continue
            if offset == -sign:
                return False
            if offset == 0:
                level.add_edge(reader, target)
    return bool(networkx.is_directed_acyclic_graph(level))


def _refuse_circle(scope: Scope, name: str, span: Span, names: tuple[str, ...] | None = None) -> None:
    from .mistakes import CyclicLets

    if names is None:
        start = scope.stack.index(name) if name in scope.stack else 0
        names = tuple(scope.stack[start:]) or (name,)
    raise CyclicLets(names, span).error()
