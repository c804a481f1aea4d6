"""A short benchmark of attention alone: forward, and forward with backward, beside torch's SDPA."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from .model import Attend
from .training import load_example, sdpa, windowed

_LEAST_ROUNDS = 3
_SECONDS = 15.0


@dataclass
class Times:
    """Seconds of one attention, one entry for each round."""

    attend: Attend
    forward: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)


def run_benchmark(length: int, window: int, rounds: int) -> dict[str, Times]:
    """Times of four attentions of 8 heads of 64, measured in turns: a slow moment of the machine meets all of them."""
    inputs = [torch.randn(1, 8, length, 64, generator=torch.Generator().manual_seed(n)) for n in range(4)]
    q, k, v = (tensor.requires_grad_() for tensor in inputs[:3])
    found = {
        "SDPA, is_causal": Times(sdpa),
        "SDPA, window as attn_mask": Times(masked_sdpa(length, window)),
        "causal.attn": Times(load_example("causal")),
        "sliding.attn": Times(windowed(window)),
    }
    for times in found.values():
        _measure(times, q, k, v, inputs[3])
        times.forward.clear()
        times.both.clear()
    start = time.perf_counter()
    for number in range(rounds):
        if number >= _LEAST_ROUNDS and time.perf_counter() - start > _SECONDS:
            break
        for times in found.values():
            _measure(times, q, k, v, inputs[3])
    return found


def masked_sdpa(length: int, window: int) -> Attend:
    """The sliding window as SDPA can have it: a matrix of all pairs, and no soft cap."""
    back = torch.arange(length)[:, None] - torch.arange(length)
    mask = (back >= 0) & (back < window)
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _measure(times: Times, q: Tensor, k: Tensor, v: Tensor, cotangent: Tensor) -> None:
    with torch.no_grad():
        times.forward.append(_seconds(lambda: times.attend(q, k, v)))
    times.both.append(_seconds(lambda: torch.autograd.grad(times.attend(q, k, v), (q, k, v), cotangent)))


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def ratio(base: list[float], other: list[float]) -> float:
    """How many times faster `other` is: the median over rounds."""
    return statistics.median(a / b for a, b in zip(base, other))
