"""Calls -> values: reductions and scans over brackets, definitions expanded, pointwise functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attnc.grammar import tree

from ..diagnostics import did_you_mean
from ..ir import Axis, Node
from ..ir.node import BOOL, FLOAT, INT
from .environment import Environment
from .expressions import condition, evaluate, integer
from .functions import FUNCTIONS, pointwise
from .mistakes import IdleReduction, UnknownFunction, Wrong, WrongArguments
from .value import Over, Value

REDUCTIONS = ("sum", "prod", "max", "min")
SCANS = ("cumsum", "cummax", "cumprod")
STRUCTURES = ("rank", "order", "top", "root", "uniform", "solve", "join")
BUILT_IN = (*REDUCTIONS, *SCANS, *STRUCTURES, *FUNCTIONS, "size", "cat", "stop_gradient")


def call(expr: tree.Call, env: Environment) -> Value:
    name = expr.function.id
    if env.local is None and expr.bracket is None and _is_product_index(name, env):
        return _product_index(expr, env)
    if name in env.scope.definitions:
        from .definitions import expand

        return expand(env.scope.definitions[name], expr, env)
    if name in REDUCTIONS and (expr.bracket is not None or len(expr.arguments) == 1):
        return _reduction(expr, env)
    if name in SCANS:
        return _scan(expr, env)
    if name in _STRUCTURES:
        return _STRUCTURES[name](expr, env)
    if name in FUNCTIONS:
        return pointwise(expr, env)
    known = [*BUILT_IN, *env.scope.definitions]
    raise UnknownFunction(expr.function.span, name, did_you_mean(name, known)).error()


def _is_product_index(name: str, env: Environment) -> bool:
    return name in env.scope.axes and env.scope.axes[name] in env.scope.components


# --- brackets ------------------------------------------------------------------------------------------------------


def bound_axes(expr: tree.Call, env: Environment, flags: tuple[str, ...] = ()) -> tuple[list[Over], set[str]]:
    """What the names in a call's bracket bind, without its condition; and the flags among them."""
    assert expr.bracket is not None
    overs: list[Over] = []
    found: set[str] = set()
    for name in expr.bracket.indices:
        if name.id in flags:
            found.add(name.id)
            continue
        if env.local is not None:
            over = env.local.get(name.id)
            if not isinstance(over, Over):
                title = f"'{name.id}' is no axis of the definition '{env.definition}'"
                raise Wrong("not-an-index", title, name.span).error()
            overs.append(over)
            continue
        axis = env.scope.axis(name.id)
        if axis is None:
            known = [*env.scope.axes, "b", "h", "i", "j", "d", "e", *flags]
            near = did_you_mean(name.id, [n for n in known if " " not in n])
            helps = (f"did you mean '{near}'?",) if near else (f"declare it: 'axis {name.id}: …'",)
            raise Wrong("not-an-index", f"'{name.id}' is not an index", name.span, helps=helps).error()
        overs.append(Over((axis,)))
    axes = [axis for over in overs for axis in over.axes]
    if len(set(axes)) < len(axes):
        raise Wrong("twice-bound", "an index stands twice in one bracket", expr.bracket.span).error()
    return overs, found


def bracket_condition(expr: tree.Call, env: Environment, axes: tuple[Axis, ...]) -> tuple[Node, ...]:
    if expr.bracket is None or expr.bracket.condition is None:
        return ()
    value = condition(expr.bracket.condition, env.inside(axes), "what follows ':' in a bracket")
    if value.vector:
        raise Wrong("wrong-type", "a bracket's condition must be one condition", expr.bracket.condition.span).error()
    return (value.node,)


def only_argument(expr: tree.Call, env: Environment) -> Value:
    if len(expr.arguments) != 1 or expr.arguments[0].name is not None:
        found = f"{len(expr.arguments)} arguments"
        raise WrongArguments(expr.span, expr.function.id, "one value", found).error()
    return evaluate(expr.arguments[0].value, env)


def split_vector(expr: tree.Call, value: Value) -> tuple[Axis, Value]:
    """The trailing axis that a call without a bracket runs over, and the value without it."""
    if not value.vector:
        name = expr.function.id
        helps = (f"say over what: '{name}[j](…)'",)
        text = "this has no trailing axis"
        title = f"'{name}' without a bracket runs over a vector's axis"
        raise Wrong("needs-bracket", title, expr.arguments[0].span, text, helps=helps).error()
    return value.vector[-1], Value(value.node, value.vector[:-1])


# --- core reductions -----------------------------------------------------------------------------------------------


