"""Graph -> graph: rebuilding nodes from new operands, replacing nodes, and reading a value at other indices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from .axis import Axis
from .graph import Graph
from .joined import read_joined, whole_position
from .node import INT, Node, reachable


def rebuild(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other operands, in normal form again."""
    if args == node.args:
        return node
    if node.kind == "map":
        return _rebuild_map(graph, node, args)
    if node.kind == "guard":
        return graph.guard(*args)
    if node.kind == "stop":
        return graph.stop(args[0])
    if node.kind == "at":
        return graph.at(args[0], node.attribute, args[1:])
    if node.kind == "reduce":
        return graph.reduce(node.op, node.attribute, *args)
    if node.kind == "read":
        return graph.read(node.attribute, args)
    if node.kind == "scan":
        axis, is_reverse, is_exclusive = node.attribute
        if node.is_rank and node.type == INT:
            return graph.rank(axis, *args)
        return graph.scan(node.op, axis, args, is_reverse, is_exclusive)
    if node.kind == "root":
        f, slope, low, high = args
        if node.is_least:
            return graph.least(node.attribute, f, low, high)
        return graph.root(node.attribute, f, slope, low, high)
    if node.kind == "recur":
        recurrence, place = node.attribute
        return graph.recur(recurrence, place, args)
    if node.kind == "join":
        return graph.join(node.attribute, args)
    if node.kind == "opaque":
        axes, label, key = node.attribute
        gone = frozenset().union(*(a.axes for a in node.args)) - frozenset().union(*(a.axes for a in args))
        new = frozenset().union(*(a.axes for a in args)) - frozenset().union(*(a.axes for a in node.args))
        return graph.opaque(node.op, args, (axes - gone) | new, node.type, label, key)
    raise AssertionError(f"a {node.kind} has no operands")


