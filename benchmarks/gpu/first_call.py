"""Seconds of the first call of an attention in a process whose caches are empty: from the call to its result."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from .clock import wait
from .mechanisms import MECHANISMS, Sizes
from .outcomes import Found, Task


def work(task: Task, device: str) -> Found:
    """The GPU itself is awake before; what attnc imports late is part of the first task's time."""
    mechanism = MECHANISMS[task["attention"]]
    x = mechanism.inputs(Sizes.of(task), getattr(torch, task["dtype"]), device)
    attention, leaves = mechanism.attention(), [x[name] for name in "qkv"]
    plain = [tensor.detach() for tensor in x.values()]

    def with_gradients() -> object:
        out = attention(*x.values())
        return torch.autograd.grad(out, leaves, torch.ones_like(out))

    return {
        "forward": _seconds(lambda: attention(*plain), device),
        "with gradients": _seconds(with_gradients, device),
    }


def _seconds(act: Callable[[], object], device: str) -> float:
    wait(device)
    start = time.perf_counter()
    act()
    wait(device)
    return time.perf_counter() - start


def summary(found: Found) -> str:
    return f"{found['forward']:.2f} s, then {found['with gradients']:.2f} s with gradients"


def faults(found: Found) -> list[str]:
    return []
