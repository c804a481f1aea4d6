"""Rows of 20000 keys: many small weights beside a large one, and sums of exponentials that overflow float32."""

import pytest
import torch

import attnc

from .formulas import softmax, softmax1
from .judge import Trial, check
from .specs import call_of, dense, draw

SEEDS = range(4)
SIZES = {"H": 1, "M": 1, "N": 20_000, "D": 1, "E": 2}
ONE_LARGE = ["softmax", "softmax1", "weighted_softmax", "l1", "l2", "pnorm", "power_softmax", "taylor_softmax"]


def one_large(name, seed):
    """The weight of one key is about that of all others together. The log of the sum is near 0, so that its rounding
    plays no part."""
    inputs = draw(name, seed, **SIZES)
    inputs["there"].fill_(True)
    is_exponential = name in ("softmax", "softmax1", "weighted_softmax")
    inputs["bias"] = inputs["bias"] / 64 - (10.0 if is_exponential else 0.0)
    inputs["bias"][..., 77] = 0.0 if is_exponential else 140.0
    return inputs


@pytest.mark.parametrize("name", ONE_LARGE)
def test_many_small_weights_beside_a_large_one(name):
    check([Trial(call_of(name), dense(name), one_large(name, seed)) for seed in SEEDS])


def above(name, seed, shift):
    inputs = draw(name, seed, **SIZES)
    inputs["bias"] += shift
    return inputs


@pytest.mark.parametrize("name", ["softmax", "softmax1", "weighted_softmax"])
def test_sums_that_overflow(name):
    """exp(85) is below the largest float32 and a few hundred times that is not."""
    check([Trial(call_of(name), dense(name), above(name, seed, 85.0)) for seed in SEEDS], "result")


NAIVE = {
    "softmax": ("e / sum[j](e)", softmax),
    "softmax1": ("e / (1 + sum[j](e))", softmax1),
}


def naive_call(name):
    attention = attnc.loads(
        f"define naive[j](s) = {NAIVE[name][0]} with e = exp(s) "
        f"attention a input bias[H, M, N] score s = bias[i, j] normalize p = naive[j](s)"
    )
    return lambda v, bias: attention(v, bias)


@pytest.mark.parametrize("shift", [-200.0, 0.0, 200.0])
@pytest.mark.parametrize("name", NAIVE)
def test_an_author_who_shifts_nothing(name, shift):
    """The compiler shifts exponents: as good as the formula with a shift."""
    if name == "softmax1" and shift < 0:
        shift = -40.0  # weights themselves would be subnormal

    def formula(v, bias):
        return NAIVE[name][1](bias, torch.ones_like(bias, dtype=torch.bool)) @ v

    trials = []
    for seed in SEEDS:
        inputs = above("softmax", seed, shift)
        trials.append(Trial(naive_call(name), formula, {"v": inputs["v"], "bias": inputs["bias"]}))
    check(trials, "result")
