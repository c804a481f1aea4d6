"""How a node moves when a row statistic moves: by a factor, by an addend, or not at all.

`weight(node)` is MUL g (node becomes node · g), ADD g (node becomes node + g), STILL, or None when the move has no
such form. The statistic itself moves by `graph.shift`: added to it, or (kind "mul") as the factor exp(shift). One
memoised walk answers for a whole graph; two moves are the same when their g is the same node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..ir import Axis, Graph, Node
from ..ir.algebra import is_positive
from ..ir.node import FLOAT

STILL, ADD, MUL = "still", "add", "mul"


@dataclass(frozen=True)
class Weight:
    kind: str
    by: Node | None = None


_STILL = Weight(STILL)


def shift(graph: Graph) -> Node:
    """The amount by which a statistic is imagined to move."""
    return graph.param("#shift", FLOAT)


class Weights:
    """Weights of every node with respect to one node, the variable; `held` stand still, whatever they read. The
    variable moves by another amount at each index of `axes` (its own, if none are given), so nothing that is reduced
    over one of these moves in one way."""

    def __init__(
        self,
        graph: Graph,
        variable: Node,
        kind: str = ADD,
        held: Iterable[Node] = (),
        axes: frozenset[Axis] | None = None,
    ) -> None:
        self.graph = graph
        self.axes = variable.axes if axes is None else axes
        start = shift(graph) if kind == ADD else graph.exp(shift(graph))
        self.done: dict[Node, Weight | None] = {**dict.fromkeys(held, _STILL), variable: Weight(kind, start)}

    def __call__(self, root: Node) -> Weight | None:
        stack = [root]
        while stack:
            node = stack[-1]
            if node in self.done:
                stack.pop()
                continue
            waiting = [arg for arg in node.args if arg not in self.done]
            if waiting:
                stack.extend(waiting)
                continue
            self.done[node] = self._one(node)
            stack.pop()
        return self.done[root]

    def _one(self, node: Node) -> Weight | None:
        weights = [self.done[arg] for arg in node.args]
        if all(weight is not None and weight.kind == STILL for weight in weights):
            return _STILL
        if any(weight is None for weight in weights):
            return None
        known = [weight for weight in weights if weight is not None]
        if node.kind == "map":
            return self._map(node, known)
        rule = _STRUCTURE.get(node.kind)
        return rule(self, node, known) if rule else None

    def _map(self, node: Node, weights: list[Weight]) -> Weight | None:
        if node.is_sum:
            return self._sum(node, weights)
        if node.is_product:
            return self._product(node, weights)
        rule = _MAPS.get(node.op)
        return rule(self, node, weights) if rule else None

    def _sum(self, node: Node, weights: list[Weight]) -> Weight | None:
        coefficients, constant = node.attribute
        if all(weight.kind != MUL for weight in weights):
            moved = [(c, w.by) for c, w in zip(coefficients, weights) if w.by is not None]
            return self.add(self.graph.combine(moved))
        return self._same(weights, MUL) if not constant else None

    def _product(self, node: Node, weights: list[Weight]) -> Weight | None:
        moving = [(w, base, e) for w, base, e in zip(weights, node.args, node.attribute) if w.kind != STILL]
        if all(weight.kind == MUL for weight, _, _ in moving):
            return self.mul(self.graph.product([(weight.by, e) for weight, _, e in moving if weight.by is not None]))
        if len(moving) == 1 and moving[0][2] == 1 and moving[0][0].by is not None:
            rest = [(b, e) for b, e in zip(node.args, node.attribute) if b is not moving[0][1]]
            return self.add(self.graph.product([*rest, (moving[0][0].by, 1)]))
        return None

    def _same(self, weights: list[Weight], kind: str) -> Weight | None:
        """One move shared by all operands."""
        first = weights[0]
        return first if first.kind == kind and all(weight == first for weight in weights) else None

    def add(self, by: Node) -> Weight:
        return _STILL if by.is_const(0.0) else Weight(ADD, by)

    def mul(self, by: Node) -> Weight:
        return _STILL if by.is_const(1.0) else Weight(MUL, by)


def _positive(weight: Weight) -> bool:
    return weight.kind == MUL and weight.by is not None and is_positive(weight.by)


def _exp(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    (weight,) = weights
    return w.mul(w.graph.exp(weight.by)) if weight.kind == ADD and weight.by is not None else None


def _log(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    (weight,) = weights
    return w.add(w.graph.log(weight.by)) if _positive(weight) and weight.by is not None else None


def _scaled_by_positive(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    return weights[0] if _positive(weights[0]) else None


def _unmoved_by_positive(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    return _STILL if _positive(weights[0]) else None


def _extreme(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    """max and min keep a common addend, or a common positive factor (0 goes with any)."""
    moving = [weight for weight, arg in zip(weights, node.args) if not arg.is_const(0.0)]
    if len(moving) < len(weights) and moving and _positive(moving[0]):
        return moving[0]
    same = weights[0] if all(weight == weights[0] for weight in weights) else None
    return same if same is not None and (same.kind == ADD or _positive(same)) else None


def _comparison(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    return _STILL if _extreme(w, node, weights) is not None else None


def _where(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    condition, *branches = weights
    if condition.kind != STILL:
        return None
    kept = [b for b, arg in zip(branches, node.args[1:]) if not _absorbs(arg, branches)]
    return w._same(kept, kept[0].kind) if kept else _STILL


def _absorbs(arg: Node, branches: list[Weight]) -> bool:
    """An infinite branch goes with any addend, a zero one with any factor."""
    adds = any(branch.kind == ADD for branch in branches)
    if arg.kind != "const":
        return False
    return bool(abs(arg.attribute) == float("inf") if adds else arg.attribute == 0)


def _power(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    base, exponent = weights
    if exponent.kind != STILL or not _positive(base) or base.by is None:
        return None
    return w.mul(w.graph.exp(w.graph.mul(w.graph.log(base.by), node.args[1])))


def _abs(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    (weight,) = weights
    if weight.kind != MUL or weight.by is None:
        return None
    return weight if is_positive(weight.by) else w.mul(w.graph.map("abs", (weight.by,), FLOAT))


def _logaddexp(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    return w._same(weights, ADD)


def _finite_or(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    return weights[0] if weights[1].kind == STILL else None


def _guard(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    condition, value = weights
    return value if condition.kind == STILL and value.kind != ADD else None


def _stop(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    return weights[0]


def _reduce(w: Weights, node: Node, weights: list[Weight]) -> Weight | None:
    body, domain = weights
    if domain.kind != STILL or body.by is None or (body.by.axes | w.axes) & frozenset(node.attribute):
        return None
    if node.op == "sum":
        return body if body.kind == MUL else None
    if node.op in ("max", "min"):
        return body if body.kind == ADD or _positive(body) else None
    if node.op == "argmax":
        return _STILL if body.kind == ADD or _positive(body) else None
    return None


_STRUCTURE: dict[str, Callable[[Weights, Node, list[Weight]], Weight | None]] = {
    "guard": _guard,
    "stop": _stop,
    "reduce": _reduce,
}
_MAPS: dict[str, Callable[[Weights, Node, list[Weight]], Weight | None]] = {
    "exp": _exp,
    "log": _log,
    "relu": _scaled_by_positive,
    "abs": _abs,
    "sign": _unmoved_by_positive,
    "max": _extreme,
    "min": _extreme,
    "less": _comparison,
    "at_most": _comparison,
    "equal": _comparison,
    "where": _where,
    "power": _power,
    "logaddexp": _logaddexp,
    "finite_or": _finite_or,
}
