"""How long a text takes to become a plan: parsed, checked, differentiated, planned, in a fresh process."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

from . import fresh
from .specs import EXAMPLES

GOAL = 150.0
SPECS = ("causal", "sliding", "alibi", "documents", "t5")


def measure(processes: int, specs: Sequence[str] = SPECS) -> dict[str, Any]:
    """Milliseconds from text to the plans of forward and backward, after imports: each spec in processes of its own."""
    found = {}
    for name in specs:
        runs = [fresh.run("frontend", {"text": (EXAMPLES / f"{name}.attn").read_text()}) for _ in range(processes)]
        found[name] = {stage: statistics.median(run[stage] for run in runs) for stage in runs[0]}
    return found


def child(text: str) -> dict[str, float]:
    """Milliseconds until the text is checked, until both its plans are made, and of a second time in this process.
    Of a file with several attentions, all are checked and the last is planned."""
    for name in ("attnc.grammar.parser", "attnc.pipeline", "networkx"):  # all that is imported late
        importlib.import_module(name)
    from attnc.loading import loads
    from attnc.spec import Attention

    def once() -> tuple[float, float]:
        start = time.perf_counter()
        found = loads(text)
        attention = found if isinstance(found, Attention) else list(found.values())[-1]
        checked = time.perf_counter()
        derivation = attention.derivation()
        wanted = tuple(d.name for d in derivation.meaning.inputs if d.tensor.type == "float")
        gradient = derivation.gradient(wanted)
        derivation.plan_forward(gradient.kept)
        derivation.plan_backward(gradient)
        return 1000 * (checked - start), 1000 * (time.perf_counter() - start)

    (checked, planned), (_, again) = once(), once()
    return {"checked": checked, "planned": planned, "planned again": again}
