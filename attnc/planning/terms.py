"""The body of an accumulator -> terms: matrix products where the algebra shows one, lanes or loops elsewhere."""

from __future__ import annotations

from ..analysis.splits import expand
from ..ir import Axis, Graph, Node
from ..ir.node import FLOAT
from .plan import FREE, LANES, LOOP, LOOPED, MATMUL, ROW, SCATTER, TILE, Term


def make_terms(
    graph: Graph,
    op: str,
    body: Node,
    home: str,
    row: Axis | None,
    loop: Axis,
    widths: tuple[Axis, ...],
    is_scattered: bool,
) -> tuple[Term, ...]:
    """How the body of a reduction is summed over its tiles; see Term."""
    if is_scattered:
        return (Term(SCATTER, 1.0, body, None, widths),)
    if not widths:
        return (Term(LANES, 1.0, body),)
    if op != "sum" or home in (FREE, TILE) or len(widths) > 1:
        return (Term(LOOPED, 1.0, body, None, widths),)
    side = loop if home == ROW else row
    return _products(graph, body, side, row, loop, widths)


def _products(
    graph: Graph, body: Node, side: Axis | None, row: Axis | None, loop: Axis, widths: tuple[Axis, ...]
) -> tuple[Term, ...]:
    wide = frozenset(widths)
    by_tile: dict[Node, list[tuple[float, Node]]] = {}
    by_operand: dict[Node, list[tuple[float, Node]]] = {}
    rest: list[tuple[float, Node]] = []

    def wanted(part: Node) -> bool:
        return _separates(part, wide, row, loop)

    expanded = [(c * inner, t) for c, part in summands_of(graph, body) for inner, t in expand(graph, part, wanted)]
    summands = [(c * inner, t) for c, part in expanded for inner, t in summands_of(graph, part)]
    for coefficient, product in summands:
        split = split_product(graph, product, side, row, loop, wide)
        if split is None:
            rest.append((coefficient, product))
        else:
            tile, operand = split
            by_tile.setdefault(tile, []).append((coefficient, operand))
    for tile, operands in by_tile.items():
        (coefficient, operand), *others = operands
        if others:  # one product with their sum
            coefficient, operand = 1.0, graph.combine(operands)
        by_operand.setdefault(operand, []).append((coefficient, tile))
    terms = [Term(MATMUL, 1.0, graph.combine(tiles), operand, widths) for operand, tiles in by_operand.items()]
    if rest:
        terms.append(Term(LOOPED, 1.0, graph.combine(rest), None, widths))
    return tuple(terms)


def summands_of(graph: Graph, body: Node) -> list[tuple[float, Node]]:
    """What a body adds up: each may have features of its own."""
    if body.kind == "guard":
        return [(c, graph.guard(body.args[0], part)) for c, part in summands_of(graph, body.args[1])]
    if not body.is_sum:
        return [(1.0, body)]
    coefficients, constant = body.attribute
    return [*zip(coefficients, body.args), *([(constant, graph.const(1.0))] if constant else [])]


def _separates(part: Node, wide: frozenset[Axis], row: Axis | None, loop: Axis) -> bool:
    """Whether multiplying out would set free a term with features on one side only, or with none."""
    tile = frozenset(axis for axis in (row, loop) if axis is not None)
    return bool(part.axes & wide) and len(part.axes & tile) < 2


def split_product(
    graph: Graph, product: Node, side: Axis | None, row: Axis | None, loop: Axis, wide: frozenset[Axis]
) -> tuple[Node, Node] | None:
    """A product as tile · operand, the operand holding the features and only `side` of the tile's axes; else None."""
    conditions: list[Node] = []
    while product.kind == "guard":
        conditions.append(product.args[0])
        product = product.args[1]
    factors = list(zip(product.args, product.attribute)) if product.is_product else [(product, 1)]
    featured = [(b, e) for b, e in factors if b.axes & wide]
    of_features = [condition for condition in conditions if condition.axes & wide]  # outside of them it is 0
    conditions = [condition for condition in conditions if not condition.axes & wide]
    operand = graph.guard(graph.all(*of_features), graph.to_float(graph.product(featured)))
    tile_axes = frozenset(axis for axis in (row, loop) if axis is not None)
    if side is None or not operand.axes & tile_axes <= frozenset((side,)):
        return None
    tile = graph.product([(b, e) for b, e in factors if not b.axes & wide])
    return graph.guard(graph.all(*conditions), graph.to_float(tile)), operand


def size_of(graph: Graph, value: Node) -> Node:
    """The sum of what a sum adds up, without signs; 0 for anything else."""
    if not value.is_sum or value.type != FLOAT:
        return graph.const(0.0)
    coefficients, constant = value.attribute
    parts = [(abs(c), graph.map("abs", (term,), FLOAT)) for c, term in zip(coefficients, value.args)]
    return graph.add(graph.combine(parts), graph.const(abs(constant)))


__all__ = ["LOOP", "make_terms", "size_of"]
