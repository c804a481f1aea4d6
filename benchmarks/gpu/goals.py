"""What is promised for one H200 in bfloat16, and whether the figures of a run keep it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from .findings import Findings
from .mechanisms import MECHANISMS, all_pairs
from .outcomes import Outcome
from .parts import LENGTHS, WIDTHS
from .speed import BACKWARD, FORWARD
from .ways import FLEX

FIRST_CALL, OVERHEAD = 3.0, 40.0
_BACKWARD = 280.0
_FORWARD = {(128, True): 450.0, (128, False): 400.0, (64, True): 350.0, (64, False): 350.0}


@dataclass(frozen=True)
class Goal:
    """`is_met` is None where nothing was measured."""

    name: str
    measured: str
    goal: str
    is_met: bool | None
    note: str = ""

    def cells(self) -> list[str]:
        met = "not measured" if self.is_met is None else "yes" if self.is_met else "**no**"
        return [self.name, self.measured, self.goal, met, self.note]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def tflops_goal(direction: str, task: dict[str, Any]) -> float | None:
    """TFLOP/s that a row should reach: 450 forward at D 128 where all pairs exist, 400 under a mask; 350 at D 64."""
    if task["D"] not in WIDTHS:
        return None
    if direction == BACKWARD:
        return _BACKWARD
    return _FORWARD[task["D"], MECHANISMS[task["attention"]].pairs is all_pairs]


def goals(findings: Findings) -> list[Goal]:
    rows = sorted_rows(findings.done("speed"))
    found = [goal for direction in (FORWARD, BACKWARD) for goal in _speeds(direction, rows)]
    found += [_ahead_of_flex(direction, rows) for direction in (FORWARD, BACKWARD)]
    first = {one.task["attention"]: one.found["forward"] for one in findings.done("first_call")}
    calls = {one.task["attention"]: one.found["call"] for one in findings.done("overhead")}
    return [*found, _most("first call", first, FIRST_CALL, "s"), _most("overhead of a call", calls, OVERHEAD, "µs")]


def sorted_rows(rows: list[Outcome]) -> list[Outcome]:
    """By attention, width and length, whatever the order in which they were measured."""
    order = list(MECHANISMS)
    return sorted(rows, key=lambda one: (order.index(one.task["attention"]), -one.task["D"], one.task["N"]))


def _speeds(direction: str, rows: list[Outcome]) -> Iterator[Goal]:
    """One for each attention and width, over all lengths."""
    for (attention, d), some in groupby(rows, key=lambda one: (one.task["attention"], one.task["D"])):
        group = list(some)
        limit = tflops_goal(direction, group[0].task)
        if limit is None:
            continue
        values = {one.task["N"]: one.found[direction]["tflops"] for one in group}
        met = [n for n, value in values.items() if value >= limit]
        note = f"reached at {len(met)} of {len(LENGTHS)} lengths" + (f": {_joined(met)}" if met else "")
        measured = f"{min(values.values()):.0f} to {max(values.values()):.0f} TFLOP/s"
        yield Goal(f"{attention}, D {d}, {direction}", measured, f"≥ {limit:.0f}", len(met) == len(LENGTHS), note)


def _ahead_of_flex(direction: str, rows: list[Outcome]) -> Goal:
    ratios = {one.label: one.found[direction]["ratios"].get(FLEX) for one in rows}
    known = {label: ratio["median"] for label, ratio in ratios.items() if ratio is not None}
    ahead = [label for label, ratio in known.items() if ratio > 1]
    has_none = sum(isinstance(MECHANISMS[one.task["attention"]].flex, str) for one in rows)
    note = f"{len(rows) - has_none - len(known)} rows without FlexAttention's time, {has_none} where it has none"
    is_met = len(ahead) == len(known) if known else None
    name = f"rows ahead of compiled FlexAttention, {direction}"
    return Goal(name, f"{len(ahead)} of {len(known)}", "all", is_met, note)


def _most(name: str, values: dict[str, float], limit: float, unit: str) -> Goal:
    if not values:
        return Goal(name, "", f"< {limit:g} {unit}", None)
    slowest = max(values, key=lambda key: values[key])
    value = values[slowest]
    return Goal(name, f"{value:.3g} {unit}", f"< {limit:g} {unit}", value < limit, f"the slowest: {slowest}")


def _joined(values: list[int]) -> str:
    return ", ".join(str(value) for value in values)
