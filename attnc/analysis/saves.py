"""What the backward keeps of the forward: row values, found by re-anchoring.

A gradient that is invariant in a shift m may be written with any value of it. At the m* where a normaliser l has the
value 1 (its log-sum-exp, for exponentials) l disappears, unnormalised sums become the outputs, and shifts vanish: what
is left to keep is m* and outputs. Statistics that no shift reaches are kept as they are, or recovered from an output.
Pairwise values are never kept: they are computed again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..ir import Axis, Graph, Node, Tensor
from ..ir.node import FLOAT, open_nodes, outermost, reachable, walk
from ..ir.recurrences import with_states
from ..ir.rewrite import Rewriter
from ..ir.roles import Roles
from ..ir.scans import is_scan_of_pairs
from .weights import ADD, MUL, STILL, Weights, shift


@dataclass(frozen=True)
class Saved:
    """A forward value kept for the backward; `result` names the output that it is, if any."""

    tensor: Tensor
    node: Node
    axes: tuple[Axis, ...]
    result: str | None = None


@dataclass
class Saves:
    """The gradients as they read what is kept, and what that is."""

    gradients: list[Node]
    kept: list[Saved] = field(default_factory=list)


def choose_saves(
    graph: Graph,
    gradients: Sequence[Node],
    results: Mapping[str, tuple[Node, tuple[Axis, ...]]],
    cotangents: frozenset[Tensor],
    roles: Roles,
) -> Saves:
    """Gradients rewritten to read kept values wherever they need a statistic of the forward."""
    return _Chooser(graph, list(gradients), results, cotangents, roles).run()


class _Chooser:
    def __init__(
        self,
        graph: Graph,
        gradients: list[Node],
        results: Mapping[str, tuple[Node, tuple[Axis, ...]]],
        cotangents: frozenset[Tensor],
        roles: Roles,
    ) -> None:
        self.graph = graph
        self.gradients = gradients
        self.results = results
        self.cotangents = cotangents
        self.roles = roles
        self.kept: list[Saved] = []
        self.replaced: dict[Node, Node] = {}
        self.moved: set[Node] = set()

    def run(self) -> Saves:
        for anchor in self._anchors():
            self._reanchor(anchor)
        while True:
            self.gradients = Rewriter(self.graph, replaced=self.replaced).all(self.gradients)
            statistic = self._next_statistic()
            if statistic is None:
                read = {node.attribute for node in self._nodes() if node.kind == "read"}
                return Saves(self.gradients, [saved for saved in self.kept if saved.tensor in read])
            self.replaced = {statistic: self._keep_statistic(statistic)}

    # --- re-anchoring ------------------------------------------------------------------------------------------

    def _nodes(self) -> set[Node]:
        return {node for root in self.gradients for node in walk(root)}

    def _anchors(self) -> list[Node]:
        """Proved shifts that the gradients read."""
        return sorted(n for n in self._nodes() if n.kind == "stop" and _is_shift(n.args[0]))

    def _reanchor(self, anchor: Node) -> None:
        graph = self.graph
        weights = Weights(graph, anchor)
        normaliser = self._normaliser(anchor, weights)
        if normaliser is None:
            return
        base, rate = normaliser
        step = graph.scale(-1.0 / rate, graph.log(base))
        replaced: dict[Node, Node] = {}
        for statistic in self._statistics():
            if statistic is anchor or statistic is base or anchor not in set(walk(statistic)):
                continue
            moved = self._moved(statistic, weights, base, rate)
            if moved is None:
                return
            replaced[statistic] = moved
        moved_now = {base, *(statistic for statistic, node in replaced.items() if node is not statistic)}
        if moved_now & self.moved:
            return  # it stands where another anchor was moved to: this one stays
        self.moved |= moved_now
        nonzero = graph.negate(graph.compare("==", base, graph.const(0.0)))
        best = graph.where(nonzero, graph.add(anchor, step), graph.const(math.copysign(math.inf, -rate)))
        for statistic, node in replaced.items():
            if node is not statistic:
                self.replaced[statistic] = self._keep(node, nonzero)
            elif statistic not in self.replaced:  # another anchor may move it
                self.replaced[statistic] = self._keep_statistic(node)
        self.replaced[base] = graph.const(1.0)
        state = self._state_of(graph.add(anchor, step))
        nothing = graph.const(math.copysign(math.inf, -rate))
        if state is None:
            self.replaced[anchor] = self._keep(best)
        else:  # where the base is 0, its logarithm is infinite
            lost = graph.compare("==", state, graph.neg(nothing))
            self.replaced[anchor] = graph.where(lost, nothing, state)

    def _state_of(self, value: Node) -> Node | None:
        """A value that a state of a recurrence is, or its negative: it is kept anyway."""
        for node in sorted(n for n in self._nodes() if n.kind == "recur"):
            recurrence, place = node.attribute
            members = {s: self.graph.recur(recurrence, n, node.args) for n, s in enumerate(recurrence.states)}
            whole = with_states(self.graph, node.args[place], members)
            if value is whole or value is self.graph.neg(whole):
                own = self._keep(node)
                return own if value is whole else self.graph.neg(own)
        return None

    def _normaliser(self, anchor: Node, weights: Weights) -> tuple[Node, float] | None:
        """A divisor that moves with the anchor as exp(rate · shift), and that rate."""
        found: list[tuple[Node, float]] = []
        for node in self._nodes():
            for base, exponent in zip(node.args, node.attribute) if node.is_product else ():
                if exponent < 0 and base.axes <= anchor.axes and anchor in set(walk(base)):
                    rate = self._rate(weights(base))
                    if rate is not None:
                        found.append((base, rate))
        return max(found, key=lambda item: item[0].number) if found else None

    def _rate(self, weight: object) -> float | None:
        from .weights import Weight

        if not isinstance(weight, Weight) or weight.kind != MUL or weight.by is None:
            return None
        grown = self.graph.log(weight.by)
        symbol = shift(self.graph)
        if grown is symbol:
            return 1.0
        if grown.is_sum and grown.args == (symbol,) and not grown.attribute[1]:
            return float(grown.attribute[0][0])
        return None

    def _moved(self, statistic: Node, weights: Weights, base: Node, rate: float) -> Node | None:
        """The statistic at the new anchor, which lies log(base) / -rate further."""
        graph = self.graph
        weight = weights(statistic)
        if weight is None:
            return None
        if weight.kind == STILL or weight.by is None:
            return statistic
        own = self._rate(weight)
        if own is not None:
            return graph.product([(statistic, 1), (base, -own / rate)])
        step = graph.scale(-1.0 / rate, graph.log(base))
        by = Rewriter(graph, replaced={shift(graph): step})(weight.by)
        return graph.add(statistic, by) if weight.kind == ADD else graph.mul(statistic, by)

    # --- what is kept ------------------------------------------------------------------------------------------

    def _statistics(self) -> list[Node]:
        """Outermost reductions over lengths or heads that the forward can compute."""
        hidden = open_nodes(reachable(list(self.gradients)))
        return outermost(self.gradients, lambda node: node not in hidden and self._is_forward_statistic(node))

    def _is_forward_statistic(self, node: Node) -> bool:
        if node.kind == "stop":
            return _is_shift(node.args[0])
        if node.kind not in ("root", "recur") and (
            node.kind != "reduce" or all(self.roles.of(axis) == "width" for axis in node.attribute)
        ):
            return False
        if node.kind == "reduce" and is_scan_of_pairs(node, self.roles):
            return False
        reads = [part for part in walk(node) if part.kind == "read"]
        return not any(part.attribute in self.cotangents or part.attribute.origin == "saved" for part in reads)

    def _next_statistic(self) -> Node | None:
        found = [s for s in self._statistics() if s not in self.replaced]
        return found[-1] if found else None

    def _keep_statistic(self, statistic: Node) -> Node:
        """A statistic of its own: divided out of an output that holds it as a factor, or kept."""
        graph = self.graph
        for name, (root, axes) in self.results.items():
            inner = root.args[1] if root.kind == "guard" else root
            if not inner.is_product or not statistic.axes <= root.axes or frozenset(axes) != root.axes:
                continue
            powers = dict(zip(inner.args, inner.attribute))
            is_factor = powers.pop(statistic, 0) == 1 and all(e < 0 for e in powers.values())
            if is_factor and not any(statistic in set(walk(base)) for base in powers):
                read = self._read_result(name, root, axes)
                return graph.product([(read, 1), *((base, -e) for base, e in powers.items())])
        return self._keep(statistic)

    def _keep(self, node: Node, nonzero: Node | None = None) -> Node:
        """A read of the kept value; an output of the spec is kept as itself."""
        for name, (root, axes) in self.results.items():
            if frozenset(axes) != root.axes:
                continue  # a result repeated along an axis
            if root is node or (nonzero is not None and root is self.graph.guard(nonzero, node)):
                return self._read_result(name, root, axes)
        value = node if nonzero is None else self.graph.guard(nonzero, node)
        for saved in self.kept:
            if saved.node is value:
                return self._read(saved)
        axes = self.roles.memory_order(value.axes)
        tensor = Tensor(f"kept{len(self.kept)}", tuple(axis.size for axis in axes), value.type, "saved")
        saved = Saved(tensor, value, axes)
        self.kept.append(saved)
        return self._read(saved)

    def _read_result(self, name: str, root: Node, axes: tuple[Axis, ...]) -> Node:
        for saved in self.kept:
            if saved.result == name:
                return self._read(saved)
        tensor = Tensor(f"kept_{name}", tuple(axis.size for axis in axes), FLOAT, "saved")
        saved = Saved(tensor, root, axes, name)
        self.kept.append(saved)
        return self._read(saved)

    def _read(self, saved: Saved) -> Node:
        return self.graph.read(saved.tensor, tuple(self.graph.index(axis) for axis in saved.axes))


def _is_shift(node: Node) -> bool:
    return node.kind == "map" and node.op == "finite_or"
