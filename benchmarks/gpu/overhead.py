"""Microseconds of the host for a call on tiny tensors, whose kernels take the GPU less time than asking for them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from .clock import wait
from .mechanisms import MECHANISMS, Sizes
from .outcomes import Found, Task
from .ways import FLASH, make

_CALLS = 100


def work(task: Task, device: str) -> Found:
    mechanism = MECHANISMS[task["attention"]]
    x = mechanism.inputs(Sizes.of(task), getattr(torch, task["dtype"]), device)
    plain = {name: tensor.detach() for name, tensor in x.items()}
    attention, rounds = mechanism.attention(), task["rounds"]
    found = {
        "call": microseconds(lambda: attention(*plain.values()), device, rounds),
        "call that records gradients": microseconds(lambda: attention(*x.values()), device, rounds),
    }
    flash = make(FLASH, mechanism, plain)
    return found if isinstance(flash, str) else found | {FLASH: microseconds(flash, device, rounds)}


def microseconds(act: Callable[[], object], device: str, rounds: int) -> float:
    """The median over rounds of the mean of many calls, with nothing waited for in between."""
    times = []
    for _ in range(rounds + 1):
        wait(device)
        start = time.perf_counter()
        for _ in range(_CALLS):
            act()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times[1:]) / _CALLS


def summary(found: Found) -> str:
    return ", ".join(f"{name} {value:.0f} µs" for name, value in found.items())


def faults(found: Found) -> list[str]:
    return []
