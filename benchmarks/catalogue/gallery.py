"""docs/catalogue.html: a picture of every row's weights, one file that needs nothing else.

A picture shows how much each result depends on each value: the size of the derivative of the first result in `v`, or in
the float input with the longest axis where a row has no `v`, for one sequence and the first two heads.
"""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.image import imsave

from attnc.rows import DONE, FAMILIES, CatalogueRow, catalogue
from tests.catalogue.rows import Row, rows
from tests.catalogue.test_rows import as_tuple

from .table import Known, checks, passes, ratios

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalogue.html"
_LENGTH = 24
_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem }
body { color: #222; background: #fff }
h2 { margin: 2.5rem 0 .8rem; text-transform: capitalize }
nav a { margin-right: .8rem }
.rows { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .9rem; align-items: start }
article { border: 1px solid #ddd; border-radius: 6px; padding: .7rem; overflow: hidden }
article.open { background: #f6f6f6; color: #666 }
article h3 { font-size: 1rem; margin: 0 0 .4rem; overflow-wrap: anywhere }
img { height: 7rem; image-rendering: pixelated; border: 1px solid #eee; max-width: 100% }
details pre { overflow-x: auto; font-size: .8rem; background: #f4f4f4; padding: .5rem }
small { color: #666 }
input { padding: .4rem .6rem; width: 22rem; font: inherit }
"""
_SCRIPT = """
const box = document.querySelector("input");
box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const row of document.querySelectorAll("article"))
    row.hidden = !words.every((word) => row.dataset.words.includes(word));
  for (const part of document.querySelectorAll("section"))
    part.hidden = !part.querySelector("article:not([hidden])");
});
"""


def write_gallery(known: Known) -> None:
    parts = []
    for family in FAMILIES:
        members = sorted((row for row in catalogue() if row.family == family), key=lambda r: (r.status != DONE, r.id))
        cards = "\n".join(_card(row, known) for row in members)
        parts.append(f'<section id="{_anchor(family)}"><h2>{family}</h2><div class="rows">\n{cards}\n</div></section>')
    links = "".join(f'<a href="#{_anchor(family)}">{family}</a>' for family in FAMILIES)
    done = sum(row.status == DONE for row in catalogue())
    text = (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>attnc: the catalogue</title>'
        f"<style>{_STYLE}</style>\n<h1>The catalogue</h1><p>{len(catalogue())} rows, {done} of them specs. A "
        "picture shows how much each result (down) depends on each value (across); grey cards are not specs yet.</p>\n"
        f'<p><input type="search" placeholder="find: rotary window causal …" aria-label="find"></p><nav>{links}</nav>\n'
        + "\n".join(parts)
        + f"\n<script>{_SCRIPT}</script></html>\n"
    )
    _PAGE.write_text(text, encoding="utf-8")


def _anchor(family: str) -> str:
    return family.replace(" ", "-")


def _card(row: CatalogueRow, known: Known) -> str:
    words = html.escape(" ".join((row.id, row.name, row.computes, row.status, row.level, *row.needs)).lower())
    title = f"<h3>{html.escape(row.name)}</h3>"
    if row.status != DONE:
        return (
            f'<article class="open" data-words="{words}">{title}<p>{html.escape(row.computes)}</p>'
            f"<small>{row.level}; not yet: {html.escape(row.missing or '')}</small></article>"
        )
    pictures = "".join(_picture(one) for one in rows().values() if one.id == row.id)
    found = ratios(row, known)
    facts = [row.level, f"passes {passes(row, known)}", f"checked {checks(row, known)}"]
    facts += [f"{min(found):.1f} times eager"] if found else []
    spec = html.escape(row.path.read_text(encoding="utf-8"))
    return (
        f'<article data-words="{words}">{title}{pictures}<p>{html.escape(row.computes)}</p>'
        f"<small>{html.escape('; '.join(facts))}</small>"
        f"<details><summary>spec</summary><pre>{spec}</pre></details></article>"
    )


def _picture(row: Row) -> str:
    found = _weights(row)
    if found is None:
        return ""
    scaled = found / max(float(found.max()), 1e-30)
    image = io.BytesIO()
    imsave(image, colormaps["viridis"](scaled**0.5)[:, :, :3], format="png")
    data = base64.b64encode(image.getvalue()).decode()
    return f'<img alt="weights of {html.escape(row.name)}" src="data:image/png;base64,{data}">'


def _weights(row: Row) -> np.ndarray | None:
    """Of each place of the first result, the size of its derivative in each place of the values."""
    attention = row.load()
    longer = {k: _LENGTH for k in ("M", "N") if k not in row.sizes}
    try:
        inputs = row.draw(attention, torch.float64, **longer)
        results = [r for r in as_tuple(row.dense(**inputs, **row.given(attention))) if r.requires_grad]
    except RuntimeError:  # its sizes hang together: as its test has them
        inputs = row.draw(attention, torch.float64)
        results = [r for r in as_tuple(row.dense(**inputs, **row.given(attention))) if r.requires_grad]
    if not results:
        return None
    result, learned = results[0], [x for x in inputs.values() if x.requires_grad]
    value = inputs.get("v", max(learned, key=lambda x: max(x.shape, default=0)))
    while result.dim() > 2 and result.shape[-1] != 1:
        result = result.sum(-1)  # features
        if result.dim() <= 3:
            break
    flat = result.reshape(-1, result.shape[-1])[0] if result.dim() > 1 else result.reshape(-1)
    lines = []
    for one in flat:
        (gradient,) = torch.autograd.grad(one, value, retain_graph=True, allow_unused=True, materialize_grads=True)
        lines.append(
            gradient.reshape(-1, *gradient.shape[-2:])[0].norm(dim=-1) if gradient.dim() > 1 else gradient.abs()
        )
    found = torch.stack(lines).detach().nan_to_num().numpy()
    return found if found.size > 1 else None
