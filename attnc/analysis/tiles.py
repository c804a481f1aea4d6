"""Which tiles of (row, loop) a condition leaves: empty, full or partial, by intervals over the tile.

The answers are integer nodes over the tile's corners, so every backend spells them and nothing is rebuilt when a
length or parameter changes. Affine comparisons under and/or/not are exact in each comparison; what is read at the row
or loop index is bounded by summaries of the tensor (see tile_reads.py). What cannot be told is partial everywhere, and
`unknown` lists it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Axis, Graph, Node
from ..ir.node import BOOL, INT, walk
from .interval_rules import INTERVALS, Bounds, extreme, quotient, rounds
from .tile_reads import LONG_RUN, RUN, SUMMARY, Summarise, TileReads


@dataclass(frozen=True)
class TileClasses:
    """`may`: some pair of the tile may be in the domain; `must`: all are. `low <= loop index < high` holds for every
    pair of a block of rows, and from `inner_low` up to `inner_high` every pair of the block is in the domain. All are
    nodes over the corners: first and last row, first and last loop index. `may_long` is `may` over the corners of a run
    of tiles, for domains that read what is summarised; else true."""

    may: Node
    must: Node
    low: Node
    high: Node
    inner_low: Node
    inner_high: Node
    unknown: tuple[Node, ...]
    may_long: Node

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that a kernel computes of it."""
        return self.may, self.must, self.low, self.high, self.inner_low, self.inner_high, self.may_long


@dataclass(frozen=True)
class Corners:
    """The inclusive corners of a tile, as nodes."""

    first_row: Node
    last_row: Node
    first: Node
    last: Node


def corners(graph: Graph) -> Corners:
    return Corners(*(graph.param(name, INT) for name in ("#first_row", "#last_row", "#first", "#last")))


def long_corners(graph: Graph) -> Corners:
    """The same of a run of tiles."""
    at = corners(graph)
    return Corners(at.first_row, at.last_row, *(graph.param(name, INT) for name in ("#first_of_run", "#last_of_run")))


def classify(
    graph: Graph,
    domain: Node,
    row: Axis | None,
    loop: Axis,
    widths: frozenset[Axis] = frozenset(),
    summarise: Summarise | None = None,
) -> TileClasses:
    """Tile classes of a domain for a pass whose tiles are blocks of `row` by blocks of `loop`, and hold all of
    `widths`. `summarise` gives the tensor that holds a summary: without it, what is read tells nothing."""
    analysis = TileAnalysis(graph, row, loop, widths, corners(graph), summarise, RUN)
    may, must = analysis.decide(domain)
    low, high = analysis.hull(domain)
    inner = analysis.inner(domain)
    unknown = tuple(dict.fromkeys(analysis.unknown))
    may_long = graph.true
    if any(node.kind == "read" and node.attribute.origin == SUMMARY for node in walk(may)):
        long = TileAnalysis(graph, row, loop, widths, long_corners(graph), summarise, LONG_RUN)
        may_long = long.decide(domain)[0]
    return TileClasses(may, must, low, high, *inner, unknown, may_long)


