"""Values of pairs that several sweeps of a pass need and that are dear to compute: kept in a tile by the first sweep.

A max is swept before the sum that it shifts. A soft-capped score is computed once; a scaled one is cheaper again than
from memory.
"""

from __future__ import annotations

from collections.abc import Callable

from attnc.ir import Node
from attnc.ir.node import FLOAT, walk
from attnc.planning.plan import Pass

_CHEAP = frozenset({"add", "mul", "max", "min", "relu", "abs", "where", "to_float", "finite_or"})


def shared_values(made: Pass, is_product: Callable[[Node], bool]) -> dict[int, list[Node]]:
    """For each phase the values that it computes first and a later one needs again. Sums over features that are matrix
    products are there already."""
    running = {accumulator.node for accumulator in made.accumulators}
    by_phase: dict[int, set[Node]] = {}
    for accumulator in made.accumulators:
        here = by_phase.setdefault(accumulator.phase, set())
        for term in accumulator.terms:
            here |= _pairwise_parts(term.tile, made, running)
    found: dict[int, list[Node]] = {}
    seen: set[Node] = set()
    for phase in sorted(by_phase):
        later = set().union(*(parts for other, parts in by_phase.items() if other > phase))
        shared = {node for node in by_phase[phase] & later - seen if is_dear(node, is_product)}
        inner = {part for node in shared for part in walk(node) if part is not node}
        found[phase] = sorted(shared - inner)
        seen |= shared
    return found


def _pairwise_parts(root: Node, made: Pass, running: set[Node]) -> set[Node]:
    """Numbers of a pair below a value that depend on nothing which the pass itself sums up, nor on features."""
    tile = {made.row, made.loop} - {None}
    own = tile | set(made.grid) | {one.axis for one in made.sequential}
    return {
        node
        for node in _parts(root, running)
        if node.type == FLOAT and tile <= node.axes <= own and not any(part in running for part in walk(node))
    }


def is_dear(node: Node, is_product: Callable[[Node], bool]) -> bool:
    """Whether a value costs more than reading it back: functions, divisions, reads at computed positions, sums over
    features of pairs."""
    parts = _parts(node, set())
    if any(part.kind == "reduce" and part.axes >= node.axes and not is_product(part) for part in parts):
        return True
    return any(_is_dear_part(part) for part in parts if part.kind not in ("reduce", "scan"))


def _parts(root: Node, known: set[Node]) -> set[Node]:
    """What a sweep computes for a value: sums over features and what the pass sums up are there already."""
    found: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in found and node not in known:
            found.add(node)
            stack.extend(node.args if node.kind not in ("reduce", "scan") else ())
    return found


def _is_dear_part(node: Node) -> bool:
    if len(node.axes) < 2:
        return False  # once for a row or a column
    if node.kind == "read":
        return any(len(position.axes) > 1 for position in node.args)
    if node.is_product:
        return any(e != 1 and base.axes == node.axes for base, e in zip(node.args, node.attribute))
    return node.kind == "map" and node.type == FLOAT and node.op not in _CHEAP
