"""`root[t: lo <= t <= hi](f)` -> its node."""

from __future__ import annotations

from dataclasses import replace

from attnc.grammar import tree

from ..ir import Node, Tensor
from ..ir.axis import in_order
from ..ir.node import FLOAT, reachable, walk
from ..ir.rewrite import Rewriter
from .environment import Environment
from .expressions import scalar
from .mistakes import RootInRoot, RootWithoutBounds, RootWithoutUnknown
from .value import Value


def root(expr: tree.Call, env: Environment) -> Value:
    """`root[t: lo <= t <= hi](f)`: t is a number inside, not an index."""
    from .calls import only_argument

    graph = env.scope.graph
    names = expr.bracket.indices if expr.bracket is not None else ()
    bounds = _bounds(expr.bracket.condition, names[0].id) if expr.bracket is not None and len(names) == 1 else None
    if bounds is None:
        raise RootWithoutBounds(expr.bracket.span if expr.bracket is not None else expr.function.span).error()
    unknown = graph.param(f"#{names[0].id}", FLOAT)
    low, high = (scalar(bound, env, "a bound of 'root'") for bound in bounds)
    local = None if env.local is None else {**env.local, names[0].id: Value(unknown)}
    inner = replace(env, local=local, variables={**env.variables, names[0].id: unknown})
    only_argument(expr, inner)
    f = scalar(expr.arguments[0].value, inner, "what 'root' makes 0")
    if unknown not in set(walk(f)):
        raise RootWithoutUnknown(expr.arguments[0].value.span, names[0].id).error()
    if any(node.kind == "root" and unknown in set(walk(node)) for node in walk(f)):
        raise RootInRoot(expr.arguments[0].value.span).error()
    axes = in_order(f.axes | low.axes | high.axes)
    depth = _depth(f)
    name = f"{names[0].id} {depth}" if depth else names[0].id
    tensor = Tensor(name, tuple(axis.size for axis in axes), FLOAT, "unknown")
    read = graph.read(tensor, tuple(graph.index(axis) for axis in axes))
    return Value(graph.root(tensor, Rewriter(graph, replaced={unknown: read})(f), graph.const(0.0), low, high))


def _depth(f: Node) -> int:
    """How many roots stand within one another in f: by it their unknowns differ, while equal roots stay one."""
    depths: dict[Node, int] = {}
    for node in reachable([f]):
        depths[node] = max((depths[arg] for arg in node.args), default=0) + (node.kind == "root")
    return depths[f]


def _bounds(condition: tree.Expr | None, name: str) -> tuple[tree.Expr, tree.Expr] | None:
    """low and high of `low <= t <= high`."""
    if not isinstance(condition, tree.Compare) or [operator for operator, _ in condition.rest] != ["<=", "<="]:
        return None
    middle, high = (expr for _, expr in condition.rest)
    is_it = isinstance(middle, tree.Name) and middle.id == name
    return (condition.first, high) if is_it else None


__all__ = ["root"]
