"""Statement tree -> text: what one worker does, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from attnc.ir import Node
from attnc.ir.text import expression

from .statements import (
    Accumulate,
    AccumulateColumns,
    Carry,
    Contract,
    Follow,
    Local,
    Pack,
    Program,
    RunNest,
    RunPass,
    RunSteps,
    StageStatement,
    Sweep,
    TileStatement,
)


def print_program(program: Program) -> str:
    """Indented statements of every stage."""
    return "\n".join(_stages(program.stages)) + "\n"


def _stages(stages: Sequence[StageStatement]) -> list[str]:
    lines: list[str] = []
    for stage in stages:
        if isinstance(stage, Pack):
            lines += _pack(stage)
        elif isinstance(stage, RunPass):
            lines += _pass(stage)
        elif isinstance(stage, RunSteps):
            order = "last to first" if stage.is_reverse else "first to last"
            lines.append(f"for {stage.axis.name}, {order}")
            lines += [f"  fill {tensor.label} with 0" for tensor in stage.zeroed]
            lines += ["  " + line for line in _stages(stage.stages)]
        else:
            lines += _nest(stage)
    return lines


def _pack(stage: Pack) -> list[str]:
    lines = [f"pack along {stage.loop.name}"]
    for one in stage.packed:
        outer = ", ".join(axis.name for axis in one.outer)
        lines.append(f"  {one.name} ({one.layout}) for each {outer or 'call'} = {expression(one.node)}")
    return lines


def _nest(stage: RunNest) -> list[str]:
    lines = ["point by point"]
    for store in stage.stores:
        axes = ", ".join(axis.name for axis in store.axes)
        lines.append(f"  store {store.tensor.label}[{axes}] {'+=' if store.adds else '='} {expression(store.node)}")
    return lines


def _pass(stage: RunPass) -> list[str]:
    names = _names(stage)
    rows = stage.row.name if stage.row is not None else "one row"
    grid = ", ".join(axis.name for axis in stage.grid)
    order = "in order" if stage.owns_rows else "in parallel"
    lines = [f"pass: parallel over {grid or 'nothing'}; blocks of {rows} {order}"]
    for prepare in stage.prepares:
        lines.append(f"  prepare {_local(prepare.local)} = {expression(prepare.local.node, names)}")
    for local in stage.accumulators:
        others = {node: name for node, name in names.items() if node is not local.node}
        lines.append(f"  start {_local(local)} for {expression(local.node, others)}")
    indent = "  "
    for one in stage.sequential:
        lines.append(f"{indent}for {one.axis.name} from {expression(one.low)} to {expression(one.high)}")
        indent += "  "
    for prepare in stage.inner_prepares:
        lines.append(f"{indent}prepare {_local(prepare.local)} = {expression(prepare.local.node, names)}")
    classes = stage.tiles.classes
    order = ", last to first," if stage.tiles.is_reverse else ""
    tiles = f"{stage.loop.name}{order} from {expression(classes.low)} to {expression(classes.high)}"
    lines.append(f"{indent}for tiles of {tiles}")
    lines.append(f"{indent}  skip unless {expression(classes.may)}; full if {expression(classes.must)}")
    for statement in stage.tiles.body:
        lines += [indent + "  " + text for text in _tile(statement, names)]
    for store in stage.epilogue:
        axes = ", ".join(axis.name for axis in store.axes)
        lines.append(
            f"  store {store.tensor.label}[{axes}] {'+=' if store.adds else '='} {expression(store.node, names)}"
        )
    return lines


def _names(stage: RunPass) -> dict[Node, str]:
    names = {local.node: local.name for local in stage.accumulators}
    names |= {p.local.node: p.local.name for p in (*stage.prepares, *stage.inner_prepares)}
    names |= {local.node: local.name for local in stage.tile_locals if local.name.startswith(("scores", "scan"))}
    return names


def _local(local: Local) -> str:
    dims = [*(("row",) if local.rows else ()), *(("column",) if local.columns else ())]
    dims += [axis.name for axis in local.widths]
    return f"{local.name}[{', '.join(dims)}]"


def _tile(statement: TileStatement, names: dict[Node, str]) -> list[str]:
    if isinstance(statement, Contract):
        return [f"{statement.tile.name} = {statement.left.name} · {statement.right.name}"]
    if isinstance(statement, Carry):
        node = statement.tile.node
        rest = {other: name for other, name in names.items() if other is not node}
        how = "from a walk of its own" if statement.is_kept else f"carried in {statement.state}"
        return [f"{statement.tile.name} = {expression(node, rest)}, {how}"]
    if isinstance(statement, Follow):
        scaled = ", ".join(local.name for local in statement.scaled)
        anchors = ", ".join(expression(r.anchor, names, 60) for r in statement.rescales)
        return [f"rescale {scaled} to where {anchors} is now"]
    if isinstance(statement, Accumulate):
        return [f"{statement.local.name} += {statement.tile.name} · {statement.right.name}"]
    if isinstance(statement, AccumulateColumns):
        return [f"{statement.storage.name} += transposed {statement.tile.name} · {statement.right.name}"]
    assert isinstance(statement, Sweep), "a walk before that of the pass"
    return _sweep(statement, names)


def _sweep(statement: Sweep, names: dict[Node, str]) -> list[str]:
    lines = ["sweep the tile"]
    for fill in statement.fills:
        lines.append(f"  {fill.tile.name} = {expression(fill.tile.node, names)}")
    for collect in statement.collects:
        target = collect.local.name if collect.local is not None else collect.storage.name if collect.storage else ""
        lines.append(f"  {target} {collect.op}= {expression(collect.value, names)}")
    for store in statement.stores:
        lines.append(f"  store {store.tensor.label} = {expression(store.node, names)}")
    return lines