def _rebuild_map(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node:
    op = node.op
    if op == "add":
        coefficients, constant = node.attribute
        whole = graph.const(constant)
        return graph.combine([*zip(coefficients, args), (1, whole)])
    if op == "mul":
        return graph.product(list(zip(args, node.attribute)))
    if op in _CONSTRUCTORS:
        return _CONSTRUCTORS[op](graph, *args)
    return graph.map(op, args, node.type, node.attribute)


_CONSTRUCTORS: dict[str, Callable[..., Node]] = {
    "and": lambda g, *args: g.all(*args),
    "or": lambda g, *args: g.any(*args),
    "not": lambda g, a: g.negate(a),
    "at_most_zero": lambda g, a: g.at_most_zero(a),
    "equal_zero": lambda g, a: g.equal_zero(a),
    "less": lambda g, a, b: g.compare("<", a, b),
    "at_most": lambda g, a, b: g.compare("<=", a, b),
    "equal": lambda g, a, b: g.compare("==", a, b),
    "where": lambda g, c, a, b: g.where(c, a, b),
    "to_float": lambda g, a: g.to_float(a),
    "exp": lambda g, a: g.exp(a),
    "log": lambda g, a: g.log(a),
}


class Rewriter:
    """Replaces nodes, operands first, remembering what became of each.

    `visit(node)` is called with the rebuilt node and may return another; `replaced` fixes results beforehand, and
    what is replaced is not descended into.
    """

    def __init__(
        self,
        graph: Graph,
        visit: Callable[[Node], Node] | None = None,
        replaced: Mapping[Node, Node] | None = None,
    ) -> None:
        self.graph = graph
        self.visit = visit
        self.done: dict[Node, Node] = dict(replaced or {})

    def __call__(self, root: Node) -> Node:
        for node in self._pending(root):
            built = rebuild(self.graph, node, tuple(self.done[arg] for arg in node.args))
            self.done[node] = self.visit(built) if self.visit else built
        return self.done[root]

    def all(self, roots: Iterable[Node]) -> list[Node]:
        return [self(root) for root in roots]

    def _pending(self, root: Node) -> list[Node]:
        seen: set[Node] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in seen and node not in self.done:
                seen.add(node)
                stack.extend(node.args)
        return sorted(seen)


def substitute(graph: Graph, root: Node, positions: Mapping[Axis, Node], kept: Collection[Node] = ()) -> Node:
    """`root` with each of these axes read at a position; binders that would capture one are renamed. Values that are
    `kept` are not rewritten but read there."""
    positions = {axis: p for axis, p in positions.items() if axis in root.axes and p is not graph.index(axis)}
    return _Substitution(graph, positions, kept).visit(root) if positions else root


class _Substitution:
    def __init__(self, graph: Graph, positions: Mapping[Axis, Node], kept: Collection[Node] = ()) -> None:
        self.graph = graph
        self.positions = positions
        self.kept = kept
        self.incoming: frozenset[Axis] = frozenset().union(*(p.axes for p in positions.values()))
        self.done: dict[Node, Node] = {}

    def visit(self, root: Node) -> Node:
        for node in reachable([root]):
            if node not in self.done:
                self.done[node] = self._one(node)
        return self.done[root]

    def _one(self, node: Node) -> Node:
        if not any(axis in self.positions for axis in node.axes):
            return node
        if node.kind == "index":
            position = self.positions[node.attribute]
            return whole_position(self.graph, node.attribute, position) if node.attribute.parts else position
        if node.kind == "join" and node.attribute in self.positions:
            args = tuple(self.done[arg] for arg in node.args)
            return read_joined(self.graph, node.attribute, args, self.positions[node.attribute])
        if node.kind in ("root", "recur") or node in self.kept:  # it is solved once, and read at other indices
            axes = tuple(axis for axis in self.positions if axis in node.axes)
            return self.graph.at(node, axes, tuple(self.positions[axis] for axis in axes))
        if node.is_rank and node.type == INT:
            return self._rank(node)
        if node.kind == "scan" and node.attribute[0] in self.positions:
            axis, is_reverse, is_exclusive = node.attribute
            position = self.positions[axis]
            assert position.kind == "index", "a scan at another position"
            args = tuple(self.done[arg] for arg in node.args)
            return self.graph.scan(node.op, position.attribute, args, is_reverse, is_exclusive)
        if node.kind == "at" and not any(axis in self.positions for axis in node.args[0].axes - set(node.attribute)):
            return self.graph.at(node.args[0], node.attribute, tuple(self.done[arg] for arg in node.args[1:]))
        if node.bound and any(axis in self.positions or axis in self.incoming for axis in node.bound):
            return self._rename_binder(node)
        return rebuild(self.graph, node, tuple(self.done[arg] for arg in node.args))

    def _rank(self, node: Node) -> Node:
        """Its operands bind its axis: at another position, its own value is read there."""
        graph, axis = self.graph, node.attribute[0]
        position = self.positions.get(axis, graph.index(axis))
        others = {other: p for other, p in self.positions.items() if other is not axis}
        taken = (node.axes - {axis}).union(*(p.axes for p in others.values()))
        if position.kind == "index" and position.attribute not in taken:
            return graph.rank(position.attribute, *(self.done[arg] for arg in node.args))
        fresh = graph.fresh(axis)
        renamed = (substitute(graph, arg, {axis: graph.index(fresh)}, self.kept) for arg in node.args)
        whole = graph.rank(fresh, *(substitute(graph, arg, others, self.kept) for arg in renamed))
        return graph.at(whole, (fresh,), (position,))

    def _rename_binder(self, node: Node) -> Node:
        graph = self.graph
        fresh = {axis: graph.fresh(axis) for axis in node.bound}
        renaming = {axis: graph.index(new) for axis, new in fresh.items()}
        axes = tuple(fresh[axis] for axis in node.bound)
        if node.kind == "at":
            return graph.at(self._within(node.args[0], renaming), axes, tuple(self.done[arg] for arg in node.args[1:]))
        body, domain = (self._within(arg, renaming) for arg in node.args)
        return graph.reduce(node.op, axes, body, domain)

    def _within(self, node: Node, renaming: Mapping[Axis, Node]) -> Node:
        return substitute(self.graph, substitute(self.graph, node, renaming, self.kept), self.positions, self.kept)
