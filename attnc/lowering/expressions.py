"""An expression of the syntax tree -> a value. Here: how all of them are evaluated, and numbers, texts and names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from attnc.grammar import tree

from ..diagnostics import AttnError
from ..ir import Node
from ..ir.node import BOOL, FLOAT, INT
from .environment import Environment
from .grids import component
from .mistakes import (
    ModeAsValue,
    NumberTooLarge,
    SeveralIndices,
    StrayText,
    WrongType,
    a_type,
)
from .reading import read_name, read_subscript, unknown_in_definition
from .scope import CONSTANTS
from .value import Over, Poisoned, Value

T = TypeVar("T")

_LARGEST = (1 << 63) - 1


def evaluate(expr: tree.Expr, env: Environment) -> Value:
    """The value of an expression where `env` says what its names mean."""
    graph = env.scope.graph
    before = graph.span
    if env.definition is None or expr.span.source is env.scope.source:
        graph.span = expr.span
    env.scope.take_steps(1)
    try:
        value = _RULES[type(expr)](expr, env)
    finally:
        graph.span = before
    if value.type == INT and _is_too_large(value.node):
        raise NumberTooLarge(expr.span).error()
    return value


def _is_too_large(node: Node) -> bool:
    """A constant or coefficient that fits no 64 bits."""
    if node.kind == "const":
        return bool(abs(node.attribute) > _LARGEST)
    return node.is_sum and any(abs(n) > _LARGEST for n in (*node.attribute[0], node.attribute[1]))


def evaluate_all(exprs: Sequence[tree.Expr], env: Environment) -> list[Value]:
    """The values of several expressions; the mistakes of all of them come together."""
    return together([partial(evaluate, expr, env) for expr in exprs])


def together(steps: Sequence[Callable[[], T]]) -> list[T]:
    """What independent steps give; the mistakes of all of them come together."""
    out: list[T] = []
    errors: list[AttnError] = []
    poisoned = False
    for step in steps:
        try:
            out.append(step())
        except AttnError as error:
            errors.append(error)
        except Poisoned:
            poisoned = True
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise AttnError(list(dict.fromkeys(d for error in errors for d in error.diagnostics)))
    if poisoned:
        raise Poisoned
    return out


def as_number(value: Value, env: Environment) -> Value:
    """A condition counts as 1 or 0 in arithmetic."""
    if value.type == BOOL:
        value = Value(env.scope.graph.to_int(value.node), value.vector)
    return value


def condition(expr: tree.Expr, env: Environment, where: str) -> Value:
    value = evaluate(expr, env)
    if value.type != BOOL:
        helps = (f"compare it: '{expr.span.brief()} != 0'",)
        raise WrongType(expr.span, "a condition", a_type(value.type), where, helps).error()
    return value


def integer(expr: tree.Expr, env: Environment, where: str) -> Node:
    """An integer without trailing axes: a position, a count or a size."""
    value = evaluate(expr, env)
    if value.type != INT:
        helps = (f"round it: 'floor({expr.span.brief()})'",) if value.type == FLOAT else ()
        raise WrongType(expr.span, "an integer", a_type(value.type), where, helps).error()
    if value.vector:
        raise WrongType(expr.span, "one integer", "a vector", where).error()
    return value.node


def scalar(expr: tree.Expr, env: Environment, where: str) -> Node:
    """A floating number without trailing axes."""
    value = evaluate(expr, env)
    if value.type == BOOL:
        raise WrongType(expr.span, "a number", "a condition", where).error()
    if value.vector:
        raise WrongType(expr.span, "one number", "a vector", where).error()
    return env.scope.graph.to_float(value.node)


# --- leaves --------------------------------------------------------------------------------------------------------


def _number(expr: tree.Number, env: Environment) -> Value:
    return Value(env.scope.graph.const(expr.value))


def _boolean(expr: tree.Boolean, env: Environment) -> Value:
    return Value(env.scope.graph.const(expr.value))


def _text(expr: tree.Text, env: Environment) -> Value:
    raise stray_text(expr, env).error()


def stray_text(text: tree.Text, env: Environment) -> StrayText:
    modes = tuple((p.name, p.modes[0]) for p in env.scope.parameters.values() if p.type == "mode")
    return StrayText(text.span, modes)


def _name(expr: tree.Name, env: Environment) -> Value:
    graph, scope = env.scope.graph, env.scope
    if env.local is not None and expr.id in env.local:
        found = env.local[expr.id]
        return _index_value(expr, found, env) if isinstance(found, Over) else found
    if expr.id in env.variables:
        return Value(env.variables[expr.id])
    if env.local is not None:
        if expr.id in CONSTANTS:
            return Value(graph.const(CONSTANTS[expr.id]))
        raise unknown_in_definition(expr, env).error()
    if expr.id in scope.parameters and scope.parameters[expr.id].is_static:
        value = scope.statics[expr.id]
        if not isinstance(value, bool):
            raise ModeAsValue(expr.span, expr.id, scope.parameters[expr.id].modes[0]).error()
        return Value(graph.const(value))
    return read_name(expr, env)


def _index_value(expr: tree.Name, over: Over, env: Environment) -> Value:
    if len(over.axes) != 1:
        raise SeveralIndices(expr.span, expr.id, tuple(axis.name for axis in over.axes)).error()
    return Value(env.scope.graph.index(over.axes[0]))


# --- the rest, which has files of its own --------------------------------------------------------------------------


def _call(expr: tree.Call, env: Environment) -> Value:
    from .calls import call

    return call(expr, env)


def _operation(expr: tree.Unary | tree.Binary, env: Environment) -> Value:
    from .operators import binary, unary

    return unary(expr, env) if isinstance(expr, tree.Unary) else binary(expr, env)


def _condition(expr: tree.Logic | tree.Compare | tree.Conditional, env: Environment) -> Value:
    from .conditions import compare, conditional, logic

    if isinstance(expr, tree.Compare):
        return compare(expr, env)
    return logic(expr, env) if isinstance(expr, tree.Logic) else conditional(expr, env)


_RULES: dict[type, Callable[..., Value]] = {
    tree.Number: _number,
    tree.Boolean: _boolean,
    tree.Text: _text,
    tree.Name: _name,
    tree.Component: component,
    tree.Subscript: read_subscript,
    tree.Call: _call,
    tree.Unary: _operation,
    tree.Binary: _operation,
    tree.Logic: _condition,
    tree.Compare: _condition,
    tree.Conditional: _condition,
}
