"""The most memory that forward and backward take beyond their inputs, in a fresh process after a warm-up."""

from __future__ import annotations

import ctypes
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import fresh
from .cases import Sizes

OURS, SDPA = "attnc", "SDPA"
GOAL = 1.5


def measure(sizes: Sizes, threads: int) -> dict[str, Any]:
    """MiB by which causal attention grows a process, of attnc and of SDPA, and what the tensors themselves take."""
    found = {who: fresh.run("memory", {"who": who, "threads": threads, **asdict(sizes)}) for who in (OURS, SDPA)}
    tensor = 4 * sizes.B * sizes.H * sizes.N * sizes.D / 2**20
    all_tensors = 7 * tensor  # q, k, v, out, and the gradients of q, k, v
    grown = {who: one["grown"] for who, one in found.items()}
    return {
        "sizes": asdict(sizes),
        "growth over the inputs, MiB": grown,
        "inputs, MiB": 3 * tensor,
        "inputs, outputs and gradients, MiB": all_tensors,
        "inputs and growth as a multiple of inputs, outputs and gradients": {
            who: (3 * tensor + one) / all_tensors for who, one in grown.items()
        },
        "growth as a multiple of inputs, outputs and gradients": {who: one / all_tensors for who, one in grown.items()},
        "seconds": {who: one["seconds"] for who, one in found.items()},
    }


def child(who: str, threads: int, B: int, H: int, N: int, D: int) -> dict[str, float]:
    """MiB of growth while the results and gradients of one call are made, all of them kept."""
    import time

    import torch

    from .cases import mechanisms

    torch.set_num_threads(threads)
    mechanism = mechanisms()["causal"]
    attention, sdpa = mechanism.attention(), mechanism.peers.sdpa
    assert not isinstance(sdpa, str)

    def compute(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = attention(q, k, v) if who == OURS else sdpa({"q": q, "k": k, "v": v}, None)
        return out

    small = [torch.randn(1, H, 256, D, requires_grad=True) for _ in range(3)]
    torch.autograd.grad(compute(*small), small, torch.ones(1, H, 256, D))
    inputs = [torch.randn(B, H, N, D, requires_grad=True) for _ in range(3)]
    cotangent = torch.randn(B, H, N, D)
    forget_peak()
    before, _ = resident()
    start = time.perf_counter()
    out = compute(*inputs)
    gradients = torch.autograd.grad(out, inputs, cotangent)
    seconds = time.perf_counter() - start
    _, most = resident()
    assert all(bool(g.isfinite().all()) for g in gradients)
    return {"grown": (most - before) / 2**20, "seconds": seconds}


def resident() -> tuple[int, int]:
    """Bytes resident now and at most so far."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        now, most = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
        return now, most
    except (OSError, KeyError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return most, most


def give_back() -> None:
    """Has the allocator hand free memory back, where it can be asked to."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def forget_peak() -> None:
    """Starts the system's record of the most anew, so that start-up does not hide what comes after it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return
