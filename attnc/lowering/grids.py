"""Product axes, `axis i: {y: rows, x: cols}`: a flat index, its components `i.y`, and the index `i(y, x)` of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from attnc.grammar import tree

from ..diagnostics import did_you_mean
from ..ir import Axis, Graph, Node
from ..ir.node import INT
from .environment import Environment
from .mistakes import MissingArgument, UnknownComponent
from .value import Component, Value


class Place(NamedTuple):
    """An index of a product axis, and the condition under which no component is outside."""

    position: Node
    is_inside: Node


def is_grid_index(expr: tree.Expr | tree.Slice, env: Environment) -> bool:
    """Whether this is `i(y, x)` of a product axis."""
    if not isinstance(expr, tree.Call) or env.local is not None or expr.bracket is not None:
        return False
    return env.scope.axes.get(expr.function.id) in env.scope.components


def component(expr: tree.Component, env: Environment) -> Value:
    """`i.y`."""
    scope = env.scope
    axis = scope.axis(expr.base.id) if env.local is None else None
    names = tuple(one.name for one in scope.components.get(axis, ())) if axis is not None else ()
    if axis is None or expr.name not in names:
        near = did_you_mean(expr.name, names)
        raise UnknownComponent(expr.span, expr.base.id, expr.name, names, near).error()
    return Value(_coordinate(scope.graph, axis, scope.components[axis], names.index(expr.name)))


def grid_index(expr: tree.Call, env: Environment) -> Value:
    """`i(y, x)` as a number: -1, which is outside of everything, where a component is outside."""
    graph, place = env.scope.graph, grid_place(expr, env)
    return Value(graph.where(place.is_inside, place.position, graph.const(-1)))


def grid_place(expr: tree.Call, env: Environment) -> Place:
    """`i(y, x)` as a position to read at."""
    from .calls import match_arguments
    from .expressions import integer

    axis = env.scope.axes[expr.function.id]
    components = env.scope.components[axis]
    names = tuple(one.name for one in components)
    form = f"{expr.function.id}({', '.join(names)})"
    given = match_arguments(expr, names, form)
    if len(given) < len(names):
        missing = tuple(name for name in names if name not in given)
        raise MissingArgument(expr.function.span, expr.function.id, missing, form).error()
    nodes = [integer(given[name].value, env, "a position") for name in names]
    return _place(env, components, nodes)


def _place(env: Environment, components: Sequence[Component], nodes: Sequence[Node]) -> Place:
    graph = env.scope.graph
    whole = _moved_index(env, components, nodes)
    if whole is None:
        whole = graph.add(*(graph.mul(node, _stride(graph, components, n)) for n, node in enumerate(nodes)))
    inside = []
    for place, (one, node) in enumerate(zip(components, nodes)):
        if not _is_coordinate(env, components, place, node):
            inside += [graph.compare(">=", node, graph.const(0)), graph.compare("<", node, one.size)]
    return Place(whole, graph.all(*inside))


def _moved_index(env: Environment, components: Sequence[Component], nodes: Sequence[Node]) -> Node | None:
    """Where every component is that of one index, moved: the index, moved. A plain shift has a derivative."""
    graph = env.scope.graph
    for axis in _axes_like(env, components):
        moves = []
        for place, node in enumerate(nodes):
            apart = graph.sub(node, _coordinate(graph, axis, components, place))
            if axis in apart.axes:
                break
            moves.append(graph.mul(apart, _stride(graph, components, place)))
        else:
            return graph.add(graph.index(axis), *moves)
    return None


def _is_coordinate(env: Environment, components: Sequence[Component], place: int, node: Node) -> bool:
    """Whether it is this component of some index, which is never outside."""
    return any(node is _coordinate(env.scope.graph, axis, components, place) for axis in _axes_like(env, components))


def _axes_like(env: Environment, components: Sequence[Component]) -> list[Axis]:
    """Product axes with components of these sizes."""
    wanted = [env.scope.canonical(one.size) for one in components]
    return [
        axis for axis, own in env.scope.components.items() if [env.scope.canonical(one.size) for one in own] == wanted
    ]


def _stride(graph: Graph, components: Sequence[Component], place: int) -> Node:
    return graph.mul(graph.const(1), *(one.size for one in components[place + 1 :]))


def _coordinate(graph: Graph, axis: Axis, components: Sequence[Component], place: int) -> Node:
    stride = _stride(graph, components, place)
    index = graph.index(axis)
    found = index if stride.is_const(1) else graph.map("floordiv", (index, stride), INT)
    return graph.map("mod", (found, components[place].size), INT) if place else found
