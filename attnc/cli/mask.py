"""`attnc mask FILE --shape …`: which pairs exist, and in which tiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import click

from ..diagnostics import Diagnostic
from ..diagnostics.diagnostic import AttnError
from .arguments import parameters_of, sizes_of, tensors_of
from .colours import heading
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
@click.option("--head", type=click.IntRange(0), help="Which head (otherwise each, if they differ).")
@click.option("--out", type=click.Path(path_type=Path), help="A picture besides: a .png or .svg file.")
@name_option
def mask(
    file: Path,
    shape: str,
    settings: str,
    tensors: Path | None,
    batch: int,
    head: int | None,
    out: Path | None,
    name: str | None,
) -> None:
    """Draw which pairs of queries and keys exist, and which tiles hold none, some or all of theirs."""
    if out is not None and out.suffix not in (".png", ".svg"):
        raise AttnError([Diagnostic("bad-option", f"'{out}' in --out is neither a .png nor an .svg file")])
    attention = pick(file, name)
    with working(f"drawing {attention.name}"):
        from attnc.runtime.masks import draw_masks

        given = _read(tensors) if tensors is not None else {}
        drawings = draw_masks(attention, *_call(attention, shape, settings, given), batch, head)
    for drawing in drawings:
        for line in _text(attention.name, drawing):
            click.echo(line)
    if out is not None:
        _picture(attention.name, drawings, out)


def _call(attention: Any, shape: str, settings: str, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Tensors in the order of the card, and parameters. Sizes that a given tensor has need not be said."""
    import torch

    card = attention.card()
    parameters = parameters_of(card, settings)
    wanted = pairs(shape, "--shape")
    for item in card.inputs:
        for size, length in zip(item.sizes, given[item.name].shape if item.name in given else ()):
            if isinstance(size, str) and size not in parameters:
                wanted.setdefault(size, str(length))
    usual = {"N": "512"} if _has(card, "N") else {}
    made = tensors_of(card, sizes_of(card, {**usual, **wanted}, parameters), parameters, torch.float32)
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
    head = "" if drawing.head is None else f", head {drawing.head}"
    lines = [heading(f"{name}{head}: {height} {drawing.row} by {width} {drawing.column}, {share}")]
    lines += _shaded(drawing.pairs.double())
    if drawing.is_sorted:
        lines += [heading("tokens as they are sorted for the kernel"), *_shaded(drawing.in_order.double())]
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


def _picture(name: str, drawings: Sequence[Drawing], out: Path) -> None:
    """Pairs on the left, tiles on the right; between them the pairs of sorted tokens. A line for each head."""
    try:
        import matplotlib
    except ImportError:
        title, remedy = "pictures need matplotlib", "pip install matplotlib"
        raise AttnError([Diagnostic("missing-package", title, (), None, (remedy,))]) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    across = 2 + drawings[0].is_sorted
    size = (4.5 * across, 4.8 * len(drawings))
    figure, panels = plt.subplots(len(drawings), across, figsize=size, layout="constrained", squeeze=False)
    for drawing, line in zip(drawings, panels):
        _panels(name, drawing, line)
    figure.savefig(out, dpi=120)
    plt.close(figure)


def _panels(name: str, drawing: Drawing, panels: Sequence[Any]) -> None:
    height, width = drawing.pairs.shape
    head = "" if drawing.head is None else f", head {drawing.head}"
    plain: dict[str, Any] = {"cmap": "Blues", "interpolation": "nearest", "aspect": "auto"}
    panels[0].imshow(drawing.pairs.numpy(), vmin=0, vmax=1, **plain)
    panels[0].set_title(f"{name}{head}: {100 * drawing.density():.1f} % of pairs")
    if drawing.is_sorted:
        panels[1].imshow(drawing.in_order.numpy(), vmin=0, vmax=1, **plain)
        panels[1].set_title("tokens sorted")
    panels[-1].imshow(drawing.tiles().numpy(), vmin=0, vmax=2, extent=(0, width, height, 0), **plain)
    panels[-1].set_title(f"tiles of {drawing.rows} by {drawing.columns}: none, some, all")
    for axes in panels:
        axes.set_xlabel(drawing.column)
        axes.set_ylabel(drawing.row)
