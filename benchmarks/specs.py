"""The attentions that are measured: the repository's examples, and some that isolate one thing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import attnc

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

SOFTCAP = """\
attention softcap(cap: float = 50.0)
axis      i, j: N
score     s = softcap(q[i] @ k[j] / sqrt(D), cap)
mask      j <= i
"""

WINDOW = """\
attention window(window: int = 256)
axis      i, j: N
mask      j <= i and i - j < window
"""


@cache
def example(file: str, name: str | None = None) -> attnc.Attention:
    """An attention of the examples; `name` says which, in a file that holds several."""
    found = attnc.load(EXAMPLES / f"{file}.attn")
    if name is not None:
        assert not isinstance(found, attnc.Attention)
        return found[name]
    assert isinstance(found, attnc.Attention)
    return found


@cache
def from_text(text: str) -> attnc.Attention:
    found = attnc.loads(text)
    assert isinstance(found, attnc.Attention)
    return found
