"""A group of statistics -> a pass: its grid, what a worker goes through in order, terms, phases and tile classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..analysis.groups import at_group, group_of, known_groups
from ..analysis.streaming import Move
from ..analysis.tile_reads import Summarise
from ..analysis.tiles import TileClasses, classify
from ..analysis.weights import MUL
from ..ir import Axis, Graph, Node, Tensor
from ..ir.axis import in_order
from ..ir.logic import conjuncts
from ..ir.node import walk
from ..ir.rewrite import Rewriter
from ..ir.roles import LENGTH, OUTER, SPLITS, WIDTH, Roles
from .carried import scans_below
from .levels import Group
from .plan import FREE, LOOP, ROW, TILE, Accumulator, Pass, Rescale, Sequential, Store
from .statistics import position_of, scattered
from .terms import make_terms

if TYPE_CHECKING:
    from .planner import Target


class PassBuilder:
    """Builds one pass. `nodes` maps each statistic as rewritten so far to the node that the pass accumulates."""

    def __init__(
        self,
        graph: Graph,
        roles: Roles,
        group: Group,
        members: dict[Node, Node],
        moves: dict[Node, tuple[Move, ...]],
        unknown: Node | None = None,
        summarise: Summarise | None = None,
    ) -> None:
        assert group.shape.loop is not None
        self.graph = graph
        self.roles = roles
        self.group = group
        self.unknown = unknown
        self.summarise = summarise
        self.row = group.shape.row
        self.loop: Axis = group.shape.loop
        self.members = members
        self.moves = moves
        self.main = [members[m] for m in group.members] or list(members.values())
        self.heads = self._find_heads()
        self.grid = self._grid()
        self.told = self._find_told()
        self.nodes: dict[Node, Node] = {}
        self.split: Axis | None = None

    # --- heads and the grid ------------------------------------------------------------------------------------

    def _find_heads(self) -> dict[Axis, tuple[Axis, Node]]:
        """Heads that are gone through within their group: head -> (group, heads in a group)."""
        found: dict[Axis, tuple[Axis, Node]] = {}
        for member in self.main:
            for condition in conjuncts(member.domain):
                item = group_of(condition, self.roles)
                if item is not None and item[0] in member.attribute:
                    found[item[0]] = (item[1], item[2])
        return found

    def _find_told(self) -> dict[Axis, tuple[Axis, Node]]:
        """Groups that the pass knows by its head, which runs in parallel: group -> (head, heads in a group)."""
        conditions = [condition for member in self.members.values() for condition in conjuncts(member.domain)]
        found = [group_of(condition, self.roles) for condition in conditions]
        return {i[1]: (i[0], i[2]) for i in found if i is not None and i[0] in self.grid and i[1] not in self.grid}

    def _is_settled(self, condition: Node) -> bool:
        """Whether it only ties a head to its group, where one of the two is gone through within the other."""
        item = group_of(condition, self.roles)
        return item is not None and (item[0] in self.heads or item[1] in self.told)

    def _settle_told(self, node: Node) -> Node:
        for group, (head, count) in self.told.items():
            position = self.graph.map("floordiv", (self.graph.index(head), count), "int")
            node = at_group(self.graph, node, head, group, position)
        return node

    def _grid(self) -> tuple[Axis, ...]:
        """Outer and further length axes that run in parallel: those that all row, loop and pair results keep."""
        tiles = {self.row, self.loop}
        axes = {a for a in self.group.shape.kept if a not in tiles}
        if not self.group.members:
            axes = {a for node in self.group.stored for a in node.axes if self._is_outer(a)} or axes
        return in_order(frozenset(axes))

    def _is_outer(self, axis: Axis) -> bool:
        return self.roles.of(axis) == OUTER or (self.roles.of(axis) == LENGTH and axis not in (self.row, self.loop))

    def settle_groups(self, node: Node, keep: frozenset[Node] = frozenset()) -> Node:
        """Within a pass over heads of one group, `head // heads in a group` is the group."""
        return known_groups(self.graph, node, self.heads, keep) if self.heads else node

    # --- building ----------------------------------------------------------------------------------------------

    def build(self, stored: list[tuple[Target, Node]]) -> Pass:
        accumulators = self._accumulators()
        owns_rows = any(a.home in (LOOP, FREE) for a in accumulators)
        if owns_rows and self.row is not None:
            self.split = self.graph.axis("worker", self.graph.size(SPLITS))
        tile_stores = tuple(Store(target.tensor, target.axes, self.settle_groups(node)) for target, node in stored)
        scans = self._scans(accumulators, tile_stores)
        assert all(scan.attribute[0] is self.loop for scan in scans), "a scan along rows"
        domains = [a.domain for a in accumulators] + [self.graph.true for _ in tile_stores]
        domains += [scan.domain for scan in scans]
        assert domains, "sums over several lengths at once that no pass holds"
        return Pass(
            self.row,
            self.loop,
            self.grid,
            self._sequential(accumulators, tile_stores),
            owns_rows,
            self.split,
            tuple(accumulators),
            tile_stores,
            self.graph.any(*domains),
            self._classes(domains),
            (),
            is_reverse=_runs_in_reverse(scans),
        )

    def _scans(self, accumulators: list[Accumulator], stores: tuple[Store, ...]) -> list[Node]:
        """Those that the pass carries."""
        values = [term.tile for accumulator in accumulators for term in accumulator.terms]
        values += [accumulator.domain for accumulator in accumulators] + [store.node for store in stores]
        values += [position for accumulator in accumulators for _, position in accumulator.scattered]
        return sorted({scan for value in values for scan in scans_below(value, self.roles)})

    def _accumulators(self) -> list[Accumulator]:
        out: list[Accumulator] = []
        phases: dict[Node, int] = {}
        final: dict[Node, Node] = {}
        originals = {now: old for old, now in self.members.items()}
        for member in sorted(set(self.members.values())):
            body = self.settle_groups(Rewriter(self.graph, replaced=final)(member.body), frozenset(final.values()))
            domain = self.settle_groups(member.domain)
            phase = 1 + max((phases[n] for n in walk(body) if n in phases), default=-1)
            accumulator = self._accumulator(member, body, domain, phase, self.moves.get(originals[member], ()), final)
            phases[accumulator.node] = phase
            final[member] = accumulator.node
            self.nodes[member] = accumulator.node
            out.append(accumulator)
        return out

    def _accumulator(
        self, member: Node, body: Node, domain: Node, phase: int, moves: tuple[Move, ...], final: dict[Node, Node]
    ) -> Accumulator:
        graph = self.graph
        node = graph.reduce_as_is(member.op, member.attribute, body, domain)
        scattered_to = scattered(node, self.roles)
        gone = {condition for _, condition in scattered_to}
        domain = graph.all(*(c for c in conjuncts(domain) if c not in gone and not self._is_settled(c)))
        body, domain = self._settle_told(body), self._settle_told(domain)
        positions = tuple((axis, position_of(graph, axis, condition)) for axis, condition in scattered_to)
        widths = self._widths(node, positions)
        home = FREE if positions else self._home(node)
        terms = make_terms(graph, node.op, body, home, self.row, self.loop, widths, bool(positions))
        swap = Rewriter(graph, replaced=final)
        rescales = tuple(
            Rescale(
                self.settle_groups(swap(m.anchor), frozenset(final.values())), m.by, node.op != "sum", m.kind == MUL
            )
            for m in moves
        )
        return Accumulator(node, node.op, home, domain, terms, widths, phase, rescales, positions)

    def _widths(self, node: Node, positions: tuple[tuple[Axis, Node], ...]) -> tuple[Axis, ...]:
        scattered_axes = {axis for axis, _ in positions}
        return tuple(
            axis for axis in in_order(node.axes) if self.roles.of(axis) == WIDTH and axis not in scattered_axes
        )

    def _home(self, node: Node) -> str:
        row = self.row is None or self.row in node.axes
        loop = self.loop in node.axes
        if row and loop and self.row is not None:
            return TILE
        return ROW if row and not loop and self._keeps_grid(node) else LOOP if loop else FREE

    def _keeps_grid(self, node: Node) -> bool:
        told = {group for head, (group, _) in self.heads.items() if head in node.attribute}
        return all(axis in node.axes or axis in told for axis in self.grid)

    def storage_axes(self, accumulator: Accumulator) -> tuple[Axis, ...]:
        """Kept axes and those of the grid, so that each worker has a place of its own; a group whose head is kept is
        told by the head."""
        kept = accumulator.node.axes
        known = {group for head, (group, _) in self.heads.items() if head in kept} | self.told.keys()
        workers = frozenset((self.split,)) if self.split is not None else frozenset()
        return self.roles.memory_order((kept | frozenset(self.grid) | workers) - known)

    def _sequential(self, accumulators: list[Accumulator], stores: tuple[Store, ...]) -> tuple[Sequential, ...]:
        graph = self.graph
        used: set[Axis] = set()
        for accumulator in accumulators:
            used |= {a for a in (*accumulator.node.attribute, *accumulator.node.axes) if self._is_outer(a)}
        for store in stores:
            used |= {a for a in store.node.axes if self._is_outer(a)}
        scattered_axes = {axis for a in accumulators for axis, _ in a.scattered}
        out = []
        for axis in sorted(
            used - set(self.grid) - scattered_axes - self.told.keys(), key=lambda a: (a in self.heads, a.number)
        ):
            if axis in self.heads:
                group, count = self.heads[axis]
                low = graph.mul(graph.index(group), count)
                out.append(Sequential(axis, low, graph.add(low, count)))
            else:
                out.append(Sequential(axis, graph.const(0), axis.size))
        return tuple(out)

    def _classes(self, domains: list[Node]) -> TileClasses:
        graph = self.graph
        if self.unknown is not None:  # no bound of tiles can be told by what changes from step to step
            sizes = (*self.unknown.attribute.sizes, self.loop.size)
            changing = Tensor("unknown of pairs", sizes, self.unknown.type, "unknown")
            of_pairs = graph.read(changing, (*self.unknown.args, graph.index(self.loop)))
            domains = Rewriter(graph, replaced={self.unknown: of_pairs}).all(domains)
        widths = frozenset(axis for domain in domains for axis in domain.axes if self.roles.of(axis) == WIDTH)
        parts = [
            classify(graph, domain, self.row, self.loop, widths, self.summarise) for domain in dict.fromkeys(domains)
        ]
        first = parts[0]
        if len(parts) == 1:
            return first
        low, high, inner_low, inner_high = first.low, first.high, first.inner_low, first.inner_high
        for part in parts[1:]:
            low, high = graph.map("min", (low, part.low), "int"), graph.map("max", (high, part.high), "int")
            inner_low = graph.map("max", (inner_low, part.inner_low), "int")
            inner_high = graph.map("min", (inner_high, part.inner_high), "int")
        unknown = tuple(dict.fromkeys(node for part in parts for node in part.unknown))
        may = graph.any(*(part.may for part in parts))
        must = graph.all(*(part.must for part in parts))
        may_long = graph.any(*(part.may_long for part in parts))
        return TileClasses(may, must, low, high, inner_low, inner_high, unknown, may_long)


def _runs_in_reverse(scans: list[Node]) -> bool:
    """Which way most scans are carried; sums all run one way."""
    sums = [scan for scan in scans if scan.op in ("sum", "rest")]
    ways = [scan.attribute[1] for scan in sums or scans if not scan.is_rank]
    return ways.count(True) > ways.count(False)
