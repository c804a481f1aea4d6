"""Pointwise functions of the language -> nodes. One row each; the rest of the surface is written in the prelude."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from attnc.grammar import tree

from ..ir import Graph, Node
from ..ir.node import BOOL, FLOAT, INT
from ..ir.rewrite import substitute
from .environment import Environment
from .mistakes import (
    ExtraArgument,
    MissingArgument,
    NotAVector,
    StrayBracket,
    UnknownArgument,
    WrongType,
    a_type,
    plural,
)
from .value import Over, Value
from .vectors import align, settle

Build = Callable[..., Node]


@dataclass(frozen=True)
class Function:
    """`build(graph, *operands)`; `count` is the number of operands, None for one or more."""

    count: int | None
    build: Build
    keeps_integers: bool = False


def _plain(name: str, type: str = FLOAT) -> Build:
    return lambda graph, *args: graph.map(name, args, type)


def _same(name: str) -> Build:
    return lambda graph, *args: graph.map(name, args, args[0].type)


def _chain(name: str) -> Build:
    def build(graph: Graph, *args: Node) -> Node:
        result = args[0]
        for arg in args[1:]:
            result = _extreme(graph, name, result, arg)
        return result

    return build


def _extreme(graph: Graph, name: str, a: Node, b: Node) -> Node:
    if a is b:
        return a
    if a.kind == "const" and b.kind == "const":
        return graph.const(max(a.attribute, b.attribute) if name == "max" else min(a.attribute, b.attribute))
    return graph.map(name, (a, b), a.type)


def _clamp(graph: Graph, x: Node, low: Node, high: Node) -> Node:
    return _extreme(graph, "min", _extreme(graph, "max", x, low), high)


def _rounding(name: str) -> Build:
    return lambda graph, x: x if x.type == INT else graph.map(name, (x,), INT)


def _elu(graph: Graph, x: Node) -> Node:
    low = graph.map("expm1", (_extreme(graph, "min", x, graph.const(0.0)),), FLOAT)
    return graph.where(graph.compare(">", x, graph.const(0.0)), x, low)


def _gelu(graph: Graph, x: Node) -> Node:
    bell = graph.add(graph.const(1.0), graph.map("erf", (graph.scale(math.sqrt(0.5), x),), FLOAT))
    return graph.scale(0.5, graph.mul(x, bell))


def _ceildiv(graph: Graph, a: Node, b: Node) -> Node:
    from .operators import integer_quotient

    return graph.neg(integer_quotient(graph, "floordiv", graph.neg(a), b))


def _xlogy(graph: Graph, x: Node, y: Node) -> Node:
    return graph.guard(graph.negate(graph.compare("==", x, graph.const(0.0))), graph.mul(x, graph.log(y)))


FUNCTIONS: dict[str, Function] = {
    "exp": Function(1, lambda g, x: g.exp(x)),
    "exp2": Function(1, lambda g, x: g.exp(g.scale(math.log(2), x))),
    "log": Function(1, lambda g, x: g.log(x)),
    "log2": Function(1, lambda g, x: g.scale(1 / math.log(2), g.log(x))),
    "sqrt": Function(1, lambda g, x: g.sqrt(x)),
    "rsqrt": Function(1, lambda g, x: g.pow(x, -0.5)),
    **{
        name: Function(1, _plain(name))
        for name in ("expm1", "log1p", "relu", "sigmoid", "log_sigmoid", "tanh", "softplus", "erf", "sin", "cos")
    },
    "silu": Function(1, lambda g, x: g.mul(x, g.map("sigmoid", (x,), FLOAT))),
    "gelu": Function(1, _gelu),
    "elu": Function(1, _elu),
    "atan2": Function(2, _plain("atan2")),
    "logaddexp": Function(2, _plain("logaddexp")),
    "xlogy": Function(2, _xlogy),
    "abs": Function(1, _same("abs"), keeps_integers=True),
    "sign": Function(1, _same("sign"), keeps_integers=True),
    "max": Function(None, _chain("max"), keeps_integers=True),
    "min": Function(None, _chain("min"), keeps_integers=True),
    "clamp": Function(3, _clamp, keeps_integers=True),
    "floor": Function(1, _rounding("floor"), keeps_integers=True),
    "ceil": Function(1, _rounding("ceil"), keeps_integers=True),
    "round": Function(1, _rounding("round"), keeps_integers=True),
    "ceildiv": Function(2, _ceildiv, keeps_integers=True),
    "stop_gradient": Function(1, lambda g, x: g.stop(x)),
    "size": Function(1, lambda g, x: x, keeps_integers=True),
    "cat": Function(None, lambda g, *x: x[0]),
}


_OPERANDS = {"clamp": ("x", "low", "high"), "atan2": ("y", "x"), "ceildiv": ("a", "b"), "size": ("j",)}


def pointwise(expr: tree.Call, env: Environment) -> Value:
    """A function of the table on its operands, elementwise over trailing axes."""
    from .expressions import evaluate_all

    name = expr.function.id
    function = FUNCTIONS[name]
    if expr.bracket is not None:
        raise StrayBracket(expr.bracket.span, name).error()
    _check_count(expr, function)
    if name == "size":
        return _size(expr, env)
    values = evaluate_all([argument.value for argument in expr.arguments], env)
    if name == "cat":
        return _cat(expr, env, values)
    nodes = _operands(expr, env, values, function)
    vector = align(env, values, name, [a.span for a in expr.arguments])
    is_reduction = name in ("sqrt", "abs") and values[0].is_reduction  # 0 where that one is
    return Value(function.build(env.scope.graph, *nodes), vector, is_reduction)


def _check_count(expr: tree.Call, function: Function) -> None:
    name, found = expr.function.id, len(expr.arguments)
    keyword = next((argument for argument in expr.arguments if argument.name), None)
    if keyword is not None:
        word = keyword.name or ""
        raise UnknownArgument(keyword.span.name(word), name, word, ()).error()
    names = _OPERANDS.get(name, ("x", "y", "z"))[: function.count or 1]
    form = f"{name}({', '.join(names)}{'' if function.count else ', …'})"
    if found < len(names):
        raise MissingArgument(expr.function.span, name, names[found:], form).error()
    if function.count is not None and found > function.count:
        extra = expr.arguments[function.count].span
        raise ExtraArgument(extra, name, plural(function.count, "value"), found, form).error()


def _operands(expr: tree.Call, env: Environment, values: list[Value], function: Function) -> list[Node]:
    graph = env.scope.graph
    for argument, value in zip(expr.arguments, values):
        if value.type == BOOL:
            where = f"what '{expr.function.id}' is taken of"
            raise WrongType(argument.span, "a number", a_type(BOOL), where).error()
    if function.keeps_integers and all(value.type == INT for value in values):
        return [value.node for value in values]
    if expr.function.id == "ceildiv":
        wrong = next(a for a, v in zip(expr.arguments, values) if v.type != INT)
        raise WrongType(wrong.span, "an integer", a_type(FLOAT), "an operand of 'ceildiv'").error()
    return [graph.to_float(value.node) for value in values]


def _size(expr: tree.Call, env: Environment) -> Value:
    """The size of an index's axis, of a definition's axis, or of a vector."""
    from .expressions import evaluate

    graph = env.scope.graph
    inner = expr.arguments[0].value
    if isinstance(inner, tree.Name) and env.local is not None and isinstance(env.local.get(inner.id), Over):
        over = env.local[inner.id]
        assert isinstance(over, Over)
        return Value(graph.mul(*(axis.size for axis in over.axes)))
    value = evaluate(inner, env)
    if value.node.kind == "index":
        return Value(value.node.attribute.size)
    if value.vector:
        return Value(value.vector[-1].size)
    raise NotAVector(inner.span, "'size' takes an index or a vector", "write 'size(j)' or 'size(q[i])'").error()


def _cat(expr: tree.Call, env: Environment, values: list[Value]) -> Value:
    """Vectors one behind the other along their last axis."""
    graph, scope = env.scope.graph, env.scope
    for argument, value in zip(expr.arguments, values):
        if len(value.vector) != 1:
            raise NotAVector(argument.span, "'cat' joins vectors").error()
    widths = [value.vector[0].size for value in values]
    axis = graph.axis("x", scope.canonical(graph.add(*widths)), is_vector=True)
    position, start = graph.index(axis), graph.const(0)
    parts = []
    for value, width in zip(values, widths):
        here = graph.sub(position, start)
        inside = graph.all(graph.compare(">=", here, graph.const(0)), graph.compare("<", here, width))
        moved = substitute(graph, graph.to_float(value.node), {value.vector[0]: here})
        parts.append(graph.guard(inside, moved))
        start = graph.add(start, width)
    return settle(env, graph.add(*parts), [axis])
