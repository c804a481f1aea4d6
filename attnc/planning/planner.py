"""Targets -> plan. Statistics are scheduled, each group becomes a stage, results are made where their parts are.

What one stage needs of an earlier one is a read of a temporary, so each stage stands by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..analysis.groups import group_of
from ..analysis.support import NotLowered
from ..analysis.tile_reads import SUMMARY, Summary
from ..ir import Axis, Graph, Node, Tensor
from ..ir.logic import conjuncts
from ..ir.node import INT, walk
from ..ir.rewrite import Rewriter, substitute
from ..ir.roles import LENGTH, OUTER, Roles
from .carried import carry_scans, scans_below
from .contexts import push_conditions
from .kept_values import keep_values
from .levels import Group, Schedule, schedule
from .matrices import along_streamed, associate, stream_widths
from .passes import PassBuilder
from .plan import (
    FREE,
    LOOP,
    NOW,
    ROW,
    SCATTER,
    SHARES,
    STEP,
    TILE,
    Accumulator,
    Nest,
    Pass,
    Plan,
    Repeat,
    Stage,
    Store,
    Target,
)
from .searches import solve
from .statistics import Shape, direct_statistics, separate_widths, shape_of_scans, statistics_of


def make_plan(
    graph: Graph, targets: Sequence[Target], roles: Roles, *, both: bool = False, direct: frozenset[str] = frozenset()
) -> Plan:
    """A plan for the targets. `both` allows passes that own their rows; `direct` names the tensors whose dtype is the
    compute type, which statistics may be accumulated in."""
    nodes = push_conditions(graph, separate_widths(graph, [t.node for t in targets], roles), roles)
    nodes = carry_scans(graph, nodes, roles)
    for rewrite in (associate, separate_widths, stream_widths, separate_widths):
        nodes = rewrite(graph, nodes, roles)
    targets = [along_streamed(replace(target, node=node)) for target, node in zip(targets, nodes)]
    return Planner(graph, targets, roles, both, direct).run()


class Planner:
    """A plan as it is made."""

    def __init__(self, graph: Graph, targets: list[Target], roles: Roles, both: bool, direct: frozenset[str]) -> None:
        self.graph = graph
        self.targets = targets
        self.roles = roles
        self.both = both
        self.direct = direct
        self.stages: list[Stage] = []
        self.temporaries: list[tuple[Tensor, tuple[Axis, ...]]] = []
        self.available: dict[Node, Node] = {}
        self.written: set[str] = set()
        self.totals: set[Node] = set()
        self.summaries: dict[Summary, tuple[Tensor, tuple[Axis, ...], Node]] = {}
        self.summarised: set[Tensor] = set()
        self.waiting = list(targets)

    def run(self) -> Plan:
        roots = [target.node for target in self.targets]
        pairs = [(t.node, self._tile_shape(t.node)) for t in self.targets if self._is_pairwise(t)]
        plan = schedule(self.graph, roots, pairs, self.roles, self.both)
        for group in plan.groups:
            self._stage(group, plan)
        self._nest(list(self.waiting))
        outputs = tuple({t.tensor: (t.tensor, t.axes) for t in self.targets}.values())
        self.stages = keep_values(self.graph, self.roles, self.stages, self.new_temporary)
        return Plan(self.graph, tuple(self.stages), tuple(self.temporaries), outputs, tuple(plan.later))

    # --- groups ------------------------------------------------------------------------------------------------

    def _is_pairwise(self, target: Target) -> bool:
        """Stored per pair, straight from tiles (a statistic that keeps both axes is accumulated instead)."""
        lengths = self.roles.axes(target.node.axes, LENGTH)
        return len(lengths) >= 2 and target.node not in statistics_of([target.node], self.roles)

    def _tile_shape(self, node: Node) -> Shape:
        scans = scans_below(node, self.roles)
        if scans:
            return shape_of_scans(scans, node.axes, (), self.roles)
        lengths = self.roles.axes(node.axes, LENGTH)
        outer = frozenset(self.roles.axes(node.axes, OUTER))
        return Shape(lengths[0], lengths[1], outer | frozenset(lengths[2:]))

    def _stage(self, group: Group, plan: Schedule) -> None:
        members = [*group.members, *group.others]
        if group.root is not None:
            solve(self, group, group.root)
            return
        if group.recurrence is not None:
            self._repeat(group.members)
            return
        if group.shape.loop is None:
            self._nest_statistics(members)
            return
        stored = [t for t in self.waiting if t.node in group.stored]
        if not members and not stored:
            return  # an earlier epilogue has stored all that it was for
        turned = [t for n, t in enumerate(stored) if any(_is_turned(t, other) for other in stored[:n])]
        stored = [t for t in stored if t not in turned]
        rewriter = Rewriter(self.graph, replaced=self.available, visit=self.settle_at)
        peers = set(members)
        renamed: dict[Node, Node] = {}
        for member in sorted(members):
            built = Rewriter(self.graph, visit=self.settle_at, replaced={**self.available, **renamed})
            args = tuple(built(arg) for arg in member.args)
            renamed[member] = self.graph.reduce_as_is(member.op, member.attribute, *args)
        now = Rewriter(self.graph, visit=self.settle_at, replaced={**self.available, **renamed})
        moves = {
            m: tuple(replace(move, anchor=now(move.anchor), by=now(move.by)) for move in plan.moves.get(m, ()))
            for m in peers
        }
        now_of = {m: renamed[m] for m in peers}
        builder = PassBuilder(self.graph, self.roles, group, now_of, moves, None, self.summarise)
        built_pass = builder.build([(t, rewriter(t.node)) for t in stored])
        self.waiting = [t for t in self.waiting if t not in stored]
        self._finish(built_pass, builder, renamed, group, stored)
        if turned:
            self._stage(Group(group.level, group.shape, stored=[t.node for t in turned]), plan)

    def _repeat(self, members: list[Node]) -> None:
        """The stages of one step, planned by themselves; they read states of other steps in the tensors of all."""
        graph = self.graph
        recurrence, values = members[0].attribute[0], members[0].args
        step = graph.param(f"{STEP}{len(self.temporaries)}", INT)
        places = {}
        targets = []
        for state, axes in zip(recurrence.states, recurrence.axes):
            rest = self.roles.memory_order(axis for axis in axes if axis is not recurrence.axis)
            tensor = self.new_temporary((recurrence.axis, *rest), state.type)
            places[state] = (tensor, tuple(axes.index(axis) for axis in (recurrence.axis, *rest)))
            now = replace(tensor, name=tensor.name + NOW, sizes=tensor.sizes[1:])
            targets.append((now, tensor, rest))

        def visit(node: Node) -> Node:
            if node.kind == "read" and node.attribute in places:
                return self._other_step(*places[node.attribute], node.args)
            if node.kind == "at" and recurrence.axis.size in {axis.size for axis in node.attribute}:
                return self._at_step(node, recurrence.axis.size)
            return self.settle_at(node)

        rewriter = Rewriter(graph, visit, self.available)
        at_step = {recurrence.axis: step}
        nodes = [substitute(graph, rewriter(value), at_step) for value in values]
        wanted = [Target(now, rest, node) for (now, _, rest), node in zip(targets, nodes)]
        stages = self.stages_for(wanted)
        states = tuple((now, rest, tensor) for now, tensor, rest in targets)
        self.stages.append(Repeat(recurrence.axis, step, recurrence.is_reverse, states, stages))
        for member in members:
            _, tensor, rest = targets[member.attribute[1]]
            self.provide(member, self.read(tensor, (recurrence.axis, *rest)))

    def stages_for(self, targets: list[Target]) -> tuple[Stage, ...]:
        """Planned by themselves, with the memory of this plan."""
        inner = Planner(self.graph, targets, self.roles, self.both, self.direct)
        inner.temporaries, inner.totals = self.temporaries, self.totals
        return inner.run().stages

    def _other_step(self, tensor: Tensor, order: tuple[int, ...], positions: tuple[Node, ...]) -> Node:
        """A state at another step; 0 where there is none."""
        graph = self.graph
        step = positions[order[0]]
        inside = (graph.compare(">=", step, graph.const(0)), graph.compare("<", step, tensor.sizes[0]))
        return graph.guard(graph.all(*inside), graph.read(tensor, tuple(positions[place] for place in order)))

    def _at_step(self, node: Node, size: Node) -> Node:
        """A value at another step: computed for that step alone."""
        moves = dict(zip(node.attribute, node.args[1:]))
        steps = {axis: position for axis, position in moves.items() if axis.size is size}
        rest = {axis: position for axis, position in moves.items() if axis not in steps}
        value = substitute(self.graph, node.args[0], steps)
        return self.settle_at(self.graph.at(value, tuple(rest), tuple(rest.values()))) if rest else value

    def as_is(self, rewriter: Rewriter, statistic: Node) -> Node:
        """A statistic of other operands, still a statistic."""
        args = tuple(rewriter(arg) for arg in statistic.args)
        return self.graph.reduce_as_is(statistic.op, statistic.attribute, *args)

    def settle_at(self, node: Node) -> Node:
        """A value at other positions, once what it holds can simply be read there."""
        if node.kind != "at" or not set(statistics_of([node.args[0]], self.roles)) <= self.totals:
            return node
        if all(self.roles.of(axis) == OUTER and axis.size not in self.roles.steps for axis in node.attribute):
            return node
        moved = substitute(self.graph, node.args[0], dict(zip(node.attribute, node.args[1:])))
        self.totals |= set(statistics_of([moved], self.roles))
        return moved

    def _finish(
        self, made: Pass, builder: PassBuilder, renamed: dict[Node, Node], group: Group, stored: Sequence[Target]
    ) -> None:
        """Chooses what the epilogue writes and where other accumulators live."""
        in_rows = {a.node for a in made.accumulators if a.home == ROW}
        accumulators = [self._house(a, builder) for a in made.accumulators]
        epilogue: list[Store] = []
        for target in list(self.waiting):
            if self._fits_epilogue(target, made, builder, renamed, in_rows):
                node = self._rewrite(target.node, renamed, builder)
                epilogue.append(self._store(target, node))
                self.waiting.remove(target)
        needed = self._read_later(group)
        kept: dict[Node, Node] = {}  # members may turn out to be one
        for member, now in renamed.items():
            own = builder.nodes[now]
            if own in in_rows and member in needed:
                if own not in kept:
                    tensor, axes = self.temporary(member)
                    epilogue.append(Store(tensor, axes, own))
                    kept[own] = self.read(tensor, axes)
                self.provide(member, kept[own])
            elif own not in in_rows:
                accumulator = next(a for a in accumulators if a.node is own)
                assert accumulator.storage is not None
                self.provide(member, self._total(member, accumulator))
        stores = tuple(self._store(t, s.node) for t, s in zip(stored, made.tile_stores))
        made = replace(made, accumulators=tuple(accumulators), epilogue=tuple(epilogue), tile_stores=stores)
        self.append(made)

    def append(self, made: Pass) -> None:
        """After what its tiles are told by."""
        classes = made.classes
        read = {node.attribute for root in classes.nodes for node in walk(root) if node.kind == "read"}
        stores = []
        for tensor, axes, value in self.summaries.values():
            if tensor in read and tensor not in self.summarised:
                self.summarised.add(tensor)
                stores.append(Store(tensor, axes, value))
        if stores:
            self.stages.append(Nest(tuple(stores)))
        self.stages.append(made)

    def summarise(self, summary: Summary) -> Tensor:
        """The tensor of a summary; it is filled before the first pass whose tiles it tells."""
        if summary not in self.summaries:
            axes, value = summary.axes_and_value(self.graph)
            self.summaries[summary] = (self.new_temporary(axes, value.type, SUMMARY), axes, value)
        return self.summaries[summary][0]

    def _rewrite(self, node: Node, renamed: dict[Node, Node], builder: PassBuilder) -> Node:
        final = {old: builder.nodes[new] for old, new in renamed.items()}
        rewritten = Rewriter(self.graph, replaced={**self.available, **final}, visit=self.settle_at)(node)
        return builder.settle_groups(rewritten, keep=frozenset(final.values()))

    def _fits_epilogue(
        self, target: Target, made: Pass, builder: PassBuilder, renamed: dict[Node, Node], in_rows: set[Node]
    ) -> bool:
        below = direct_statistics([target.node], self.roles)
        own = [s for s in below if s in renamed]
        if not own or not all(s in self.available or builder.nodes.get(renamed.get(s, s)) in in_rows for s in below):
            return False
        if any(part.kind == "at" and set(own) & set(walk(part)) for part in walk(target.node)):
            return False
        outer = frozenset(self.roles.axes(target.node.axes, OUTER)) | frozenset(
            self.roles.axes(target.node.axes, LENGTH)
        )
        wanted = frozenset(made.grid) | (frozenset((made.row,)) if made.row is not None else frozenset())
        return outer == wanted and frozenset(target.axes) >= wanted and made.loop not in target.node.axes

    # --- memory ------------------------------------------------------------------------------------------------

    def _house(self, accumulator: Accumulator, builder: PassBuilder) -> Accumulator:
        """Memory for what a worker does not keep to itself."""
        if accumulator.home == ROW:
            return accumulator
        if accumulator.op != "sum":
            what = f"a {accumulator.op} along the other axis than a scan of pairs"
            raise NotLowered(accumulator.node.span, what).error()
        axes = builder.storage_axes(accumulator)
        origin = SHARES if accumulator.home == FREE else "temporary"
        tensor = self.new_temporary(axes, accumulator.node.type, origin)
        return replace(accumulator, storage=tensor, storage_axes=axes)

    def _total(self, member: Node, accumulator: Accumulator) -> Node:
        """The sum of the workers' shares, in a fixed order."""
        assert accumulator.storage is not None
        read = self.read(accumulator.storage, accumulator.storage_axes)
        extra = tuple(axis for axis in accumulator.storage_axes if axis not in member.axes)
        ties = [c for c in conjuncts(member.domain) if self._tells(c, accumulator.storage_axes)]
        total = self.graph.reduce("sum", extra, read, self.graph.all(*ties)) if extra else read
        self.totals.add(total)
        return total

    def _tells(self, condition: Node, axes: tuple[Axis, ...]) -> bool:
        """Whether a group that shares are not kept apart by is told by their head."""
        item = group_of(condition, self.roles)
        return item is not None and item[0] in axes and item[1] not in axes

    def temporary(self, node: Node) -> tuple[Tensor, tuple[Axis, ...]]:
        axes = self.roles.memory_order(node.axes)
        return self.new_temporary(axes, node.type, SHARES if node.op == "total" else "temporary"), axes

    def new_temporary(self, axes: tuple[Axis, ...], type: str, origin: str = "temporary") -> Tensor:
        tensor = Tensor(f"temporary{len(self.temporaries)}", tuple(a.size for a in axes), type, origin)
        self.temporaries.append((tensor, axes))
        return tensor

    def read(self, tensor: Tensor, axes: tuple[Axis, ...]) -> Node:
        return self.graph.read(tensor, tuple(self.graph.index(axis) for axis in axes))

    def provide(self, member: Node, read: Node) -> None:
        self.available[member] = read

    def _read_later(self, group: Group) -> set[Node]:
        """Statistics of a group that something outside it still reads."""
        mine = {*group.members, *group.others}
        later = [t.node for t in self.waiting]
        found = set(direct_statistics(later, self.roles))
        for statistic in statistics_of(later, self.roles):
            if statistic not in mine:
                found |= set(direct_statistics(statistic.args, self.roles))
        return found & mine

    # --- nests -------------------------------------------------------------------------------------------------

    def _nest_statistics(self, members: list[Node]) -> None:
        """Reductions without tiles that a pass will read."""
        stores = []
        rewriter = Rewriter(self.graph, replaced=self.available, visit=self.settle_at)
        for member in members:
            if member in self._read_later(Group(0, Shape(None, None, frozenset()), members)):
                tensor, axes = self.temporary(member)
                stores.append(Store(tensor, axes, rewriter(member)))
                self.provide(member, self.read(tensor, axes))
        if stores:
            self.stages.append(Nest(tuple(stores)))

    def _nest(self, targets: list[Target]) -> None:
        rewriter = Rewriter(self.graph, replaced=self.available, visit=self.settle_at)
        stores = tuple(self._store(t, rewriter(t.node)) for t in targets)
        if stores:
            self.stages.append(Nest(stores))

    def _store(self, target: Target, node: Node) -> Store:
        adds = target.tensor.name in self.written
        self.written.add(target.tensor.name)
        return Store(target.tensor, target.axes, node, adds)


def _is_turned(target: Target, other: Target) -> bool:
    """Whether it adds to what another stores along other axes, in other tiles."""
    return target.tensor == other.tensor and target.axes != other.axes


__all__ = ["FREE", "LOOP", "SCATTER", "TILE", "Target", "make_plan"]
