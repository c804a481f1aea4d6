"""One attention at one size -> times of its forward and backward, and how many times longer each peer takes.

Everybody's result and gradients of q, k and v are compared with attnc's before anything is timed. The forward keeps
what the backward needs, for everybody. A peer that raises or differs is named with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..agreement import distance
from ..peers import Inputs
from ..timing import Effort, compare
from .clock import Act, Clock, clock_of, measure, milliseconds, wait
from .mechanisms import MECHANISMS, Mechanism, Sizes
from .outcomes import FAILED, Found, Task, first_line
from .ways import OURS, PEERS, Way, make

FORWARD, BACKWARD = "forward", "backward"
PRODUCTS = {FORWARD: 2, BACKWARD: 5}
DIFFERS = "differs from attnc by"
_ALLOWED = 5e-2


@dataclass
class Measured:
    """One direction: median times, ratios of the rounds to attnc, reasons for no ratio, milliseconds of each round."""

    operations: float
    milliseconds: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    rounds: int = 0
    times: dict[str, list[float]] = field(default_factory=dict)

    @property
    def tflops(self) -> float:
        return self.operations / (1e9 * self.milliseconds[OURS])


class Contest:
    """The ways that take part in either direction, and why others do not."""

    def __init__(self, x: Inputs) -> None:
        self.leaves = [x[name] for name in "qkv"]
        random = torch.Generator(x["q"].device).manual_seed(1)
        self.cotangent = torch.randn(x["q"].shape, generator=random, device=x["q"].device).to(x["q"].dtype)
        self.ways: dict[str, dict[str, Way]] = {FORWARD: {}, BACKWARD: {}}
        self.reasons: dict[str, dict[str, str]] = {FORWARD: {}, BACKWARD: {}}
        self.right: list[Tensor] = []

    def enter_ours(self, way: Way) -> None:
        """What all others are compared with; what it raises is not caught."""
        out = way()
        self.right = [out.detach(), *self.backward(out)]
        self.ways[FORWARD][OURS] = self.ways[BACKWARD][OURS] = way

    def enter(self, who: str, way: Way | str) -> None:
        """Tries a way in both directions, which also compiles it."""
        if isinstance(way, str):
            self.refuse(who, way, FORWARD, BACKWARD)
            return
        direction = FORWARD
        try:
            out = way()
            if self._accepts(who, way, FORWARD, self.right[:1], [out.detach()]):
                direction = BACKWARD
                self._accepts(who, way, BACKWARD, self.right[1:], self.backward(out))
        except Exception as error:  # peers fail in many ways; which one is what the report says
            self.refuse(
                who, FAILED + first_line(error), *((FORWARD, BACKWARD) if direction == FORWARD else (BACKWARD,))
            )

    def backward(self, out: Tensor) -> Sequence[Tensor]:
        return torch.autograd.grad(out, self.leaves, self.cotangent)

    def refuse(self, who: str, reason: str, *directions: str) -> None:
        for direction in directions:
            self.reasons[direction][who] = reason

    def _accepts(self, who: str, way: Way, direction: str, right: Sequence[Tensor], own: Sequence[Tensor]) -> bool:
        apart = max(distance(a, b) for a, b in zip(right, own, strict=True))
        if apart <= _ALLOWED:
            self.ways[direction][who] = way
            return True
        directions = (FORWARD, BACKWARD) if direction == FORWARD else (BACKWARD,)
        self.refuse(who, f"{FAILED}{DIFFERS} {apart:.1e} of its largest element", *directions)
        return False

    def acts(self, direction: str) -> dict[str, Act]:
        ways = self.ways[direction]
        if direction == FORWARD:
            return {who: Act.bare(way) for who, way in ways.items()}
        return {who: Act(way, self.backward) for who, way in ways.items()}


def work(task: Task, device: str) -> Found:
    mechanism, sizes = MECHANISMS[task["attention"]], Sizes.of(task)
    start = time.perf_counter()
    contest = compete(mechanism, mechanism.inputs(sizes, getattr(torch, task["dtype"]), device))
    wait(device)
    tried = time.perf_counter() - start
    clock, effort = clock_of(device), Effort(*task["effort"])
    found = {d: time_direction(contest, d, mechanism.operations(sizes, PRODUCTS[d]), clock, effort) for d in PRODUCTS}
    return {"seconds to try all": tried, **{d: {**asdict(m), "tflops": m.tflops} for d, m in found.items()}}


def compete(mechanism: Mechanism, x: Inputs) -> Contest:
    """Everybody tried, attnc first."""
    contest = Contest(x)
    ours = make(OURS, mechanism, x)
    assert not isinstance(ours, str)
    contest.enter_ours(ours)
    for who in PEERS:
        try:
            contest.enter(who, make(who, mechanism, x))
        except Exception as error:
            contest.refuse(who, FAILED + first_line(error), FORWARD, BACKWARD)
    return contest


def time_direction(contest: Contest, direction: str, operations: float, clock: Clock, effort: Effort) -> Measured:
    times = measure(clock, contest.acts(direction), effort)
    found = Measured(operations, reasons=contest.reasons[direction], rounds=len(times[OURS]))
    for who, seconds in times.items():
        found.milliseconds[who] = milliseconds(seconds)
        found.times[who] = [round(1000 * one, 5) for one in seconds]
        if who != OURS:
            found.ratios[who] = asdict(compare(seconds, times[OURS]))
    return found


def summary(found: Found) -> str:
    return "; ".join(_summary(direction, found[direction]) for direction in PRODUCTS)


def _summary(direction: str, one: dict[str, Any]) -> str:
    ratios = [f"{who} {ratio['median']:.2f}×" for who, ratio in one["ratios"].items()]
    return ", ".join([f"{direction} {one['tflops']:.0f} TFLOP/s", *ratios])


def faults(found: Found) -> list[str]:
    """Peers that are not of one mind with attnc."""
    all_reasons = [(d, who, reason) for d in PRODUCTS for who, reason in found[d]["reasons"].items()]
    return [f"{direction}: {who} {reason}" for direction, who, reason in all_reasons if DIFFERS in reason]
