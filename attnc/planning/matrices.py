"""Matrices of features.

Sums over positions that need no pair of them are taken first: Σ_j (Σ_d a[i, d] b[j, d]) v[j, e] is Σ_d a[i, d] m[d, e]
with m[d, e] = Σ_j b[j, d] v[j, e], in time that grows with the length alone. In sums that keep two axes of features,
and in products with such matrices, one of these axes is gone through in tiles as if it were a length: they are matrix
products then, like those of weights and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..analysis.groups import group_of, known_groups, lift_groups
from ..analysis.splits import expand
from ..ir import Axis, Graph, Node
from ..ir.logic import conjuncts
from ..ir.node import FLOAT, open_nodes, reachable
from ..ir.rewrite import Rewriter, substitute
from ..ir.roles import LENGTH, WIDTH, Roles
from .carried import scans_below
from .plan import Target
from .statistics import direct_statistics, scattered, statistics_of
from .terms import split_product, summands_of

_MOST_TERMS = 8  # that a sum is made several sums for


def associate(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with sums over positions taken before those over features, wherever no value of a pair hinders it.
    Where a pass goes through the same pairs anyway, sums stay in it."""
    found = Rewriter(graph, visit=lambda node: _associated(graph, node, roles, frozenset())).all(roots)
    left = _pairs(found, roles)
    if not left:
        return found
    return Rewriter(graph, visit=lambda node: _associated(graph, node, roles, left)).all(roots)


def _pairs(roots: Sequence[Node], roles: Roles) -> frozenset[frozenset[Axis]]:
    """Of which lengths there are passes over pairs."""
    statistics = statistics_of(roots, roles)
    lengths = (frozenset(roles.axes((*node.axes, *node.bound), LENGTH)) for node in statistics)
    return frozenset(found for found in lengths if len(found) > 1)


def _associated(graph: Graph, node: Node, roles: Roles, pairs: frozenset[frozenset[Axis]]) -> Node:
    if node.kind != "reduce" or node.op != "sum" or node.type != FLOAT:
        return node
    if any(roles.of(axis) == WIDTH for axis in node.attribute):
        return _one_by_one(graph, node, roles)
    lengths = roles.axes(node.attribute, LENGTH)
    if not lengths or any(axis.size.is_const() for axis in lengths):
        return node
    if scattered(node, roles) or node in open_nodes(reachable([node])):
        return node
    rows = frozenset(roles.axes(node.axes, LENGTH))
    if rows and frozenset((*rows, *lengths)) not in pairs:
        found = _summed_first(graph, node, rows, roles)
        if found is not node:
            return found
    if len(lengths) < 2:
        return _factored(graph, node, rows, roles) if rows else node
    nested = (_nested(graph, node, axis, rows, roles, pairs) for axis in lengths)
    return next((one for one in nested if one is not None), node)


def _one_by_one(graph: Graph, node: Node, roles: Roles) -> Node:
    """A sum over several axes of features as sums over one, those first that make the fewest values."""
    if len(node.attribute) < 2 or not node.domain.is_const(True) or node in open_nodes(reachable([node])):
        return node
    parts = []
    for coefficient, term in summands_of(graph, node.body):
        conditions, factors = _factors(graph, term)
        if any(c.axes & frozenset(node.attribute) for c in conditions):
            return node
        left = list(node.attribute)
        while left:
            axis = min(left, key=partial(_values_without, factors, roles))
            left.remove(axis)
            inside = [(b, e) for b, e in factors if axis in b.axes]
            made = graph.reduce("sum", (axis,), graph.product(inside))
            factors = [*((b, e) for b, e in factors if axis not in b.axes), (made, 1)]
        parts.append((coefficient, graph.guard(graph.all(*conditions), graph.product(factors))))
    return graph.combine(parts)


def _values_without(factors: list[tuple[Node, float]], roles: Roles, axis: Axis) -> tuple[int, int]:
    """How many lengths, and how many axes of features, the product of the factors with an axis has beside it."""
    axes = frozenset().union(*(b.axes for b, _ in factors if axis in b.axes)) - {axis}
    return len(roles.axes(axes, LENGTH)), len(roles.axes(axes, WIDTH))


