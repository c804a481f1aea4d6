"""`top`, `rank` and `order`: which entries come first in descending order, ties to the lower index.

Over features and heads, and for the rank of one entry per key, what comes before an entry is summed up for each. Over
the keys of a row nothing is sorted: the last number that is kept is searched for (`least`), and among its equals the
last index. Entries are then told by bounds half-way to the neighbouring numbers, so that scores which a later pass
rounds otherwise are told alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from attnc.grammar import tree

from ..ir import Axis, Graph, Node, Tensor
from ..ir.axis import in_order
from ..ir.joined import start_of
from ..ir.node import BOOL, FLOAT, INT, reachable
from ..ir.rewrite import substitute
from ..ir.roles import LENGTH, OUTER, WIDTH, Roles, find_roles
from .environment import Environment
from .expressions import integer
from .reading import read_moved
from .value import Value
from .vectors import align

_INFINITE = float("inf")


@dataclass(frozen=True)
class Entries:
    """What is put in order: x along an axis, within a domain."""

    env: Environment
    axis: Axis
    x: Node
    domain: Node

    @property
    def graph(self) -> Graph:
        return self.env.scope.graph

    @property
    def roles(self) -> Roles:
        return find_roles(declared.tensor.sizes for declared in self.env.scope.inputs.values())

    @property
    def is_searched(self) -> bool:
        return self.roles.of(self.axis) == LENGTH

    @property
    def position(self) -> Node:
        """That of an entry; on a joined axis, the first part's entries come first."""
        graph, axis = self.graph, self.axis
        if not axis.parts:
            return graph.index(axis)
        places = [graph.add(graph.index(part.own), start_of(graph, axis, n)) for n, part in enumerate(axis.parts)]
        return graph.join(axis, tuple(places))

    @property
    def is_pairwise(self) -> bool:
        return len(self.roles.axes(self.x.axes | {self.axis}, LENGTH)) > 1

    def total(self, value: Node, condition: Node) -> Node:
        """Of a number, over the entries where a condition holds."""
        return self.graph.reduce("sum", (self.axis,), value, self.graph.all(self.domain, condition))


def kept(entries: Entries, weight: Node, limit: Node) -> Node:
    """Whether the weights that come before an entry sum to less than the limit."""
    if not entries.is_searched:
        return entries.graph.compare("<", _sum_before(entries, weight), limit)
    return _Search(entries, weight, limit).is_kept()


def index_of(entries: Entries, rank: Node) -> Node:
    """The index of a rank, -1 past the end."""
    graph, axis = entries.graph, entries.axis
    if not entries.is_searched or not (rank.is_const(0) or entries.is_pairwise or axis.parts):
        own = graph.compare("==", _sum_before(entries, graph.const(1)), rank)
        return graph.sub(entries.total(graph.add(entries.position, graph.const(1)), own), graph.const(1))
    if rank.is_const(0) and not axis.parts:
        return graph.reduce("argmax", (axis,), entries.x, entries.domain)
    search = _Search(entries, graph.const(1), graph.add(rank, graph.const(1)))
    exists = graph.compare("<", rank, entries.total(graph.const(1), graph.true))
    return graph.where(exists, graph.sub(search.end(always=True), graph.const(1)), graph.const(-1))


def _sum_before(entries: Entries, weight: Node) -> Node:
    """The sum of the weights before an entry, over another index of its axis. It is not before itself, however both
    sides are rounded."""
    graph, axis, env = entries.graph, entries.axis, entries.env
    twin = graph.axis(axis.name, axis.size)
    moves = {axis: graph.index(twin)}
    other, domain, w = (read_moved(env, node, moves) for node in (entries.x, entries.domain, weight))
    own, there = graph.index(axis), graph.index(twin)
    more = graph.all(graph.compare(">", other, entries.x), graph.compare("!=", there, own))
    before = graph.any(more, graph.all(graph.compare("==", other, entries.x), graph.compare("<", there, own)))
    return graph.reduce("sum", (twin,), w, graph.all(domain, before))


