"""attnc beside itself: what a window saves, and what a soft cap and linear biases cost over plain causal attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from .cases import Sizes, mechanisms
from .specs import SOFTCAP, WINDOW, example, from_text
from .timing import Act, Effort, Ratio, compare, measure

GOAL_WINDOW, GOAL_COST = 10.0, 1.25


@dataclass(frozen=True)
class Variant:
    """The time of one attention over another's: `ratio` is `over` divided by `under`."""

    over: str
    under: str
    sizes: dict[str, int]
    direction: str
    ratio: Ratio
    milliseconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_window(sizes: Sizes, window: int, effort: Effort) -> list[Variant]:
    """How many times longer causal attention takes than a causal window."""
    inputs = mechanisms()["causal"].inputs(sizes, torch.float32)
    windowed = from_text(WINDOW)
    name = f"causal window of {window}"
    calls: dict[str, Callable[..., Tensor]] = {
        name: lambda *tensors: windowed(*tensors, window=window),
        "causal": example("causal"),
    }
    return _measure(calls, {name: tuple(inputs.values()) for name in calls}, sizes, effort)


def measure_costs(sizes: Sizes, effort: Effort) -> list[Variant]:
    """How many times longer a soft cap and linear biases take than plain causal attention."""
    inputs = mechanisms()["alibi"].inputs(sizes, torch.float32)
    slope = inputs.pop("slope")
    plain = tuple(inputs.values())
    calls = {"causal": example("causal"), "soft cap": from_text(SOFTCAP), "ALiBi": example("alibi")}
    given = {"causal": plain, "soft cap": plain, "ALiBi": (*plain, slope)}
    return _measure(calls, given, sizes, effort)


def _measure(
    calls: Mapping[str, Callable[..., Tensor]],
    given: Mapping[str, tuple[Tensor, ...]],
    sizes: Sizes,
    effort: Effort,
) -> list[Variant]:
    """Everybody's time over the first's, forward and with backward."""
    first, *others = calls
    found = []
    for direction in ("forward", "forward + backward"):
        acts = {name: _act(call, given[name], direction) for name, call in calls.items()}
        times = measure(acts, effort)
        for other in others:
            milliseconds = {name: 1000 * sorted(times[name])[len(times[name]) // 2] for name in (first, other)}
            ratio = compare(times[other], times[first])
            found.append(Variant(other, first, asdict(sizes), direction, ratio, milliseconds))
    return found


def _act(call: Callable[..., Tensor], tensors: tuple[Tensor, ...], direction: str) -> Act:
    if direction == "forward":
        return lambda: call(*tensors)
    leaves = [t.clone().requires_grad_() for t in tensors]
    cotangent = torch.ones_like(tensors[0])
    return lambda: torch.autograd.grad(call(*leaves), leaves, cotangent)
