"""Derivatives as attentions of their own: what an attention means -> what its gradient, or its tangent, means.

The gradient of an attention takes its inputs and a cotangent for each floating result, and gives a gradient for each
input wanted; its tangent takes the inputs and tangents of them, and gives a tangent for each floating result. Both are
ordinary meanings, so they are planned, spelt and differentiated like what a user wrote, to any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .derivatives.vjp import Part, Seed, vjp
from .diagnostics import NOWHERE
from .ir import Axis, Graph, Node, Tensor
from .ir.node import COTANGENT, FLOAT, GRADIENT, TANGENT
from .ir.rewrite import substitute
from .ir.roles import Roles
from .lowering.meaning import InputDeclaration, Meaning, Result
from .lowering.sizes import size_text

Roots = Mapping[str, tuple[Node, tuple[Axis, ...]]]


def prefix_beside(prefix: str, names: Iterable[str]) -> str:
    """The prefix, repeated until no name begins with it, as what is derived of names with derived ones among them."""
    names, found = tuple(names), prefix
    while any(name.startswith((found, COTANGENT + found)) for name in names):
        found += prefix
    return found


def gradient_meaning(meaning: Meaning, forward: Roots, roles: Roles, wanted: Sequence[str]) -> Meaning:
    """The gradient of these inputs; those that it is 0 in everywhere are left out of the results. `forward` holds the
    meaning's results as they are computed."""
    graph = meaning.graph
    cotangents = [_beside(COTANGENT + name, *forward[name]) for name in _floating(meaning)]
    seeds = [Seed(*forward[name], made.tensor) for name, made in zip(_floating(meaning), cotangents)]
    tensors = [declared.tensor for declared in meaning.inputs if declared.name in wanted]
    found = vjp(graph, seeds, tensors, roles)
    prefix = prefix_beside(GRADIENT, (declared.name for declared in (*meaning.inputs, *cotangents)))
    results = [replace(_result(graph, prefix + t.name, found[t], roles), like=t.name) for t in tensors if found[t]]
    return _made(meaning, f"gradient of {meaning.name}", cotangents, results)


def tangent_meaning(meaning: Meaning, forward: Roots, roles: Roles, moving: Sequence[str]) -> Meaning:
    """How the results move with these inputs: the gradient is linear in the cotangents, so its own derivative in them,
    along tangents of the inputs, holds no cotangent any more. Results that do not move are left out."""
    graph = meaning.graph
    first = gradient_meaning(meaning, forward, roles, moving)
    names = [declared.name for declared in meaning.inputs]
    before = prefix_beside(GRADIENT, (declared.name for declared in first.inputs))
    after = prefix_beside(TANGENT, names)
    gradients = {result.name.removeprefix(before): result for result in first.results}
    tangents = [
        InputDeclaration(replace(d.tensor, name=after + d.name), d.size_texts, NOWHERE, False)
        for d in meaning.inputs
        if d.name in moving
    ]
    seeds = [
        Seed(gradients[name].node, gradients[name].axes, made.tensor)
        for name, made in ((made.name.removeprefix(after), made) for made in tangents)
        if name in gradients
    ]
    cotangents = {name: Tensor(COTANGENT + name, (), FLOAT) for name in _floating(meaning)}
    found = vjp(graph, seeds, list(cotangents.values()), roles)
    results = [_result(graph, name, found[t], roles) for name, t in cotangents.items() if found[t]]
    return _made(meaning, f"tangent of {meaning.name}", tangents, results)


def _floating(meaning: Meaning) -> list[str]:
    return [result.name for result in meaning.results if result.node.type == FLOAT]


def _beside(name: str, node: Node, axes: tuple[Axis, ...]) -> InputDeclaration:
    """An input of a result's shape."""
    sizes = tuple(axis.size for axis in axes)
    return InputDeclaration(Tensor(name, sizes, FLOAT), tuple(map(size_text, sizes)), NOWHERE, False)


def _result(graph: Graph, name: str, parts: Sequence[Part], roles: Roles) -> Result:
    """The sum of a gradient's parts, along the axes of the first."""
    axes = parts[0].axes
    nodes = [parts[0].node]
    for part in parts[1:]:
        moves = {old: graph.index(new) for old, new in zip(part.axes, axes) if old is not new}
        nodes.append(_moved(graph, part.node, moves, roles))
    return Result(name, graph.add(*nodes), axes, NOWHERE)


def _moved(graph: Graph, node: Node, moves: Mapping[Axis, Node], roles: Roles) -> Node:
    """A value along other axes; one that holds statistics is read there, not computed again."""
    own = {axis: position for axis, position in moves.items() if axis in node.axes}
    if own and roles.holds_statistic(node):
        return graph.at(node, tuple(own), tuple(own.values()))
    return substitute(graph, node, own)


def _made(meaning: Meaning, name: str, more: Sequence[InputDeclaration], results: Sequence[Result]) -> Meaning:
    return replace(meaning, name=name, doc=None, inputs=(*meaning.inputs, *more), results=tuple(results))