class _Search:
    """The bounds between what is kept of a row and what is not."""

    def __init__(self, entries: Entries, weight: Node, limit: Node) -> None:
        graph, x = entries.graph, entries.x
        self.entries = entries
        self.graph = graph
        self.weight = graph.to_float(weight)
        self.limit = limit
        axes = (x.axes | weight.axes | limit.axes | entries.domain.axes) - {entries.axis}
        self.depth = _depth([x, weight, limit, entries.domain])
        number = self._unknown("threshold", axes, FLOAT)
        above = entries.total(self.weight, graph.compare(">", x, number))
        infinite = graph.const(_INFINITE)
        self.threshold = graph.least(number.attribute, self._is_below(above), graph.const(-_INFINITE), infinite)
        self.low, self.high = self._bounds()

    def _is_below(self, weights: Node) -> Node:
        graph = self.graph
        return graph.compare("<", weights, graph.to_float(self.limit))

    def _unknown(self, name: str, axes: frozenset[Axis], type: str) -> Node:
        ordered = in_order(axes)
        tensor = Tensor(f"{name} {self.depth}", tuple(axis.size for axis in ordered), type, "unknown")
        return self.graph.read(tensor, tuple(self.graph.index(axis) for axis in ordered))

    def _bounds(self) -> tuple[Node, Node]:
        """Half-way from the threshold to the numbers next to it."""
        graph, entries, t = self.graph, self.entries, self.threshold
        less, more = (graph.compare(order, entries.x, t) for order in ("<", ">"))
        below = graph.reduce("max", (entries.axis,), entries.x, graph.all(entries.domain, less))
        above = graph.reduce("min", (entries.axis,), entries.x, graph.all(entries.domain, more))
        step = graph.map("max", (graph.map("abs", (t,), FLOAT), graph.const(1.0)), FLOAT)
        half = [graph.add(graph.scale(0.5, other), graph.scale(0.5, t)) for other in (below, above)]
        low = graph.where(graph.compare("<", half[0], t), half[0], below)
        high = graph.where(graph.compare("<", half[1], above), half[1], t)
        low = graph.where(graph.compare("==", below, graph.const(-_INFINITE)), graph.sub(t, step), low)
        return low, graph.where(graph.compare("==", above, graph.const(_INFINITE)), graph.add(t, step), high)

    def end(self, always: bool = False) -> Node:
        """Where among entries equal to the threshold the kept ones end; found only where it matters, or `always`."""
        graph, entries = self.graph, self.entries
        end = self._unknown("end", self.threshold.axes, INT)
        weights = entries.total(self.weight, graph.any(self._is_more(), graph.all(self._is_equal(), self._before(end))))
        first = graph.const(0)
        if not always:
            equal = entries.total(graph.const(1.0), graph.compare("==", entries.x, self.threshold))
            first = graph.where(graph.compare("<", equal, graph.const(1.5)), entries.axis.size, first)
        return graph.least(end.attribute, graph.negate(self._is_below(weights)), first, entries.axis.size)

    def is_kept(self) -> Node:
        return self.graph.any(self._is_more(), self.graph.all(self._is_equal(), self._before(self.end())))

    def _is_more(self) -> Node:
        return self.graph.compare(">", self.entries.x, self.high)

    def _is_equal(self) -> Node:
        """Equal to the threshold, or more."""
        lowest = self.graph.compare("==", self.threshold, self.graph.const(-_INFINITE))
        return self.graph.any(lowest, self.graph.compare(">", self.entries.x, self.low))

    def _before(self, end: Node) -> Node:
        return self.graph.compare("<", self.entries.position, end)


def _depth(nodes: list[Node]) -> int:
    """How many roots stand within one another: by it their unknowns differ."""
    depths: dict[Node, int] = {}
    for node in reachable(nodes):
        depths[node] = max((depths[arg] for arg in node.args), default=0) + (node.kind == "root")
    return max((depths[node] for node in nodes), default=0)


# --- calls ---------------------------------------------------------------------------------------------------------


def top(expr: tree.Call, env: Environment) -> Value:
    """`top[j](x, n, by=w)`; without weights, each entry counts 1."""
    from .calls import arguments_of, over_one

    axes, domain = over_one(expr, env)
    values = arguments_of(expr, env.inside(axes), ("x", "n"), ("by",))
    graph = env.scope.graph
    vector = align(env, tuple(values), "top", tuple(argument.value.span for argument in expr.arguments))
    x, limit = values[0].node, values[1].node
    weight = values[2].node if len(values) > 2 else graph.const(1)
    entries = _entries(env, axes, x, domain)
    if entries is None or limit.axes & frozenset(axes) or _has_widths(entries, weight, limit):
        free = frozenset(axes).union(*(value.node.axes for value in values))
        label = f"'top' {_kind(axes, entries, limit, weight)}"
        return Value(graph.opaque("top", (x, limit, weight, *domain), free, BOOL, label, axes), vector)
    found = kept(entries, graph.to_type(weight, _number(weight)), limit)
    return Value(graph.all(entries.domain, found), vector)


def _kind(axes: tuple[Axis, ...], entries: Entries | None, *others: Node) -> str:
    """What is put in order, where that is not one length of numbers."""
    if len(axes) > 1:
        return "over several axes"
    if entries is None:
        return "over a joined axis of features"
    return "of vectors" if _has_widths(entries) else "for several numbers of a row"


def _number(weight: Node) -> str:
    return INT if weight.type == BOOL else weight.type


def order(expr: tree.Call, env: Environment) -> Value:
    """`order[j](x, r)`: the index of rank r."""
    from .calls import arguments_of, over_one

    axes, domain = over_one(expr, env)
    value, rank = arguments_of(expr, env.inside(axes), ("x", "r"))
    vector = align(env, (value, rank), "order", tuple(argument.value.span for argument in expr.arguments))
    entries = _entries(env, axes, value.node, domain)
    place = integer(expr.arguments[1].value, env.inside(axes), "a rank") if rank.type != INT else rank.node
    each = _few_ranks(entries, place) if entries is not None else None
    if entries is not None and each is not None:
        return Value(_chosen(entries, place, each), vector)
    if entries is None or place.axes & frozenset(axes) or (_has_widths(entries, place) and not _is_ranked(entries)):
        free = (value.node.axes - frozenset(axes)) | place.axes
        label = f"'order' {_kind(axes, entries, place)}"
        return Value(env.scope.graph.opaque("order", (value.node, place, *domain), free, INT, label, axes), vector)
    if _is_ranked(entries) and _has_places(entries, place):
        return Value(_index_by_rank(entries, place), vector)
    return Value(index_of(entries, place), vector)


