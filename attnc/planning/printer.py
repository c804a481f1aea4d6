"""Plan -> text: stages in order, what each statistic is and how it is summed, which tiles are visited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from ..analysis.tile_reads import SUMMARY
from ..ir import Node
from ..ir.node import reachable, walk
from ..ir.roles import LENGTH, WIDTH, Roles
from ..ir.text import expression
from .plan import FREE, LOOP, MATMUL, ROW, SCATTER, TILE, Accumulator, Later, Nest, Pass, Plan, Repeat, Stage, Store
from .statistics import is_statistic

_HOMES = {
    ROW: "kept by its rows",
    LOOP: "added along the loop",
    FREE: "a share for each worker, added in order",
    TILE: "added pair by pair",
}


def print_plan(plan: Plan) -> str:
    """One paragraph for each stage."""
    lines: list[str] = []
    _stages(plan.stages, lines, count(), "")
    for tensor, axes in plan.temporaries:
        if tensor.origin == SUMMARY:
            continue
        lines.append(f"temporary {tensor.label}[{', '.join(axis.name for axis in axes)}]")
    return "\n".join(lines) + "\n"


def _stages(stages: Sequence[Stage], lines: list[str], numbers: Iterator[int], indent: str) -> None:
    for stage in stages:
        if isinstance(stage, Repeat):
            states = ", ".join(f"{tensor.label}[{stage.axis.name}]" for _, _, tensor in stage.states)
            order = "last to the first" if stage.is_reverse else "first to the last"
            step = f"{stage.axis.name} = {expression(stage.step)}"
            what = f"filling {states}" if states else ""
            what = f"until '{stage.until.label}' is false everywhere" if stage.until is not None else what
            lines.append(f"{indent}for each {step}, from the {order}, {what}:")
            _stages(stage.stages, lines, numbers, indent + "  ")
            continue
        number = next(numbers)
        text = _pass(stage, number) if isinstance(stage, Pass) else _nest(stage, number)
        lines += [indent + line for line in text]


def note_of(later: Later, roles: Roles) -> str:
    """For readers; sums over features of pairs are short names, and statistics within others are cut."""
    names: dict[Node, str] = {}
    for node in reachable([later.statistic, later.read]):
        if node.kind == "reduce" and all(roles.of(axis) == WIDTH for axis in node.attribute):
            if len(roles.axes(node.axes, LENGTH)) > 1:
                names[node] = f"dot{len(names) + 1}"
        elif node is not later.statistic and is_statistic(node, roles):
            names[node] = expression(node, {n: t for n, t in names.items() if n is not node}, longest=48)
    what, read = (
        expression(n, {o: t for o, t in names.items() if o is not n}, 80) for n in (later.statistic, later.read)
    )
    return f"'{what}' takes a later pass than '{read}', which it reads: {later.reason}"


def names_of(stage: Pass) -> dict[Node, str]:
    """Short names for the statistics of a pass."""
    counts: dict[str, int] = {}
    names: dict[Node, str] = {}
    for accumulator in stage.accumulators:
        stem = {"max": "top", "min": "least", "argmax": "where", "prod": "product"}.get(accumulator.op, "sum")
        counts[stem] = counts.get(stem, 0) + 1
        names[accumulator.node] = f"{stem}{counts[stem]}"
    return names


def _pass(stage: Pass, number: int) -> list[str]:
    rows = stage.row.name if stage.row is not None else "a single row"
    grid = ", ".join(axis.name for axis in stage.grid)
    each = f", for each {grid} in parallel" if grid else ""
    lines = [f"stage {number}: a pass over tiles of {rows} by {stage.loop.name}{each}"]
    if stage.is_reverse:
        lines.append("  from the last tile to the first")
    if stage.owns_rows:
        lines.append("  one worker goes through all blocks of rows")
    for one in stage.sequential:
        lines.append(f"  then through {one.axis.name} from {expression(one.low)} to {expression(one.high)}")
    lines += ["  " + text for text in _tiles(stage)]
    names = names_of(stage)
    if stage.solve is not None:
        names[stage.solve.unknown] = "unknown"
    for node, name in _dots(stage).items():
        lines.append(f"  {name} = {expression(node)}")
        names[node] = name
    for accumulator in stage.accumulators:
        lines += ["  " + text for text in _accumulator(accumulator, names)]
    if stage.solve is not None:
        low, high, value, slope = (
            expression(node, names)
            for node in (stage.solve.low, stage.solve.high, stage.solve.value, stage.solve.slope)
        )
        if stage.solve.is_search:
            lines.append(f"  again for other unknowns from {low} to {high}: the first at which {value}")
        else:
            lines.append(f"  again for other unknowns from {low} to {high}, until {value} is 0; its slope is {slope}")
    for store in (*stage.tile_stores, *stage.epilogue):
        lines.append("  " + _store(store, names))
    return lines


def _dots(stage: Pass) -> dict[Node, str]:
    """Names for what every pair needs first: sums over features of both its sides."""
    found: dict[Node, str] = {}
    values = [term.tile for a in stage.accumulators for term in a.terms] + [s.node for s in stage.tile_stores]
    for value in values:
        for node in walk(value):
            if node.kind == "reduce" and stage.loop in node.axes and stage.row in node.axes:
                found.setdefault(node, f"dot{len(found) + 1}")
    return found


def _tiles(stage: Pass) -> list[str]:
    if stage.domain.is_const(True):
        return ["every tile is full"]
    classes = stage.classes
    lines = [f"pairs: {expression(stage.domain)}"]
    lines.append(f"tiles from {expression(classes.low)} to {expression(classes.high)}")
    lines.append(f"a tile is visited if {expression(classes.may)}, without masks if {expression(classes.must)}")
    for condition in classes.unknown:
        lines.append(f"nothing is known of '{expression(condition)}' before it is computed: no tile is left out for it")
    return lines


def _accumulator(accumulator: Accumulator, names: dict[Node, str]) -> list[str]:
    inner = {node: name for node, name in names.items() if node is not accumulator.node}
    name = names[accumulator.node]
    widths = f"[{', '.join(axis.name for axis in accumulator.widths)}]" if accumulator.widths else ""
    lines = [f"{name}{widths} = {expression(accumulator.node, inner)}; {_HOMES[accumulator.home]}"]
    for term in accumulator.terms:
        if term.form == MATMUL and term.operand is not None:
            tile, operand = expression(term.tile, inner, 70), expression(term.operand, inner, 70)
            lines.append(f"  as a matrix product of '{tile}' and '{operand}'")
        elif term.form == SCATTER:
            places = ", ".join(f"{axis.name} = {expression(p)}" for axis, p in accumulator.scattered)
            lines.append(f"  scattered to {places}")
        elif term.widths:
            lines.append(f"  one {', '.join(axis.name for axis in term.widths)} after another")
    for rescale in accumulator.rescales:
        verb = "increased by" if rescale.adds else "multiplied by"
        by = expression(rescale.by).replace("shift", "x")
        lines.append(f"  {verb} {by} when '{expression(rescale.anchor, inner, 60)}' moves by x")
    return lines


def _nest(stage: Nest, number: int) -> list[str]:
    return [f"stage {number}: point by point", *("  " + _store(store, {}) for store in stage.stores)]


def _store(store: Store, names: dict[Node, str]) -> str:
    axes = ", ".join(axis.name for axis in store.axes)
    sign = "+=" if store.adds else "="
    return f"{store.tensor.label}[{axes}] {sign} {expression(store.node, names)}"
