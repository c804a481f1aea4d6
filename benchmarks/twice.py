"""The double backward of causal softmax, in time and memory beside eager torch: each in a fresh process."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from . import fresh
from .cases import Sizes
from .memory import forget_peak, resident

OURS, EAGER = "attnc", "eager"
GOAL_TIME, GOAL_GROWTH = 1.0, 2.2  # twice the length, twice the memory, and what a process takes anyway


def measure(sizes: Sizes, threads: int) -> dict[str, Any]:
    """Seconds and MiB of growth for a result, its gradients, and the gradients of a function of these; the growth of
    attnc at half the length, too."""
    given = {"threads": threads, **asdict(sizes)}
    found = {who: fresh.run("twice", {"who": who, **given}) for who in (OURS, EAGER)}
    half = fresh.run("twice", {"who": OURS, **given, "N": sizes.N // 2})
    return {
        "sizes": asdict(sizes),
        "seconds": {who: one["seconds"] for who, one in found.items()},
        "growth over the inputs, MiB": {who: one["grown"] for who, one in found.items()},
        "growth of attnc at half the length, MiB": half["grown"],
        "time over eager's": found[OURS]["seconds"] / found[EAGER]["seconds"],
        "growth over that at half the length": found[OURS]["grown"] / max(half["grown"], 1.0),
        "distance of results": abs(found[OURS]["check"] - found[EAGER]["check"]) / abs(found[EAGER]["check"]),
    }


def child(who: str, threads: int, B: int, H: int, N: int, D: int) -> dict[str, float]:
    """Of one of the two: kernels are built and warm before."""
    import time

    import torch

    from .cases import mechanisms

    torch.set_num_threads(threads)
    mechanism = mechanisms()["causal"]
    attention = mechanism.attention()

    def eager(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        n = q.shape[-2]
        hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
        return (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(hidden, -torch.inf).softmax(-1) @ v

    def twice(n: int) -> float:
        random = torch.Generator().manual_seed(0)
        inputs = [torch.randn(B, H, n, D, generator=random).requires_grad_() for _ in range(3)]
        out = (attention if who == OURS else eager)(*inputs)
        first = torch.autograd.grad(out, inputs, torch.ones_like(out), create_graph=True)
        second = torch.autograd.grad(sum((g * g).sum() for g in first), inputs)
        return float(sum(g.double().abs().sum() for g in second))

    twice(128)
    forget_peak()
    before, _ = resident()
    start = time.perf_counter()
    check = twice(N)
    seconds = time.perf_counter() - start
    return {"grown": (resident()[1] - before) / 2**20, "seconds": seconds, "check": check}