def _is_ranked(entries: Entries) -> bool:
    """Whether a number is found for every entry of a row."""
    return entries.is_searched and entries.is_pairwise and not entries.axis.parts and not _has_widths(entries)


def _has_places(entries: Entries, place: Node) -> bool:
    """Whether several ranks are asked for in a row."""
    own = entries.x.axes | entries.domain.axes
    return any(entries.roles.of(axis) != OUTER for axis in place.axes - own)


def _index_by_rank(entries: Entries, place: Node) -> Node:
    graph = entries.graph
    rank = graph.rank(entries.axis, entries.x, entries.domain)
    here = graph.equal_zero(graph.sub(rank, place))
    return graph.sub(entries.total(graph.add(entries.position, graph.const(1)), here), graph.const(1))


_MOST_RANKS = 16  # each takes a search of its own


def _few_ranks(entries: Entries, place: Node) -> Axis | None:
    """The axis, of a small constant size, along which ranks are asked for."""
    widths = entries.roles.axes(place.axes, WIDTH)
    if not entries.is_searched or len(widths) != 1 or _has_widths(entries) or entries.axis in place.axes:
        return None
    size = widths[0].size
    return widths[0] if size.kind == "const" and size.attribute <= _MOST_RANKS else None


def _chosen(entries: Entries, place: Node, axis: Axis) -> Node:
    """The index for each of several ranks of a row."""
    graph = entries.graph
    found = graph.const(-1)
    for number in range(axis.size.attribute):
        here = graph.equal_zero(graph.sub(graph.index(axis), graph.const(number)))
        found = graph.where(here, index_of(entries, substitute(graph, place, {axis: graph.const(number)})), found)
    return found


def rank(expr: tree.Call, env: Environment) -> Value:
    """`rank[j](x)`; in a comparison with a number, only the entries on one side of it are told from the others."""
    from .calls import arguments_of, over_one

    axes, domain = over_one(expr, env)
    (value,) = arguments_of(expr, env.inside(axes), ("x",))
    graph = env.scope.graph
    entries = _entries(env, axes, value.node, domain)
    if entries is None or entries.axis.parts or _has_widths(entries):
        free = value.node.axes | frozenset(axes)
        label = f"'rank' {_kind(axes, entries)}" if entries is None or not entries.axis.parts else _OF_JOINED
        return Value(graph.opaque("rank", (value.node, *domain), free, INT, label, axes), value.vector)
    if entries.is_searched and entries.is_pairwise:
        return Value(graph.rank(entries.axis, entries.x, entries.domain), value.vector)
    return Value(_sum_before(entries, graph.const(1)), value.vector)


_OF_JOINED = "'rank' over a joined axis, but in a comparison with a number,"


def _ranked(env: Environment, node: Node) -> tuple[Entries | None, frozenset[Axis]]:
    """What a rank is of, and the axes that it goes over."""
    if node.is_rank:
        axis = node.attribute[0]
        return Entries(env, axis, node.body, node.domain), frozenset((axis,))
    if node.kind == "opaque" and node.op == "rank":
        over = node.attribute[2]
        return _entries(env, over, node.args[0], node.args[1:]), frozenset(over)
    return None, frozenset()


def compare_rank(env: Environment, operator: str, left: Node, right: Node) -> Node | None:
    """A comparison of the rank of a pair with a number; None for any other."""
    turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
    if right.op == "rank":
        left, right, operator = right, left, turned.get(operator, operator)
    graph = env.scope.graph
    entries, over = _ranked(env, left)
    if entries is None or right.type != INT or right.axes & over or _has_widths(entries, right):
        return None
    if left.is_rank and _has_places(entries, right):
        return None

    def first(more: int) -> Node:
        return kept(entries, graph.const(1), graph.add(right, graph.const(more)))

    if operator in ("<", ">="):
        found = first(0)
    elif operator in ("<=", ">"):
        found = first(1)
    else:
        found = graph.all(first(1), graph.negate(first(0)))
    return graph.negate(found) if operator in (">", ">=", "!=") else found


def _entries(env: Environment, axes: tuple[Axis, ...], x: Node, domain: tuple[Node, ...]) -> Entries | None:
    graph = env.scope.graph
    if len(axes) != 1:
        return None
    entries = Entries(env, axes[0], graph.to_float(x), graph.all(*domain))
    return None if axes[0].parts and not entries.is_searched else entries


def _has_widths(entries: Entries, *others: Node) -> bool:
    """Whether features would be put in order one by one, for which no search is made."""
    if not entries.is_searched:
        return False
    axes = frozenset().union(entries.x.axes, *(other.axes for other in others))
    return bool(entries.roles.axes(axes, WIDTH))
