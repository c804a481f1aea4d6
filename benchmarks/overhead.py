"""What a call costs beyond its kernel: a tiny problem called in full, and its kernel called alone, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch

from attnc.runtime.calls import Caller

from .specs import example
from .timing import seconds_of

GOAL, GOAL_WITH_GRADIENTS = 30.0, 60.0
_CALLS = 100


def measure(rounds: int) -> dict[str, float]:
    """Microseconds. The kernel alone is the same function with the same words, called through ctypes with its results
    already allocated: what is left is checking, remembering, allocating and, with gradients, autograd."""
    attention = example("causal")
    q, k, v = (torch.randn(1, 1, 1, 16) for _ in range(3))
    tensors = (q, k, v)
    leaves = tuple(t.clone().requires_grad_() for t in tensors)
    cotangent = torch.ones(1, 1, 1, 16)
    acts = {
        "call": lambda: attention(*tensors),
        "kernel": _kernel(attention, tensors),
        "recorded": lambda: attention(*leaves),
        "recorded kernel": _kernel(attention, leaves),
        "both": lambda: torch.autograd.grad(attention(*leaves), leaves, cotangent),
    }
    times = {name: _microseconds(acts, name, rounds) for name in acts}
    return {
        "call": times["call"],
        "its kernel alone": times["kernel"],
        "overhead": times["call"] - times["kernel"],
        "call that records gradients": times["recorded"],
        "its kernel alone, which keeps values for the backward": times["recorded kernel"],
        "overhead with gradients": times["recorded"] - times["recorded kernel"],
        "call and backward, kernels and torch's engine included": times["both"],
    }


def _microseconds(acts: dict[str, Callable[[], Any]], name: str, rounds: int) -> float:
    """The median over rounds of the mean of many calls."""
    act = acts[name]

    def many() -> None:
        for _ in range(_CALLS):
            act()

    many()
    return 1e6 * statistics.median(seconds_of(many) for _ in range(rounds)) / _CALLS


def _kernel(attention: Any, tensors: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    """The bare call of the kernel that this call would use."""
    caller = Caller(f"{attention.name}\n{attention.text}", attention.card, attention.derivation)
    prepared = caller.situation(attention.card(), tensors, {}).forward
    named = dict(zip(("q", "k", "v"), tensors))
    filled = {fill.name: torch.empty(fill.shape, dtype=fill.dtype) for fill in prepared.fills}
    words = prepared.words[:]
    words[0] = torch.get_num_threads()
    for place, name in prepared.pointers:
        words[place] = (filled if name in filled else named)[name].data_ptr()
    address, run = words.buffer_info()[0], prepared.kernel.run
    held = (words, filled, tensors)  # what the address points to
    return lambda: run(address) if held else None
