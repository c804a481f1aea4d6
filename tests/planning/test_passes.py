"""How many passes each spec of the corpus takes, what they accumulate and what the backward keeps.

The table is reviewed as a diff: `ATTNC_UPDATE_GOLDENS=1 pytest tests/planning` writes it anew.
"""

import os
from pathlib import Path

from ..corpus import attentions

_TABLE = Path(__file__).with_name("passes.txt")


def _passes(plan):
    """A pass by where its statistics live: per row, per looped index, free of both, or the pairs' own values."""
    found = []
    for stage in plan.passes:
        homes = [f"{a.op} per {a.home}" for a in stage.accumulators]
        homes += ["every pair" for _ in stage.tile_stores]
        counts = {home: homes.count(home) for home in dict.fromkeys(homes)}
        found.append(", ".join(f"{n} x {home}" if n > 1 else home for home, n in counts.items()))
    return found


def describe(attention):
    derivation = attention.derivation()
    wanted = [d.name for d in derivation.meaning.inputs if d.tensor.type == "float"]
    gradient = derivation.gradient(wanted)
    lines = [f"  forward:  {line}" for line in _passes(derivation.plan_forward(gradient.kept))]
    lines += [f"  backward: {line}" for line in _passes(derivation.plan_backward(gradient))]
    kept = sorted(saved.result or "a value per " + "".join(a.name for a in saved.axes) for saved in gradient.kept)
    return "\n".join([*lines, f"  kept:     {', '.join(kept) or 'nothing'}"])


def test_table():
    found = "\n".join(f"{name}\n{describe(attention)}" for name, attention in attentions().items()) + "\n"
    if os.environ.get("ATTNC_UPDATE_GOLDENS"):
        _TABLE.write_text(found)
    assert found == _TABLE.read_text()