def _nested(
    graph: Graph, node: Node, outer: Axis, rows: frozenset[Axis], roles: Roles, pairs: frozenset[frozenset[Axis]]
) -> Node | None:
    """A sum over several lengths as one over `outer` of sums over the others, if these know no row of the whole, and no
    pair either or fewer axes of features."""
    others = frozenset(roles.axes(node.attribute, LENGTH)) - {outer}
    parts = []
    for coefficient, term in summands_of(graph, node.body):
        conditions, factors = _factors(graph, term)
        first = [(b, e) for b, e in factors if not b.axes & others]
        known = frozenset().union(*(b.axes for b, _ in first), {outer})
        inside = tuple(axis for axis in node.attribute if axis not in known)
        conditions += conjuncts(node.domain)
        beneath = [c for c in conditions if c.axes & frozenset(inside)]
        rest = graph.product([(b, e) for b, e in factors if b.axes & others])
        inner = graph.reduce("sum", inside, rest, graph.all(*beneath))
        taken = _associated(graph, inner, roles, pairs)
        both = any(roles.axes(b.axes, WIDTH) for b, _ in first) and bool(roles.axes(inner.axes, WIDTH))
        if inner.axes & rows or not (taken is not inner or _is_less(inner, node, roles, both)):
            return None
        above = graph.all(*(c for c in conditions if c not in beneath))
        over = tuple(axis for axis in node.attribute if axis in known)
        whole = _sum_within(graph, over, graph.mul(graph.product(first), taken), above)
        parts.append((coefficient, whole))
    return graph.combine(parts)


def _factored(graph: Graph, node: Node, rows: frozenset[Axis], roles: Roles) -> Node:
    """Features of a row times those of positions: Σ_j a[i, d] t[i, j] b[j, d] as a[i, d] Σ_j t[i, j] b[j, d], summand
    by summand, which is a matrix product and was none."""
    bound, widths = frozenset(node.attribute), frozenset(roles.axes(node.axes, WIDTH))

    def is_of_features(part: Node) -> bool:
        return bool(part.axes & widths)

    terms = [(c * n, t) for c, part in summands_of(graph, node.body) for n, t in expand(graph, part, is_of_features)]
    sides = [{bool(b.axes & bound) for b, _ in _factors(graph, t)[1] if b.axes & widths} for _, t in terms]
    if len(terms) > _MOST_TERMS or not any(len(side) == 2 for side in sides):
        return node
    return graph.combine([(c, _row_outside(graph, node, t)) for c, t in terms])


def _row_outside(graph: Graph, node: Node, term: Node) -> Node:
    """The sum of a term, times what only rows have; of rows that nothing is summed up for 0, whatever they have."""
    bound = frozenset(node.attribute)
    conditions, factors = _factors(graph, term)
    domain = graph.all(node.domain, *conditions)
    own = [(b, e) for b, e in factors if not b.axes & bound]
    inner = graph.reduce("sum", node.attribute, graph.product([(b, e) for b, e in factors if b.axes & bound]), domain)
    whole = graph.mul(graph.product(own), inner)
    if domain.is_const(True):
        return whole
    count = graph.reduce("sum", node.attribute, graph.const(1.0), domain)
    return graph.guard(graph.negate(graph.compare("==", count, graph.const(0.0))), whole)


def _is_less(inner: Node, node: Node, roles: Roles, both: bool) -> bool:
    """Whether a sum over some lengths makes less of the rest: no third length for each pair, or fewer axes of features,
    or a product of features that `both` of its sides have a matrix product with those of one."""
    widths, all_widths = (len(roles.axes(value.axes, WIDTH)) for value in (inner, node))
    lengths = roles.axes(inner.axes, LENGTH)
    if roles.axes(node.axes, LENGTH):
        return len(lengths) == 1 and widths < 2
    return len(lengths) == 1 and ((widths, all_widths) in ((1, 2), (0, 1)) or (both and (widths, all_widths) == (1, 1)))