class TileAnalysis:
    """Decides conditions over tiles with these corners; `run` is how many entries of the looped axis a summary has for
    one."""

    def __init__(
        self,
        graph: Graph,
        row: Axis | None,
        loop: Axis,
        widths: frozenset[Axis],
        at: Corners,
        summarise: Summarise | None,
        run: int,
    ) -> None:
        self.graph = graph
        self.row = row
        self.loop = loop
        self.corners = at
        self.unknown: list[Node] = []
        self.widths = widths
        self.moving = widths | frozenset(axis for axis in (row, loop) if axis is not None)
        self.reads = TileReads(self, summarise, run)

    def ends(self, axis: Axis | None) -> tuple[Node, Node]:
        """The first and last index of the row or looped axis."""
        c = self.corners
        return (c.first_row, c.last_row) if axis is self.row else (c.first, c.last)

    # --- three-valued conditions -------------------------------------------------------------------------------

    def decide(self, condition: Node) -> tuple[Node, Node]:
        """(may hold somewhere in the tile, must hold everywhere in it)."""
        graph = self.graph
        if not condition.axes & self.moving:
            return condition, condition
        if condition.kind == "map":
            if condition.op in ("and", "or"):
                parts = [self.decide(arg) for arg in condition.args]
                join = graph.all if condition.op == "and" else graph.any
                return join(*(may for may, _ in parts)), join(*(must for _, must in parts))
            if condition.op == "not":
                may, must = self.decide(condition.args[0])
                return graph.negate(must), graph.negate(may)
            if condition.op in ("at_most_zero", "equal_zero"):
                bounds = self.bounds(condition.args[0])
                if bounds is not None:
                    return self._compare(condition.op, *bounds)
            if condition.op in ("less", "at_most", "equal") and not any(map(rounds, condition.args)):
                sides = [self.bounds(arg) for arg in condition.args]
                if sides[0] is not None and sides[1] is not None:
                    return self._compare_floats(condition.op, *sides[0], *sides[1])
        if condition.kind == "guard":
            parts = [self.decide(arg) for arg in condition.args]
            return graph.all(*(may for may, _ in parts)), graph.all(*(must for _, must in parts))
        if condition.kind == "read":
            ends = self.reads.bounds(condition)
            if ends is not None:
                one = graph.const(1)
                return graph.compare(">=", ends[1], one), graph.compare(">=", ends[0], one)
        self.unknown.append(condition)
        return graph.true, graph.const(False)

    def _compare(self, op: str, low: Node, high: Node) -> tuple[Node, Node]:
        graph, zero = self.graph, self.graph.const(0)
        if op == "at_most_zero":
            return graph.compare("<=", low, zero), graph.compare("<=", high, zero)
        may = graph.all(graph.compare("<=", low, zero), graph.compare(">=", high, zero))
        must = graph.all(graph.compare("==", low, zero), graph.compare("==", high, zero))
        return may, must

    def _compare_floats(self, op: str, low: Node, high: Node, other_low: Node, other_high: Node) -> tuple[Node, Node]:
        """Told so that NaN leaves a tile partial."""
        graph = self.graph
        if op == "equal":
            apart = graph.any(graph.compare("<", high, other_low), graph.compare("<", other_high, low))
            same = (graph.compare("==", a, b) for a, b in ((low, high), (other_low, other_high), (low, other_low)))
            return graph.negate(apart), graph.all(*same)
        never, always = ("<=", "<") if op == "less" else ("<", "<=")
        return graph.negate(graph.compare(never, other_high, low)), graph.compare(always, high, other_low)

    # --- intervals over the tile -------------------------------------------------------------------------------

    def bounds(self, node: Node) -> Bounds:
        """Smallest and largest value over the tile, as nodes; None where that is not known."""
        if not node.axes & self.moving:
            return node, node
        if node.kind == "index":
            if node.attribute in self.widths:
                return self.graph.const(0), self.graph.sub(node.attribute.size, self.graph.const(1))
            return self.ends(node.attribute)
        if node.kind == "read":
            return self.reads.bounds(node)
        if node.kind == "guard":
            return self._guarded(node)
        if node.kind == "reduce":
            return self._counted(node)
        if node.kind != "map":
            return None
        if node.is_sum:
            return self._sum(node)
        if node.op == "to_float":
            part = self.bounds(node.args[0])
            return part and (self.graph.to_float(part[0]), self.graph.to_float(part[1]))
        if node.is_product and any(exponent != 1 for exponent in node.attribute):
            return None
        rule = INTERVALS.get(node.op)
        parts = [self.bounds(arg) for arg in node.args] if rule else []
        known = [part for part in parts if part is not None]
        return rule(self.graph, known) if rule and len(known) == len(parts) else None

    def _guarded(self, node: Node) -> Bounds:
        """0 where the condition does not hold."""
        graph, part = self.graph, self.bounds(node.args[1])
        if part is None or node.type != INT:
            return None
        may, must = self.decide(node.args[0])
        zero = graph.const(0)
        low = graph.where(must, part[0], extreme(graph, "min", part[0], zero))
        high = graph.where(must, part[1], extreme(graph, "max", part[1], zero))
        return graph.guard(may, low), graph.guard(may, high)

    def _counted(self, node: Node) -> Bounds:
        """A number of features for which something holds."""
        graph, bound = self.graph, frozenset(node.attribute)
        is_count = node.op == "sum" and node.type == INT and node.body.is_const(1)
        if not is_count or not all(self._is_short(axis) for axis in bound) or bound & self.moving:
            return None
        reads = self.reads
        inner = TileAnalysis(graph, self.row, self.loop, self.widths, self.corners, reads.summarise, reads.run)
        may, must = inner.decide(node.domain)
        self.unknown += inner.unknown
        low, high = (graph.reduce("sum", node.attribute, graph.const(1), condition) for condition in (must, may))
        return low, high

    def _is_short(self, axis: Axis) -> bool:
        lengths = [other.size for other in (self.row, self.loop) if other is not None]
        return axis.size.kind == "const" or (axis.size.kind == "size" and axis.size not in lengths)

    def _sum(self, node: Node) -> Bounds:
        if node.type != INT and len(node.args) > 1:
            return None  # rounded, in whatever order it is added up
        coefficients, constant = node.attribute
        lows, highs = [(1, self.graph.const(constant))], [(1, self.graph.const(constant))]
        for coefficient, arg in zip(coefficients, node.args):
            part = self.bounds(arg)
            if part is None:
                return None
            low, high = part if coefficient > 0 else (part[1], part[0])
            lows.append((coefficient, low))
            highs.append((coefficient, high))
        return self.graph.combine(lows), self.graph.combine(highs)

    # --- the range of the loop ---------------------------------------------------------------------------------

    def hull(self, condition: Node) -> tuple[Node, Node]:
        """A range of loop indices outside which no pair of these rows is in the domain."""
        graph = self.graph
        whole = graph.const(0), self.loop.size
        if condition.kind != "map" or self.loop not in condition.axes:
            return whole
        if condition.op in ("and", "or"):
            parts = [self.hull(arg) for arg in condition.args]
            inward = condition.op == "and"
            low, high = parts[0]
            for other_low, other_high in parts[1:]:
                low = extreme(graph, "max" if inward else "min", low, other_low)
                high = extreme(graph, "min" if inward else "max", high, other_high)
            return low, high
        if condition.op == "at_most_zero":
            return self._half_line(condition.args[0], whole)
        if condition.op == "equal_zero":
            low, high = self._half_line(condition.args[0], whole)
            other_low, other_high = self._half_line(graph.neg(condition.args[0]), whole)
            return extreme(graph, "max", low, other_low), extreme(graph, "min", high, other_high)
        return whole

    def inner(self, condition: Node) -> tuple[Node, Node]:
        """A range of loop indices within which all pairs with these rows are in the domain."""
        graph = self.graph
        if self.loop not in condition.axes:
            must = self.decide(condition)[1]
            return graph.const(0), graph.where(must, self.loop.size, graph.const(0))
        if condition.kind == "map" and condition.op in ("and", "or"):
            parts = [self.inner(arg) for arg in condition.args]
            return self._common(parts) if condition.op == "and" else self._either(parts)
        if condition.kind == "map" and condition.op == "at_most_zero":
            return self._half_line(condition.args[0], (graph.const(0), self.loop.size), inside=True)
        return graph.const(0), graph.const(0)

    def _common(self, parts: list[tuple[Node, Node]]) -> tuple[Node, Node]:
        low, high = parts[0]
        for other_low, other_high in parts[1:]:
            low, high = extreme(self.graph, "max", low, other_low), extreme(self.graph, "min", high, other_high)
        return low, high

    def _either(self, parts: list[tuple[Node, Node]]) -> tuple[Node, Node]:
        """Ranges from the same end are one; else the first."""
        low, high = parts[0]
        for other_low, other_high in parts[1:]:
            if low is other_low:
                high = extreme(self.graph, "max", high, other_high)
            elif high is other_high:
                low = extreme(self.graph, "min", low, other_low)
        return low, high

    def _half_line(self, form: Node, whole: tuple[Node, Node], inside: bool = False) -> tuple[Node, Node]:
        """Loop indices c with rate · c + rest <= 0 for some row of the block, or (`inside`) for every one; also of
        rate · (c // d) + rest."""
        graph = self.graph
        unknown = (graph.const(0), graph.const(0)) if inside else whole
        coefficients = dict(zip(form.args, form.attribute[0])) if form.is_sum else {form: 1}
        own = next((term for term in coefficients if self._divisors(term) is not None), None)
        if own is None:
            return unknown
        rate = coefficients[own]
        rest = graph.sub(form, graph.scale(rate, own))
        bounds = self.bounds(rest) if self.loop not in rest.axes else None
        if bounds is None:
            return unknown
        least = bounds[1 if inside else 0]
        divisors = self._divisors(own) or ()
        divisor = graph.mul(*divisors) if divisors else graph.const(1)
        if rate > 0:
            last = graph.neg(least) if rate == 1 else quotient(graph, graph.neg(least), rate)
            end = graph.mul(graph.add(last, graph.const(1)), divisor)
            found = whole[0], extreme(graph, "min", whole[1], end)
        else:
            first = least if rate == -1 else graph.neg(quotient(graph, graph.neg(least), -rate))
            found = extreme(graph, "max", whole[0], graph.mul(first, divisor)), whole[1]
        is_positive = graph.all(*(graph.compare(">", one, graph.const(0)) for one in divisors))
        return graph.where(is_positive, found[0], unknown[0]), graph.where(is_positive, found[1], unknown[1])

    def _divisors(self, term: Node) -> tuple[Node, ...] | None:
        """What the loop's index is divided by, one after the other, each one number for the tile."""
        if term is self.graph.index(self.loop):
            return ()
        if term.kind != "map" or term.op != "floordiv" or term.args[1].axes:
            return None
        inner = self._divisors(term.args[0])
        return None if inner is None else (*inner, term.args[1])


__all__ = ["BOOL", "Corners", "TileAnalysis", "TileClasses", "classify", "corners", "long_corners"]
