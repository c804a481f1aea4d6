"""Whether equal calls give equal bits: results and gradients of some examples, run several times.

Torch is not told to be deterministic: that would hide what attnc leaves to it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .examples import Numbers, compute, load, trial
from .outcomes import Found, Task

_WORDS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def work(task: Task, device: str) -> Found:
    drawn, attention = trial(task, device, seed=0), load(task["example"])
    return {"differing": differing(lambda: compute(attention, drawn, device), task["times"]), "times": task["times"]}


def differing(act: Callable[[], Numbers], times: int) -> list[str]:
    """Names of the tensors that any of the later runs gives with other bits than the first."""
    first = act()
    found = set()
    for _ in range(times - 1):
        again = act()
        found |= {name for name, tensor in first.items() if not are_same_bits(tensor, again[name])}
    return sorted(found)


def are_same_bits(a: Tensor, b: Tensor) -> bool:
    """Unlike `torch.equal`, tells 0 from -0 and takes a NaN for itself."""
    words = _WORDS[a.element_size()]
    return a.dtype == b.dtype and torch.equal(a.contiguous().view(words), b.contiguous().view(words))


def summary(found: Found) -> str:
    names = ", ".join(found["differing"])
    return f"differs: {names}" if names else f"the same bits in {found['times']} runs"


def faults(found: Found) -> list[str]:
    return [f"not deterministic: {', '.join(found['differing'])}"] if found["differing"] else []
