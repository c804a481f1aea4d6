"""An expression of the syntax tree -> a value: operators, names, conditions. Calls and reads have files of their own."""

from __future__ import annotations

from collections.abc import Callable

from attnc.grammar import tree

from ..diagnostics import Span
from ..ir import Graph, Node
from ..ir.node import BOOL, FLOAT, INT
from .environment import Environment
from .mistakes import Wrong, WrongType, a_type
from .reading import read_name, read_subscript
from .scope import CONSTANTS
from .value import Over, Value
from .vectors import align, matrix_product


def evaluate(expr: tree.Expr, env: Environment) -> Value:
    """The value of an expression where `env` says what its names mean."""
    graph = env.scope.graph
    before = graph.span
    graph.span = expr.span
    try:
        return _RULES[type(expr)](expr, env)
    finally:
        graph.span = before


def number(expr: tree.Expr, env: Environment, where: str) -> Value:
    value = evaluate(expr, env)
    if value.type == BOOL:
        value = Value(env.scope.graph.to_int(value.node), value.vector)
    return value


def condition(expr: tree.Expr, env: Environment, where: str) -> Value:
    value = evaluate(expr, env)
    if value.type != BOOL:
        raise WrongType(expr.span, "a condition", a_type(value.type), where).error()
    return value


def integer(expr: tree.Expr, env: Environment, where: str) -> Node:
    """An integer without trailing axes: a position, a count or a size."""
    value = evaluate(expr, env)
    if value.type != INT:
        helps = ("take 'floor', 'ceil' or 'round' of it",) if value.type == FLOAT else ()
        raise WrongType(expr.span, "an integer", a_type(value.type), where, helps).error()
    if value.vector:
        raise WrongType(expr.span, "one integer", "a vector", where).error()
    return value.node


# --- leaves --------------------------------------------------------------------------------------------------------


def _number(expr: tree.Number, env: Environment) -> Value:
    return Value(env.scope.graph.const(expr.value))


def _boolean(expr: tree.Boolean, env: Environment) -> Value:
    return Value(env.scope.graph.const(expr.value))


def _text(expr: tree.Text, env: Environment) -> Value:
    helps = ("compare a mode parameter with it: 'mode == \"…\"'",)
    raise Wrong("stray-text", "a text only stands beside '==' and a mode parameter", expr.span, helps=helps).error()


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
        note = f"the definition '{env.definition}' sees its formals, its axes and its 'with' names only"
        raise Wrong("unknown-name", f"nothing named '{expr.id}' is in scope", expr.span, "not defined here", (), note).error()
    if expr.id in scope.parameters and scope.parameters[expr.id].is_static:
        value = scope.statics[expr.id]
        if not isinstance(value, bool):
            helps = (f"compare it: '{expr.id} == \"{value}\"'",)
            raise Wrong("mode-as-value", f"the mode '{expr.id}' is not a value", expr.span, helps=helps).error()
        return Value(graph.const(value))
    return read_name(expr, env)


def _index_value(expr: tree.Name, over: Over, env: Environment) -> Value:
    if len(over.axes) != 1:
        title = f"'{expr.id}' stands for {len(over.axes)} indices here, so it has no single position"
        raise Wrong("several-indices", title, expr.span).error()
    return Value(env.scope.graph.index(over.axes[0]))


def _component(expr: tree.Component, env: Environment) -> Value:
    scope = env.scope
    axis = scope.axis(expr.base.id) if env.local is None else None
    names = scope.components.get(axis, ()) if axis is not None else ()
    if axis is None or expr.name not in names:
        known = f"its components are {', '.join(names)}" if names else "it is no index over a product axis"
        raise Wrong("unknown-component", f"'{expr.base.id}' has no component '{expr.name}'", expr.span, known).error()
    index = scope.graph.index(axis)
    return Value(scope.graph.opaque("component", (index,), index.axes, INT, "a product axis", expr.name))


# --- operators -----------------------------------------------------------------------------------------------------


def _unary(expr: tree.Unary, env: Environment) -> Value:
    graph = env.scope.graph
    if expr.operator == "not":
        value = condition(expr.operand, env, "what 'not' turns around")
        return Value(graph.negate(value.node), value.vector)
    value = number(expr.operand, env, f"the operand of '{expr.operator}'")
    return value if expr.operator == "+" else Value(graph.neg(value.node), value.vector)


def _binary(expr: tree.Binary, env: Environment) -> Value:
    where = f"an operand of '{expr.operator}'"
    left, right = number(expr.left, env, where), number(expr.right, env, where)
    if expr.operator == "@":
        return matrix_product(env, left, right, expr.span)
    if expr.operator == "|":
        helps = ("join values over an axis 'u: j | c' with 'join[u](x, y)'",)
        raise Wrong("stray-join", "'|' joins axes, not values", expr.span, helps=helps).error()
    vector = align(env, (left, right), expr.operator, expr.span)
    return Value(_ARITHMETIC[expr.operator](env, expr, left, right), vector)


def _division(env: Environment, expr: tree.Binary, left: Value, right: Value) -> Node:
    """A quotient whose divisor is a reduction is 0 where that reduction is 0."""
    graph = env.scope.graph
    if right.node.is_const(0):
        raise Wrong("division-by-zero", "this divides by zero", expr.right.span, "always 0").error()
    quotient = graph.div(left.node, right.node)
    if right.is_reduction and right.node.kind != "const":
        divisor = graph.to_float(right.node)
        return graph.guard(graph.negate(graph.compare("==", divisor, graph.const(0.0))), quotient)
    return quotient


