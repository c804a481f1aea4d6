"""Normal form of sums over axes: what does not depend on the axes stands outside.

sum[j: D](c_i · x_ij) = c_i · sum[j: D](x_ij) only where c_i is finite even for an empty D: so a factor goes out when
the sum has no domain or it is proved finite, and a divisor goes out under the condition that it is not 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .axis import Axis
from .logic import conjuncts
from .node import FLOAT, Node, is_zero, walk

if TYPE_CHECKING:
    from .graph import Graph


class Summation:
    """Mixed into Graph."""

    def sum_over(self: Graph, axes: tuple[Axis, ...], body: Node, domain: Node) -> Node:  # type: ignore[misc]
        while body.kind == "guard":
            domain, body = self.all(domain, body.args[0]), body.args[1]
        if is_zero(body) or domain.is_const(False):
            return self.zero(body.type)
        bound = frozenset(axes)
        told = self._told(axes, domain)
        if told is not None:
            return told_at(self, axes, body, domain, *told)
        if domain.is_const(True) and any(axis not in body.axes for axis in axes):
            return self._times_count(axes, body)
        outside = [c for c in conjuncts(domain) if not c.axes & bound and holds_reduction(c)]
        if outside:
            inside = self.all(*(c for c in conjuncts(domain) if c not in outside))
            return self.guard(self.all(*outside), self._sum(axes, body, inside, self.all(*outside)))
        return self._sum(axes, body, domain, self.true)

    def _told(  # type: ignore[misc]
        self: Graph, axes: tuple[Axis, ...], domain: Node
    ) -> tuple[Axis, Node] | None:
        """An axis whose index a condition says, alike for everything: `t == rounds - 1`, and that index."""
        for condition in conjuncts(domain):
            form = condition.args[0] if condition.op == "equal_zero" else None
            terms = zip(form.attribute[0], form.args) if form is not None and form.is_sum else ()
            for coefficient, term in terms:
                if form is None or term.kind != "index" or len(form.axes) > 1 or abs(coefficient) != 1:
                    continue
                if term.attribute in axes:
                    return term.attribute, self.scale(-coefficient, self.add(form, self.scale(-coefficient, term)))
        return None

    def _times_count(self: Graph, axes: tuple[Axis, ...], body: Node) -> Node:  # type: ignore[misc]
        idle = [axis for axis in axes if axis not in body.axes]
        rest = tuple(axis for axis in axes if axis in body.axes)
        count = self.mul(*(axis.size for axis in idle))
        inner = self.sum_over(rest, body, self.true) if rest else body
        return self.mul(self.to_type(count, body.type), inner)

    def _sum(  # type: ignore[misc]
        self: Graph, axes: tuple[Axis, ...], body: Node, domain: Node, facts: Node
    ) -> Node:
        """`facts` is what holds wherever the sum is read: conditions hoisted from its domain."""
        if body.is_sum and len(body.args) == 1 and not body.attribute[1]:
            return self.scale(body.attribute[0][0], self._sum(axes, body.args[0], domain, facts))
        bound = frozenset(axes)
        if body.is_product:
            free = [(b, e) for b, e in zip(body.args, body.attribute) if not b.axes & bound and _moves(b, e, domain)]
            if free:
                kept = [(b, e) for b, e in zip(body.args, body.attribute) if (b, e) not in free]
                inner = self.product(kept) if kept else self.const(1.0 if body.type == FLOAT else 1)
                nonzero = [self._nonzero(b, axes, domain) for b, e in free if e < 0]
                outside = self.all(*(c for c in nonzero if c not in conjuncts(facts)))
                return self.guard(outside, self.mul(self.product(free), self.sum_over(axes, inner, domain)))
        elif body.kind != "const" and not body.axes & bound and _moves(body, 1, domain):
            one = self.const(1.0 if body.type == FLOAT else 1)
            return self.mul(body, self.sum_over(axes, one, domain))
        axes_left = (body.axes | domain.axes) - bound
        return self._intern("reduce", "sum", (body, domain), axes, axes_left, body.type)

    def _nonzero(self: Graph, base: Node, axes: tuple[Axis, ...], domain: Node) -> Node:  # type: ignore[misc]
        """What makes a divisor outside of a sum finite even where the sum is empty."""
        whole = base.args[0] if base.kind == "map" and base.op == "to_float" else base
        if any(axis.size is whole for axis in axes):
            return self.negate(self.compare("==", whole, self.const(0)))
        if domain.is_const(True) or whole.kind == "size":
            return self.true
        return self.negate(self.compare("==", self.to_float(base), self.const(0.0)))


def told_at(graph: Graph, axes: tuple[Axis, ...], body: Node, domain: Node, axis: Axis, position: Node) -> Node:
    """A sum over an axis of which only one index counts: its value there."""
    rest = tuple(other for other in axes if other is not axis)
    body, domain = (value_at(graph, node, axis, position) for node in (body, domain))
    inside = graph.all(graph.compare(">=", position, graph.const(0)), graph.compare("<", position, axis.size))
    if rest:
        return graph.guard(inside, graph.sum_over(rest, body, domain))
    return graph.guard(graph.all(inside, domain), body)


def value_at(graph: Graph, node: Node, axis: Axis, position: Node) -> Node:
    """A value at one index; what is summed up in it is read there, not computed again."""
    from .rewrite import rebuild

    if axis not in node.axes:
        return node
    if node.kind == "index":
        return position
    if node.kind not in ("map", "guard", "stop", "read"):
        return graph.at(node, (axis,), (position,))
    return rebuild(graph, node, tuple(value_at(graph, arg, axis, position) for arg in node.args))


def _moves(base: Node, exponent: float, domain: Node) -> bool:
    """Whether a factor may stand outside: a divisor may, under the condition that it is not 0."""
    return domain.is_const(True) or exponent < 0 or is_finite(base)


def is_finite(node: Node) -> bool:
    """Proved neither infinite nor NaN, taking what is read at the call for finite."""
    if node.kind in ("read", "param", "size", "index"):
        return True
    if node.kind == "const":
        return bool(abs(node.attribute) != float("inf"))
    if node.kind == "reduce":
        return node.op == "sum" and is_finite(node.body)
    if node.kind == "root":
        return not node.is_least  # it lies between its bounds
    if node.kind == "map":
        if node.op in ("tanh", "sigmoid", "sin", "cos", "erf", "sign"):
            return True
        if node.op == "mul":
            return all(e > 0 or arg.kind == "size" for e, arg in zip(node.attribute, node.args)) and _all_finite(node)
        if node.op in ("add", "to_float", "relu", "abs", "max", "min", "where", "finite_or"):
            return _all_finite(node)
    if node.kind in ("guard", "stop"):
        return is_finite(node.args[-1])
    if node.kind == "at":
        return is_finite(node.args[0])
    return False


def _all_finite(node: Node) -> bool:
    return all(is_finite(arg) for arg in node.args if arg.type != "bool")


def holds_reduction(root: Node) -> bool:
    """Whether a node contains a reduction."""
    return any(node.kind in ("reduce", "root", "recur") for node in walk(root))


__all__ = ["Summation", "holds_reduction", "is_finite", "walk"]
