"""Calls -> values: reductions and scans over brackets, definitions expanded, pointwise functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attnc.grammar import tree

from ..diagnostics import did_you_mean
from ..ir import Axis, Node
from ..ir.node import BOOL, FLOAT, INT
from .environment import Environment
from .expressions import condition, evaluate, evaluate_all, integer
from .functions import FUNCTIONS, pointwise
from .grids import grid_index, is_grid_index
from .joined import join
from .mistakes import (
    ArgumentTwice,
    ExtraArgument,
    IdleReduction,
    MissingArgument,
    NeedsBracket,
    NotAnAxisOfDefinition,
    OneCondition,
    RaggedAlone,
    TwiceBound,
    UnknownArgument,
    UnknownFunction,
    WrongBracketCount,
    WrongType,
    plural,
)
from .roots import root
from .scans import SCANS, scan
from .scope import STANDARD_INDICES
from .selection import order, rank, top
from .sizes import size_text
from .value import Over, Value

REDUCTIONS = ("sum", "prod", "max", "min")
STRUCTURES = ("rank", "order", "top", "root", "uniform", "solve", "join")
BUILT_IN = (*REDUCTIONS, *SCANS, *STRUCTURES, *FUNCTIONS, "size", "cat", "stop_gradient")


FOREIGN = {
    "where": "write 'a if condition else b'",
    "pow": "write 'x ** y'",
    "power": "write 'x ** y'",
    "dot": "write 'x @ y'",
    "matmul": "write 'x @ y'",
    "maximum": "write 'max(x, y)'",
    "minimum": "write 'min(x, y)'",
    "amax": "write 'max[j](x)'",
    "amin": "write 'min[j](x)'",
    "int": "write 'floor(x)'",
    "len": "write 'size(j)'",
    "average": "write 'mean[j](x)'",
    "logical_and": "write 'x and y'",
    "logical_or": "write 'x or y'",
    "logical_not": "write 'not x'",
    "arange": "an index is its own position: write 'j'",
}


def call(expr: tree.Call, env: Environment) -> Value:
    name = expr.function.id
    if is_grid_index(expr, env):
        return grid_index(expr, env)
    if name in env.scope.definitions:
        from .definitions import expand

        return expand(env.scope.definitions[name], expr, env)
    if name in REDUCTIONS and (expr.bracket is not None or len(expr.arguments) == 1):
        return _reduction(expr, env)
    if name in SCANS:
        return scan(expr, env)
    if name in _STRUCTURES:
        return _STRUCTURES[name](expr, env)
    if name in FUNCTIONS:
        return pointwise(expr, env)
    raise unknown_function(expr, env).error()


def unknown_function(expr: tree.Call, env: Environment) -> UnknownFunction:
    name, scope = expr.function.id, env.scope
    role = scope.role(name) if env.local is None else None
    remedy = FOREIGN.get(name)
    if role is not None and name not in STANDARD_INDICES:
        texts = [argument.value.span.brief() for argument in expr.arguments]
        remedy = f"'{name}' is {role}: read it with '{name}[{', '.join(texts)}]', or multiply with '*'"
    near = did_you_mean(name, [*BUILT_IN, *scope.definitions])
    return UnknownFunction(expr.function.span, name, near, remedy)


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
                axes = tuple(key for key, value in env.local.items() if isinstance(value, Over))
                raise NotAnAxisOfDefinition(name.span, name.id, env.definition or "", axes).error()
            overs.append(over)
            continue
        axis = env.scope.axis(name.id)
        if axis is None:
            raise env.scope.not_an_index(name, f"'{expr.function.id}' runs over indices", flags).error()
        overs.append(Over((axis,)))
    _refuse_twice(expr.bracket, overs, flags)
    return overs, found


def _refuse_twice(bracket: tree.Bracket, overs: list[Over], flags: tuple[str, ...]) -> None:
    names = [name for name in bracket.indices if name.id not in flags]
    seen: dict[Axis, tree.Name] = {}
    for name, over in zip(names, overs):
        for axis in over.axes:
            if axis in seen:
                raise TwiceBound(name.span, name.id, "in one bracket", seen[axis].span).error()
            seen[axis] = name


def bracket_condition(expr: tree.Call, env: Environment, axes: tuple[Axis, ...]) -> tuple[Node, ...]:
    if expr.bracket is None or expr.bracket.condition is None:
        return ()
    value = condition(expr.bracket.condition, env.inside(axes), "what follows ':' in a bracket")
    if value.vector:
        size = size_text(value.vector[-1].size)
        raise OneCondition(expr.bracket.condition.span, "what follows ':' in a bracket", size).error()
    return (value.node,)


def only_argument(expr: tree.Call, env: Environment) -> Value:
    name = expr.function.id
    bracket = expr.bracket.span.brief() if expr.bracket is not None else ""
    form = f"{name}{bracket}(x)"
    if not expr.arguments:
        raise MissingArgument(expr.function.span, name, ("x",), form).error()
    if len(expr.arguments) > 1:
        raise ExtraArgument(expr.arguments[1].span, name, "1 value", len(expr.arguments), form).error()
    if expr.arguments[0].name is not None:
        keyword = expr.arguments[0].name
        raise UnknownArgument(expr.arguments[0].span.name(keyword), name, keyword, ()).error()
    return evaluate(expr.arguments[0].value, env)


def split_vector(expr: tree.Call, value: Value) -> tuple[Axis, Value]:
    """The trailing axis that a call without a bracket runs over, and the value without it."""
    if not value.vector:
        name, argument = expr.function.id, expr.arguments[0].span
        raise NeedsBracket(argument, name, f"{name}[j]({argument.brief()})", over_vector=True).error()
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
    domain = graph.all(*conditions, *inherited, *governing(expr, env, axes))
    _refuse_idle(expr, env, axes, value, domain)
    node = graph.reduce(name, axes, _summand(env, name, value, expr), domain)
    return Value(node, value.vector, is_reduction=True)


def _summand(env: Environment, name: str, value: Value, expr: tree.Call) -> Node:
    if value.type == BOOL:
        if name in ("max", "min"):
            argument = expr.arguments[0].span
            bracket = expr.bracket.span.brief() if expr.bracket is not None else ""
            other = "any" if name == "max" else "all"
            helps = (f"write '{other}{bracket}({argument.brief()})'",)
            raise WrongType(argument, "a number", "a condition", f"what '{name}' is taken of", helps).error()
        return env.scope.graph.to_int(value.node)
    return env.scope.graph.to_float(value.node) if name in ("max", "min") else value.node


def _refuse_idle(expr: tree.Call, env: Environment, axes: tuple[Axis, ...], value: Value, domain: Node) -> None:
    """`sum[j](x)` where nothing depends on j is a slip, except for constants (counting)."""
    if env.local is not None or value.node.kind == "const" or not value.node.axes:
        return
    assert expr.bracket is not None
    for axis, name in zip(axes, expr.bracket.indices):
        if axis not in value.node.axes and axis not in domain.axes:
            raise IdleReduction(expr.arguments[0].value.span, expr.function.id, name.id, name.span).error()


# --- constructs that are checked and not lowered yet ---------------------------------------------------------------


def needs_bracket(expr: tree.Call) -> NeedsBracket:
    """The mistake of a call without its bracket."""
    name = expr.function.id
    return NeedsBracket(expr.function.span, name, f"{name}[j]({_arguments_text(expr)})")


def _arguments_text(expr: tree.Call) -> str:
    return ", ".join(argument.span.brief() for argument in expr.arguments)


def over_one(expr: tree.Call, env: Environment) -> tuple[tuple[Axis, ...], tuple[Node, ...]]:
    if expr.bracket is None:
        raise needs_bracket(expr).error()
    overs, _ = bound_axes(expr, env)
    axes = tuple(axis for over in overs for axis in over.axes)
    inherited = tuple(c for over in overs for c in over.conditions)
    return axes, (*bracket_condition(expr, env, axes), *inherited, *governing(expr, env, axes))


def governing(expr: tree.Call, env: Environment, axes: tuple[Axis, ...]) -> list[Node]:
    """Conditions of the masks that a reduction over these axes obeys. A ragged axis must have its size there."""
    around = frozenset(axes) | env.free | env.enclosing | {env.scope.current("b"), env.scope.current("h")}
    for mask in env.masks:
        missing = mask.axes - around
        if mask.ragged in axes and missing:
            assert expr.bracket is not None and mask.ragged is not None
            lacks = tuple(sorted(axis.name for axis in missing))
            raise RaggedAlone(expr.bracket.span, mask.ragged.name, lacks, mask.span).error()
    return env.governing(axes)


def arguments_of(
    expr: tree.Call, env: Environment, wanted: tuple[str, ...], optional: tuple[str, ...] = ()
) -> list[Value]:
    """Values of a structure's arguments in order; keywords may name the optional ones."""
    names = (*wanted, *optional)
    bracket = expr.bracket.span.brief() if expr.bracket is not None else ""
    form = f"{expr.function.id}{bracket}({', '.join(wanted)}{''.join(f', {name}=…' for name in optional)})"
    given = match_arguments(expr, names, form)
    missing = tuple(name for name in wanted if name not in given)
    if missing:
        raise MissingArgument(expr.function.span, expr.function.id, missing, form).error()
    return evaluate_all([given[name].value for name in names if name in given], env)


