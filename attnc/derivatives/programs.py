"""Derivatives as attentions of their own: what an attention means -> what its gradient, or its tangent, means.

The gradient of an attention takes its inputs and the cotangents `d_…` of its results, and gives `g_…` for each input
wanted; its tangent takes the inputs and their tangents `t_…`, and gives a tangent for each result. Both are ordinary
meanings, so they are planned, spelt and differentiated like what a user wrote, to any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..diagnostics import NOWHERE
from ..ir import Axis, Graph, Node, Tensor
from ..ir.node import FLOAT
from ..ir.rewrite import substitute
from ..ir.roles import Roles
from ..lowering.meaning import InputDeclaration, Meaning, Result
from ..lowering.sizes import size_text
from .vjp import Part, Seed, vjp

Roots = Mapping[str, tuple[Node, tuple[Axis, ...]]]


def gradient_meaning(meaning: Meaning, forward: Roots, roles: Roles, wanted: Sequence[str]) -> Meaning:
    """The gradient of these inputs; those that it is 0 in everywhere are left out of the results. `forward` holds the
    meaning's results as they are computed."""
    graph = meaning.graph
    seeds, cotangents = _seeds(meaning, forward, "d_")
    tensors = [declared.tensor for declared in meaning.inputs if declared.name in wanted]
    found = vjp(graph, seeds, tensors, roles)
    results = [_result(graph, "g_" + t.name, found[t], roles) for t in tensors if found[t]]
    return _made(meaning, f"gradient of {meaning.name}", cotangents, results)


def tangent_meaning(meaning: Meaning, forward: Roots, roles: Roles, moving: Sequence[str]) -> Meaning:
    """How the results move with these inputs: the gradient is linear in the cotangents, so its own derivative in them,
    along tangents of the inputs, holds no cotangent any more."""
    graph = meaning.graph
    first = gradient_meaning(meaning, forward, roles, moving)
    seeds, tangents = _seeds(first, {r.name: (r.node, r.axes) for r in first.results}, "t_", strip=2)
    cotangents = {d.name: d.tensor for d in first.inputs[len(meaning.inputs) :]}
    found = vjp(graph, seeds, list(cotangents.values()), roles)
    results = [
        _result(graph, name, found[cotangents["d_" + name]], roles)
        for name in forward
        if "d_" + name in cotangents and found[cotangents["d_" + name]]
    ]
    return _made(meaning, f"tangent of {meaning.name}", tangents, results)


def _seeds(
    meaning: Meaning, roots: Roots, prefix: str, strip: int = 0
) -> tuple[list[Seed], list[InputDeclaration]]:
    """Each floating result with a tensor that it is multiplied by."""
    seeds, declared = [], []
    for result in meaning.results:
        node, axes = roots[result.name]
        if node.type == FLOAT:
            sizes = tuple(axis.size for axis in axes)
            tensor = Tensor(prefix + result.name[strip:], sizes, FLOAT, "input")
            seeds.append(Seed(node, axes, tensor))
            declared.append(InputDeclaration(tensor, tuple(map(size_text, sizes)), NOWHERE, False))
    return seeds, declared


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
