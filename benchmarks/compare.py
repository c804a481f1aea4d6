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
from .cases import BACKWARD, BOTH, FORWARD, Case, Mechanism
from .memory import forget_peak, give_back, resident
from .peers import Flex, Inputs
from .timing import Effort, Ratio, compare, measure

OURS, SDPA, FLEX, EAGER = "attnc", "SDPA", "FlexAttention", "eager"
NO_BACKWARD = "no backward on the CPU"
NOT_MEASURED = "not measured at this size"
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
    mebibytes: dict[str, float] = field(default_factory=dict)
    products: float | None = None
    bytes: float | None = None
    peak_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def run_case(case: Case, effort: Effort, compile: Compile) -> list[Row]:
    """Rows of the forward and of the other directions that are asked for."""
    rows = [_forward(case, effort, compile)]
    if case.directions:
        rows += _with_gradients(case, effort)
    return rows


def _forward(case: Case, effort: Effort, compile: Compile) -> Row:
    mechanism = case.mechanism
    inputs = mechanism.inputs(case.sizes, case.dtype)
    acts, reasons = _acts(case, inputs)
    flex = NOT_MEASURED if case.only_sdpa else flex_act(mechanism, inputs, compile)
    if isinstance(flex, str):
        reasons[FLEX] = flex
    else:
        acts[FLEX] = flex
    with torch.no_grad():
        check(_title(case, FORWARD), {name: [act()] for name, act in acts.items()})
        return _row(case, FORWARD, acts, effort, reasons)


def _with_gradients(case: Case, effort: Effort) -> list[Row]:
    inputs = {
        n: t.requires_grad_(t.is_floating_point()) for n, t in case.mechanism.inputs(case.sizes, case.dtype).items()
    }
    outs, reasons = _acts(case, inputs)
    reasons[FLEX] = case.mechanism.peers.flex if isinstance(case.mechanism.peers.flex, str) else NO_BACKWARD
    leaves = [t for t in inputs.values() if t.requires_grad]
    cotangent = torch.randn(inputs["q"].shape, generator=torch.Generator().manual_seed(1)).to(case.dtype)
    both = {name: _with_backward(out, leaves, cotangent) for name, out in outs.items()}
    check(_title(case, BOTH), {name: act() for name, act in both.items()})
    rows = []
    if BACKWARD in case.directions:
        alone = {name: _backward(out(), leaves, cotangent) for name, out in outs.items()}
        rows.append(_row(case, BACKWARD, alone, effort, reasons))
    if BOTH in case.directions:
        rows.append(_row(case, BOTH, both, effort, reasons))
    return rows


def _backward(result: Tensor, leaves: list[Tensor], cotangent: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(result, leaves, cotangent, retain_graph=True)


def _with_backward(out: Out, leaves: list[Tensor], cotangent: Tensor) -> Callable[[], list[Tensor]]:
    def act() -> list[Tensor]:
        result = out()
        return [result.detach(), *torch.autograd.grad(result, leaves, cotangent)]

    return act


def _acts(case: Case, inputs: Inputs) -> tuple[dict[str, Out], dict[str, str]]:
    """What can be called, attnc first, and what cannot."""
    mechanism = case.mechanism
    attention, peers = mechanism.attention(), mechanism.peers
    mask = None if case.only_sdpa else mechanism.mask(inputs)
    tensors = tuple(inputs.values())
    acts: dict[str, Out] = {OURS: lambda: attention(*tensors, **mechanism.parameters)}
    reasons: dict[str, str] = {}
    sdpa = peers.sdpa
    if isinstance(sdpa, str):
        reasons[SDPA] = sdpa
    else:
        acts[SDPA] = lambda: sdpa(inputs, mask)
    if case.only_sdpa:
        reasons[EAGER] = NOT_MEASURED
    else:
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


def _row(
    case: Case, direction: str, acts: Mapping[str, Callable[[], object]], effort: Effort, reasons: dict[str, str]
) -> Row:
    times = measure(acts, effort)
    milliseconds = {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}
    ratios = {name: compare(seconds, times[OURS]) for name, seconds in times.items() if name != OURS}
    dtype = str(case.dtype).removeprefix("torch.")
    rounds = len(times[OURS])
    row = Row(case.mechanism.name, asdict(case.sizes), dtype, direction, milliseconds, ratios, reasons, rounds)
    row.mebibytes = {name: _growth(act) for name, act in acts.items()}
    row.products = _products(case, direction)
    sizes = case.sizes
    tensors = {FORWARD: 4, BACKWARD: 8, BOTH: 8}[direction]  # q, k, v, out; and their gradients
    row.bytes = float(tensors * sizes.B * sizes.H * sizes.N * sizes.D * case.dtype.itemsize)
    return row


def _growth(act: Callable[[], object]) -> float:
    """MiB that the process grows by at most in a call, results included; what was let go is given back before."""
    act()
    give_back()
    forget_peak()
    before, _ = resident()
    kept = act()
    _, most = resident()
    del kept
    return (most - before) / 2**20


def _products(case: Case, direction: str) -> float:
    """Floating-point operations of the matrix products over the pairs that exist; scores are computed once more for
    the backward, which is 5 products of D features after the forward's 2 (one more each for a second pair of q and k,
    the gradients' three)."""
    sizes, mechanism = case.sizes, case.mechanism
    if case.only_sdpa:
        share = 1.0 if mechanism.visible is None else (sizes.N + 1) / (2 * sizes.N)  # full or causal
    else:
        mask = mechanism.mask(mechanism.inputs(sizes, case.dtype))
        share = 1.0 if mask is None else mask.double().mean().item()
    scores = 2 if mechanism.name == "differential" else 1
    count = {FORWARD: 1 + scores, BACKWARD: 2 + 3 * scores, BOTH: 3 + 4 * scores}[direction]
    return 2.0 * count * sizes.D * sizes.B * sizes.H * sizes.N**2 * share


def _title(case: Case, direction: str) -> str:
    return f"{case.mechanism.name}, N={case.sizes.N}, {case.dtype}, {direction}"
