"""What the demo prints, as tables: losses beside each other, time and memory, the benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich.table import Table

from .benchmark import Times, ratio
from .settings import COMPARED
from .tiles import EMPTY, FULL, PARTIAL, Tiles
from .training import Run


def loss_table(sdpa: Sequence[float], causal: Sequence[float]) -> Table:
    """Both losses at some steps, and how far they are apart."""
    table = _table("Losses", ("step", "torch SDPA", "causal.attn", "difference"))
    for step in sorted({1, 2, 5, 10, 20, 30, COMPARED, len(sdpa)}):
        if step <= len(sdpa):
            a, b = sdpa[step - 1], causal[step - 1]
            table.add_row(str(step), f"{a:.5f}", f"{b:.5f}", f"{abs(a - b):.1e}")
    return table


def cost_table(runs: Sequence[Run], memory: Mapping[str, int]) -> Table:
    """Time of a step and the memory that training takes, of every run."""
    table = _table("Cost of training", ("attention", "median time per step", "memory at most", "last loss"))
    for run in runs:
        took = f"{memory[run.name] / 2**20:.0f} MiB"
        table.add_row(run.name, f"{1000 * run.median_seconds():.0f} ms", took, f"{run.losses[-1]:.3f}")
    return table


def tile_table(rows: Sequence[tuple[str, Tiles, tuple[int, int], int]]) -> Table:
    """Tiles by class, as counted by the kernel, and how many classes the mask itself contradicts."""
    names = ("mask", "tiles", "full", "partial", "empty", "kernel visited (full + partial)", "wrong")
    table = _table("Tiles of the masks, for each head", names)
    for name, tiles, (full, partial), wrong in rows:
        counts = (str(tiles.count(kind)) for kind in (FULL, PARTIAL, EMPTY))
        table.add_row(name, str(tiles.classes.numel()), *counts, f"{full} + {partial}", str(wrong))
    return table


def benchmark_table(times: Mapping[str, Times], length: int, window: int) -> Table:
    """Median times, and how many times faster each is than causal SDPA in the same rounds."""
    names = ("attention", "forward", "forward and backward", "faster", "with backward")
    table = _table(f"Attention alone: 8 heads of 64, N = {length}, window {window}", names)
    base = next(iter(times.values()))
    for name, one in times.items():
        medians = (f"{1000 * statistics.median(seconds):.1f} ms" for seconds in (one.forward, one.both))
        ratios = (f"{ratio(a, b):.2f}×" for a, b in ((base.forward, one.forward), (base.both, one.both)))
        table.add_row(name, *medians, *ratios)
    return table


def _table(title: str, names: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left")
    return table