def _power(env: Environment, expr: tree.Binary, left: Value, right: Value) -> Node:
    graph = env.scope.graph
    base, exponent = left.node, right.node
    if exponent.kind == "const":
        value = exponent.attribute
        if base.type != FLOAT and (value < 0 or value != int(value)):
            base = graph.to_float(base)
        return graph.pow(base, value) if value else graph.const(1 if base.type == INT else 1.0)
    base, exponent = graph.to_float(base), graph.to_float(exponent)
    if base.kind == "const" and base.attribute > 0:
        return graph.exp(graph.mul(graph.log(base), exponent))
    return graph.map("power", (base, exponent), FLOAT)


def _floor_operation(op: str) -> Callable[[Environment, tree.Binary, Value, Value], Node]:
    def build(env: Environment, expr: tree.Binary, left: Value, right: Value) -> Node:
        graph = env.scope.graph
        if right.node.is_const(0):
            raise Wrong("division-by-zero", "this divides by zero", expr.right.span, "always 0").error()
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


def _logic(expr: tree.Logic, env: Environment) -> Value:
    graph = env.scope.graph
    values = [condition(part, env, f"an operand of '{expr.operator}'") for part in expr.operands]
    vector = align(env, values, expr.operator, expr.span)
    nodes = [value.node for value in values]
    return Value(graph.all(*nodes) if expr.operator == "and" else graph.any(*nodes), vector)


def _compare(expr: tree.Compare, env: Environment) -> Value:
    graph = env.scope.graph
    mode = _mode_comparison(expr, env)
    if mode is not None:
        return mode
    left_expr, left = expr.first, evaluate(expr.first, env)
    parts: list[Value] = []
    for operator, right_expr in expr.rest:
        if operator in ("in", "not in"):
            inside = _membership(left, right_expr, env)
            parts.append(inside if operator == "in" else Value(graph.negate(inside.node), inside.vector))
            continue
        right = evaluate(right_expr, env)
        if (left.type == BOOL) != (right.type == BOOL) or (left.type == BOOL and operator not in ("==", "!=")):
            side = left_expr if left.type == BOOL else right_expr
            raise WrongType(side.span, "a number", "a condition", f"an operand of '{operator}'").error()
        vector = align(env, (left, right), operator, left_expr.span.to(right_expr.span))
        parts.append(Value(graph.compare(operator, left.node, right.node), vector))
        left_expr, left = right_expr, right
    return Value(graph.all(*(part.node for part in parts)), align(env, parts, "and", expr.span))


def _membership(left: Value, right_expr: tree.Expr, env: Environment) -> Value:
    graph = env.scope.graph
    if isinstance(right_expr, tree.Tuple):
        options = [number(element, env, "an element") for element in right_expr.elements]
        return Value(graph.any(*(graph.compare("==", left.node, option.node) for option in options)), left.vector)
    right = evaluate(right_expr, env)
    if not right.vector or left.vector:
        text = "needs one value on its left and a vector or a tuple on its right"
        raise Wrong("wrong-membership", f"'in' {text}", right_expr.span).error()
    found = graph.guard(graph.compare("==", left.node, right.node), graph.const(1))
    count = graph.reduce("sum", (right.vector[-1],), found)
    return Value(graph.compare(">", count, graph.const(0)), right.vector[:-1])


def _mode_comparison(expr: tree.Compare, env: Environment) -> Value | None:
    sides = [expr.first, *(right for _, right in expr.rest)]
    if not any(isinstance(side, tree.Text) for side in sides):
        return None
    scope = env.scope
    name = next((s for s in sides if isinstance(s, tree.Name) and s.id in scope.parameters), None)
    declared = scope.parameters[name.id] if name is not None and env.local is None else None
    text = next(side for side in sides if isinstance(side, tree.Text))
    if len(sides) != 2 or declared is None or declared.type != "mode" or expr.rest[0][0] not in ("==", "!="):
        helps = ("compare a mode parameter with it: 'mode == \"…\"'",)
        raise Wrong("stray-text", "a text only stands beside '==' and a mode parameter", text.span, helps=helps).error()
    if text.value not in declared.modes:
        choices = ", ".join(f'"{mode}"' for mode in declared.modes)
        raise Wrong("unknown-mode", f"'{declared.name}' is never \"{text.value}\"", text.span, f"one of {choices}").error()
    same = scope.statics[declared.name] == text.value
    return Value(scope.graph.const(same == (expr.rest[0][0] == "==")))


def _conditional(expr: tree.Conditional, env: Environment) -> Value:
    graph = env.scope.graph
    test = condition(expr.test, env, "what stands between 'if' and 'else'")
    then, other = evaluate(expr.then, env), evaluate(expr.other, env)
    if (then.type == BOOL) != (other.type == BOOL):
        side = expr.then if then.type == BOOL else expr.other
        raise WrongType(side.span, "a number like the other branch", "a condition", "this branch").error()
    vector = align(env, (test, then, other), "if", expr.span)
    type = then.type if then.type == other.type else FLOAT
    node = graph.where(test.node, graph.to_type(then.node, type), graph.to_type(other.node, type))
    return Value(node, vector)


def _tuple(expr: tree.Tuple, env: Environment) -> Value:
    raise Wrong("stray-tuple", "a tuple only stands on the right of 'in'", expr.span).error()


def _call(expr: tree.Call, env: Environment) -> Value:
    from .calls import call

    return call(expr, env)


def span_of(expr: tree.Expr) -> Span:
    return expr.span


_RULES: dict[type, Callable[..., Value]] = {
    tree.Number: _number,
    tree.Boolean: _boolean,
    tree.Text: _text,
    tree.Name: _name,
    tree.Component: _component,
    tree.Subscript: read_subscript,
    tree.Call: _call,
    tree.Unary: _unary,
    tree.Binary: _binary,
    tree.Logic: _logic,
    tree.Compare: _compare,
    tree.Conditional: _conditional,
    tree.Tuple: _tuple,
}