def _summed_first(graph: Graph, node: Node, rows: frozenset[Axis], roles: Roles) -> Node:
    """Every summand as Σ_w (what rows have) · Σ_j (what positions have), or the node as it is."""
    bound = frozenset(node.attribute)
    conditions = conjuncts(node.domain)
    of_rows = [c for c in conditions if not c.axes & bound]
    domain = graph.all(*(c for c in conditions if c not in of_rows))
    if domain.axes & rows:
        return node
    groups = (group_of(condition, roles) for condition in conjuncts(node.domain))
    heads = {item[0]: (item[1], item[2]) for item in groups if item is not None and item[0] in bound}

    def is_dot(part: Node) -> bool:
        return part.kind == "reduce" and bool(part.axes & rows) and bool(part.axes & bound)

    def wanted(part: Node) -> bool:
        return is_dot(part) or (part.is_product and any(is_dot(factor) for factor in part.args))

    body = known_groups(graph, node.body, heads) if heads else node.body
    terms = [(c * inner, t) for c, part in summands_of(graph, body) for inner, t in expand(graph, part, wanted)]
    found = [_one_summed_first(graph, node.attribute, term, domain, rows, roles) for _, term in terms]
    if any(one is None for one in found) or not any(is_dot(part) for _, term in terms for part in _parts(graph, term)):
        return node
    whole = graph.combine([(c, one) for (c, _), one in zip(terms, found) if one is not None])
    return graph.guard(graph.all(*of_rows), whole)


def _one_summed_first(
    graph: Graph, summed: tuple[Axis, ...], term: Node, domain: Node, rows: frozenset[Axis], roles: Roles
) -> Node | None:
    """For a summand whose one value of a pair is a sum over features."""
    bound = frozenset(summed)
    outer = _sides(graph, term, rows, bound)
    if outer is None or len(outer[2]) > 1:
        return None
    if not outer[2]:
        return graph.mul(outer[0], lift_groups(graph, graph.reduce("sum", summed, outer[1], domain)))
    (dot,) = outer[2]
    if dot.kind != "reduce" or dot.op != "sum" or len(dot.attribute) != 1 or dot.domain.axes & bound:
        return None
    (width,) = dot.attribute
    if roles.of(width) != WIDTH:
        return None
    body, condition = dot.args
    if width in outer[0].axes | outer[1].axes:  # there it is another than the one that is summed up
        other = graph.fresh(width)
        body, condition = (substitute(graph, arg, {width: graph.index(other)}) for arg in dot.args)
        width = other
    inner = _sides(graph, body, rows, bound)
    if inner is None or inner[2]:
        return None
    a, b = graph.mul(outer[0], inner[0]), graph.mul(outer[1], inner[1])
    widths = [axis for axis in roles.axes(b.axes, WIDTH) if axis is not width]
    if len(widths) > 1 or scans_below(b, roles):
        return None
    state = lift_groups(graph, graph.reduce("sum", summed, b, domain))
    return _sum_within(graph, (width,), graph.mul(a, state), condition)


def _parts(graph: Graph, product: Node) -> list[Node]:
    return [base for base, _ in _factors(graph, product)[1]]


def _sum_within(graph: Graph, bound: tuple[Axis, ...], body: Node, domain: Node) -> Node:
    """A sum whose conditions stand outside of it where they say nothing of what is summed."""
    conditions, factors = _factors(graph, body)
    conditions += conjuncts(domain)
    inside = [c for c in conditions if c.axes & frozenset(bound)]
    outside = [c for c in conditions if c not in inside]
    summed = graph.reduce("sum", bound, graph.product(factors), graph.all(*inside))
    return graph.guard(graph.all(*outside), summed)


def _factors(graph: Graph, product: Node) -> tuple[list[Node], list[tuple[Node, float]]]:
    """Conditions outside which a product is 0, and its factors with their exponents. A sum of equal values, which may
    be infinite, is such a value times their number where there is one."""
    conditions = []
    while product.kind == "guard":
        conditions.append(product.args[0])
        product = product.args[1]
    factors: list[tuple[Node, float]] = []
    for base, exponent in zip(product.args, product.attribute) if product.is_product else [(product, 1)]:
        is_repeated = base.kind == "reduce" and base.op == "sum" and not base.body.axes & frozenset(base.attribute)
        if is_repeated and exponent == 1 and base.body.kind != "const":
            count = graph.reduce("sum", base.attribute, graph.const(1.0), base.domain)
            conditions.append(graph.negate(graph.compare("==", count, graph.const(0.0))))
            factors += [(base.body, 1), (count, 1)]
        else:
            factors.append((base, exponent))
    return conditions, factors


