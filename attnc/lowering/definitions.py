"""Calls of definitions: formals become the caller's values, brackets the caller's axes and conditions.

Nothing else is captured: a definition sees its formals, its axes and its own `with` names.
"""

from __future__ import annotations

from dataclasses import replace

from attnc.grammar import tree

from ..diagnostics import AttnError, Diagnostic, Label
from ..ir import Axis
from .environment import Environment
from .expressions import evaluate
from .mistakes import Wrong, WrongArguments
from .scope import Scope
from .value import Over, Value
from .vectors import settle

_DEEPEST = 40
_MOST_NODES = 50_000


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
    if stripped:
        return _restore(env, value, stripped, axes)
    return value


def _check_size(definition: tree.Define, expr: tree.Call, env: Environment) -> None:
    scope: Scope = env.scope
    scope.expansions += 1
    if env.depth >= _DEEPEST or env.definition == definition.name:
        title = f"the definition '{definition.name}' ends up calling itself"
        raise Wrong("recursive-definition", title, expr.function.span).error()
    if scope.expansions > 5000 or scope.graph.count > _MOST_NODES:
        text = f"more than {_MOST_NODES} operations"
        raise Wrong("spec-too-large", "the spec grows too large when its definitions are expanded", expr.span, text).error()


def _bind_axes(definition: tree.Define, expr: tree.Call, env: Environment) -> tuple[tuple[Axis, ...], list[Over]]:
    from .calls import bound_axes, bracket_condition

    if expr.bracket is None:
        return (), []
    if not definition.axes:
        title = f"'{definition.name}' takes no bracket"
        raise Wrong("stray-bracket", title, expr.bracket.span).error()
    found, _ = bound_axes(expr, env)
    count = len(definition.axes)
    if len(found) < count or len(found) > count > 1:
        wanted = f"{count} {'index' if count == 1 else 'indices'} in its bracket"
        raise WrongArguments(expr.bracket.span, definition.name, wanted, str(len(found))).error()
    if count == 1:
        joined = Over(tuple(a for over in found for a in over.axes), tuple(c for over in found for c in over.conditions))
        found = [joined]
    axes = tuple(axis for over in found for axis in over.axes)
    conditions = bracket_condition(expr, env, axes)
    return axes, [Over(over.axes, over.conditions + conditions) for over in found]


def _arguments(definition: tree.Define, expr: tree.Call, env: Environment) -> dict[str, Value]:
    given: dict[str, tree.Argument] = {}
    formals = definition.formals
    for place, argument in enumerate(expr.arguments):
        name = argument.name or (formals[place].name if place < len(formals) else None)
        if name is None or name in given or all(formal.name != name for formal in formals):
            found = f"'{argument.name}'" if argument.name else f"{len(expr.arguments)} arguments"
            wanted = ", ".join(formal.name for formal in formals)
            raise WrongArguments(argument.span, definition.name, f"({wanted})", found).error()
        given[name] = argument
    values: dict[str, Value] = {}
    for formal in formals:
        if formal.name in given:
            values[formal.name] = evaluate(given[formal.name].value, env)
        elif formal.default is not None:
            values[formal.name] = evaluate(formal.default, replace(env, local={}, definition=definition.name))
        else:
            raise WrongArguments(expr.span, definition.name, f"'{formal.name}' too", "no such argument").error()
    return values


def _over_vector(
    definition: tree.Define, expr: tree.Call, env: Environment, arguments: dict[str, Value]
) -> tuple[tuple[Axis, ...], list[Over], dict[str, Value], tuple[Axis, ...]]:
    """A call without a bracket runs over the trailing axis of its first argument."""
    from .calls import split_vector

    if len(definition.axes) != 1:
        raise Wrong("needs-bracket", f"'{definition.name}' needs a bracket", expr.span).error()
    first = next(iter(arguments.values()), None)
    if first is None or not expr.arguments:
        raise Wrong("needs-bracket", f"'{definition.name}' needs a bracket", expr.span).error()
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
    """A mistake inside a definition also shows the call that led there."""
    label = Label(expr.span, f"in this call of '{definition.name}'")
    changed = [
        d
        if label in d.labels
        else Diagnostic(d.code, d.title, (*d.labels, label), d.note, d.helps)
        for d in error.diagnostics
    ]
    return AttnError(changed)
