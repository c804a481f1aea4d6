"""Operations a second of every row over the operations for each byte of its tensors, below what the machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .compare import OURS, Row

_MARKERS = {"forward": "o", "backward": "s", "forward + backward": "^"}
_COLOURS = {"float32": "tab:blue", "bfloat16": "tab:orange"}


def draw(rows: Sequence[Row], machine: dict[str, Any], path: Path) -> None:
    """A PNG. Roofs are the measured peaks of multiply-adds, the slope is the measured bandwidth of reading."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    bandwidth = machine["read bandwidth, GB/s"]
    intensities = [row.products / row.bytes for row in rows if row.products and row.bytes]
    low, high = min(intensities, default=1) / 4, max(intensities, default=1e3) * 2
    for dtype, peak in machine["multiply-add peak, GFLOP/s"].items():
        ridge = peak / bandwidth
        line = [(low, low * bandwidth), (ridge, peak), (high, peak)] if low < ridge else [(low, peak), (high, peak)]
        axes.plot(*zip(*line), color=_COLOURS[dtype], label=f"{dtype}: {peak:.0f} GFLOP/s, {bandwidth:.0f} GB/s")
    for row in rows:
        if row.products and row.bytes:
            rate = row.products / row.milliseconds[OURS] / 1e6
            marker, colour = _MARKERS[row.direction], _COLOURS.get(row.dtype, "grey")
            axes.scatter(row.products / row.bytes, rate, marker=marker, color=colour, alpha=0.7)
    for direction, marker in _MARKERS.items():
        axes.scatter([], [], marker=marker, color="grey", label=direction)
    axes.set(xscale="log", yscale="log", xlabel="operations for each byte of the tensors", ylabel="GFLOP/s")
    axes.set_title("attnc on the CPU, by the products of pairs that exist")
    axes.grid(True, which="both", alpha=0.2)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
