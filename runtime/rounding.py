"""How far rounding can carry a value: the spread of every node, by first-order propagation through the graph.

Each operation adds an independent error of half a unit in its result's last place; errors pass on through derivatives
and add in squares. It tells a kernel's rounding from a mistake, also where values cancel to 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from attnc.derivatives.roots import at_root
from attnc.ir import Graph, Node
from attnc.ir.axis import in_order
from attnc.ir.node import FLOAT, open_nodes, reachable, walk
from attnc.ir.primitives import PRIMITIVES

from .reference import Evaluator, moved_to
from .steps import Rows, Step, all_states, all_steps, one_step, other_step, step_of, still

Array = torch.Tensor


class Spread:
    """Spreads of nodes whose values `values` knows in float64. `unit` is the rounding of one operation, `factor` that
    of what is multiplied and summed up (0 where it stays as it is); `given` has the spreads of tensors that were
    computed themselves."""

    def __init__(
        self,
        graph: Graph,
        values: Evaluator,
        unit: float,
        factor: float = 0.0,
        given: Mapping[str, Array] | None = None,
    ) -> None:
        self.graph = graph
        self.values = values
        self.unit = unit
        self.factor = factor
        self.given = dict(given or {})
        self.done: dict[Node, Array] = {}
        tensors = {name: self.given.get(name, torch.zeros_like(t)) for name, t in values.tensors.items()}
        self.reader = Evaluator(values.sizes, values.parameters, tensors, values.dtype)
        self.reader.step = values.step
        self.outer: Spread | None = None

    def __call__(self, root: Node) -> Array:
        """The standard deviation of a node's error, with the node's dimensions."""
        if self.outer is not None and self.values.step is not None and root not in self.done:
            for part in still([root]):
                if part.type == FLOAT and part not in self.done:
                    self.done[part] = one_step(self.outer(part), part, self.values.step)
        nodes = reachable([root], self.done)
        hidden = open_nodes(nodes, self.given)
        for node in nodes:
            if node.type == FLOAT and node not in hidden:
                self.done[node] = self._one(node)
        return self.done[root]

    def _aligned(self, arg: Node, node: Node) -> Array:
        """An operand's spread with the dimensions of the node."""
        value = self.done[arg] if arg.type == FLOAT else torch.zeros((), dtype=self.values.dtype)
        if arg.type != FLOAT:
            return value
        for place, axis in enumerate(in_order(node.axes)):
            if axis not in arg.axes:
                value = value.unsqueeze(place)
        return value

    def _one(self, node: Node) -> Array:
        kind = node.kind
        if kind in ("const", "param"):
            return torch.zeros((), dtype=self.values.dtype)
        if kind == "read":
            return self.reader(node) if node.attribute.name in self.given else torch.zeros_like(self.values(node))
        if kind == "guard":
            inside = self.values.aligned(node.args[0], node.axes)
            return torch.where(inside, self._aligned(node.args[1], node), torch.zeros((), dtype=self.values.dtype))
        if kind == "stop":
            return self.done[node.args[0]]
        if kind == "at":
            return self._at(node)
        if kind == "reduce":
            return self._reduce(node)
        if kind == "root":
            return self._root(node)
        if kind == "recur":
            return self._recur(node)
        return self._map(node)

    def _root(self, node: Node) -> Array:
        """That of f where it is solved, over the slope there; and the last digit of the root itself."""
        if node.is_least:
            return self._least(node)
        f, slope = (at_root(self.graph, arg, node.attribute, node) for arg in node.args[:2])
        self.done[node] = torch.zeros((), dtype=self.values.dtype).expand(self.values(node).shape)
        rate = self.values.aligned(slope, node.axes).abs()
        spread = self(f) / torch.where(rate == 0, torch.ones_like(rate), rate)
        return (spread**2 + (self.unit * self.values(node).abs()) ** 2).sqrt()

    def _least(self, node: Node) -> Array:
        """The largest of what the number is compared with: it is one of these."""
        axes = in_order(node.axes)
        total = torch.zeros([self.values.length(axis) for axis in axes], dtype=self.values.dtype)
        for part in walk(node.args[0]):
            if any(arg.is_unknown for arg in part.args):
                for other in (arg for arg in part.args if not arg.is_unknown and arg.type == FLOAT):
                    spread = self(other).nan_to_num(nan=0.0, posinf=0.0)
                    extra = [place for place, axis in enumerate(in_order(other.axes)) if axis not in node.axes]
                    spread = spread.amax(extra) if extra else spread
                    for place, axis in enumerate(axes):
                        spread = spread if axis in other.axes else spread.unsqueeze(place)
                    total = torch.maximum(total, spread)
        return total

    def _at(self, node: Node) -> Array:
        step = self.values.step
        if step is not None and step.axis in node.attribute:
            there = self._step(other_step(self.values, node), self.given, self.outer)
            return moved_to(self.values, node, there(node.args[0]))
        return moved_to(self.values, node, self.done[node.args[0]])

    def _recur(self, node: Node) -> Array:
        """Step by step, as the values are found."""
        values, (recurrence, place) = self.values, node.attribute
        states = [values(self.graph.recur(recurrence, n, node.args)) for n in range(len(node.args))]
        tensors = {}
        for state, axes, value in zip(recurrence.states, recurrence.axes, states):
            order = in_order(frozenset(axes))
            tensors[state.name] = value.permute([order.index(axis) for axis in axes])
        count = values.length(recurrence.axis)
        rows: list[Rows] = [[None] * count for _ in states]
        for number in range(count - 1, -1, -1) if recurrence.is_reverse else range(count):
            here = step_of(values, tensors, Step(recurrence, number, values))
            inner = self._step(here, {**self.given, **all_states(values, recurrence, rows)}, self)
            for own, axes, part in zip(rows, recurrence.axes, node.args):
                found = inner(part)
                for at, axis in enumerate(in_order(frozenset(axes))):
                    found = found if axis in part.axes else found.unsqueeze(at)
                own[number] = found.expand([here.length(axis) for axis in in_order(frozenset(axes))])
        axes = recurrence.axes[place]
        whole = all_steps(values, rows[place], axes, recurrence.axis)
        return whole.permute([axes.index(axis) for axis in in_order(node.axes)])

    def _step(self, values: Evaluator, given: Mapping[str, Array], outer: Spread | None) -> Spread:
        """Spreads of one step's values; what reads no state is asked of `outer`, which has all steps."""
        inner = Spread(self.graph, values, self.unit, self.factor, given)
        inner.outer = outer
        return inner

    def _map(self, node: Node) -> Array:
        value = self.values(node)
        total = self._own(node, value)
        for arg, partial in zip(node.args, self._partials(node)):
            if partial is None or arg.type != FLOAT:
                continue
            slope = self.values.aligned(partial, node.axes) if isinstance(partial, Node) else partial
            total = total + (slope * self._aligned(arg, node)).nan_to_num(nan=0.0, posinf=0.0) ** 2
        return total.sqrt()

    def _own(self, node: Node, value: Array) -> Array:
        """What the operation itself adds: half a unit of its result, or of a larger number that it goes through."""
        if node.op in ("where", "max", "min", "finite_or", "relu", "to_float", "abs", "unit"):
            return torch.zeros_like(value)
        size = value.abs()
        if node.is_sum:
            for coefficient, arg in zip(node.attribute[0], node.args):
                size = torch.maximum(size, (abs(coefficient) * self.values.aligned(arg, node.axes)).abs())
        if node.op in ("logaddexp", "mod"):
            for arg in node.args:
                size = torch.maximum(size, self.values.aligned(arg, node.axes).abs())
        return (self.unit * size.nan_to_num(nan=0.0, posinf=0.0)) ** 2

    def _partials(self, node: Node) -> list[Node | float | None]:
        graph = self.graph
        if node.is_sum:
            return [float(c) for c in node.attribute[0]]
        if node.is_product:
            factors = list(zip(node.args, node.attribute))
            return [
                graph.product([*factors[:n], (b, e - 1), *factors[n + 1 :], (graph.const(float(e)), 1)])
                for n, (b, e) in enumerate(factors)
            ]
        partials = PRIMITIVES[node.op].partials
        return [None if partial is None else partial(graph, node, node.args) for partial in partials]

    def _reduce(self, node: Node) -> Array:
        values = self.values
        axes = node.body.axes | node.domain.axes | frozenset(node.attribute)
        order = in_order(axes)
        shape = [values.length(axis) for axis in order]
        domain = values.aligned(node.domain, axes).expand(shape)
        dims = [order.index(axis) for axis in node.attribute]
        spread = self.done[node.body]
        for place, axis in enumerate(order):
            if axis not in node.body.axes:
                spread = spread.unsqueeze(place)
        zero = torch.zeros((), dtype=values.dtype)
        inner = torch.where(domain, spread.expand(shape), zero)
        if node.op != "sum":
            return inner.amax(dims) if all(shape[d] for d in dims) else inner.sum(dims)
        terms = torch.where(domain, values.aligned(node.body, axes).expand(shape).abs(), zero)
        own = self.unit * terms.nan_to_num(nan=0.0, posinf=0.0).sum(dims)
        factors = self.factor * terms.nan_to_num(nan=0.0, posinf=0.0) if node.body.is_product else zero
        return ((inner**2 + factors**2).sum(dims) + own**2).sqrt()
