"""What will run for a call, and why: passes, tiles and what they leave out, work, memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnc.card import Card, make_card
from attnc.codegen.cpp.blocks import choose_blocks
from attnc.codegen.cpp.names import Names
from attnc.codegen.statements import Accumulate, AccumulateColumns, Contract, RunPass, Sweep
from attnc.ir import Node
from attnc.ir.axis import Axis
from attnc.ir.host import encode, evaluate, is_host
from attnc.ir.node import walk
from attnc.ir.text import expression
from attnc.lowering.sizes import size_text
from attnc.pipeline import Derivation
from attnc.planning.plan import Pass, Plan, Repeat, Stage
from attnc.planning.printer import note_of, print_plan
from attnc.reordering import tables_of

from . import caches
from .dense import make_evaluator
from .dtypes import NAMES, promoted, summed
from .entry import _arrange
from .mistakes import compiling
from .reordering import find_reordering, sort_tensor
from .signature import bind_sizes, check_tensors
from .token_orders import choose_orders, visited

if TYPE_CHECKING:
    from attnc.spec import Attention

_MOST_PAIRS = 1 << 26
_MOST_TILES = 1 << 16


@dataclass
class Counts:
    """Tiles of a pass by class, over all its workers; None where they depend on tensors."""

    empty: int
    full: int
    partial: int

    @property
    def all(self) -> int:
        return self.empty + self.full + self.partial


def explain_call(attention: Attention, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """The explanation for given tensors."""
    card, tensors, parameters = _arrange(attention, tuple(args), kwargs)
    check_tensors(card, tensors)
    statics = tuple((p.name, parameters[p.name]) for p in card.statics)
    derivation = attention.derivation(statics)
    bound = bind_sizes(card, [t.shape for t in tensors], parameters, tensors)
    floats = [t.dtype for item, t in zip(card.inputs, tensors) if item.type == "float"]
    dtype = promoted(floats)
    known = {**parameters, **bound.sizes}
    order: list[str] = []
    how = find_reordering(card, known, tensors[0].device) if tensors else None
    if how is not None:
        order = [*_order_lines(derivation, card, known), ""]
        names = [item.name for item in card.inputs]
        tensors = (*(sort_tensor(t, how.of(name)) for name, t in zip(names, tensors)), *how.tables.values())
        derivation = derivation.reordered
        with compiling(attention.name):
            card = make_card(derivation)
    writer = _Explanation(derivation, known, dict(bound.widths), dtype, tensors, card, parameters)
    sizes = ", ".join(f"{name}={value}" for name, value in bound.sizes.items())
    lines = [f"{card.name}: {sizes}, {NAMES[dtype]}"]
    if card.doc:
        lines.append(card.doc.strip().split("\n")[0])
    with compiling(attention.name):
        return "\n".join([*lines, "", *order, *writer.lines()]) + "\n"


def _order_lines(derivation: Derivation, card: Card, known: dict[str, Any]) -> list[str]:
    """By what tokens are sorted, and what that brings."""
    cpu = torch.device("cpu")
    lines = ["order of tokens"]
    orders = derivation.token_orders.orders
    for order in orders:
        parts = [f"the same {expression(one)}" for one in order.shared]
        parts += [f"near {expression(one)}" for one in order.near]
        lines.append(f"  those of {size_text(order.axis.size)} are sorted by {', then '.join(parts)}")
    for name, order, coordinate in tables_of(orders):
        index = order.axis.name
        told = expression(coordinate) if coordinate is not None else index
        lines.append(f"  {name.replace(' ', '_')}[{index}] is {told} of a sorted token")
    before, after = (visited(card, known, one, cpu) for one in (None, choose_orders(card, known, cpu)))
    if before is not None and after is not None:
        what = "of tiles of 64 by 64 hold pairs"
        lines.append(f"  about {100 * after:.1f} % {what}; {100 * before:.1f} % as tokens come")
    return lines


class _Explanation:
    def __init__(
        self,
        derivation: Derivation,
        known: dict[str, Any],
        widths: dict[str, int],
        dtype: torch.dtype,
        tensors: tuple[torch.Tensor, ...],
        card: Any,
        parameters: dict[str, Any],
    ) -> None:
        self.derivation = derivation
        self.known = known
        self.dtype = dtype
        self.card = card
        self.tensors = tensors
        self.parameters = parameters
        self.step: dict[str, int] = {}
        compute = "double" if dtype == torch.float64 else "float"
        self.names = Names(compute, widths, {}, {}, near_bytes=caches.near_bytes())

    def lines(self) -> list[str]:
        derivation = self.derivation
        wanted = tuple(d.name for d in derivation.meaning.inputs if d.tensor.type == "float")
        gradient = derivation.gradient(wanted)
        forward = derivation.plan_forward(gradient.kept)
        backward = derivation.plan_backward(gradient, both=all(tensor.is_cpu for tensor in self.tensors))
        lines = ["forward", *self._direction(forward), "", "backward", *self._direction(backward)]
        lines += ["", "kept for the backward"]
        for saved in gradient.kept:
            what = f"the result '{saved.result}'" if saved.result else expression(saved.node, longest=90)
            lines.append(f"  {what}: {self._bytes(saved.axes)}")
        return [*lines, "", f"tiles are for cores with {self.names.near_bytes // 1024} KiB of second-level cache"]

    def _bytes(self, axes: Sequence[Axis]) -> str:
        count = math.prod(self._length(axis) for axis in axes)
        return _size(count * torch.finfo(summed(self.dtype)).bits // 8)

    def _length(self, axis: Axis) -> int:
        return int(evaluate(encode(axis.size), self.known)) if is_host(axis.size) else 0

    # --- one direction -----------------------------------------------------------------------------------------

    def _direction(self, plan: Plan) -> list[str]:
        lines = ["  " + line for line in print_plan(plan).rstrip().split("\n")]
        program = self.derivation.statements(plan)
        runs = program.passes
        total = 0.0
        searches = False
        for (stage, around), run in zip(_with_repeats(plan.stages), runs, strict=True):
            lengths = [(one, self._length(one.axis)) for one in around]
            # which tiles exist is told for a step in the middle
            self.step = {one.step.attribute: length // 2 for one, length in lengths}
            text, work = self._tiles(stage, run)
            lines += ["  " + line for line in text]
            total += work * math.prod(length for one, length in lengths if one.until is None)
            searches |= stage.solve is not None or any(one.until is not None for one in around)
        if runs:
            each = ", one step of each search counted" if searches else ""
            count = f"{len(runs)} pass{'es' * (len(runs) > 1)}"
            lines.append(f"  {total / 1e9:.3g} GFLOP of matrix products in {count}{each}")
        lines += [f"  {note}" for note in dict.fromkeys(note_of(one, self.derivation.roles) for one in plan.later)]
        return lines

    def _tiles(self, stage: Pass, run: RunPass) -> tuple[list[str], float]:
        """Tile shares, density and the bound on what sparsity can save; floating-point work of the products."""
        blocks = choose_blocks(self.names, run)
        counts = self._count(stage, blocks.rows, blocks.columns)
        repeat = self._repeats(stage)
        per_pair = self._work_per_pair(run)
        rows = self._length(stage.row) if stage.row is not None else 1
        columns = self._length(stage.loop)
        row = stage.row.name if stage.row else "one row"
        lines = [f"pass over {row} by {stage.loop.name}: tiles of {blocks.rows} by {blocks.columns}"]
        pairs = self._pairs(stage, rows, columns)
        of_tensors = ""
        if counts is None and pairs is not None:
            counts, of_tensors = _counted(pairs, blocks.rows, blocks.columns), ", of the tensors given"
        if counts is None:
            visited = 1.0
            lines.append("  which tiles are visited depends on the tensors given")
        else:
            visited = (counts.full + counts.partial) / max(counts.all, 1)
            shares = [f"{100 * n / max(counts.all, 1):.1f} % {what}" for n, what in self._shares(counts)]
            each = "" if of_tensors else " for each head"
            lines.append(f"  {counts.all} tiles{each}: {', '.join(shares)}{of_tensors}")
        density = 1.0 if stage.domain.is_const(True) else float(pairs.double().mean()) if pairs is not None else None
        if density is not None and density < 1:
            bound = f"{1 / density:.3g}" if density else "unlimited"
            reached = f"{1 / visited:.3g}" if visited else "unlimited"
            lines.append(
                f"  {100 * density:.2f} % of pairs exist: at most {bound} times faster than dense, {reached} by tiles"
            )
        if counts is not None and counts.partial and stage.row is not None:
            lines.append(f"  {self._aligned(counts, stage, blocks.rows, blocks.columns)}")
        if density == 0:
            lines.append("  note: the mask removes everything, so the results are 0")
        return lines, per_pair * rows * columns * visited * repeat

    def _aligned(self, counts: Counts, stage: Pass, rows: int, columns: int) -> str:
        """What the mask would be if it were told by blocks, so that no tile is partial."""
        assert stage.row is not None
        least, most = (100 * n / counts.all for n in (counts.full, counts.full + counts.partial))
        blocks = f"{stage.row.name} // {rows} and {stage.loop.name} // {columns}"
        return f"told by {blocks} alone, no tile would be partial, and {least:.3g} to {most:.3g} % of pairs would exist"

    def _shares(self, counts: Counts) -> list[tuple[int, str]]:
        return [(counts.empty, "left out"), (counts.full, "full"), (counts.partial, "partial")]

    def _repeats(self, stage: Pass) -> int:
        outer = set(stage.grid) | {one.axis for one in stage.sequential}
        heads = {"H": "G"}
        names = {axis.size.attribute for axis in outer if axis.size.kind == "size"}
        if "H" in names:
            names.discard(heads["H"])
        rest = [self._length(axis) for axis in outer if axis.size.kind != "size"]
        return math.prod([int(self.known[name]) for name in names] + rest)

    def _work_per_pair(self, run: RunPass) -> float:
        total = 0.0
        for statement in run.tiles.body:
            if isinstance(statement, Contract):
                total += 2 * self._length(statement.left.widths[-1])
            elif isinstance(statement, Accumulate):
                total += 2 * self._length(statement.local.widths[-1])
            elif isinstance(statement, AccumulateColumns):
                total += 2 * self._length(statement.right.widths[-1])
            elif isinstance(statement, Sweep):
                for collect in statement.collects:
                    total += 2 * math.prod(self._length(axis) for axis in collect.widths) * bool(collect.widths)
        return total

    # --- tiles -------------------------------------------------------------------------------------------------

    def _count(self, stage: Pass, rows: int, columns: int) -> Counts | None:
        classes = stage.classes
        if not all(is_host(node) for node in (classes.may, classes.must, classes.low, classes.high)):
            return None
        row_size = self._length(stage.row) if stage.row is not None else 1
        loop_size = self._length(stage.loop)
        if math.ceil(row_size / rows) * math.ceil(loop_size / columns) > _MOST_TILES:
            return None
        may, must = encode(classes.may), encode(classes.must)
        counts = Counts(0, 0, 0)
        for first_row in range(0, row_size, rows):
            last_row = min(first_row + rows, row_size) - 1
            for first in range(0, loop_size, columns):
                last = min(first + columns, loop_size) - 1
                corners = {"#first_row": first_row, "#last_row": last_row, "#first": first, "#last": last}
                known = {**self.known, **self.step, **corners}
                if not evaluate(may, known):
                    counts.empty += 1
                elif evaluate(must, known) and last - first + 1 == columns:
                    counts.full += 1
                else:
                    counts.partial += 1
        return counts

    def _pairs(self, stage: Pass, rows: int, columns: int) -> torch.Tensor | None:
        """Which pairs the domain holds, rows and columns last; None where that is not told or too much."""
        if stage.domain.is_const(True):
            return None
        outer = [self._length(axis) for axis in stage.domain.axes if axis not in (stage.row, stage.loop)]
        if rows * columns * math.prod(outer) > _MOST_PAIRS or rows * columns == 0:
            return None
        if any(_reads_other(node) for node in walk(stage.domain)):
            return None
        evaluator = make_evaluator(self.card, self.tensors, {**self.parameters, **self.step})
        others = sorted(stage.domain.axes - {stage.row, stage.loop})
        if stage.row is None:
            return evaluator.result(stage.domain, (*others, stage.loop)).unsqueeze(-2)
        return evaluator.result(stage.domain, (*others, stage.row, stage.loop))


def _with_repeats(
    stages: Sequence[Stage], around: tuple[Repeat, ...] = ()
) -> Iterator[tuple[Pass, tuple[Repeat, ...]]]:
    """The passes in order, each with what repeats it."""
    for stage in stages:
        if isinstance(stage, Repeat):
            yield from _with_repeats(stage.stages, (*around, stage))
        elif isinstance(stage, Pass):
            yield stage, around


def _counted(pairs: torch.Tensor, rows: int, columns: int) -> Counts:
    """Tiles of these pairs by class, those of all sequences and heads."""
    counts = Counts(0, 0, 0)
    for first_row in range(0, pairs.shape[-2], rows):
        band = pairs[..., first_row : first_row + rows, :]
        for first in range(0, pairs.shape[-1], columns):
            tile = band[..., first : first + columns].flatten(-2)
            some, full = int(tile.any(-1).sum()), int(tile.all(-1).sum())
            full = full if tile.shape[-1] == columns * band.shape[-2] else 0
            counts.empty += tile[..., 0].numel() - some
            counts.full += full
            counts.partial += some - full
    return counts


def _reads_other(node: Node) -> bool:
    return node.kind == "reduce" or (node.kind == "read" and node.attribute.origin != "input")


def _size(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.4g} {unit}"
        count = count / 1024  # type: ignore[assignment]
    return ""
