"""attnc beside itself: what a window saves, what a soft cap and linear biases cost over plain causal attention, other
normalizations over softmax; and one query over many keys beside reading these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from .cases import Sizes, mechanisms
from .specs import SOFTCAP, WINDOW, example, from_text
from .timing import Act, Effort, Ratio, compare, measure

GOAL_WINDOW, GOAL_COST = 10.0, 1.25
# times over softmax's: how a normalization is written, and its goal
NORMALIZATIONS = {
    "softmax of one's own": ("gibbs[j](s)", 1.02),
    "sigmoid": ("sigmoid(s)", 1.1),
    "squared ReLU": ("squared_relu(s)", 1.1),
    "softmax plus one": ("softmax1[j](s)", 1.1),
    "sign-kept softmax": ("signed_softmax[j](s)", 1.1),
    "standardised scores": ("standardize[j](s)", 1.3),
    "sparsemax": ("sparsemax[j](s)", 4.0),
    "1.5-entmax": ("entmax15[j](s)", 4.0),
    "the 64 largest": ("softmax[j: topk[j](s, 64)](s) if topk[j](s, 64) else 0.0", None),
}
OWN = "define gibbs[a](x) = w / sum[a](w) with top = max[a](x), w = exp(x - top)\n"
READING, GOAL_SDPA = "reading its keys and values", 0.5


@dataclass(frozen=True)
class Variant:
    """The time of one attention over another's: `ratio` is `over` divided by `under`."""

    over: str
    under: str
    sizes: dict[str, int]
    direction: str
    ratio: Ratio
    milliseconds: dict[str, float]
    goal: float | None = GOAL_COST

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
    return measure_all(calls, {name: tuple(inputs.values()) for name in calls}, sizes, effort)


def measure_costs(sizes: Sizes, effort: Effort) -> list[Variant]:
    """How many times longer a soft cap and linear biases take than plain causal attention."""
    inputs = mechanisms()["alibi"].inputs(sizes, torch.float32)
    slope = inputs.pop("slope")
    plain = tuple(inputs.values())
    calls = {"causal": example("causal"), "soft cap": from_text(SOFTCAP), "ALiBi": example("alibi")}
    given = {"causal": plain, "soft cap": plain, "ALiBi": (*plain, slope)}
    return measure_all(calls, given, sizes, effort)


def measure_normalizations(sizes: Sizes, effort: Effort) -> list[Variant]:
    """How many times longer other normalizations take than softmax."""
    plain = tuple(mechanisms()["full"].inputs(sizes, torch.float32).values())
    calls = {"softmax": from_text("attention softmax_itself\n")}
    calls |= {
        name: from_text(f"{OWN}attention a\nnormalize p = {text}\n") for name, (text, _) in NORMALIZATIONS.items()
    }
    found = measure_all(calls, dict.fromkeys(calls, plain), sizes, effort)
    return [replace(one, goal=NORMALIZATIONS[one.over][1]) for one in found]


def measure_decoding(sizes: Sizes, effort: Effort) -> list[Variant]:
    """One query over N keys: its time over that of reading as many bytes; also of several heads that share keys, in
    bfloat16, and that beside SDPA."""
    found = []
    cases = (("one query", 1, torch.float32, 1 / 0.8), ("one query of 4 heads", 4, torch.bfloat16, 1 / 0.85))
    for name, shared, dtype, goal in cases:
        length = sizes.N if shared == 1 else sizes.N // 2
        one = torch.randn(sizes.B, sizes.H * shared, 1, sizes.D).to(dtype)
        keys, values = (torch.randn(sizes.B, sizes.H, length, sizes.D).to(dtype) for _ in range(2))
        acts: dict[str, Act] = {
            READING: partial(_read, keys, values),
            name: partial(from_text("attention softmax_itself\n"), one, keys, values),
        }
        if shared > 1:
            acts["SDPA"] = partial(scaled_dot_product_attention, one, keys, values, enable_gqa=True)
        with torch.no_grad():
            times = measure(acts, effort)
        milliseconds = {who: 1000 * sorted(each)[len(each) // 2] for who, each in times.items()}
        of_this = {**asdict(sizes), "N": length, "H": sizes.H * shared}
        ratio = compare(times[name], times[READING])
        found.append(Variant(name, READING, of_this, "forward", ratio, milliseconds, goal))
        if shared > 1:
            ratio = compare(times[name], times["SDPA"])
            found.append(Variant(name, "SDPA", of_this, "forward", ratio, milliseconds, GOAL_SDPA))
    return found


def _read(keys: Tensor, values: Tensor) -> None:
    for tensor in (keys, values):
        tensor.view(torch.int64).sum()


def measure_all(
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
