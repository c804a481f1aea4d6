"""How each kind of node hands its adjoint on to its operands. Pointwise derivatives stand in the primitives' table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..diagnostics import Diagnostic, Label, Mistake, Span
from ..ir import Axis, Node
from ..ir.primitives import PRIMITIVES
from ..ir.rewrite import substitute
from ..ir.summation import holds_reduction
from .adjoint import Term, sum_term

if TYPE_CHECKING:
    from .vjp import Reverse

Space = frozenset[Axis]


class NoDerivative(Mistake):
    """A construct whose derivative is not derived yet."""

    def __init__(self, span: Span, label: str) -> None:
        self.span = span
        self.label = label

    def diagnostic(self) -> Diagnostic:
        labels = (Label(self.span, "read here"),) if self.span.source.text else ()
        return Diagnostic("no-derivative", f"{self.label} has no derivative yet", labels)


def _map(reverse: Reverse, node: Node, space: Space, domain: Node, value: Node) -> None:
    graph = reverse.graph
    if node.is_sum:
        for coefficient, arg in zip(node.attribute[0], node.args):
            reverse.push(arg, space, domain, graph.scale(coefficient, value))
        return
    if node.is_product:
        _product(reverse, node, space, domain, value)
        return
    partials = PRIMITIVES[node.op].partials
    for partial, arg in zip(partials, node.args):
        if partial is not None and arg in reverse.needed:
            reverse.push(arg, space, domain, graph.mul(value, partial(graph, node, node.args)))


def _product(reverse: Reverse, node: Node, space: Space, domain: Node, value: Node) -> None:
    graph = reverse.graph
    factors = list(zip(node.args, node.attribute))
    for place, (base, exponent) in enumerate(factors):
        if base not in reverse.needed:
            continue
        rest = factors[:place] + factors[place + 1 :]
        partial = graph.product([*rest, (base, exponent - 1), (graph.const(float(exponent)), 1), (value, 1)])
        if 0 < exponent < 1 and holds_reduction(base):  # a norm or deviation that is 0 stays there
            partial = graph.guard(graph.negate(graph.compare("==", base, graph.const(0.0))), partial)
        reverse.push(base, space, domain, partial)


def _guard(reverse: Reverse, node: Node, space: Space, domain: Node, value: Node) -> None:
    condition, inner = node.args
    reverse.push(inner, space, domain, reverse.graph.guard(condition, value))


def _at(reverse: Reverse, node: Node, space: Space, domain: Node, value: Node) -> None:
    """y = x at p: what x gets at t is Σ of y's adjoint where p == t, with t standing for x's own axis in the end."""
    graph = reverse.graph
    targets: dict[Axis, Axis] = {}
    positions = list(node.args[1:])
    own = node.args[0].axes - frozenset(node.attribute)
    for number, axis in enumerate(node.attribute):
        target = graph.axis(axis.name, axis.size, axis.is_vector)
        fixed = own | frozenset(targets.values())
        (space, domain, value), gone = reverse.solve(target, positions[number], Term(space, domain, value), fixed)
        positions = [substitute(graph, position, gone) for position in positions]
        targets[axis] = target
    for axis in targets:
        if axis in space | domain.axes | value.axes:
            space, domain, value = _rename(reverse, axis, graph.axis(axis.name, axis.size), space, domain, value)
    back = {target: graph.index(axis) for axis, target in targets.items()}
    domain, value = substitute(graph, domain, back), substitute(graph, value, back)
    space = frozenset(next((a for a, t in targets.items() if t is axis), axis) for axis in space)
    kept = node.args[0].axes
    reverse.push(node.args[0], *sum_term(graph, kept, space, domain, value, reverse.forward))


def _rename(
    reverse: Reverse, axis: Axis, twin: Axis, space: Space, domain: Node, value: Node
) -> tuple[Space, Node, Node]:
    """The term with another name for an axis that it sums over."""
    index = reverse.graph.index(twin)
    return (space - {axis}) | {twin}, reverse.moved(domain, axis, index), reverse.moved(value, axis, index)


def _reduce(reverse: Reverse, node: Node, space: Space, domain: Node, value: Node) -> None:
    graph = reverse.graph
    bound = frozenset(node.attribute)
    if node.op == "sum":
        reverse.push(node.body, space | bound, graph.all(domain, node.domain), value)
    elif node.op in ("max", "min"):
        key = node.body if node.op == "max" else graph.neg(node.body)
        (axis,) = node.attribute
        chosen = graph.reduce("argmax", node.attribute, key, node.domain)
        here = graph.equal_zero(graph.sub(graph.index(axis), chosen))
        reverse.push(node.body, space | bound, graph.all(domain, here), value)
    else:
        _prod(reverse, node, space, domain, value)


def _prod(reverse: Reverse, node: Node, space: Space, domain: Node, value: Node) -> None:
    """The derivative of a product in one factor is the product of the others."""
    graph = reverse.graph
    if node.op != "prod" or any(reverse.roles.of(axis) != "width" for axis in node.attribute):
        raise NoDerivative(node.span, f"'{node.op}' over a length").error()
    twins = {axis: graph.axis(axis.name, axis.size) for axis in node.attribute}
    moves = {axis: graph.index(twin) for axis, twin in twins.items()}
    same = graph.all(*(graph.equal_zero(graph.sub(graph.index(a), graph.index(t))) for a, t in twins.items()))
    others = graph.all(substitute(graph, node.domain, moves), graph.negate(same))
    rest = graph.reduce("prod", tuple(twins.values()), substitute(graph, node.body, moves), others)
    inner = graph.all(domain, node.domain)
    reverse.push(node.body, space | frozenset(node.attribute), inner, graph.mul(value, rest))


def _opaque(reverse: Reverse, node: Node, space: Space, domain: Node, value: Node) -> None:
    raise NoDerivative(node.span, node.attribute[1]).error()


RULES: dict[str, Callable[[Reverse, Node, Space, Node, Node], None]] = {
    "map": _map,
    "guard": _guard,
    "at": _at,
    "reduce": _reduce,
    "opaque": _opaque,
}
