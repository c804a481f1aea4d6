"""Which tiles of a mask the compiler leaves out, runs without masks, or runs with them: by its analysis, and as counted
by the kernel itself."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import torch

import attnc
from attnc.codegen.cpp.blocks import choose_blocks
from attnc.codegen.cpp.names import Names
from attnc.codegen.statements import RunPass
from attnc.ir.host import encode, evaluate
from attnc.runtime.calls import Caller

EMPTY, PARTIAL, FULL = range(3)


@dataclass(frozen=True)
class Tiles:
    """Tiles of `rows` by `columns` pairs over a square of `length`; `classes` [tile of rows, tile of columns]."""

    length: int
    rows: int
    columns: int
    classes: torch.Tensor

    def count(self, what: int) -> int:
        return int((self.classes == what).sum())

    def share(self, what: int) -> float:
        return self.count(what) / self.classes.numel()

    def mistakes(self, mask: torch.Tensor) -> int:
        """Tiles whose class contradicts a mask [N, N]: empty ones with pairs, full ones without some pair."""
        wrong = 0
        for (y, x), kind in zip(torch.cartesian_prod(*map(torch.arange, self.classes.shape)), self.classes.flatten()):
            tile = mask[y * self.rows : (y + 1) * self.rows, x * self.columns : (x + 1) * self.columns]
            wrong += bool(tile.any()) if kind == EMPTY else kind == FULL and not bool(tile.all())
        return int(wrong)


def forward_tiles(attention: attnc.Attention, length: int, width: int, **parameters: Any) -> Tiles:
    """Tile classes of the forward kernel's only pass over pairs, in float32, by the conditions of its plan."""
    derivation = attention.derivation()
    plan = derivation.plan_forward(derivation.gradient(("k", "q", "v")).kept)
    (stage,) = plan.passes
    (run,) = (one for one in derivation.statements(plan).stages if isinstance(one, RunPass))
    blocks = choose_blocks(Names("float", {"D": width, "E": width}, {}, {}), run)
    may, must = encode(stage.classes.may), encode(stage.classes.must)
    rows = []
    for first_row in range(0, length, blocks.rows):
        row = []
        for first in range(0, length, blocks.columns):
            last_row, last = (min(n, length) - 1 for n in (first_row + blocks.rows, first + blocks.columns))
            corners = {"#first_row": first_row, "#last_row": last_row, "#first": first, "#last": last}
            known = {"N": length, **parameters, **corners}
            whole = evaluate(must, known) and last - first + 1 == blocks.columns
            row.append(EMPTY if not evaluate(may, known) else FULL if whole else PARTIAL)
        rows.append(row)
    return Tiles(length, blocks.rows, blocks.columns, torch.tensor(rows))


def counted_tiles(attention: attnc.Attention, length: int, width: int, **parameters: Any) -> tuple[int, int]:
    """How many full and partial tiles the forward kernel says it visited, for one head: it counts them if it is given
    a place to, and what it never visits it does not count."""
    q, k, v = (torch.zeros(1, 1, length, width, requires_grad=True) for _ in range(3))
    caller = Caller(f"{attention.name}\n{attention.text}", attention.card, attention.derivation)
    values = {p.name: parameters.get(p.name, p.default) for p in attention.card().parameters}
    situation = caller.situation(attention.card(), (q, k, v), values)
    counts = array("q", [0] * 2 * situation.forward.kernel.stages)
    situation.forward.run({"q": q, "k": k, "v": v}, counts.buffer_info()[0])
    return sum(counts[0::2]), sum(counts[1::2])


def window_mask(length: int, window: int) -> torch.Tensor:
    """The pairs of a causal window, each of them: [query, key]."""
    back = torch.arange(length)[:, None] - torch.arange(length)
    return (back >= 0) & (back < window)
