"""`cumsum`, `cummax` and `cumprod`: a reduction over another index of the axis, up to an entry.

That is how keys, queries and features are scanned, in linear memory. Scans of pairs are told by their form (see
ir/scans.py) and carried along a pass.
"""

from __future__ import annotations

from attnc.grammar import tree

from ..ir import Axis, Node
from ..ir.node import BOOL
from ..ir.rewrite import substitute
from ..ir.roles import LENGTH, WIDTH, find_roles
from .environment import Environment
from .mistakes import WrongBracketCount
from .reading import read_moved
from .value import Value

SCANS = {"cumsum": "sum", "cummax": "max", "cumprod": "prod"}
FLAGS = ("reverse", "exclusive")


def scan(expr: tree.Call, env: Environment) -> Value:
    """A scan, with the flags `reverse` and `exclusive` in its bracket."""
    from .calls import bound_axes, bracket_condition, governing, needs_bracket, only_argument

    graph, name = env.scope.graph, expr.function.id
    if expr.bracket is None:
        raise needs_bracket(expr).error()
    overs, flags = bound_axes(expr, env, FLAGS)
    axes = tuple(axis for over in overs for axis in over.axes)
    if len(axes) != 1:
        raise WrongBracketCount(expr.bracket.span, name, "1 index", len(axes), f"{name}[j](…)").error()
    value = only_argument(expr, env.inside(axes))
    inherited = [c for over in overs for c in over.conditions]
    domain = graph.all(*bracket_condition(expr, env, axes), *inherited, *governing(expr, env, axes))
    body = graph.to_int(value.node) if value.type == BOOL else value.node
    body = graph.to_float(body) if name == "cummax" else body
    if not _is_summed(env, axes[0], body, domain, name):
        free = body.axes | frozenset(axes)
        label = f"the scan '{name}' {_kind(axes[0], name)}"
        return Value(graph.opaque(name, (body, domain), free, body.type, label, (axes, tuple(sorted(flags)))))
    return Value(_up_to(env, SCANS[name], axes[0], body, domain, flags), value.vector)


def _kind(axis: Axis, name: str) -> str:
    return "over a joined axis" if axis.parts else "along a length" if name == "cumprod" else "along three lengths"


def _is_summed(env: Environment, axis: Axis, body: Node, domain: Node, name: str) -> bool:
    roles = find_roles(declared.tensor.sizes for declared in env.scope.inputs.values())
    if axis.parts:
        return False
    if roles.of(axis) == WIDTH:
        return True
    return name != "cumprod" and len(roles.axes(body.axes | domain.axes | {axis}, LENGTH)) <= 2


def _up_to(env: Environment, op: str, axis: Axis, body: Node, domain: Node, flags: set[str]) -> Node:
    """Over all indices before an entry (after it, in reverse) and, unless exclusive, its own."""
    graph = env.scope.graph
    twin = graph.axis(axis.name, axis.size)
    moves = {axis: graph.index(twin)}
    there, here = graph.index(twin), graph.index(axis)
    first, last = (here, there) if "reverse" in flags else (there, here)
    order = graph.compare("<" if "exclusive" in flags else "<=", first, last)
    inner, where = (_moved(env, node, moves) for node in (body, domain))
    return graph.reduce(op, (twin,), inner, graph.all(where, order))


def _moved(env: Environment, node: Node, moves: dict[Axis, Node]) -> Node:
    """A value at the other index: of pairs always computed there, so that the scan's form shows."""
    roles = find_roles(declared.tensor.sizes for declared in env.scope.inputs.values())
    if len(roles.axes(node.axes, LENGTH)) > 1:
        return substitute(env.scope.graph, node, moves)
    return read_moved(env, node, moves)


__all__ = ["FLAGS", "SCANS", "scan"]
