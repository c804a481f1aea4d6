"""Whether numbers are as good as eager code's: errors are measured against the oracle in float64."""

import torch

_UNITS = 4


def error(found, truth):
    """The largest error and the mean one; infinite where a number is missing or differs in kind."""
    if truth.numel() == 0:
        return torch.zeros(2, dtype=torch.float64)
    gap = torch.where(found == truth, 0, (found.double() - truth).abs()).nan_to_num(nan=torch.inf)
    return torch.stack([gap.max(), gap.mean()])


def largest(truth):
    return truth.abs().max().item() if truth.numel() else 0.0


def check_shapes(found, truth):
    assert found.keys() == truth.keys()
    for name in truth:
        assert found[name].shape == truth[name].shape, name


def check(found, eager, truth):
    """Lists of draws. On average, the maximum and the mean of the error are at most twice those of the same formula in
    eager code; or every error is within 4 units of rounding of the largest result, where eager code may be exact."""
    for name in truth[0]:
        own = torch.stack([error(f[name], t[name]) for f, t in zip(found, truth)])
        other = torch.stack([error(e[name], t[name]) for e, t in zip(eager, truth)])
        unit = torch.finfo(found[0][name].dtype).eps
        is_small = all(worst <= _UNITS * unit * largest(t[name]) for (worst, _), t in zip(own, truth))
        ratio = own.mean(0) / other.mean(0)
        assert is_small or bool((ratio <= 2).all()), f"{name}: {ratio.tolist()} times the (largest, mean) eager error"


def check_double(found, eager, truth):
    """One draw in float64. The yardstick is the eager error in float32, in units of rounding; the oracle errs too."""
    check_shapes(found, truth)
    scale = torch.finfo(torch.float64).eps / torch.finfo(torch.float32).eps
    for name in truth:
        worst, mean = error(found[name], truth[name]).tolist()
        allowed = _UNITS * scale * error(eager[name], truth[name])
        floor = _UNITS * torch.finfo(torch.float64).eps * largest(truth[name])
        is_like_eager = worst <= allowed[0] and mean <= allowed[1]
        assert is_like_eager or worst <= floor, f"{name}: errors {worst:.3g}, {mean:.3g}; allowed {allowed.tolist()}"
