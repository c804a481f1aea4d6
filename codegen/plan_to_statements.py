"""Plan -> statement tree: for each pass, which tiles are contracted, filled and collected, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from attnc.ir import Axis, Graph, Node, Tensor
from attnc.ir.axis import in_order
from attnc.ir.node import walk
from attnc.ir.roles import OUTER, Roles
from attnc.planning.plan import (
    LANES,
    LOOP,
    LOOPED,
    MATMUL,
    ROW,
    SCATTER,
    TILE,
    Accumulator,
    Nest,
    Pass,
    Plan,
    Repeat,
    Stage,
    Term,
)

from .contractions import find_contraction
from .hoisting import hoisted
from .shared_values import is_dear, shared_values
from .statements import (
    NATURAL,
    PANEL,
    VECTOR,
    Accumulate,
    AccumulateColumns,
    Carry,
    Collect,
    Contract,
    Fill,
    Follow,
    Local,
    Pack,
    Packed,
    Prepare,
    Program,
    RunNest,
    RunPass,
    RunSteps,
    StageStatement,
    Sweep,
    Tiles,
    TileStatement,
    flat,
)


def to_statements(plan: Plan, roles: Roles) -> Program:
    """The program of a plan."""
    packed: list[tuple[Packed, Axis]] = []
    stages = _stages(plan.graph, plan.stages, roles, packed)
    temporary = {tensor for tensor, _ in plan.temporaries}
    roots = [root for stage in flat(stages) for root in nodes_of(stage)]
    read = {n.attribute: None for root in roots for n in walk(root) if n.kind == "read"}
    tensors = [tensor for tensor in read if tensor not in temporary]
    tensors += [tensor for tensor, _ in plan.outputs if tensor not in tensors]
    return Program(tuple(stages), tuple(tensors), plan.temporaries, plan.outputs, tuple(packed))


def _stages(
    graph: Graph, stages: Sequence[Stage], roles: Roles, packed: list[tuple[Packed, Axis]]
) -> list[StageStatement]:
    """Statements of stages; operands that they pack are added to the list."""
    out: list[StageStatement] = []
    for stage in stages:
        if isinstance(stage, Nest):
            out.append(RunNest(stage.stores))
        elif isinstance(stage, Repeat):
            inner = _stages(graph, stage.stages, roles, packed)
            zeroed = tuple(t for one in flat(inner) if isinstance(one, RunPass) for t, _ in one.zeroed)
            steps = RunSteps(stage.axis, stage.step, stage.is_reverse, stage.states, tuple(inner), zeroed, stage.until)
            out.append(steps)
        else:
            pack, run = _PassStatements(graph, roles, stage, len(packed)).build()
            if pack.packed:
                out.append(pack)
                packed += [(one, stage.loop) for one in pack.packed]
            out.append(run)
    return out


def nodes_of(stage: Pack | RunPass | RunNest) -> list[Node]:
    """Every node that a stage computes."""
    if isinstance(stage, RunNest):
        return [store.node for store in stage.stores]
    if isinstance(stage, Pack):
        return [one.node for one in stage.packed]
    solve = stage.solve
    out = [solve.low, solve.high, solve.value, solve.slope, solve.size] if solve is not None else []
    out += [store.node for store in stage.epilogue] + [p.local.node for p in (*stage.prepares, *stage.inner_prepares)]
    classes = stage.tiles.classes
    out += classes.nodes
    out += [bound for one in stage.sequential for bound in (one.low, one.high)]
    for statement in stage.tiles.body:
        if isinstance(statement, Sweep):
            out += [fill.tile.node for fill in statement.fills] + [c.value for c in statement.collects]
            out += [c.domain for c in statement.collects] + [f.domain for f in statement.fills if f.domain is not None]
            out += [position for c in statement.collects for _, position in c.positions]
            out += [store.node for store in statement.stores]
        if isinstance(statement, Carry):
            out += statement.tile.node.args
        if isinstance(statement, Follow):
            out += [node for r in statement.rescales for node in (r.anchor, r.by)]
    return out


Moves = tuple[tuple[Axis, Node], ...]


class _PassStatements:
    """Builds the statements of one pass."""

    def __init__(self, graph: Graph, roles: Roles, made: Pass, first: int) -> None:
        self.graph = graph
        self.roles = roles
        self.made = made
        self.first = first
        self.packed: dict[tuple[Node, str], Packed] = {}
        self.row_locals: dict[Node, Local] = {}
        self.tiles: dict[Node, Local] = {}
        self.filled: dict[tuple[Node, Node | None], Local] = {}
        self.accumulators: dict[Node, Local] = {}
        self.shared = shared_values(made, self._is_contraction)
        self.kept: list[Local] = []
        self.anchors: list[Node] = []

    def build(self) -> tuple[Pack, RunPass]:
        made = self.made
        for accumulator in made.accumulators:
            if accumulator.home == ROW:
                name = f"sum{len(self.accumulators)}"
                local = Local(name, accumulator.node, True, False, accumulator.widths)
                self.accumulators[accumulator.node] = local
        body: list[TileStatement] = []
        last = max((a.phase for a in made.accumulators), default=0)
        for phase in range(last + 1):
            body += self._phase(phase, is_last=phase == last)
        for store in made.epilogue:
            self._operands(store.node, frozenset(), in_tiles=False)
        for node in (made.solve.value, made.solve.slope, made.solve.low, made.solve.high) if made.solve else ():
            self._operands(node, frozenset(), in_tiles=False)
        outer, inner = self._prepares()
        run = RunPass(
            made.row,
            made.loop,
            made.grid,
            made.owns_rows,
            made.split,
            outer,
            tuple(self.accumulators.values()),
            tuple(self.anchors),
            made.sequential,
            inner,
            Tiles(made.loop, made.classes, tuple(body), made.is_reverse).with_kept(),
            made.epilogue,
            (*self.tiles.values(), *self.filled.values(), *self.kept),
            self._zeroed(),
            made.solve,
        )
        return Pack(made.loop, tuple(self.packed.values())), run

    def _zeroed(self) -> tuple[tuple[Tensor, tuple[Axis, ...]], ...]:
        found = {a.storage: a.storage_axes for a in self.made.accumulators if a.storage is not None}
        return tuple(found.items())

    def _prepares(self) -> tuple[tuple[Prepare, ...], tuple[Prepare, ...]]:
        """Row locals that hold for all sequential axes, and those that change with them."""
        changing = frozenset(one.axis for one in self.made.sequential)
        outer = tuple(Prepare(x) for x in self.row_locals.values() if not x.node.axes & changing)
        inner = tuple(Prepare(x) for x in self.row_locals.values() if x.node.axes & changing)
        return outer, inner

    # --- phases ------------------------------------------------------------------------------------------------

    def _phase(self, phase: int, is_last: bool) -> list[TileStatement]:
        mine = [a for a in self.made.accumulators if a.phase == phase]
        stores = self.made.tile_stores if is_last else ()
        before: list[TileStatement] = []
        collects: list[Collect] = []
        kept: dict[Node, None] = {}
        fills: list[Fill] = []
        after: list[TileStatement] = []
        for accumulator in mine:
            for term in accumulator.terms:
                before += self._operands(term.tile, frozenset(term.widths if term.form == LOOPED else ()))
                before += self._operands(accumulator.domain, frozenset())
                if term.form == MATMUL:
                    after.append(self._matmul(accumulator, term, fills))
                else:
                    for _, position in accumulator.scattered:
                        before += self._operands(position, frozenset())
                    if term.form == LOOPED:
                        tile, parts = self._hoisted(term)
                        term = replace(term, tile=tile)
                        kept |= dict.fromkeys(parts)
                    collects.append(self._collect(accumulator, term))
        for store in stores:
            before += self._operands(store.node, frozenset())
        fills += [self._shared(node) for node in self.shared.get(phase, ())]
        follow = self._follow(mine)
        fills += [self._shared(node) for node in kept if node not in self.shared.get(phase, ())]
        looped = [one for one in collects if kept and one.widths and not one.positions]
        first = [one for one in collects if one not in looped]
        sweeps = [Sweep(tuple(fills), tuple(first), stores)] if fills or first or stores else []
        sweeps += [Sweep((), tuple(looped))] if looped else []
        return [*before, *follow, *sweeps, *after]

    def _hoisted(self, term: Term) -> tuple[Node, list[Node]]:
        """The value of a term with what is kept for all of its features; see hoisting.py."""
        made = self.made
        tile = {made.row, made.loop} - {None}
        own = tile | set(made.grid) | {one.axis for one in made.sequential}

        def is_pairwise(node: Node) -> bool:
            return tile <= node.axes <= own

        def is_new_and_dear(node: Node) -> bool:
            return node not in self.tiles and is_dear(node, self._is_contraction)

        return hoisted(self.graph, term.tile, frozenset(term.widths), is_pairwise, is_new_and_dear)

    def _is_contraction(self, node: Node) -> bool:
        return find_contraction(self.graph, node, self.made.row, self.made.loop, self._is_width) is not None

    def _shared(self, node: Node) -> Fill:
        local = Local(f"values{len(self.kept)}", node, True, True)
        self.kept.append(local)
        return Fill(local, None, is_shared=True)

    def _follow(self, mine: list[Accumulator]) -> list[TileStatement]:
        groups: dict[tuple[object, ...], list[Local]] = {}
        for accumulator in mine:
            if accumulator.rescales:
                groups.setdefault(accumulator.rescales, []).append(self.accumulators[accumulator.node])
                for rescale in accumulator.rescales:
                    if rescale.anchor not in self.anchors:
                        self.anchors.append(rescale.anchor)
        return [Follow(tuple(key), tuple(scaled)) for key, scaled in groups.items()]  # type: ignore[arg-type]

    def _matmul(self, accumulator: Accumulator, term: Term, fills: list[Fill]) -> TileStatement:
        assert term.operand is not None
        tile = self._filled_tile(term.tile, accumulator.domain, fills)
        if accumulator.home == ROW:
            right = self._pack(term.operand, NATURAL, term.widths[0])
            return Accumulate(self.accumulators[accumulator.node], tile, right)
        assert accumulator.home == LOOP and accumulator.storage is not None
        local = self._row_local(term.operand, term.widths)
        return AccumulateColumns(accumulator.storage, accumulator.storage_axes, tile, local)

    def _filled_tile(self, value: Node, domain: Node, fills: list[Fill]) -> Local:
        key = (value, None if domain.is_const(True) else domain)
        if key not in self.filled:
            local = Local(f"weights{len(self.filled)}", value, True, True)
            self.filled[key] = local
            fills.append(Fill(local, key[1]))
        return self.filled[key]

    def _collect(self, accumulator: Accumulator, term: Term) -> Collect:
        local = self.accumulators.get(accumulator.node)
        widths = term.widths if term.form in (LOOPED, SCATTER) else ()
        return Collect(
            accumulator.op,
            term.tile,
            accumulator.domain,
            local,
            accumulator.storage,
            accumulator.storage_axes,
            accumulator.home,
            widths,
            accumulator.scattered,
        )

    # --- operands ----------------------------------------------------------------------------------------------

    def _operands(self, root: Node, widths: frozenset[Axis], in_tiles: bool = True) -> list[TileStatement]:
        """Finds what a tile value needs beforehand: contractions, packed values, row locals."""
        out: list[TileStatement] = []
        seen: set[Node] = set()
        stack: list[tuple[Node, Moves]] = [(root, ())]
        while stack:
            node, moves = stack.pop()
            if node in seen or node in self.accumulators or node in self.tiles:
                continue
            seen.add(node)
            contracted = self._contract(node) if in_tiles else None
            if contracted is not None:
                out.append(contracted)
            elif node.kind == "scan":
                out += self._carry(node)
            elif self._is_row_value(node, in_tiles):
                self._row_local(node, tuple(a for a in in_order(node.axes) if self._is_width(a)))
            elif in_tiles and self._is_column_value(node):
                width = next((a for a in in_order(node.axes) if self._is_width(a)), None)
                self._pack(node, PANEL if width is not None else VECTOR, width, moves)
            else:
                inner = tuple(zip(node.attribute, node.args[1:])) if node.kind == "at" else ()
                stack.extend((arg, inner or moves) for arg in reversed(node.args))
        return out

    def _is_width(self, axis: Axis) -> bool:
        return axis not in (self.made.row, self.made.loop) and self.roles.of(axis) == "width"

    def _depends_on_running(self, node: Node) -> bool:
        unknown = self.made.solve.unknown if self.made.solve is not None else None
        return any(part in self.accumulators or part is unknown for part in walk(node))

    def _is_row_value(self, node: Node, in_tiles: bool) -> bool:
        """Worth computing once for a block of rows: features of rows, and reductions over features."""
        if self.made.loop in node.axes or node.type != "float" or self._depends_on_running(node):
            return False
        if sum(self._is_width(axis) for axis in node.axes) > 1 or not self._is_open(node):
            return False
        if node.kind == "reduce" or (node.kind == "at" and any(part.kind == "reduce" for part in walk(node))):
            return self.made.row is None or self.made.row in node.axes
        featured = any(self._is_width(axis) for axis in node.axes)
        return in_tiles and featured and (self.made.row is None or self.made.row in node.axes)

    def _is_open(self, node: Node) -> bool:
        """Whether the pass has an index for every axis of a node (a re-read fixes others)."""
        own = {self.made.row, *self.made.grid, *(one.axis for one in self.made.sequential)}
        return all(axis in own or self._is_width(axis) for axis in node.axes)

    def _is_column_value(self, node: Node) -> bool:
        loop = self.made.loop
        if loop not in node.axes or self.made.row in node.axes or self._depends_on_running(node):
            return False
        if not self._is_open(node) and any(axis.size in self.roles.steps for axis in node.axes):
            return False  # read where the steps are summed up
        widths = sum(self._is_width(axis) for axis in node.axes)
        if widths > 1 or (widths and node.type != "float"):
            return False
        return any(part.kind in ("read", "reduce") for part in walk(node))

    def _contract(self, node: Node) -> Contract | None:
        found = find_contraction(self.graph, node, self.made.row, self.made.loop, self._is_width)
        if found is None or self._depends_on_running(node):
            return None
        left, right, width = found
        tile = Local(f"scores{len(self.tiles)}", node, True, True)
        self.tiles[node] = tile
        return Contract(tile, self._row_local(left, (width,)), self._pack(right, PANEL, width))

    def _carry(self, node: Node) -> list[TileStatement]:
        """What a scan reads comes before it."""
        before = [statement for arg in node.args for statement in self._operands(arg, frozenset())]
        number = sum(tile.node.kind == "scan" for tile in self.tiles.values())
        tile = Local(f"scan{number}", node, True, True)
        self.tiles[node] = tile
        return [*before, Carry(tile, f"carried{number}")]

    def _row_local(self, node: Node, widths: tuple[Axis, ...]) -> Local:
        if node not in self.row_locals:
            self.row_locals[node] = Local(f"rows{len(self.row_locals)}", node, True, False, widths)
        return self.row_locals[node]

    def _pack(self, node: Node, layout: str, width: Axis | None, moves: Moves = ()) -> Packed:
        """`moves` are positions of outer axes that an enclosing re-read fixes."""
        key = (node, layout)
        if key not in self.packed:
            inner = node
            if node.kind == "at" and all(self.roles.of(axis) == OUTER for axis in node.attribute):
                inner, moves = node.args[0], tuple(zip(node.attribute, node.args[1:]))
            outer = tuple(a for a in in_order(inner.axes) if a not in (self.made.loop, width))
            assert not any(self._is_width(a) for a in outer), "several widths in one operand"
            name = f"packed{self.first + len(self.packed)}"
            self.packed[key] = Packed(name, inner, layout, outer, width, node, moves)
        return self.packed[key]


__all__ = ["LANES", "TILE", "to_statements"]
