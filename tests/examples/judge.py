"""Whether numbers are as good as eager code's.

The truth is the oracle in float64. Over a few draws, the mean of the largest errors and that of the mean errors may be
at most twice those of the oracle in the dtype itself; or all errors within 4 units of rounding of the largest result.
Where eager code happens to be exact, they may be twice those of the oracle with the rounding of every operation at
random (`noise`): so a gradient that cancels to 0 is measured by the terms that cancel, and by no absolute tolerance.

In float64 eager errors are those in float32, in units of rounding; the truth errs as they do, hence three times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from .noise import Noise

_SEEDS = range(3)
_UNITS = 4
Numbers = dict[str, torch.Tensor]


def differentiate(
    function: Callable[..., Any],
    inputs: Mapping[str, torch.Tensor],
    parameters: Mapping[str, Any],
    dtype: torch.dtype | None = None,
    wanted: frozenset[str] | None = None,
    seed: int = 1,
) -> Numbers:
    """Results of a call and gradients of the floating inputs, by name, for results weighted at random.

    Inputs are taken in `dtype`, if it is given; `wanted` names those that are differentiated, if not all are.
    """
    given = {name: t.detach() for name, t in inputs.items()}
    if dtype is not None:
        given = {name: t.to(dtype) if t.is_floating_point() else t for name, t in given.items()}
    floats = [name for name, t in given.items() if t.is_floating_point() and (wanted is None or name in wanted)]
    for name in floats:
        given[name].requires_grad_()
    results = function(*given.values(), **parameters)
    results = results if isinstance(results, tuple) else (results,)
    random = torch.Generator().manual_seed(seed)
    narrow = inputs["q"].dtype
    weights = [torch.randn(r.shape, generator=random).to(narrow).to(r.dtype) for r in results]
    gradients = torch.autograd.grad(results, [given[name] for name in floats], weights)
    found = {f"result {n}": result.detach() for n, result in enumerate(results)}
    return found | {f"gradient of {name}": gradient for name, gradient in zip(floats, gradients)}


@dataclass(frozen=True)
class Trial:
    """A formula and a draw of its inputs."""

    oracle: Callable[..., Any]
    inputs: Mapping[str, torch.Tensor]
    parameters: Mapping[str, Any]

    @property
    def dtype(self) -> torch.dtype:
        return self.inputs["q"].dtype

    @property
    def measured(self) -> torch.dtype:
        """The dtype whose eager errors are measured."""
        return torch.float32 if self.dtype == torch.float64 else self.dtype

    @property
    def unit(self) -> float:
        """The rounding of `dtype` in that of `measured`."""
        return torch.finfo(self.dtype).eps / torch.finfo(self.measured).eps

    def _run(self, dtype: torch.dtype) -> Numbers:
        return differentiate(self.oracle, self.inputs, self.parameters, dtype)

    @cached_property
    def truth(self) -> Numbers:
        return self._run(torch.float64)

    @cached_property
    def eager(self) -> Numbers:
        return self._run(self.measured)

    @cached_property
    def noisy(self) -> list[Numbers]:
        found = []
        for seed in _SEEDS:
            with Noise(self.measured, seed):
                found.append(self._run(torch.float64))
        return found

    def eager_error(self, name: str) -> torch.Tensor:
        return self.unit * error(self.eager[name], self.truth[name])

    def noise(self, name: str) -> torch.Tensor:
        errors = [error(numbers[name], self.truth[name]) for numbers in self.noisy]
        return self.unit * torch.stack(errors).amax(0)


def error(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The largest error and the mean one; infinite where a number is missing or differs in kind."""
    if truth.numel() == 0:
        return torch.zeros(2, dtype=torch.float64)
    gap = torch.where(found == truth, 0, (found.double() - truth).abs()).nan_to_num(nan=torch.inf)
    return torch.stack([gap.max(), gap.mean()])


def is_near_rounding(own: torch.Tensor, truth: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether the largest error is within 4 units of rounding of the largest result."""
    largest = truth.abs().max() if truth.numel() else 0
    return bool(own[0] <= _UNITS * torch.finfo(dtype).eps * largest)


def faults(found: list[Numbers], trials: list[Trial]) -> list[str]:
    """What is worse than allowed of what kernels found, trial by trial."""
    for numbers, trial in zip(found, trials, strict=True):
        shapes = {name: number.shape for name, number in numbers.items()}
        if shapes != {name: number.shape for name, number in trial.truth.items()}:
            return [f"results or their shapes differ: {shapes}"]
    told = (fault_of(name, [numbers[name] for numbers in found], trials) for name in trials[0].truth)
    return [fault for fault in told if fault]


def fault_of(name: str, found: list[torch.Tensor], trials: list[Trial]) -> str | None:
    """How one result or gradient is worse than allowed, if it is."""
    dtype = trials[0].dtype
    factor = 3 if dtype == torch.float64 else 2
    own = [error(number, trial.truth[name]) for number, trial in zip(found, trials)]
    eager = [trial.eager_error(name) for trial in trials]
    if all(is_near_rounding(e, trial.truth[name], dtype) for e, trial in zip(own, trials)):
        return None
    mean = torch.stack(own).mean(0)
    if bool((mean <= factor * torch.stack(eager).mean(0)).all()):
        return None
    noise = [torch.maximum(e, trial.noise(name)) for e, trial in zip(eager, trials)]
    allowed = factor * torch.stack(noise).mean(0)
    if bool((mean <= allowed).all()):
        return None
    return f"{name}: errors (largest, mean) {mean.tolist()}, of {allowed.tolist()}"
