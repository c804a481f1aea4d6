"""When each statistic is computed: its level, and which statistics share a pass.

A statistic stands one level above those it reads, or on the same level and in the same pass where it can follow them
as they run. Two passes of one level over the same tiles, one summing rows and one columns, may become one that owns
its rows and accumulates in both orientations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..analysis.groups import group_of
from ..analysis.streaming import Move, moves
from ..ir import Axis, Graph, Node
from ..ir.logic import conjuncts
from ..ir.node import reachable
from ..ir.roles import WIDTH, Roles
from .carried import scans_below
from .plan import Later
from .statistics import Shape, direct_statistics, scattered, scattered_axes, shape_of, statistics_of


@dataclass
class Group:
    """Statistics of one pass, or (shape without a loop) one nest."""

    level: int
    shape: Shape
    members: list[Node] = field(default_factory=list)
    others: list[Node] = field(default_factory=list)
    stored: list[Node] = field(default_factory=list)

    @property
    def root(self) -> Node | None:
        """The root that the pass solves, alone."""
        return self.members[0] if self.members and self.members[0].kind == "root" else None

    @property
    def recurrence(self) -> Node | None:
        """One of the states of the recurrence that is gone through, alone."""
        return self.members[0] if self.members and self.members[0].kind == "recur" else None


@dataclass
class Schedule:
    """Groups in order, where each statistic is, and how it follows the others of its pass."""

    groups: list[Group]
    group_of: dict[Node, Group]
    moves: dict[Node, tuple[Move, ...]]
    later: list[Later]


def schedule(graph: Graph, roots: list[Node], tiled: list[tuple[Node, Shape]], roles: Roles, both: bool) -> Schedule:
    """Levels and groups of all statistics below the roots. `tiled` are values stored per pair, with their shape."""
    return _Scheduler(graph, roots, tiled, roles, both).run()


class _Scheduler:
    def __init__(
        self, graph: Graph, roots: list[Node], tiled: list[tuple[Node, Shape]], roles: Roles, both: bool
    ) -> None:
        self.graph = graph
        self.roots = roots
        self.tiled = tiled
        self.roles = roles
        self.both = both
        self.level: dict[Node, int] = {}
        self.shape: dict[Node, Shape] = {}
        self.moves: dict[Node, tuple[Move, ...]] = {}
        self.host: dict[Node, Node] = {}
        self.later: list[Later] = []
        self.solved: frozenset[Node] = frozenset()

    def run(self) -> Schedule:
        statistics = statistics_of(self.roots, self.roles)
        self.solved = frozenset(reachable([arg for s in statistics if s.kind == "root" for arg in s.args]))
        for statistic in statistics:
            self._place(statistic)
        groups = self._groups()
        for node, shape in self.tiled:
            self._add_tiled(groups, node, shape)
        if self.both:
            groups = self._join_orientations(groups)
        groups.sort(key=lambda group: group.level)
        where = {node: group for group in groups for node in (*group.members, *group.others)}
        return Schedule(groups, where, self.moves, self.later)

    def _place(self, statistic: Node) -> None:
        graph = self.graph
        shape = shape_of(statistic, self.roles, self.both)
        below = direct_statistics(statistic.args, self.roles)
        level = 0
        if below:
            highest = max(self.level[other] for other in below)
            peers = frozenset(o for o in below if self.level[o] == highest)
            level = highest + 1
            if self._find_host(statistic, shape, peers):
                self.level[statistic], self.shape[statistic] = highest, shape
                return
            can_share = (
                shape.loop is not None and statistic.kind == "reduce" and all(self._matches(o, shape) for o in peers)
            )
            can_share = can_share and not scattered(statistic, self.roles)
            found = moves(graph, statistic, peers) if can_share else None
            if found is not None and not any(self.roles.of(a) == WIDTH for move in found for a in move.anchor.axes):
                level = highest
                self.moves[statistic] = found
            elif shape.loop is not None:
                self._note_later(statistic, shape, peers)
        self.level[statistic] = level
        self.shape[statistic] = shape

    def _note_later(self, statistic: Node, shape: Shape, peers: frozenset[Node]) -> None:
        """Why it cannot run with the last of those that it reads."""
        read = max(peers)
        is_root = read.kind == "root" or statistic.kind == "root"
        if read.kind == "recur" or (self.shape[read].loop is None and not is_root):
            return  # known before any pass
        if is_root:
            reason = "a root is looked for in passes of its own"
        elif self.shape[read] != shape:
            reason = "it goes over other tiles"
        elif read in reachable([statistic.domain]):
            reason = "which pairs it sums up depends on it"
        else:
            reason = "no factor keeps a running sum in step with it"
        self.later.append(Later(statistic, read, reason))

    def _find_host(self, statistic: Node, shape: Shape, peers: frozenset[Node]) -> bool:
        """A search's own pass also takes what another search asks of the pairs once the number is found."""
        host = next(iter(peers))
        if len(peers) > 1 or statistic not in self.solved or statistic.kind != "reduce":
            return False
        if not host.is_least or self.shape[host] != shape:
            return False
        summed = frozenset(axis for axis in statistic.attribute if self.roles.of(axis) != WIDTH)
        if summed - {shape.row, shape.loop} or any(self.roles.of(axis) == WIDTH for axis in statistic.axes):
            return False
        self.host[statistic] = host
        return True

    def _matches(self, peer: Node, shape: Shape) -> bool:
        """Whether a pass of this shape has the peer as it runs; roots and recurrences are known at their end alone."""
        return self.shape[peer] == shape and peer.kind == "reduce"

    def _groups(self) -> list[Group]:
        found: dict[tuple[int, Shape, frozenset[Axis], object], Group] = {}
        for statistic, level in self.level.items():
            alone: object = statistic if statistic.kind == "root" else self.host.get(statistic)
            if statistic.kind == "recur":
                alone = (statistic.attribute[0], statistic.args)
            key = (level, self.shape[statistic], self._further(statistic), alone)
            if key not in found:
                found[key] = Group(level, self.shape[statistic])
            found[key].members.append(statistic)
        return self._place_loose(list(found.values()))

    def _further(self, statistic: Node) -> frozenset[Axis]:
        """Axes that a statistic is summed over beyond its tile: a pass goes through them, for all its statistics."""
        if statistic.kind != "reduce":
            return frozenset()
        shape = self.shape[statistic]
        summed = frozenset(axis for axis in statistic.attribute if self.roles.of(axis) != WIDTH)
        return summed - {shape.row, shape.loop}

    def _run_alike(self, host: Group, guest: Group) -> bool:
        """Whether every statistic keeps or sums each axis that the pass of both would go through."""
        members = [*host.members, *host.others, *guest.members, *guest.others]
        groups = {group for member in members for _, group in groups_in(member, self.roles)}
        own = [self._axes_of(member) | groups for member in members]
        return all(axes == frozenset().union(*own) for axes in own)

    def _axes_of(self, statistic: Node) -> frozenset[Axis]:
        kept = statistic.axes - scattered_axes(statistic, self.roles)
        return frozenset(a for a in (*kept, *statistic.attribute) if self.roles.of(a) != WIDTH)

    def _place_loose(self, groups: list[Group]) -> list[Group]:
        """Statistics that keep no tile axis run along in a pass over the same tiles, where there is one."""
        kept: list[Group] = []
        for group in sorted(groups, key=lambda g: self._is_loose(g)):
            host = next((g for g in kept if self._is_loose(group) and self._hosts(g, group)), None)
            if host is None:
                kept.append(group)
            else:
                host.others += group.members
        return kept

    def _is_loose(self, group: Group) -> bool:
        row, loop = group.shape.row, group.shape.loop
        if loop is None or row is None or loop.streams:
            return False
        return not any(row in member.axes for member in group.members)

    def _hosts(self, host: Group, guest: Group) -> bool:
        tiles = {host.shape.row, host.shape.loop}
        streams = any(self.moves.get(member) for member in (*host.members, *guest.members))
        same_tiles = tiles == {guest.shape.row, guest.shape.loop} and all(m.op == "sum" for m in guest.members)
        if guest.shape.loop is not host.shape.loop and self._carries(guest):
            return False
        fits = (
            host.level == guest.level
            and host.root is None
            and guest.root is None
            and same_tiles
            and not self._is_loose(host)
            and not streams
        )
        return fits and self._run_alike(host, guest)

    def _carries(self, group: Group) -> bool:
        """Whether it reads scans, which only a pass along their own axis carries."""
        return any(scans_below(node, self.roles) for node in (*group.members, *group.others, *group.stored))

    def _add_tiled(self, groups: list[Group], node: Node, shape: Shape) -> None:
        below = direct_statistics([node], self.roles)
        level = max((self.level[other] + 1 for other in below), default=0)
        for group in groups:
            streams = group.root is not None or any(self.moves.get(m) or self._further(m) for m in group.members)
            if group.level == level and group.shape == shape and not streams:
                group.stored.append(node)
                return
        groups.append(Group(level, shape, stored=[node]))

    def _join_orientations(self, groups: list[Group]) -> list[Group]:
        out: list[Group] = []
        for group in sorted(groups, key=lambda g: (g.level, -len(g.members))):
            host = next((g for g in out if self._turned(g, group)), None)
            if host is None:
                out.append(group)
            else:
                host.others += [*group.members, *group.others]
                host.stored += group.stored
        return out

    def _turned(self, host: Group, guest: Group) -> bool:
        """Same tiles, rows and columns exchanged, nothing streamed, and every worker of the host owns what it adds."""
        a, b = host.shape, guest.shape
        if host.root is not None or guest.root is not None:
            return False
        if host.level != guest.level or a.row is None or a.loop is None or (a.row, a.loop) != (b.loop, b.row):
            return False
        if any(self.moves.get(m) for m in (*host.members, *guest.members)) or not a.kept or self._carries(guest):
            return False
        if any(member.op != "sum" for member in guest.members) or not self._run_alike(host, guest):
            return False
        determined = {group: head for m in host.members for head, group in groups_in(m, self.roles)}
        return all(axis in b.kept or determined.get(axis) in b.kept for axis in a.kept)


def groups_in(statistic: Node, roles: Roles) -> list[tuple[Axis, Axis]]:
    """(head, group) pairs that a statistic's domain ties together."""
    found = [group_of(condition, roles) for condition in conjuncts(statistic.domain)]
    return [(item[0], item[1]) for item in found if item is not None]
