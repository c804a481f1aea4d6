"""Where a mask compares coordinates of tokens (rows and columns of a grid, remainders): an order of the tokens in which
those that see one another lie together, so that few tiles hold pairs.

Tokens are sorted by coordinates that a pair must share, then by cells of the others: blocks of a grid. Only sizes and
parameters decide, so an order is made once for each of their values. Nothing of this changes what is computed: see
reordering.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..ir import Axis, Graph, Node
from ..ir.logic import conjuncts
from ..ir.node import INT, reachable
from ..ir.rewrite import substitute
from ..ir.roles import LENGTH, Roles
from ..ir.scans import find_scan

Results = Mapping[str, tuple[Node, tuple[Axis, ...]]]
_ORDERLY = ("map", "guard", "stop", "reduce")
_COORDINATE = ("floordiv", "mod")


@dataclass(frozen=True)
class TokenOrder:
    """How the tokens of one length are sorted. `shared` and `near` are coordinates, integers over `axis`: those of a
    pair must be equal, or are compared; `axes` are all that run over the length, `moved` the tensors whose dimension
    does, `results` the results."""

    axis: Axis
    shared: tuple[Node, ...]
    near: tuple[Node, ...]
    axes: frozenset[Axis]
    moved: tuple[tuple[str, int], ...]
    results: tuple[tuple[str, int], ...]

    @property
    def coordinates(self) -> tuple[Node, ...]:
        return (*self.shared, *self.near)


@dataclass(frozen=True)
class TokenOrders:
    """An order for each length whose tokens may be sorted. `pairs` says which pairs of a row and a column exist, in
    the first reduction that an order is for."""

    orders: tuple[TokenOrder, ...] = ()
    pairs: Node | None = None
    row: Axis | None = None
    column: Axis | None = None


def find_token_orders(graph: Graph, results: Results, roles: Roles) -> TokenOrders:
    """None where no mask compares coordinates, or where what is computed depends on the order of tokens."""
    nodes = reachable([node for node, _ in results.values()])
    found: dict[Node, _Coordinates] = {}
    over_pairs = [n for n in nodes if n.kind == "reduce" and len(roles.axes(n.domain.axes, LENGTH)) > 1]
    for condition in (one for node in over_pairs for one in sorted(conjuncts(node.domain))):
        for coordinate, is_shared in _coordinates(condition, roles):
            (axis,) = roles.axes(coordinate.axes, LENGTH)
            found.setdefault(axis.size, _Coordinates(graph, axis)).add(coordinate, is_shared)
    for size, one in found.items():
        sides = max(sum(axis.size is size for axis in roles.axes(node.domain.axes, LENGTH)) for node in over_pairs)
        one.keep_those_of(min(sides, 2))
    sizes = {size for size, one in found.items() if one.is_worth_sorting}
    if not sizes or not all(_is_free_of_order(node, sizes) for node in nodes):
        return TokenOrders()
    learned = (node for node in _learned(results) if node.kind == "reduce" and _over(node.bound, sizes))
    if any(node.op in ("max", "min") for node in learned):
        return TokenOrders()  # ties go to the lowest index
    orders = tuple(found[size].order(nodes, results) for size in found if size in sizes)
    names = [name for order in orders for name, _ in order.moved]
    if len(set(names)) < len(names):
        return TokenOrders()  # a tensor of pairs is too large to be sorted
    for node in over_pairs:
        lengths = roles.axes(node.domain.axes, LENGTH)
        columns = [axis for axis in lengths if axis in node.bound]
        if len(lengths) == 2 and len(columns) == 1 and _over(lengths, sizes):
            (row,) = (axis for axis in lengths if axis not in columns)
            return TokenOrders(orders, node.domain, row, columns[0])
    return TokenOrders(orders)


class _Coordinates:
    """What is compared of the tokens of one length, as functions of one axis."""

    def __init__(self, graph: Graph, axis: Axis) -> None:
        self.graph = graph
        self.axis = axis
        self.shared: dict[Node, set[Axis]] = {}
        self.near: dict[Node, set[Axis]] = {}

    def add(self, coordinate: Node, is_shared: bool) -> None:
        own = next(iter(coordinate.axes))
        moved = substitute(self.graph, coordinate, {own: self.graph.index(self.axis)})
        (self.shared if is_shared else self.near).setdefault(moved, set()).add(own)

    def keep_those_of(self, sides: int) -> None:
        """Where queries and keys are of one length, what is asked of either alone is not compared."""
        for kind in (self.shared, self.near):
            for coordinate in [one for one, axes in kind.items() if len(axes) < sides]:
                del kind[coordinate]

    @property
    def is_worth_sorting(self) -> bool:
        """Quotients of an index grow with it, remainders do not."""
        return any(node.op == "mod" for one in (*self.shared, *self.near) for node in reachable([one]))

    def order(self, nodes: Iterable[Node], results: Results) -> TokenOrder:
        size = self.axis.size
        axes = {axis for node in nodes for axis in (*node.axes, *node.bound) if axis.size is size}
        moved: dict[tuple[str, int], None] = {}
        for node in nodes:
            if node.kind == "read" and node.attribute.origin == "input":
                moved |= {
                    (node.attribute.name, place): None
                    for place, position in enumerate(node.args)
                    if position.axes & axes
                }
        of_results = [
            (name, place) for name, (_, own) in results.items() for place, axis in enumerate(own) if axis.size is size
        ]
        near = tuple(one for one in self.near if one not in self.shared)
        return TokenOrder(self.axis, tuple(self.shared), near, frozenset(axes), tuple(moved), tuple(of_results))


def _coordinates(condition: Node, roles: Roles) -> Iterator[tuple[Node, bool]]:
    """Coordinates that a condition on pairs compares, and whether those of a pair must be equal."""
    if condition.kind == "map" and condition.op == "equal_zero" and condition.args[0].is_sum:
        coefficients, constant = condition.args[0].attribute
        terms = [term for term in condition.args[0].args if _is_of_one(term, roles)]
        axes = {axis for term in terms for axis in term.axes}
        if sorted(coefficients) == [-1, 1] and not constant and len(axes) == len(terms) == 2:
            yield from ((term, True) for term in terms if term.kind != "index" and _is_computed_of_index(term))
            return
    yield from ((node, False) for node in _grid_coordinates(condition, roles))


def _grid_coordinates(root: Node, roles: Roles) -> Iterator[Node]:
    """The largest quotients and remainders of an index that are compared, but for those that tensors are read at."""
    if _is_of_one(root, roles) and root.kind == "map" and root.op in _COORDINATE and _is_computed_of_index(root):
        yield root
        return
    if root.kind != "read":
        for arg in root.args:
            yield from _grid_coordinates(arg, roles)


def _is_of_one(node: Node, roles: Roles) -> bool:
    return len(node.axes) == 1 and len(roles.axes(node.axes, LENGTH)) == 1 and node.type == INT


def _is_computed_of_index(root: Node) -> bool:
    """Whether it is found from an index and numbers, with whole-number arithmetic."""
    return all(
        node.kind in ("index", "const", "param", "size")
        or (node.kind == "map" and node.type == INT and (node.is_sum or node.is_product or node.op in _COORDINATE))
        for node in reachable([root])
    )


def _over(axes: Iterable[Axis], sizes: set[Node]) -> bool:
    return any(axis.size in sizes for axis in axes)


def _is_free_of_order(node: Node, sizes: set[Node]) -> bool:
    """Whether a node means the same for tokens in another order: what is read at an index is read at the index itself,
    all along the axis, and nothing is carried from one token to the next."""
    if node.kind == "read":
        bare = (position.kind == "index" for position in node.args)
        sizes_read = zip(node.args, node.attribute.sizes, bare)
        return all(
            is_bare or not (_over(position.axes, sizes) or size in sizes) for position, size, is_bare in sizes_read
        ) and (node.attribute.origin in ("input", "unknown") or not _over(node.axes, sizes))
    if not node.args or not _over((*node.axes, *node.bound), sizes):
        return True
    if node.kind == "at":
        return not _over((*node.bound, *(axis for position in node.args[1:] for axis in position.axes)), sizes)
    return node.kind == "root" or (
        node.kind in _ORDERLY and node.op not in ("argmax", "prod") and find_scan(node) is None
    )


def _learned(results: Results) -> Iterator[Node]:
    """Nodes that a derivative passes through."""
    seen: set[Node] = set()
    stack = [node for node, _ in results.values()]
    while stack:
        node = stack.pop()
        if node not in seen and node.kind != "stop":
            seen.add(node)
            stack.extend(node.args)
    yield from seen
