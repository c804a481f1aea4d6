"""The first call of a process: with nothing on disk, when the compiler runs, and with the kernel found there."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import fresh
from .specs import EXAMPLES

GOAL = 60.0
SPECS = ("causal", "sliding")


def measure(processes: int, specs: Sequence[str] = SPECS) -> dict[str, Any]:
    """Milliseconds of each part of a process's first call: once with an empty cache, then medians with a full one."""
    found = {}
    for name in specs:
        path = str(EXAMPLES / f"{name}.attn")
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder) / "cache"
            cache.mkdir(mode=0o700)
            runs = [fresh.run("startup", {"path": path}, {"ATTNC_CACHE_DIR": str(cache)}) for _ in range(processes + 1)]
        cold, *warm = runs
        cached = {part: statistics.median(run[part] for run in warm) for part in cold}
        found[name] = {"cold": cold, "cached": cached}
    return found


def child(path: str) -> dict[str, float]:
    """Milliseconds of the parts in order. "call" is from the call to its result, without gradients; "gradients" is the
    first call with gradients and its backward, after that."""
    times = {}
    mark = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal mark
        now = time.perf_counter()
        times[name] = 1000 * (now - mark)
        mark = now

    import torch

    lap("import torch")
    import attnc
    from attnc.runtime import entry

    assert entry
    lap("import attnc")
    attention = attnc.load(path)
    assert isinstance(attention, attnc.Attention)
    lap("load")
    inputs = [torch.randn(1, 8, 128, 64) for _ in range(3)]
    mark = time.perf_counter()
    attention(*inputs)
    lap("call")
    for tensor in inputs:
        tensor.requires_grad_()
    mark = time.perf_counter()
    attention(*inputs).sum().backward()
    lap("gradients")
    return times
