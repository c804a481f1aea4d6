"""The repository's examples with their oracles and judge, which are those of the tests, on any device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tests.examples.cases import BY_NAME, Example, draw
from tests.examples.judge import Numbers, Trial, differentiate
from tests.examples.kernels import load

_REAL: Mapping[str, Mapping[str, Any]] = {
    "generation": {"offset": 200},
    "sliding": {"window": 300, "cap": 3.0},
    "dilated": {"window": 100, "step": 3},
    "t5_encoder": {"far": 128},
    "t5_decoder": {"far": 128},
}


def parameters(example: Example, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The example's parameters; those of the tests where sizes are those of tests."""
    return {**example.parameters, **(_REAL.get(example.name, {}) if sizes["N"] >= 500 else {})}


def on(device: str, function: Callable[..., Any], is_default: bool = False) -> Callable[..., Any]:
    """A function of tensors in main memory that is computed on a device, and so are its gradients. With `is_default`,
    what it makes itself lies there too."""

    def call(*tensors: Tensor, **given: Any) -> Any:
        moved = [tensor.to(device) for tensor in tensors]
        if is_default:
            with torch.device(device):
                results = function(*moved, **given)
        else:
            results = function(*moved, **given)
        return tuple(r.cpu() for r in results) if isinstance(results, tuple) else results.cpu()

    return call


def trial(task: Mapping[str, Any], device: str, seed: int) -> Trial:
    """The oracle of a task's example on a draw of its inputs."""
    example = BY_NAME[task["example"]]
    dtype = getattr(torch, task["dtype"])
    inputs = draw(example, task["sizes"], dtype, seed)  # type: ignore[no-untyped-call]
    return Trial(on(device, example.oracle, is_default=True), inputs, parameters(example, task["sizes"]))


def compute(function: Callable[..., Any], of: Trial, device: str) -> Numbers:
    """Results and gradients of an attention, by name."""
    return differentiate(on(device, function), of.inputs, of.parameters)


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """Inside, memory that kernels do not fill holds NaN."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


__all__ = ["BY_NAME", "Numbers", "Trial", "compute", "load", "on", "parameters", "poisoned_memory", "trial"]
