"""`attnc mask FILE --shape …`: which pairs exist, and in which tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import click

from ..diagnostics import Diagnostic
from ..diagnostics.diagnostic import AttnError
from .colours import heading
from .explain import _given, _sizes, _tensors, _value
from .options import file_argument, name_option, pairs, pick, working

if TYPE_CHECKING:
    from attnc.runtime.masks import Drawing

_SHADES = " ░▒▓█"
_MOST_ROWS, _MOST_COLUMNS = 32, 64


@click.command(short_help="Which pairs exist, and in which tiles?")
@file_argument
@click.option("--shape", default="", help="Sizes by name: B=1,H=8,M=512,N=512 (usual ones otherwise).")
@click.option("--set", "settings", default="", help="Parameters by name: window=512.")
@click.option("--tensors", type=click.Path(path_type=Path), help="Inputs by name, an .npz file (otherwise 0 or true).")
@click.option("--batch", type=click.IntRange(0), default=0, show_default=True, help="Which sequence.")
@click.option("--head", type=click.IntRange(0), default=0, show_default=True, help="Which head.")
@click.option("--out", type=click.Path(path_type=Path), help="A picture besides: a .png or .svg file.")
@name_option
def mask(
    file: Path,
    shape: str,
    settings: str,
    tensors: Path | None,
    batch: int,
    head: int,
    out: Path | None,
    name: str | None,
) -> None:
    """Draw which pairs of queries and keys exist, and which tiles hold none, some or all of theirs."""
    if out is not None and out.suffix not in (".png", ".svg"):
        raise AttnError([Diagnostic("bad-option", f"'{out}' in --out is neither a .png nor an .svg file")])
    attention = pick(file, name)
    with working(f"drawing {attention.name}"):
        from attnc.runtime.masks import draw_mask

        given = _read(tensors) if tensors is not None else {}
        drawing = draw_mask(attention, *_call(attention, shape, settings, given), batch, head)
    for line in _text(attention.name, drawing):
        click.echo(line)
    if out is not None:
        _picture(attention.name, drawing, out)


def _call(attention: Any, shape: str, settings: str, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Tensors in the order of the card, and parameters. Sizes that a given tensor has need not be said."""
    import torch

    card = attention.card()
    parameters = {p.name: _value(p, text) for p, text in _given(card, settings)}
    wanted = pairs(shape, "--shape")
    for item in card.inputs:
        for size, length in zip(item.sizes, given[item.name].shape if item.name in given else ()):
            if isinstance(size, str) and size not in parameters:
                wanted.setdefault(size, str(length))
    usual = {"N": "512"} if _has(card, "N") else {}
    made = _tensors(card, _sizes(card, {**usual, **wanted}, parameters), parameters, torch.float32)
    unknown = [name for name in given if name not in {item.name for item in card.inputs}]
    if unknown:
        raise AttnError([Diagnostic("unknown-argument", f"'{card.name}' has no input '{unknown[0]}'")])
    return [given.get(item.name, tensor) for item, tensor in zip(card.inputs, made)], parameters


def _has(card: Any, size: str) -> bool:
    from ..ir.host import names_in

    return any(size in names_in(one) for item in card.inputs for one in item.sizes)


def _read(path: Path) -> dict[str, Any]:
    import numpy as np
    import torch

    try:
        found = np.load(path)
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array without a name")
        with found:
            return {name: torch.from_numpy(found[name]) for name in found.files}
    except (ValueError, TypeError, EOFError, BadZipFile) as error:
        raise AttnError([Diagnostic("bad-option", f"'{path}' in --tensors is no .npz file: {error}")]) from None


# --- text ----------------------------------------------------------------------------------------------------------


def _text(name: str, drawing: Drawing) -> list[str]:
    height, width = drawing.pairs.shape
    tiles = drawing.tiles()
    counts = [int((tiles == kind).sum()) for kind in range(3)]
    shares = ", ".join(f"{n} {what}" for n, what in zip(counts, ("empty", "partial", "full")))
    share = f"{100 * drawing.density():.2f} % of pairs exist"
    lines = [heading(f"{name}: {height} {drawing.row} by {width} {drawing.column}, {share}")]
    lines += _shaded(drawing.pairs.double())
    lines.append(heading(f"{tiles.numel()} tiles of {drawing.rows} by {drawing.columns}: {shares}"))
    lines += _shaded(tiles.double() / 2)
    if not counts[1] and not counts[2]:
        lines.append("the mask removes everything, so the results are 0")
    return lines


def _shaded(values: Any) -> list[str]:
    """A table of shares as shades, several entries to a sign where there are many; anything but 0 and 1 shows."""
    rows, columns = (min(n, most) for n, most in zip(values.shape, (_MOST_ROWS, _MOST_COLUMNS)))
    lines = []
    for y in range(rows):
        band = values[y * values.shape[0] // rows : (y + 1) * values.shape[0] // rows]
        signs = []
        for x in range(columns):
            part = band[:, x * values.shape[1] // columns : (x + 1) * values.shape[1] // columns]
            share = float(part.mean())
            signs.append(_SHADES[0 if share == 0 else 4 if share == 1 else 1 + min(int(3 * share), 2)])
        lines.append("  " + "".join(signs).rstrip())
    return lines


# --- pictures ------------------------------------------------------------------------------------------------------


def _picture(name: str, drawing: Drawing, out: Path) -> None:
    """Pairs on the left, tiles on the right."""
    try:
        import matplotlib
    except ImportError:
        title, remedy = "pictures need matplotlib", "pip install matplotlib"
        raise AttnError([Diagnostic("missing-package", title, (), None, (remedy,))]) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    height, width = drawing.pairs.shape
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
    plain: dict[str, Any] = {"cmap": "Blues", "interpolation": "nearest", "aspect": "auto"}
    left.imshow(drawing.pairs.numpy(), vmin=0, vmax=1, **plain)
    right.imshow(drawing.tiles().numpy(), vmin=0, vmax=2, extent=(0, width, height, 0), **plain)
    left.set_title(f"{name}: {100 * drawing.density():.1f} % of pairs")
    right.set_title(f"tiles of {drawing.rows} by {drawing.columns}: none, some, all")
    for axes in (left, right):
        axes.set_xlabel(drawing.column)
        axes.set_ylabel(drawing.row)
    figure.savefig(out, dpi=120)
    plt.close(figure)
