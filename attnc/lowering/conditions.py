"""Conditions -> values: `and`, `or`, comparisons, membership, modes, and the choice between two values."""

from __future__ import annotations

from functools import partial

from attnc.grammar import tree

from ..diagnostics import did_you_mean
from ..ir.node import BOOL, FLOAT
from .environment import Environment
from .expressions import as_number, condition, evaluate, evaluate_all, stray_text, together
from .mistakes import UnknownMode, WrongMembership, WrongType, a_type
from .selection import compare_rank
from .value import Value
from .vectors import align, settle


def logic(expr: tree.Logic, env: Environment) -> Value:
    graph = env.scope.graph
    where = f"an operand of '{expr.operator}'"
    values = together([partial(condition, part, env, where) for part in expr.operands])
    vector = align(env, values, expr.operator, [part.span for part in expr.operands])
    nodes = [value.node for value in values]
    return Value(graph.all(*nodes) if expr.operator == "and" else graph.any(*nodes), vector)


def compare(expr: tree.Compare, env: Environment) -> Value:
    graph = env.scope.graph
    mode = _mode_comparison(expr, env)
    if mode is not None:
        return mode
    plain = [side for operator, side in expr.rest if operator not in ("in", "not in")]
    values = evaluate_all((expr.first, *plain), env)
    left_expr, left, rest = expr.first, values[0], iter(values[1:])
    parts: list[Value] = []
    for operator, right_expr in expr.rest:
        if operator in ("in", "not in"):
            inside = _membership(operator, left, left_expr, right_expr, env)
            parts.append(inside if operator == "in" else Value(graph.negate(inside.node), inside.vector))
            continue
        right = next(rest)
        if (left.type == BOOL) != (right.type == BOOL) or (left.type == BOOL and operator not in ("==", "!=")):
            side = left_expr if left.type == BOOL else right_expr
            raise WrongType(side.span, "a number", "a condition", f"an operand of '{operator}'").error()
        vector = align(env, (left, right), operator, (left_expr.span, right_expr.span))
        ranked = compare_rank(env, operator, left.node, right.node)
        parts.append(Value(ranked or graph.compare(operator, left.node, right.node), vector))
        left_expr, left = right_expr, right
    spans = [side.span for _, side in expr.rest]
    return Value(graph.all(*(part.node for part in parts)), align(env, parts, "and", spans))


def _membership(operator: str, left: Value, left_expr: tree.Expr, right_expr: tree.Expr, env: Environment) -> Value:
    graph = env.scope.graph
    left = as_number(left, env)
    if isinstance(right_expr, tree.Tuple):
        options = [as_number(value, env) for value in evaluate_all(right_expr.elements, env)]
        spans = [left_expr.span, *(element.span for element in right_expr.elements)]
        vector = align(env, (left, *options), operator, spans)
        return Value(graph.any(*(graph.compare("==", left.node, option.node) for option in options)), vector)
    right = as_number(evaluate(right_expr, env), env)
    if not right.vector:
        raise WrongMembership(right_expr.span, operator, "right", a_type(right.type)).error()
    if left.vector:
        raise WrongMembership(left_expr.span, operator, "left", "a vector").error()
    found = graph.guard(graph.compare("==", left.node, right.node), graph.const(1))
    count = graph.reduce("sum", (right.vector[-1],), found)
    return settle(env, graph.compare(">", count, graph.const(0)), right.vector[:-1])


def _mode_comparison(expr: tree.Compare, env: Environment) -> Value | None:
    sides = [expr.first, *(right for _, right in expr.rest)]
    if not any(isinstance(side, tree.Text) for side in sides):
        return None
    scope = env.scope
    name = next((s for s in sides if isinstance(s, tree.Name) and s.id in scope.parameters), None)
    declared = scope.parameters[name.id] if name is not None and env.local is None else None
    text = next(side for side in sides if isinstance(side, tree.Text))
    if len(sides) != 2 or declared is None or declared.type != "mode" or expr.rest[0][0] not in ("==", "!="):
        raise stray_text(text, env).error()
    if text.value not in declared.modes:
        near = did_you_mean(text.value, declared.modes)
        raise UnknownMode(text.span, declared.name, declared.modes, declared.span, near).error()
    same = scope.statics[declared.name] == text.value
    return Value(scope.graph.const(same == (expr.rest[0][0] == "==")))


def conditional(expr: tree.Conditional, env: Environment) -> Value:
    graph = env.scope.graph
    where = "what stands between 'if' and 'else'"
    test, then, other = together(
        [
            partial(condition, expr.test, env, where),
            partial(evaluate, expr.then, env),
            partial(evaluate, expr.other, env),
        ]
    )
    if (then.type == BOOL) != (other.type == BOOL):
        side = expr.then if then.type == BOOL else expr.other
        raise WrongType(side.span, "a number like the other branch", "a condition", "this branch").error()
    vector = align(env, (test, then, other), "if", (expr.test.span, expr.then.span, expr.other.span))
    type = then.type if then.type == other.type else FLOAT
    node = graph.where(test.node, graph.to_type(then.node, type), graph.to_type(other.node, type))
    return Value(node, vector)