def _reduction(expr: tree.Call, env: Environment) -> Value:
    from .vectors import settle

    graph = env.scope.graph
    name = expr.function.id
    if expr.bracket is None:
        axis, value = split_vector(expr, only_argument(expr, env))
        node = graph.reduce(name, (axis,), _summand(env, name, value, expr))
        return replace(settle(env, node, value.vector), is_reduction=True)
    overs, _ = bound_axes(expr, env)
    axes = tuple(axis for over in overs for axis in over.axes)
    value = only_argument(expr, env.inside(axes))
    conditions = bracket_condition(expr, env, axes)
    inherited = [c for over in overs for c in over.conditions]
    domain = graph.all(*conditions, *inherited, *env.governing(axes))
    _refuse_idle(expr, env, axes, value, domain)
    node = graph.reduce(name, axes, _summand(env, name, value, expr), domain)
    return Value(node, value.vector, is_reduction=True)


def _summand(env: Environment, name: str, value: Value, expr: tree.Call) -> Node:
    if value.type == BOOL:
        if name in ("max", "min"):
            helps = ("use 'any' or 'all' for conditions",)
            title = f"'{name}' compares numbers, not conditions"
            raise Wrong("wrong-type", title, expr.arguments[0].span, helps=helps).error()
        return env.scope.graph.to_int(value.node)
    return env.scope.graph.to_float(value.node) if name in ("max", "min") else value.node


def _refuse_idle(expr: tree.Call, env: Environment, axes: tuple[Axis, ...], value: Value, domain: Node) -> None:
    """`sum[j](x)` where nothing depends on j is a slip, except for constants (counting)."""
    if env.local is not None or value.node.kind == "const" or not value.node.axes:
        return
    assert expr.bracket is not None
    for axis, name in zip(axes, expr.bracket.indices):
        if axis not in value.node.axes and axis not in domain.axes:
            raise IdleReduction(expr.arguments[0].value.span, expr.function.id, name.id).error()


# --- constructs that are checked and not lowered yet ---------------------------------------------------------------


def _scan(expr: tree.Call, env: Environment) -> Value:
    graph = env.scope.graph
    if expr.bracket is None:
        raise Wrong("needs-bracket", f"'{expr.function.id}' needs to know along what it runs", expr.span).error()
    overs, flags = bound_axes(expr, env, ("reverse", "exclusive"))
    axes = tuple(axis for over in overs for axis in over.axes)
    if len(axes) != 1:
        raise WrongArguments(expr.bracket.span, expr.function.id, "one index", f"{len(axes)} indices").error()
    value = only_argument(expr, env.inside(axes))
    conditions = bracket_condition(expr, env, axes)
    type = INT if value.type == BOOL else value.type
    free = value.node.axes | frozenset(axes)
    key = (expr.function.id, axes, tuple(sorted(flags)))
    args = (value.node, *conditions)
    return Value(graph.opaque(expr.function.id, args, free, type, f"the scan '{expr.function.id}'", key), value.vector)


def _over_one(expr: tree.Call, env: Environment) -> tuple[tuple[Axis, ...], tuple[Node, ...]]:
    if expr.bracket is None:
        raise Wrong("needs-bracket", f"'{expr.function.id}' needs to know over what it runs", expr.span).error()
    overs, _ = bound_axes(expr, env)
    axes = tuple(axis for over in overs for axis in over.axes)
    inherited = tuple(c for over in overs for c in over.conditions)
    return axes, (*bracket_condition(expr, env, axes), *inherited, *env.governing(axes))


