"""Keys in parts: a statistic of a row as the merge of the statistics of its parts, each taken for itself.

A sum that follows a running maximum in one pass is rescaled when that moves. The merge of two parts is the same step:
each part's sum, rescaled from the part's own maximum to that of all. So whatever streams, merges, and by the same
algebra; few rows of many keys then have work for every core, and parts of a row may lie on several machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..ir import Axis, Graph, Node
from ..ir.node import FLOAT, open_nodes, reachable, walk
from ..ir.rewrite import Rewriter
from ..ir.roles import LENGTH, PART, PARTS, WIDTH, Roles
from ..ir.scans import is_scan_of_pairs
from .streaming import Move, moves
from .weights import MUL, shift


@dataclass(frozen=True)
class Piece:
    """A statistic of a row over an axis of keys, and how it follows others of its part; None where it reads some that
    must be known of all keys before."""

    node: Node
    axis: Axis
    moves: tuple[Move, ...] | None


def find_pieces(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Piece]:
    """The statistics that merge, operands first."""
    nodes = reachable(list(roots))
    hidden = open_nodes(nodes)
    found: dict[Node, Piece] = {}
    for node in nodes:
        axis = _key_axis(node, roles) if node not in hidden else None
        if axis is None:
            continue
        running = [found[part] for part in walk(node) if part in found]
        alike = all(piece.axis is axis for piece in running)
        follows = moves(graph, node, frozenset(piece.node for piece in running)) if alike else None
        found[node] = Piece(node, axis, follows)
    return list(found.values())


def _key_axis(node: Node, roles: Roles) -> Axis | None:
    """The length that a statistic runs over, if it runs over nothing else and keeps no more than one."""
    if node.kind != "reduce" or node.op not in ("sum", "max", "min") or node.type != FLOAT:
        return None
    summed: list[Axis] = [axis for axis in node.attribute if roles.of(axis) != WIDTH]
    if len(summed) != 1 or roles.of(summed[0]) != LENGTH or len(roles.axes(node.axes, LENGTH)) > 1:
        return None
    return summed[0]


def outside_of_roots(roots: Sequence[Node], pieces: Sequence[Piece]) -> list[Piece]:
    """Those that no root or recurrence reads: what repeats its passes has its own order of them."""
    nodes = reachable(list(roots))
    inside = set(reachable([arg for node in nodes if node.kind in ("recur", "root") for arg in node.args]))
    return [piece for piece in pieces if piece.node not in inside]


def rescaled(graph: Graph, piece: Piece, own: Node, before: Mapping[Node, Node], after: Mapping[Node, Node]) -> Node:
    """A part's statistic, as it would be with the statistics of the whole (`after`) for those of the part (`before`).
    A sum that is 0 stays 0."""
    value = own
    for move in piece.moves or ():
        old, new = (Rewriter(graph, replaced=known)(move.anchor) for known in (before, after))
        step = graph.log(graph.div(new, old)) if move.kind == MUL else graph.sub(new, old)
        by = Rewriter(graph, replaced={shift(graph): step})(move.by)
        value = graph.mul(value, by) if piece.node.op == "sum" else graph.add(value, by)
    if value is own or piece.node.op != "sum":
        return value
    return graph.guard(graph.negate(graph.compare("==", own, graph.const(0.0))), value)


def in_parts(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with every such statistic as the merge of its parts, of `#part` keys each."""
    if any(node.is_rank or is_scan_of_pairs(node, roles) for node in reachable(list(roots))):
        return list(roots)  # each part would carry them through all keys before
    part = graph.axis("part", graph.size(PARTS))
    start = graph.mul(graph.index(part), graph.size(PART))
    own: dict[Node, Node] = {}
    merged: dict[Node, Node] = {}
    for piece in outside_of_roots(roots, find_pieces(graph, roots, roles)):
        node, position = piece.node, graph.index(piece.axis)
        here = (
            graph.compare(">=", position, start),
            graph.compare("<", position, graph.add(start, graph.size(PART))),
        )
        body, domain = Rewriter(graph, replaced=merged if piece.moves is None else own).all(node.args)
        own[node] = graph.reduce_as_is(node.op, node.attribute, body, graph.all(domain, *here))
        merged[node] = graph.reduce(node.op, (part,), rescaled(graph, piece, own[node], own, merged))
    return Rewriter(graph, replaced=merged).all(list(roots))


__all__ = ["Piece", "find_pieces", "in_parts", "outside_of_roots", "rescaled"]
