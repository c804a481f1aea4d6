"""Two pictures: the losses of a training, and a mask with the classes of its tiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from .settings import COMPARED, TOLERANCE
from .tiles import EMPTY, FULL, PARTIAL, Tiles

_COLOURS = {EMPTY: "#e9e9e6", PARTIAL: "#f2a541", FULL: "#3b6fb6"}
_WORDS = {EMPTY: "empty: left out", PARTIAL: "partial: pairs masked", FULL: "full: no mask applied"}
_FIRST, _SECOND, _THIRD = "#3b6fb6", "#f2a541", "#4f9d69"


def draw_losses(path: Path, sdpa: Sequence[float], causal: Sequence[float], window: Sequence[float]) -> None:
    """Losses of both causal runs and of the run that goes on with a window; beside them how far the two are apart."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2), layout="constrained")
    steps = np.arange(1, len(sdpa) + 1)
    left.plot(steps, sdpa, color=_FIRST, linewidth=4, alpha=0.45, label="torch SDPA, causal")
    left.plot(steps, causal, color=_SECOND, linewidth=1.3, label="examples/causal.attn")
    if window:
        later = len(causal) + 1 + np.arange(len(window))
        left.plot(later, window, color=_THIRD, linewidth=1.3, label="trained on with examples/sliding.attn")
        left.axvline(len(causal) + 0.5, color="grey", linewidth=0.8, linestyle=":")
    left.set(title="Training loss", xlabel="step", ylabel="cross entropy of a character (nats)")
    left.legend(frameon=False)
    difference = np.abs(np.subtract(sdpa, causal))
    equal = difference == 0
    right.semilogy(steps[~equal], difference[~equal], "o-", color=_FIRST, markersize=3, linewidth=0.8)
    right.hlines(TOLERANCE, 1, COMPARED, color="#c0392b", linestyle="--")
    text = f"must stay below {TOLERANCE:g}\nfor {COMPARED} steps"
    right.annotate(text, (1, TOLERANCE), (2, -4), textcoords="offset points", va="top", color="#c0392b", fontsize=9)
    right.set(title="How far the two causal runs are apart", xlabel="step", ylabel="difference of losses (nats)")
    right.set_ylim(1e-8, TOLERANCE * 3)
    right.set_xlim(0, len(sdpa) + 1)
    if equal.any():
        right.text(1, 1.3e-8, f"{equal.sum()} steps without a point: equal to the last bit", fontsize=9, color="grey")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_masks(path: Path, masks: Sequence[tuple[str, Tiles, Tensor]]) -> None:
    """Every mask with its tiles: their colour is their class, the line is the edge of the mask itself."""
    figure, places = plt.subplots(1, len(masks), figsize=(5.6 * len(masks), 6.2), layout="constrained", squeeze=False)
    for axes, (title, tiles, mask) in zip(places[0], masks):
        _draw_mask(axes, title, tiles, mask)
    handles: list[Artist] = [
        Patch(facecolor=_COLOURS[kind], edgecolor="grey", label=_WORDS[kind]) for kind in (FULL, PARTIAL, EMPTY)
    ]
    handles.append(Line2D([], [], color="black", linewidth=1.2, label="edge of the mask"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_mask(axes: Axes, title: str, tiles: Tiles, mask: Tensor) -> None:
    length = tiles.length
    colours = ListedColormap([_COLOURS[kind] for kind in (EMPTY, PARTIAL, FULL)])
    columns = np.minimum(np.arange(tiles.classes.shape[1] + 1) * tiles.columns, length)
    rows = np.minimum(np.arange(tiles.classes.shape[0] + 1) * tiles.rows, length)
    classes = tiles.classes.numpy()
    axes.pcolormesh(columns, rows, classes, cmap=colours, vmin=0, vmax=2, edgecolors="white", linewidth=0.6)
    step = max(length // 512, 1)
    where = np.arange(0, length, step)
    axes.contour(where, where, mask[::step, ::step].numpy(), levels=[0.5], colors="black", linewidths=1.2)
    full, partial, empty = (f"{100 * tiles.share(kind):.0f} %" for kind in (FULL, PARTIAL, EMPTY))
    shares = f"{full} full, {partial} partial, {empty} empty"
    axes.set_title(f"{title}\ntiles of {tiles.rows} × {tiles.columns}: {shares}", fontsize=10)
    axes.set(xlabel="key j", ylabel="query i", aspect="equal", xlim=(0, length), ylim=(length, 0))
    ticks = np.linspace(0, length, 5)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
