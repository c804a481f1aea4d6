"""Joined axes: `u: j | c` is all of j, then all of c. A value over u is one value for each part, nothing concatenated.

A reduction over u is reductions over its parts; a value read at an index of a part is that part's. So joined axes are
gone once a spec is lowered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .axis import Axis
from .node import BOOL, Node

if TYPE_CHECKING:
    from .graph import Graph


def part_of(axis: Axis, position: Node) -> int | None:
    """Which part of a joined axis a position is an index of."""
    if position.kind == "index":
        for place, part in enumerate(axis.parts):
            if position.attribute in (part.own, part.of):
                return place
    return None


def start_of(graph: Graph, axis: Axis, place: int) -> Node:
    """Where a part begins."""
    return graph.add(graph.const(0), *(part.own.size for part in axis.parts[:place]))


def whole_position(graph: Graph, axis: Axis, position: Node) -> Node:
    """A position on the joined axis, where one may be given as an index of a part."""
    place = part_of(axis, position)
    return position if place is None else graph.add(position, start_of(graph, axis, place))


def read_joined(graph: Graph, axis: Axis, args: Sequence[Node], position: Node) -> Node:
    """The value of a join at a position: of one part, over a joined axis with the same parts, or looked for in each."""
    from .rewrite import substitute

    place = part_of(axis, position)
    if place is not None:
        return substitute(graph, args[place], {axis.parts[place].own: position})
    other = position.attribute if position.kind == "index" else axis
    if other is not axis and [part.of for part in other.parts] == [part.of for part in axis.parts]:
        return graph.join(
            other,
            tuple(
                substitute(graph, arg, {mine.own: graph.index(theirs.own)})
                for arg, mine, theirs in zip(args, axis.parts, other.parts)
            ),
        )
    found = []
    for place, (arg, part) in enumerate(zip(args, axis.parts)):
        within = graph.sub(position, start_of(graph, axis, place))
        inside = (graph.compare(">=", within, graph.const(0)), graph.compare("<", within, part.own.size))
        found.append(graph.guard(graph.all(*inside), substitute(graph, arg, {part.own: within})))
    return graph.any(*found) if args[0].type == BOOL else graph.add(*found)


def reduce_parts(graph: Graph, op: str, axis: Axis, others: tuple[Axis, ...], body: Node, domain: Node | None) -> Node:
    """A reduction over a joined axis (and others), part by part."""
    from .rewrite import substitute

    assert op in ("sum", "prod", "max", "min"), f"{op} over a joined axis"
    domain = graph.true if domain is None else domain
    found = []
    for part in axis.parts:
        taken = (body.axes | domain.axes | frozenset(others)) - {axis}
        over = part.own if part.of in taken else part.of
        inner, where = (substitute(graph, node, {axis: graph.index(over)}) for node in (body, domain))
        found.append(graph.reduce(op, (*others, over), inner, where))
    if op == "sum":
        return graph.add(*found)
    if op == "prod":
        return graph.mul(*found)
    total = found[0]
    for other in found[1:]:
        total = graph.map(op, (total, other), total.type)
    return total


__all__ = ["part_of", "read_joined", "reduce_parts", "start_of", "whole_position"]
