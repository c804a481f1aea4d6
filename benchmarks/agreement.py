"""Whether all ways to compute an attention give the same results and gradients: only then are their times compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_ALLOWED = {torch.float64: 1e-11, torch.float32: 2e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}


class Disagreement(Exception):
    """Two ways to compute the same thing do not."""


def check(what: str, results: Mapping[str, Sequence[Tensor]]) -> None:
    """Compares everybody with the first. What is allowed is a share of a tensor's largest element: a benchmark that
    compares wrong things would be off by far more, and rounding in this dtype by far less."""
    names = list(results)
    for name in names[1:]:
        for number, (expected, found) in enumerate(zip(results[names[0]], results[name], strict=True)):
            apart, allowed = distance(expected, found), _ALLOWED[expected.dtype]
            if not apart <= allowed:
                tensor = "the result" if number == 0 else f"gradient {number}"
                message = f"{what}: {name} and {names[0]} differ in {tensor} by {apart:.1e} of its largest element"
                raise Disagreement(f"{message} (allowed: {allowed:g})")


def distance(expected: Tensor, found: Tensor) -> float:
    """The largest difference as a share of the largest element; infinite where there is a NaN or the shapes differ."""
    if expected.shape != found.shape or bool(found.isnan().any()) or bool(expected.isnan().any()):
        return float("inf")
    wide = expected.double()
    return ((found.double() - wide).abs().max() / wide.abs().max().clamp(min=1e-30)).item()
