"""Means, variances and what is less its mean, where scores are far from 0 and near each other.

Scores are float32 numbers themselves, so that only the moments are rounded; values that sum to exactly 0 make a result
that does not depend on the mean, nor on its rounding.
"""

from functools import cache

import pytest
import torch

import attnc

from .formulas import centred, counted, power, quotient, standardize, total, variance
from .judge import Trial, check, differentiate
from .specs import attention, call_of, dense, draw

SEEDS = range(4)
FAR = [(10, 1e3, 1e-2), (300, 1e3, 1e-3), (300, 1e4, 1e-2), (20_000, 1e3, 1e-2)]
WORSE = [(20_000, 1e3, 1e-2)]  # gradients are far worse than allowed
MOMENTS = attnc.loads("""
    attention moments
    input bias[H, M, N], there[M, N]: bool
    score s = bias[i, j]
    mask there[i, j]
    normalize p = standardize[j](s)
    output out, average = mean[j](s), squares = var[j](s), deviation = std[j](s)
""")
SPLIT = "a sum of (s - c) v is taken as a sum of s v less c times a sum of v: both are large where c is, and cancel"
LONG = "torch adds 20000 numbers in pairs, kernels in 16 rows: the mean errs by a third more than twice torch's"


def formula(v, bias, there):
    squares = variance(bias, there)
    average = quotient(total(torch.where(there, bias, 0)), counted(there, bias))
    out = standardize(bias, there) @ v
    return out, *(x.squeeze(-1) for x in (average, squares, power(squares, 0.5)))


def mirrored(values):
    """A first half beside its negative: they sum to exactly 0 in any order."""
    half = (values * 64).round() / 64
    return torch.cat([half, -half], 2)


def inputs_of(size, middle, spread, seed):
    random = torch.Generator().manual_seed(seed)
    there = torch.rand(1, size // 2, generator=random) < 0.9
    return {
        "v": mirrored(torch.randn(1, 1, size // 2, 2, generator=random)),
        "bias": middle + spread * torch.randn(1, 1, size, generator=random),
        "there": torch.cat([there, there], 1),
    }


@cache
def far_trials(*case):
    return [Trial(MOMENTS, formula, inputs_of(*case, seed)) for seed in SEEDS]


@pytest.mark.parametrize("part", ["result 1", "result 2", "result 3"])
@pytest.mark.parametrize("case", FAR, ids=str)
def test_moments(case, part):
    check(far_trials(*case), part)


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.xfail(strict=True, reason=LONG)] if c == FAR[-1] else []) for c in FAR],
    ids=str,
)
def test_standardized(case):
    check(far_trials(*case), "result 0")


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.xfail(strict=True, reason=SPLIT)] if c in WORSE else []) for c in FAR],
    ids=str,
)
def test_gradients_of_moments(case):
    check(far_trials(*case), "gradient")


def balanced(name, seed):
    """Scores about 8192, and values that come in pairs of opposite signs."""
    inputs = draw(name, seed, N=40)
    inputs["bias"] += 8192
    inputs["there"].fill_(True)
    inputs["v"] = mirrored(inputs["v"][:, :, :20])
    return inputs


@pytest.mark.parametrize("name", ["log_softmax", "standardize", "subtractive"])
def test_values_that_sum_to_0(name):
    check([Trial(call_of(name), dense(name), balanced(name, seed)) for seed in SEEDS], "result")


def equal_values(value, size):
    values = torch.arange(size).reshape(1, 1, size, 1) % 3 + 1.0
    there = torch.ones(1, size, dtype=torch.bool)
    return {"v": values, "bias": torch.full((1, 1, size), value), "there": there}


@pytest.mark.parametrize(
    ("value", "size"), [(3.0, 8), (1.0, 49), (1.0, 41), (1.0, 47), (1.0, 83), (3.0, 55), (1.0, 20_000)]
)
def test_equal_values_have_no_spread(value, size):
    """Their sum and its quotient by their number are exact in float32: the spread is 0, and so are quotients by it."""
    inputs = equal_values(value, size)
    assert float(inputs["bias"].sum() / size) == value
    out, average, squares, deviation = MOMENTS(**inputs)
    assert float(average) == value
    assert not out.any() and not squares.any() and not deviation.any()


def test_a_result_that_nobody_reads_has_no_derivative():
    inputs = equal_values(3.0, 8)
    inputs["bias"].requires_grad_()
    (gradient,) = torch.autograd.grad(MOMENTS(**inputs).out.sum(), inputs["bias"])
    assert not gradient.any()


def test_equal_values_have_no_derivative():
    inputs = draw("standardize", M=1, N=8)
    inputs["there"].fill_(True)
    inputs["bias"].fill_(3.0)
    found = differentiate(call_of("standardize"), inputs)
    assert not any(found[name].any() for name in found)


def test_squares_are_summed_in_a_pass_after_the_mean():
    """E[x²] - E[x]² would cancel: the plan has a pass for the mean, then one for squares of what is less the mean."""
    text = str(attention("standardize").explain(**draw("standardize"))).partition("\nbackward")[0]
    assert "stage 1: a pass over tiles" in text
    scores = draw("standardize")["bias"].double() + 1e4
    there = torch.ones_like(scores, dtype=torch.bool)
    assert torch.allclose(variance(scores, there)[..., 0], centred(scores, there).var(-1, correction=0), rtol=1e-12)
