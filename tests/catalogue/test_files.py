"""The catalogue's files: every spec has a dense computation, every easy or medium row a spec or a reason."""

import re

import pytest

import attnc
from attnc.rows import DONE, FAMILIES, FOLDER, LEFT_OUT, catalogue
from attnc.spec import Attention

from .rows import rows

BY_ID = {row.id: row for row in catalogue()}
SPECS = sorted(path for path in FOLDER.glob("*.attn") if not path.stem.startswith("shared_"))
PAGE = FOLDER.resolve().parents[1] / "docs" / "catalogue.md"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_spec(path):
    """Named by a row, told of its paper, and each attention in it compared with a dense computation."""
    text = path.read_text()
    assert path.stem in BY_ID
    titles = re.findall(r'"""(.*?)"""', text, re.DOTALL)
    assert titles and any('"' in title for title in titles), "a docstring names the paper in quotes"
    found = attnc.load(path)
    names = [path.stem] if isinstance(found, Attention) else [f"{path.stem}:{name}" for name in found]
    assert [name for name in names if name not in rows()] == []


def test_every_row_is_a_spec_or_has_a_reason():
    assert len(BY_ID) == 344
    without = [row.id for row in catalogue() if row.level in ("easy", "medium") and row.status not in (DONE, LEFT_OUT)]
    assert without == []


def test_reasons_are_of_rows_without_a_spec():
    for row in catalogue():
        if row.left_out is not None:
            assert row.status == LEFT_OUT, f"{row.id} is a spec: it needs no reason"
        assert (row.missing is None) == (row.status == DONE) and row.family in FAMILIES


def test_shared_definitions_are_used():
    texts = [path.read_text() for path in FOLDER.glob("*.attn")]
    for path in FOLDER.glob("shared_*.attn"):
        assert sum(f'use "{path.name}"' in text for text in texts) >= 1, path.name


def test_the_page_tells_of_every_row():
    """docs/catalogue.md is written by `python -m benchmarks.catalogue write`."""
    text = PAGE.read_text()
    for row in catalogue():
        linked = f"(../examples/catalogue/{row.id}.attn)" in text
        assert linked == (row.status == DONE) and (linked or f"(`{row.id}`)" in text), row.id
