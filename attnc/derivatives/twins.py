"""Gradients of scans of pairs: parts that differ in copies of an axis alone are added."""

from __future__ import annotations

from ..ir import Axis, Graph, Node, Tensor
from ..ir.node import reachable
from ..ir.rewrite import Rewriter, substitute
from ..ir.roles import Roles
from ..ir.scans import is_scan_of_pairs
from ..ir.twins import Twins
from .vjp import Part


def join_twins(graph: Graph, found: dict[Tensor, tuple[Part, ...]], roles: Roles) -> dict[Tensor, tuple[Part, ...]]:
    """Gradients of scans of pairs by first copies; parts that are alike but for these are added."""
    roots = [part.node for parts in found.values() for part in parts]
    if not any(is_scan_of_pairs(node, roles) for node in reachable(roots) if node.kind == "reduce"):
        return found
    twins = Twins(graph, roles, roots)
    rewriter = Rewriter(graph, visit=lambda node: twins.renamed(node) if node.kind == "reduce" else node)
    out = {}
    for tensor, parts in found.items():
        joined: dict[tuple[Axis, ...], list[Node]] = {}
        for part in parts:
            axes = tuple(twins.first(axis) for axis in part.axes)
            if len(set(axes)) < len(axes):
                axes = part.axes
            positions = {old: graph.index(new) for old, new in zip(part.axes, axes)}
            joined.setdefault(axes, []).append(rewriter(substitute(graph, part.node, positions)))
        out[tensor] = tuple(Part(axes, graph.add(*nodes)) for axes, nodes in joined.items())
    return out


__all__ = ["join_twins"]
