"""Every form of a few specs, as text: `ATTNC_UPDATE_GOLDENS=1 pytest tests/pipeline` writes them anew, for review."""

import os
from pathlib import Path

import pytest

import attnc
from attnc.runtime.show import show

_EXAMPLES = Path(__file__).parents[2] / "examples"
_FOLDER = Path(__file__).with_name("goldens")
SPECS = ("causal", "sliding", "shaw", "differential")
FORMS = [(stage, False) for stage in ("tree", "graph", "gradient", "answers", "plan", "statements")]
FORMS += [("plan", True), ("statements", True)]
CASES = [(spec, *form) for spec in SPECS for form in FORMS] + [("causal", "cpp", False), ("causal", "cpp", True)]


@pytest.mark.parametrize(("spec", "stage", "backward"), CASES, ids=str)
def test_form(spec, stage, backward):
    attention = attnc.loads(
        (_EXAMPLES / f"{spec}.attn").read_text(), f"{spec}.attn"
    )  # anew: what was asked before counts
    found = show(attention, stage, backward=backward)
    path = _FOLDER / spec / f"{stage}{'.backward' if backward else ''}.txt"
    if os.environ.get("ATTNC_UPDATE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()
