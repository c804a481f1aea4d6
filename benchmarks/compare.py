"""One case -> its rows: everybody checked against attnc, then timed in turns."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from .agreement import check
from .cases import Case, Mechanism
from .peers import Flex, Inputs
from .timing import Effort, Ratio, compare, measure

OURS, SDPA, FLEX, EAGER = "attnc", "SDPA", "FlexAttention", "eager"
NO_BACKWARD = "no backward on the CPU"
Compile = Callable[[Inputs, Mechanism], Flex] | str
"""FlexAttention for a mechanism's mask, or why there is none."""
Out = Callable[[], Tensor]


@dataclass
class Row:
    """One case in one direction: median times, and how many times longer than attnc each peer takes, or why it has
    no time."""

    mechanism: str
    sizes: dict[str, int]
    dtype: str
    direction: str
    milliseconds: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    rounds: int = 0
    products: float | None = None
    peak_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def run_case(case: Case, effort: Effort, compile: Compile) -> list[Row]:
    """Rows of the forward and, where asked for, of forward and backward."""
    rows = [_forward(case, effort, compile)]
    if case.has_backward:
        rows.append(_both(case, effort))
    return rows


def _forward(case: Case, effort: Effort, compile: Compile) -> Row:
    mechanism = case.mechanism
    inputs = mechanism.inputs(case.sizes, case.dtype)
    acts, reasons = _acts(mechanism, inputs)
    flex = flex_act(mechanism, inputs, compile)
    if isinstance(flex, str):
        reasons[FLEX] = flex
    else:
        acts[FLEX] = flex
    with torch.no_grad():
        check(_title(case, "forward"), {name: [act()] for name, act in acts.items()})
        return _row(case, "forward", measure(acts, effort), reasons)


def _both(case: Case, effort: Effort) -> Row:
    inputs = {
        n: t.requires_grad_(t.is_floating_point()) for n, t in case.mechanism.inputs(case.sizes, case.dtype).items()
    }
    outs, reasons = _acts(case.mechanism, inputs)
    reasons[FLEX] = case.mechanism.peers.flex if isinstance(case.mechanism.peers.flex, str) else NO_BACKWARD
    leaves = [t for t in inputs.values() if t.requires_grad]
    cotangent = torch.randn(inputs["q"].shape, generator=torch.Generator().manual_seed(1)).to(case.dtype)
    acts = {name: _with_backward(out, leaves, cotangent) for name, out in outs.items()}
    check(_title(case, "forward and backward"), {name: act() for name, act in acts.items()})
    return _row(case, "forward + backward", measure(acts, effort), reasons)


def _with_backward(out: Out, leaves: list[Tensor], cotangent: Tensor) -> Callable[[], list[Tensor]]:
    def act() -> list[Tensor]:
        result = out()
        return [result.detach(), *torch.autograd.grad(result, leaves, cotangent)]

    return act


def _acts(mechanism: Mechanism, inputs: Inputs) -> tuple[dict[str, Out], dict[str, str]]:
    """What can be called, attnc first, and what cannot."""
    attention, peers, mask = mechanism.attention(), mechanism.peers, mechanism.mask(inputs)
    tensors = tuple(inputs.values())
    acts: dict[str, Out] = {OURS: lambda: attention(*tensors, **mechanism.parameters)}
    reasons: dict[str, str] = {}
    sdpa = peers.sdpa
    if isinstance(sdpa, str):
        reasons[SDPA] = sdpa
    else:
        acts[SDPA] = lambda: sdpa(inputs, mask)
    acts[EAGER] = lambda: peers.eager(inputs, mask)
    return acts, reasons


def flex_act(mechanism: Mechanism, inputs: Inputs, compile: Compile) -> Out | str:
    """FlexAttention's call, tried once; or why there is none."""
    made = mechanism.peers.flex
    if isinstance(made, str):
        return made
    if isinstance(compile, str):
        return compile
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            act = made(inputs, compile(inputs, mechanism))
            act()
    except Exception as error:  # torch's compiler fails in many ways; which one is what the table says
        return f"fails here: {type(error).__name__}"
    return act


def _row(case: Case, direction: str, times: Mapping[str, list[float]], reasons: dict[str, str]) -> Row:
    milliseconds = {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}
    ratios = {name: compare(seconds, times[OURS]) for name, seconds in times.items() if name != OURS}
    dtype = str(case.dtype).removeprefix("torch.")
    rounds = len(times[OURS])
    row = Row(case.mechanism.name, asdict(case.sizes), dtype, direction, milliseconds, ratios, reasons, rounds)
    row.products = _products(case, direction)
    return row


def _products(case: Case, direction: str) -> float:
    """Floating-point operations of the matrix products over the pairs that exist; scores are computed once more for
    the backward, which is 7 products of D features instead of 2 (one more each for a second pair of q and k, the
    gradients' three)."""
    sizes, mechanism = case.sizes, case.mechanism
    mask = mechanism.mask(mechanism.inputs(sizes, case.dtype))
    share = 1.0 if mask is None else mask.double().mean().item()
    scores = 2 if mechanism.name == "differential" else 1
    count = 1 + scores if direction == "forward" else 3 + 4 * scores
    return 2.0 * count * sizes.D * sizes.B * sizes.H * sizes.N**2 * share


def _title(case: Case, direction: str) -> str:
    return f"{case.mechanism.name}, N={case.sizes.N}, {case.dtype}, {direction}"
