"""Calls of definitions: formals become the caller's values, brackets the caller's axes and conditions.

Nothing else is captured: a definition sees its formals, its axes and its own `with` names.
"""

from __future__ import annotations

from dataclasses import replace

from attnc.grammar import tree

from ..diagnostics import AttnError, Diagnostic, Label
from ..ir import Axis
from .environment import Environment
from .expressions import evaluate, evaluate_all
from .mistakes import MissingArgument, NeedsBracket, RecursiveDefinition, StrayBracket, WrongBracketCount
from .scope import Scope
from .value import Hopeless, Over, Value
from .vectors import settle

_DEEPEST = 40
_MOST_EXPANSIONS = 2000


def expand(definition: tree.Define, expr: tree.Call, env: Environment) -> Value:
    """The value of `name[axes: condition](arguments)`."""
    _check_size(definition, expr, env)
    axes, overs = _bind_axes(definition, expr, env)
    inner_env = env.inside(axes) if axes else env
    arguments = _arguments(definition, expr, inner_env)
    stripped: tuple[Axis, ...] = ()
    if definition.axes and expr.bracket is None:
        axes, overs, arguments, stripped = _over_vector(definition, expr, env, arguments)
    local: dict[str, Value | Over] = dict(zip((axis.id for axis in definition.axes), overs))
    local.update(arguments)
    inner = replace(
        env, local=local, definition=definition.name, depth=env.depth + 1, enclosing=env.enclosing, variables={}
    )
    try:
        value = _body(definition, inner)
    except AttnError as error:
        raise _with_caller(error, expr, definition) from None
    except Hopeless as stop:
        if env.local is None:
            stop.span = expr.span
        raise
    if stripped:
        return _restore(env, value, stripped, axes)
    return value


def _check_size(definition: tree.Define, expr: tree.Call, env: Environment) -> None:
    scope: Scope = env.scope
    scope.expansions += 1
    if env.definition == definition.name:
        raise RecursiveDefinition(expr.function.span, definition.name).error()
    if env.depth >= _DEEPEST:
        raise Hopeless("the definitions call one another too deeply", f"{_DEEPEST} inside one another")
    if scope.expansions > _MOST_EXPANSIONS:
        what = "the spec grows too large when its definitions are expanded"
        raise Hopeless(what, f"{_MOST_EXPANSIONS} calls of definitions")


def _bind_axes(definition: tree.Define, expr: tree.Call, env: Environment) -> tuple[tuple[Axis, ...], list[Over]]:
    from .calls import bound_axes, bracket_condition

    if expr.bracket is None:
        return (), []
    if not definition.axes:
        raise StrayBracket(expr.bracket.span, definition.name, is_definition=True).error()
    found, _ = bound_axes(expr, env)
    count = len(definition.axes)
    if len(found) < count or len(found) > count > 1:
        wanted = f"{count} {'index' if count == 1 else 'indices'}"
        raise WrongBracketCount(expr.bracket.span, definition.name, wanted, len(found), form_of(definition)).error()
    if count == 1:
        conditions = tuple(condition for over in found for condition in over.conditions)
        found = [Over(tuple(axis for over in found for axis in over.axes), conditions)]
    axes = tuple(axis for over in found for axis in over.axes)
    conditions = bracket_condition(expr, env, axes)
    return axes, [Over(over.axes, over.conditions + conditions) for over in found]


def _arguments(definition: tree.Define, expr: tree.Call, env: Environment) -> dict[str, Value]:
    from .calls import match_arguments

    formals, form = definition.formals, form_of(definition)
    given = match_arguments(expr, tuple(formal.name for formal in formals), form)
    missing = tuple(formal.name for formal in formals if formal.default is None and formal.name not in given)
    if missing:
        raise MissingArgument(expr.function.span, definition.name, missing, form).error()
    names = [formal.name for formal in formals if formal.name in given]
    values = dict(zip(names, evaluate_all([given[name].value for name in names], env)))
    for formal in formals:
        if formal.default is not None and formal.name not in given:
            values[formal.name] = evaluate(formal.default, replace(env, local={}, definition=definition.name))
    return values


def form_of(definition: tree.Define) -> str:
    """How a definition is called."""
    axes = f"[{', '.join(axis.id for axis in definition.axes)}]" if definition.axes else ""
    formals = [f.name if f.default is None else f"{f.name}={f.default.span.brief()}" for f in definition.formals]
    return f"{definition.name}{axes}({', '.join(formals)})"


def _over_vector(
    definition: tree.Define, expr: tree.Call, env: Environment, arguments: dict[str, Value]
) -> tuple[tuple[Axis, ...], list[Over], dict[str, Value], tuple[Axis, ...]]:
    """A call without a bracket runs over the trailing axis of its first argument."""
    from .calls import split_vector

    first = next(iter(arguments.values()), None)
    if len(definition.axes) != 1 or first is None or not expr.arguments:
        raise NeedsBracket(expr.function.span, definition.name, form_of(definition)).error()
    axis, _ = split_vector(expr, first)
    rest = first.vector[:-1]
    plain = {
        name: replace(value, vector=value.vector[:-1]) if value.vector and value.vector[-1] is axis else value
        for name, value in arguments.items()
    }
    return (axis,), [Over((axis,))], plain, (*rest, axis)


def _body(definition: tree.Define, env: Environment) -> Value:
    local = dict(env.local or {})
    for name, expr in definition.bindings:
        local[name.id] = evaluate(expr, replace(env, local=local))
    return evaluate(definition.value, replace(env, local=local))


def _restore(env: Environment, value: Value, stripped: tuple[Axis, ...], axes: tuple[Axis, ...]) -> Value:
    """Gives back the trailing axes that a call without a bracket hid, where the result still has them."""
    kept = [axis for axis in stripped if axis in value.node.axes and axis not in value.vector]
    if axes[0] not in value.node.axes:
        kept = [axis for axis in stripped[:-1] if axis not in value.vector]
        return replace(settle(env, value.node, [*kept, *value.vector]), is_reduction=value.is_reduction)
    return settle(env, value.node, kept)


def _with_caller(error: AttnError, expr: tree.Call, definition: tree.Define) -> AttnError:
    """A mistake inside a definition also shows the call that led there, and first where that is another text."""
    label = Label(expr.span, f"in this call of '{definition.name}'")

    def place(labels: tuple[Label, ...]) -> tuple[Label, ...]:
        if label in labels:
            return labels
        if labels and labels[0].span.source != expr.span.source:
            return (label, *labels)
        return (*labels, label)

    return AttnError([Diagnostic(d.code, d.title, place(d.labels), d.note, d.helps) for d in error.diagnostics])
