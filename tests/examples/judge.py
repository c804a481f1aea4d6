"""Whether a result is as good as eager code: errors are measured against the oracle in float64."""

import torch

# In float64 the oracle itself rounds: this many units of the largest result, times the root of the terms in a sum.
_UNITS = 4


def errors(found, truth):
    """The largest and the mean error, and the largest true value; NaN counts as infinite."""
    if truth.numel() == 0:
        return 0.0, 0.0, 0.0
    gap = (found.double() - truth).abs().nan_to_num(nan=torch.inf)
    return gap.max().item(), gap.mean().item(), truth.abs().max().item()


def check(name, found, eager, truth):
    """At most twice the error of the same formula in eager code, on the maximum and on the mean; or within 4 units of
    rounding of the largest result, where eager code happens to be exact."""
    assert found.shape == truth.shape, f"{name}: shape {tuple(found.shape)}, not {tuple(truth.shape)}"
    worst, mean, largest = errors(found, truth)
    eager_worst, eager_mean, _ = errors(eager, truth)
    unit = torch.finfo(found.dtype).eps / 2
    is_like_eager = worst <= 2 * eager_worst and mean <= 2 * eager_mean
    assert is_like_eager or worst <= _UNITS * unit * largest, (
        f"{name}: error {worst:.3g} (mean {mean:.3g}), eager {eager_worst:.3g} (mean {eager_mean:.3g}), "
        f"largest {largest:.3g}, unit {unit:.3g}"
    )


def check_exact(name, found, truth, terms):
    """In float64: `terms` is how many numbers the longest sum adds."""
    assert found.shape == truth.shape, f"{name}: shape {tuple(found.shape)}, not {tuple(truth.shape)}"
    worst, _, largest = errors(found, truth)
    allowed = _UNITS * torch.finfo(torch.float64).eps * max(terms, 1) ** 0.5 * max(largest, 1)
    assert worst <= allowed, f"{name}: error {worst:.3g}, allowed {allowed:.3g}"
