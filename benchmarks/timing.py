"""Times of several ways to compute one thing, measured in turns: a slow moment of the machine meets all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Act = Callable[[], object]


@dataclass(frozen=True)
class Effort:
    """How many rounds: at least `least`, then more until `seconds` have passed or there are `most`."""

    least: int
    most: int
    seconds: float


@dataclass(frozen=True)
class Ratio:
    """One way's time divided by another's of the same round: the median, the least and the greatest."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}..{self.most:.2f})"


def measure(acts: Mapping[str, Act], effort: Effort) -> dict[str, list[float]]:
    """Seconds of each act, one entry for each round. The first call of each is not counted; who goes first changes."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    names = list(acts)
    for act in acts.values():
        act()
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        for number in range(effort.most):
            if number >= effort.least and time.perf_counter() - start > effort.seconds:
                break
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                times[name].append(seconds_of(acts[name]))
    finally:
        if was_on:
            gc.enable()
    return times


def seconds_of(act: Act) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def compare(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """`over` divided by `under`, round by round."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))