def _sides(
    graph: Graph, product: Node, rows: frozenset[Axis], bound: frozenset[Axis]
) -> tuple[Node, Node, list[Node]] | None:
    """The factors that are not summed up, those that are and know no row, and those of pairs, the latter apart."""
    conditions, factors = _factors(graph, product)
    of_pairs = [(b, e) for b, e in factors if b.axes & rows and b.axes & bound]
    if any(e != 1 for _, e in of_pairs) or any(c.axes & rows and c.axes & bound for c in conditions):
        return None
    first = graph.to_float(graph.product([(b, e) for b, e in factors if not b.axes & bound]))
    second = graph.to_float(graph.product([(b, e) for b, e in factors if b.axes & bound and not b.axes & rows]))
    first = graph.guard(graph.all(*(c for c in conditions if not c.axes & bound)), first)
    return first, graph.guard(graph.all(*(c for c in conditions if c.axes & bound)), second), [b for b, _ in of_pairs]


def stream_widths(graph: Graph, roots: Sequence[Node], roles: Roles) -> list[Node]:
    """The roots with one axis of features streamed in every sum over positions that keeps several, and in every product
    of a row's features with a matrix."""

    def visit(node: Node) -> Node:
        if node.kind != "reduce" or node.op != "sum" or node.type != FLOAT:
            return node
        if roles.axes(node.axes, LENGTH):
            axis = _summed_with_matrix(graph, node, roles)
        else:
            axis = _row_of_matrix(graph, node, roles)
        if axis is None or node in open_nodes(reachable([node])) or scans_below(node, roles):
            return node
        return _along(graph, node, axis, roles)

    return Rewriter(graph, visit=visit).all(roots)


def _row_of_matrix(graph: Graph, node: Node, roles: Roles) -> Axis | None:
    """Which kept axis of features becomes the rows of Σ_j a[j, d] · b[j, e]."""
    widths = roles.axes(node.axes, WIDTH)
    lengths = roles.axes(node.attribute, LENGTH)
    told = roles.axes(node.domain.axes, WIDTH)  # a condition on the features of rows is one of tiles
    if len(widths) < 2 or not lengths or len(told) > 1 or scattered(node, roles):
        return None
    loop = lengths[-1]
    for row in told or widths:
        rest = frozenset(widths) - {row}
        if len(rest) == 1 and _is_product(graph, node.body, loop, row, loop, rest):
            return row
    return (told or widths)[0]


def _summed_with_matrix(graph: Graph, node: Node, roles: Roles) -> Axis | None:
    """The summed axis of Σ_d a[i, d] · m[d, e]."""
    widths = frozenset(roles.axes(node.axes, WIDTH))
    lengths = roles.axes(node.axes, LENGTH)
    if len(node.attribute) != 1 or len(widths) != 1 or len(lengths) != 1 or node.domain.axes & widths:
        return None
    (summed,) = node.attribute
    if roles.of(summed) != WIDTH:
        return None
    return summed if _is_product(graph, node.body, summed, lengths[0], summed, widths) else None


def _is_product(graph: Graph, body: Node, side: Axis, row: Axis, loop: Axis, widths: frozenset[Axis]) -> bool:
    """Whether each summand is a tile of (row, loop) times an operand with the widths and the loop."""
    for _, part in summands_of(graph, body):
        found = split_product(graph, part, side, row, loop, widths)
        if found is None or not {row, loop} <= found[0].axes or not {side, *widths} <= found[1].axes:
            return False
    return True


def _along(graph: Graph, node: Node, axis: Axis, roles: Roles) -> Node:
    """The sum with this axis streamed, read at the axis itself where it is kept. What other sums give is read."""
    streamed = graph.streamed(axis)
    index = graph.index(streamed)
    below = direct_statistics(node.args, roles)
    body, domain = (substitute(graph, arg, {axis: index}, below) for arg in node.args)
    bound = tuple(streamed if a is axis else a for a in node.attribute)
    made = graph.reduce("sum", bound, body, domain)
    return made if axis in node.attribute else graph.at(made, (streamed,), (graph.index(axis),))


def along_streamed(target: Target) -> Target:
    """A target that is a matrix read at its features, along the axis that the matrix has by itself."""
    node = target.node
    if node.kind != "at" or not all(
        axis.streams and at.kind == "index" for axis, at in zip(node.attribute, node.args[1:])
    ):
        return target
    own = {at.attribute: axis for axis, at in zip(node.attribute, node.args[1:])}
    return replace(target, axes=tuple(own.get(axis, axis) for axis in target.axes), node=node.args[0])