def match_arguments(expr: tree.Call, names: tuple[str, ...], form: str) -> dict[str, tree.Argument]:
    """Which argument is which: by position, then by keyword, none twice and none too many."""
    function = expr.function.id
    given: dict[str, tree.Argument] = {}
    for place, argument in enumerate(expr.arguments):
        if argument.name is None and place >= len(names):
            wanted = plural(len(names), "value")
            raise ExtraArgument(argument.span, function, wanted, len(expr.arguments), form).error()
        key = argument.name or names[place]
        if key not in names:
            raise UnknownArgument(argument.span.name(key), function, key, names, did_you_mean(key, names)).error()
        if key in given:
            raise ArgumentTwice(argument.span, function, key, given[key].span).error()
        given[key] = argument
    return given


def _uniform(expr: tree.Call, env: Environment) -> Value:
    axes, _ = over_one(expr, env)
    form = f"uniform{expr.bracket.span.brief() if expr.bracket is not None else ''}(seed)"
    given = match_arguments(expr, ("seed",), form)
    if not given:
        raise MissingArgument(expr.function.span, "uniform", ("seed",), form).error()
    seed = integer(given["seed"].value, env, "the seed")
    graph = env.scope.graph
    state = graph.map("hash", (graph.const(0), seed), INT)
    for axis in axes:
        state = graph.map("hash", (state, graph.index(axis)), INT)
    return Value(graph.map("unit", (state,), FLOAT))


def _solve(expr: tree.Call, env: Environment) -> Value:
    axes, _ = over_one(expr, env)
    if len(axes) != 2:
        assert expr.bracket is not None
        wanted = "2 indices (row, column)"
        raise WrongBracketCount(expr.bracket.span, "solve", wanted, len(axes), "solve[d, f](A, b)").error()
    matrix, right = arguments_of(expr, env.inside(axes), ("A", "b"))
    free = (matrix.node.axes | right.node.axes) - {axes[1]}
    return Value(env.scope.graph.opaque("solve", (matrix.node, right.node), free, FLOAT, "'solve'", axes))


_STRUCTURES: dict[str, Callable[[tree.Call, Environment], Value]] = {
    "rank": rank,
    "order": order,
    "top": top,
    "root": root,
    "uniform": _uniform,
    "solve": _solve,
    "join": join,
}
