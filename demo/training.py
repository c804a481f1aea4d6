"""Two models from the same weights, trained step by step in turns on the same text, so that both can be compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import attnc

from .model import Attend, Shape, Transformer

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
_WARM_UP = 10
_RATE = 2e-3
_NOT_TIMED = 5

Batch = tuple[Tensor, Tensor]
Report = Callable[[int], None]


def load_example(name: str) -> attnc.Attention:
    """An attention of the repository's examples."""
    found = attnc.load(EXAMPLES / f"{name}.attn")
    assert isinstance(found, attnc.Attention)
    return found


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def windowed(window: int) -> Attend:
    """The sliding window spec as an attention of three tensors."""
    sliding = load_example("sliding")

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return sliding(q, k, v, window=window)  # type: ignore[no-any-return]

    return attend


@dataclass
class Run:
    """A model in training: its losses and the seconds of every step."""

    name: str
    model: Transformer
    optimizer: torch.optim.Optimizer
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def step(self, batch: Batch, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        start = time.perf_counter()
        loss = self.model.loss(*batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.seconds.append(time.perf_counter() - start)
        self.losses.append(loss.item())

    def median_seconds(self, since: int = 0) -> float:
        """Of a step, without the first few (fewer where there are no more)."""
        times = self.seconds[since:]
        return statistics.median(times[min(_NOT_TIMED, len(times) // 2) :])


def start_run(name: str, shape: Shape, attend: Attend, seed: int = 0) -> Run:
    """A new model; the same seed gives the same weights."""
    torch.manual_seed(seed)
    model = Transformer(shape, attend)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    return Run(name, model, optimizer)


def train(runs: Sequence[Run], batches: Sequence[Batch], report: Report) -> None:
    """Trains all runs on the same batches; which of them goes first changes from step to step."""
    for number, batch in enumerate(batches):
        rate = _RATE * min(1.0, (number + 1) / _WARM_UP)
        for run in runs if number % 2 == 0 else runs[::-1]:
            run.step(batch, rate)
        report(number + 1)


def train_on(run: Run, batches: Sequence[Batch], report: Report) -> None:
    """Trains one run further, at a rate that falls to zero."""
    for number, batch in enumerate(batches):
        run.step(batch, _RATE * (1 - number / len(batches)))
        report(number + 1)


@torch.no_grad()
def mean_loss(model: Transformer, batches: Sequence[Batch]) -> float:
    return statistics.fmean(model.loss(*batch).item() for batch in batches)
