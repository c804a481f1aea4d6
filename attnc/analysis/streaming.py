"""Which statistics share one pass: a sum that reads a running statistic is rescaled when that statistic moves."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Graph, Node
from ..ir.algebra import is_nonnegative
from ..ir.node import walk
from .weights import ADD, MUL, STILL, Weights


@dataclass(frozen=True)
class Move:
    """When `anchor` moves by the shift (added; for `kind` "mul", times exp(shift)) the sum is multiplied by `by`,
    or, for a max or min, increased by it."""

    anchor: Node
    by: Node
    kind: str = ADD


def moves(graph: Graph, statistic: Node, running: frozenset[Node]) -> tuple[Move, ...] | None:
    """How a reduction follows running statistics of its own pass; None where it cannot and needs a later pass."""
    if any(node in running for node in walk(statistic.domain)):
        return None
    out: list[Move] = []
    anchors = _anchors(statistic, running)
    for anchor in anchors:
        if not anchor.axes <= statistic.axes:
            return None
        move = _move(graph, statistic, anchor, [other for other in anchors if other is not anchor])
        if move is None:
            return None
        if move.by is not anchor:
            out.append(move)
    return tuple(out)


def _anchors(statistic: Node, running: frozenset[Node]) -> list[Node]:
    """The largest expressions without the reduced axes that read a running statistic."""
    bound = frozenset(statistic.attribute)
    found: set[Node] = set()
    seen: set[Node] = set()
    stack = [statistic.body]
    while stack:
        node = stack.pop()
        if node in seen or not any(part in running for part in walk(node)):
            continue
        seen.add(node)
        if node.axes & bound and node not in running:
            stack.extend(node.args)
        else:
            found.add(node)
    return sorted(found)


def _move(graph: Graph, statistic: Node, anchor: Node, others: list[Node]) -> Move | None:
    """`others` move by themselves: they stand still here, though they may have been made of this one."""
    wanted = MUL if statistic.op == "sum" else ADD
    for kind in (ADD, MUL) if is_nonnegative(anchor) else (ADD,):
        weight = Weights(graph, anchor, kind, others)(statistic.body)
        if weight is None or (weight.by is not None and any(part in others for part in walk(weight.by))):
            continue
        if weight.kind == STILL or weight.by is None:
            return Move(anchor, anchor)
        if weight.kind == wanted and not weight.by.axes & frozenset(statistic.attribute):
            return Move(anchor, weight.by, kind)
    return None
