"""Seconds of kernels, measured in turns: on a GPU by events, with a cold second-level cache and the host ahead."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..timing import Effort

_HEAD_START = 2_000_000  # cycles that the GPU waits, about a millisecond: launching takes less


@dataclass(frozen=True)
class Act:
    """What is timed; `prepare` makes what it is given and is not timed."""

    prepare: Callable[[], Any]
    act: Callable[[Any], object]

    @classmethod
    def bare(cls, act: Callable[[], object]) -> Act:
        return cls(lambda: None, lambda _: act())


class Clock:
    """Times one act on the host."""

    def seconds(self, act: Act) -> float:
        given = act.prepare()
        start = time.perf_counter()
        act.act(given)
        return time.perf_counter() - start


class GpuClock(Clock):
    """Times what an act puts on the GPU. Everything is queued before the first event is reached, so that the time of
    launching from the host is not part of it; what the second-level cache held is overwritten."""

    def __init__(self) -> None:
        cache = torch.cuda.get_device_properties(0).L2_cache_size
        self.filler = torch.empty(4 * cache, dtype=torch.int8, device="cuda")
        self.begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self.end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def seconds(self, act: Act) -> float:
        given = act.prepare()
        self.filler.zero_()
        torch.cuda._sleep(_HEAD_START)  # type: ignore[no-untyped-call]
        self.begin.record()
        act.act(given)
        self.end.record()
        torch.cuda.synchronize()
        return float(self.begin.elapsed_time(self.end)) / 1000


def clock_of(device: str) -> Clock:
    return GpuClock() if device == "cuda" else Clock()


def measure(clock: Clock, acts: Mapping[str, Act], effort: Effort) -> dict[str, list[float]]:
    """Seconds of each act, one entry for each round. The first round is not counted; who goes first changes."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    names = list(acts)
    for act in acts.values():
        clock.seconds(act)
    start = time.perf_counter()
    for number in range(effort.most):
        if number >= effort.least and time.perf_counter() - start > effort.seconds:
            break
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(clock.seconds(acts[name]))
    return times


def milliseconds(seconds: list[float]) -> float:
    return 1000 * statistics.median(seconds)


def wait(device: str) -> None:
    """Until everything that was put on the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
