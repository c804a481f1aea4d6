"""`join[u](x, y)`: one value over a joined axis `u: j | c`."""

from __future__ import annotations

from attnc.grammar import tree

from ..ir.node import BOOL, FLOAT, INT
from ..ir.rewrite import substitute
from .environment import Environment
from .expressions import evaluate_all
from .mistakes import MissingArgument, NotJoined, WrongBracketCount
from .value import Value
from .vectors import align


def join(expr: tree.Call, env: Environment) -> Value:
    """One value over a joined axis: an argument for each part, written with the index of that part."""
    from .calls import bound_axes, match_arguments, needs_bracket

    if expr.bracket is None:
        raise needs_bracket(expr).error()
    overs, _ = bound_axes(expr, env)
    axes = tuple(axis for over in overs for axis in over.axes)
    if len(axes) != 1:
        raise WrongBracketCount(expr.bracket.span, "join", "1 index", len(axes), "join[u](x, y)").error()
    parts = axes[0].parts
    if not parts:
        raise NotJoined(expr.bracket.indices[0].span, expr.bracket.indices[0].id).error()
    names = tuple("xyz"[n] if len(parts) <= 3 else f"x{n + 1}" for n in range(len(parts)))
    form = f"join[{axes[0].name}]({', '.join(names)})"
    given = match_arguments(expr, names, form)
    if len(given) < len(parts):
        missing = tuple(name for name in names if name not in given)
        raise MissingArgument(expr.function.span, "join", missing, form).error()
    exprs = [given[name].value for name in names]
    values = evaluate_all(exprs, env.inside(tuple(part.of for part in parts)))
    vector = align(env, values, "join", [one.span for one in exprs])
    graph = env.scope.graph
    types = {value.type for value in values}
    type = FLOAT if FLOAT in types else INT if INT in types else BOOL
    nodes = [
        substitute(graph, graph.to_type(value.node, type), {part.of: graph.index(part.own)})
        for value, part in zip(values, parts)
    ]
    return Value(graph.join(axes[0], tuple(nodes)), vector)