def _arguments(expr: tree.Call, env: Environment, wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[Value]:
    """Values of a structure's arguments in order; keywords may name the optional ones."""
    given: dict[str, tree.Expr] = {}
    names = (*wanted, *optional)
    for place, argument in enumerate(expr.arguments):
        key = argument.name or (names[place] if place < len(names) else None)
        if key not in names or key in given:
            text = f"'{argument.name}'" if argument.name else f"{len(expr.arguments)} arguments"
            raise WrongArguments(argument.span, expr.function.id, ", ".join(names), text).error()
        given[key] = argument.value
    missing = [name for name in wanted if name not in given]
    if missing:
        found = f"{len(expr.arguments)} arguments"
        raise WrongArguments(expr.span, expr.function.id, ", ".join(wanted), found).error()
    return [evaluate(given[name], env) for name in names if name in given]


def _rank(expr: tree.Call, env: Environment) -> Value:
    axes, domain = _over_one(expr, env)
    (value,) = _arguments(expr, env.inside(axes), ("x",))
    free = value.node.axes | frozenset(axes)
    return Value(env.scope.graph.opaque("rank", (value.node, *domain), free, INT, "'rank'", axes))


def _order(expr: tree.Call, env: Environment) -> Value:
    axes, domain = _over_one(expr, env)
    value, rank = _arguments(expr, env.inside(axes), ("x", "r"))
    free = (value.node.axes - frozenset(axes)) | rank.node.axes
    args = (value.node, rank.node, *domain)
    return Value(env.scope.graph.opaque("order", args, free, INT, "'order'", axes))


def _top(expr: tree.Call, env: Environment) -> Value:
    axes, domain = _over_one(expr, env)
    values = _arguments(expr, env.inside(axes), ("x", "n"), ("by",))
    free = frozenset(axes).union(*(value.node.axes for value in values))
    nodes = tuple(value.node for value in values)
    return Value(env.scope.graph.opaque("top", (*nodes, *domain), free, BOOL, "'top'", axes))


def _root(expr: tree.Call, env: Environment) -> Value:
    """`root[t: lo <= t <= hi](f)`: t is a number inside, not an index."""
    graph = env.scope.graph
    names = expr.bracket.indices if expr.bracket is not None else ()
    if expr.bracket is None or len(names) != 1 or expr.bracket.condition is None:
        helps = ("write 'root[t: low <= t <= high](f)'",)
        raise Wrong("root-without-bounds", "'root' needs one unknown and its bounds", expr.span, helps=helps).error()
    unknown = graph.opaque("unknown", (), frozenset(), FLOAT, "'root'", (names[0].id, env.depth))
    local = None if env.local is None else {**env.local, names[0].id: Value(unknown)}
    inner = replace(env, local=local, variables={**env.variables, names[0].id: unknown})
    bounds = condition(expr.bracket.condition, inner, "the bounds of 'root'")
    value = only_argument(expr, inner)
    free = value.node.axes | bounds.node.axes
    return Value(graph.opaque("root", (value.node, bounds.node), free, FLOAT, "'root'", names[0].id))


def _uniform(expr: tree.Call, env: Environment) -> Value:
    axes, _ = _over_one(expr, env)
    seed = integer(expr.arguments[0].value, env, "the seed") if len(expr.arguments) == 1 else None
    if seed is None:
        raise WrongArguments(expr.span, "uniform", "one seed", f"{len(expr.arguments)} arguments").error()
    free = frozenset(axes) | seed.axes
    return Value(env.scope.graph.opaque("uniform", (seed,), free, FLOAT, "'uniform'", axes))


def _solve(expr: tree.Call, env: Environment) -> Value:
    axes, _ = _over_one(expr, env)
    if len(axes) != 2:
        raise WrongArguments(expr.span, "solve", "two indices (row, column)", f"{len(axes)} indices").error()
    matrix, right = _arguments(expr, env.inside(axes), ("A", "b"))
    free = (matrix.node.axes | right.node.axes) - {axes[1]}
    return Value(env.scope.graph.opaque("solve", (matrix.node, right.node), free, FLOAT, "'solve'", axes))


def _join(expr: tree.Call, env: Environment) -> Value:
    axes, _ = _over_one(expr, env)
    parts = env.scope.parts.get(axes[0], ()) if len(axes) == 1 else ()
    if not parts or len(expr.arguments) != len(parts):
        text = f"one value for each of the {len(parts)} parts" if parts else "an index over a joined axis 'u: j | c'"
        raise WrongArguments(expr.span, "join", text, f"{len(expr.arguments)} arguments").error()
    values = [evaluate(argument.value, env.inside(parts)) for argument in expr.arguments]
    free = frozenset(axes).union(*(value.node.axes for value in values)) - frozenset(parts)
    nodes = tuple(value.node for value in values)
    return Value(env.scope.graph.opaque("join", nodes, free, values[0].type, "a joined axis", axes), values[0].vector)


def _product_index(expr: tree.Call, env: Environment) -> Value:
    axis = env.scope.axes[expr.function.id]
    names = env.scope.components[axis]
    if len(expr.arguments) != len(names):
        wanted = f"one position for each of {', '.join(names)}"
        raise WrongArguments(expr.span, expr.function.id, wanted, f"{len(expr.arguments)} arguments").error()
    nodes = tuple(integer(argument.value, env, "a position") for argument in expr.arguments)
    free = frozenset().union(*(node.axes for node in nodes))
    return Value(env.scope.graph.opaque("position", nodes, free, INT, "a product axis", axis))


_STRUCTURES: dict[str, Callable[[tree.Call, Environment], Value]] = {
    "rank": _rank,
    "order": _order,
    "top": _top,
    "root": _root,
    "uniform": _uniform,
    "solve": _solve,
    "join": _join,
}
