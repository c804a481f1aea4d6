"""Makes the kernels of one way to compute an attention, so that the caches on disk hold them when times are taken."""

from __future__ import annotations

import time

import torch

from .clock import wait
from .mechanisms import MECHANISMS, Sizes
from .outcomes import Found, Task
from .ways import make


def work(task: Task, device: str) -> Found:
    mechanism = MECHANISMS[task["attention"]]
    x = mechanism.inputs(Sizes.of(task), getattr(torch, task["dtype"]), device)
    start = time.perf_counter()
    way = make(task["who"], mechanism, x)
    if not isinstance(way, str):
        out = way()
        torch.autograd.grad(out, [x[name] for name in "qkv"], torch.ones_like(out))
    wait(device)
    return {"seconds": time.perf_counter() - start}


def summary(found: Found) -> str:
    return f"{found['seconds']:.1f} s"


def faults(found: Found) -> list[str]:
    return []
