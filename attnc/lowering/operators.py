"""Arithmetic -> values: signs, sums, products, quotients, powers, bits and `@`."""

from __future__ import annotations

import math
from collections.abc import Callable

from attnc.grammar import tree

from ..ir import Graph, Node
from ..ir.node import FLOAT, INT
from .environment import Environment
from .expressions import as_number, condition, evaluate, evaluate_all
from .mistakes import DivisionByZero, NumberTooLarge, StrayJoin, WrongType, a_type
from .value import Value
from .vectors import align, matrix_product

_LARGEST_EXPONENT = 1_000_000


def unary(expr: tree.Unary, env: Environment) -> Value:
    graph = env.scope.graph
    if expr.operator == "not":
        value = condition(expr.operand, env, "what 'not' turns around")
        return Value(graph.negate(value.node), value.vector)
    value = as_number(evaluate(expr.operand, env), env)
    return value if expr.operator == "+" else Value(graph.neg(value.node), value.vector)


def binary(expr: tree.Binary, env: Environment) -> Value:
    if expr.operator == "|":
        raise StrayJoin(expr.span).error()
    left, right = (as_number(value, env) for value in evaluate_all((expr.left, expr.right), env))
    spans = (expr.left.span, expr.right.span)
    if expr.operator == "@":
        return matrix_product(env, left, right, spans)
    vector = align(env, (left, right), expr.operator, spans)
    is_row = right.node.axes <= left.node.axes
    keeps_zero = expr.operator == "/" or (expr.operator == "**" and not _is_at_most_zero(right.node))
    is_reduction = left.is_reduction and is_row and keeps_zero  # 0 where that one is
    return Value(_ARITHMETIC[expr.operator](env, expr, left, right), vector, is_reduction)


def _is_at_most_zero(node: Node) -> bool:
    return bool(node.kind == "const" and node.attribute <= 0)


def _division(env: Environment, expr: tree.Binary, left: Value, right: Value) -> Node:
    """A quotient whose divisor is a reduction is 0 where that reduction is 0."""
    graph = env.scope.graph
    if right.node.is_const(0):
        if right.is_reduction:
            return graph.const(0.0)
        raise DivisionByZero(expr.right.span).error()
    quotient = graph.div(left.node, right.node)
    if right.is_reduction and right.node.kind != "const":
        divisor = graph.to_float(right.node)
        return graph.guard(graph.negate(graph.compare("==", divisor, graph.const(0.0))), quotient)
    return quotient


def _power(env: Environment, expr: tree.Binary, left: Value, right: Value) -> Node:
    graph = env.scope.graph
    base, exponent = left.node, right.node
    if exponent.kind == "const" and base.type == INT == exponent.type:
        _refuse_huge_power(expr, base, exponent.attribute)
    if exponent.kind == "const" and abs(exponent.attribute) <= _LARGEST_EXPONENT:
        value = exponent.attribute
        if base.type != FLOAT and (value < 0 or value != int(value)):
            base = graph.to_float(base)
        return graph.pow(base, value) if value else graph.const(1 if base.type == INT else 1.0)
    base, exponent = graph.to_float(base), graph.to_float(exponent)
    if base.kind == "const" and base.attribute > 0:
        return graph.exp(graph.mul(graph.log(base), exponent))
    return graph.map("power", (base, exponent), FLOAT)


def _refuse_huge_power(expr: tree.Binary, base: Node, exponent: int) -> None:
    """Constants are folded, so powers of integers must fit; a float's may be infinite."""
    if base.kind != "const":
        is_small = exponent <= 64
    else:
        is_small = abs(base.attribute) <= 1 or exponent * math.log2(abs(base.attribute)) <= 64
    if not is_small:
        raise NumberTooLarge(expr.span).error()


def _floor_operation(op: str) -> Callable[[Environment, tree.Binary, Value, Value], Node]:
    def build(env: Environment, expr: tree.Binary, left: Value, right: Value) -> Node:
        graph = env.scope.graph
        if right.node.is_const(0):
            raise DivisionByZero(expr.right.span).error()
        a, b = left.node, right.node
        if FLOAT in (a.type, b.type):
            return graph.map(op, (graph.to_float(a), graph.to_float(b)), FLOAT)
        return integer_quotient(graph, op, a, b)

    return build


def integer_quotient(graph: Graph, op: str, a: Node, b: Node) -> Node:
    """`a // b` or `a % b` of integers, flooring."""
    if b.is_const(1):
        return a if op == "floordiv" else graph.const(0)
    if a.kind == "const" and b.kind == "const":
        return graph.const(a.attribute // b.attribute if op == "floordiv" else a.attribute % b.attribute)
    return graph.map(op, (a, b), INT)


def _bits(op: str) -> Callable[[Environment, tree.Binary, Value, Value], Node]:
    def build(env: Environment, expr: tree.Binary, left: Value, right: Value) -> Node:
        for side, value in ((expr.left, left), (expr.right, right)):
            if value.type != INT:
                where = f"an operand of '{expr.operator}'"
                raise WrongType(side.span, "an integer", a_type(value.type), where).error()
        return env.scope.graph.map(op, (left.node, right.node), INT)

    return build


_ARITHMETIC: dict[str, Callable[[Environment, tree.Binary, Value, Value], Node]] = {
    "+": lambda env, expr, a, b: env.scope.graph.add(a.node, b.node),
    "-": lambda env, expr, a, b: env.scope.graph.sub(a.node, b.node),
    "*": lambda env, expr, a, b: env.scope.graph.mul(a.node, b.node),
    "/": _division,
    "**": _power,
    "//": _floor_operation("floordiv"),
    "%": _floor_operation("mod"),
    "&": _bits("bit_and"),
    "^": _bits("bit_xor"),
    "<<": _bits("shift_left"),
    ">>": _bits("shift_right"),
}
