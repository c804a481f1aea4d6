"""Every example against its dense oracle: errors of results and gradients, as multiples of eager code's in that dtype.

The truth is the oracle in float64 on the same device. A tensor is good if its largest and its mean error are at most
twice those of the oracle run eagerly in the dtype itself, or all its errors are within 4 units of rounding of its
largest element. A largest error is a matter of luck, so what fails is judged anew over more draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from tests.examples.judge import error

from .examples import Numbers, Trial, compute, load, poisoned_memory, trial
from .outcomes import Found, Task

RATIO, UNITS = 2.0, 4.0
_DRAWS = (1, 4, 16)


@dataclass(frozen=True)
class Judged:
    """One result or gradient: (largest, mean) errors averaged over draws, the worse of their ratios to eager's, and
    the largest error in units of rounding of the largest element."""

    name: str
    own: tuple[float, float]
    eager: tuple[float, float]
    ratio: float
    units: float

    @property
    def share(self) -> float:
        """How much of what is allowed is used up; good up to 1."""
        return min(self.ratio / RATIO, self.units / UNITS)


def work(task: Task, device: str) -> Found:
    torch.set_float32_matmul_precision("highest")  # eager float32 must not be tf32
    return examine(load(task["example"]), lambda seed: trial(task, device, seed), device)


def examine(attention: Callable[..., Any], drawn: Callable[[int], Trial], device: str) -> Found:
    """Judges an attention over as few draws as it is found good with."""
    trials: list[Trial] = []
    found: list[Numbers] = []
    for count in _DRAWS:
        while len(trials) < count:
            trials.append(drawn(len(trials)))
            with poisoned_memory():
                found.append(compute(attention, trials[-1], device))
        tensors = judge(found, trials)
        if all(one.share <= 1 for one in tensors):
            break
    worst = max(tensors, key=lambda one: one.share)
    return {"worst": asdict(worst), "ok": worst.share <= 1, "draws": count, "tensors": [asdict(t) for t in tensors]}


def judge(found: Sequence[Numbers], trials: Sequence[Trial]) -> list[Judged]:
    for numbers, one in zip(found, trials, strict=True):
        if {n: t.shape for n, t in numbers.items()} != {n: t.shape for n, t in one.truth.items()}:
            raise ValueError("results, gradients or their shapes are not the oracle's")
    return [_judge(name, [numbers[name] for numbers in found], trials) for name in trials[0].truth]


def _judge(name: str, found: Sequence[Tensor], trials: Sequence[Trial]) -> Judged:
    errors = [error(tensor, one.truth[name]) for tensor, one in zip(found, trials, strict=True)]
    own = _means(errors)
    eager = _means([one.eager_error(name) for one in trials])
    units = max(_units(one_error, one, name) for one_error, one in zip(errors, trials, strict=True))
    return Judged(name, own, eager, max(map(_quotient, own, eager)), units)


def _means(errors: Sequence[Tensor]) -> tuple[float, float]:
    largest, mean = torch.stack(list(errors)).mean(0).tolist()
    return largest, mean


def _units(own: Tensor, one: Trial, name: str) -> float:
    truth = one.truth[name]
    largest = truth.abs().max().item() if truth.numel() else 0.0
    return _quotient(own[0].item(), torch.finfo(one.dtype).eps * largest)


def _quotient(own: float, other: float) -> float:
    """own / other; infinite for what is not finite, whatever it is compared with."""
    if own == 0:
        return 0.0
    return math.inf if other == 0 or not math.isfinite(own) else own / other


def summary(found: Found) -> str:
    worst = found["worst"]
    verdict = "ok" if found["ok"] else "WRONG"
    return f"{verdict}, {worst['ratio']:.2f} times eager's error ({worst['name']}, {worst['units']:.1f} units)"


def faults(found: Found) -> list[str]:
    return [] if found["ok"] else [f"WRONG: {summary(found)}"]
