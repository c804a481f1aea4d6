"""The log of a row's sum, its maximum and its entropy as results, wherever weights are hard to compute."""

import math
from functools import cache

import pytest
import torch

import attnc

from .formulas import logsumexp, softmax
from .judge import Trial, check, differentiate
from .specs import draw

SEEDS = range(3)
STATISTICS = attnc.loads("""
    attention statistics
    input bias[H, M, N], there[M, N]: bool
    score s = bias[i, j]
    mask there[i, j]
    output out, lse = logsumexp[j](s), top = max[j](s), entropy = -sum[j](xlogy(p, p))
""")
SHIFTED = "the backward keeps the maximum and the log of the sum as one number, rounded at the size of the scores"


def formula(v, bias, there):
    p = softmax(bias, there)
    top = torch.where(there, bias, -math.inf).max(-1).values
    certain = torch.where(p > 0, p, torch.ones_like(p))
    return p @ v, logsumexp(bias, there).expand(1, -1, -1), top.expand(1, -1, -1), -(p * certain.log()).sum(-1)[None]


def inputs_of(seed, factor=1.0, shift=0.0, **sizes):
    inputs = draw("softmax", seed, G=2, **sizes)
    inputs["bias"] = inputs["bias"] * factor + shift
    inputs["there"][1] = False
    return {name: inputs[name] for name in ("v", "bias", "there")}


CASES = {
    "plain": {},
    "scores of ten thousand": {"factor": 4096.0},
    "96 more": {"shift": 96.0},
    "8192 more": {"shift": 8192.0},
    "8192 less": {"shift": -8192.0},
    "a millionth": {"factor": 2.0**20},
    "a million": {"factor": 2.0**-20},
    "20000 keys": {"N": 20_000, "M": 2},
}


def pairs():
    for case in CASES:
        for part in ("result 0", "result 1", "result 2", "result 3", "gradient"):
            is_faulty = "shift" in CASES[case] and part == "gradient"
            marks = [pytest.mark.xfail(strict=True, reason=SHIFTED)] if is_faulty else []
            yield pytest.param(case, part, marks=marks, id=f"{case}-{part}")


@cache
def trials_of(case):
    return [Trial(STATISTICS, formula, inputs_of(seed, **CASES[case])) for seed in SEEDS]


@pytest.mark.parametrize(("case", "part"), [*pairs()])
def test_as_good_as_eager(case, part):
    check(trials_of(case), part)


def test_a_row_without_keys():
    """Minus infinity, an entropy of 0, and no derivative."""
    inputs = inputs_of(0)
    found = differentiate(STATISTICS, inputs)
    for name, value in zip(("result 0", "result 1", "result 2", "result 3"), (0.0, -math.inf, -math.inf, 0.0)):
        assert bool((found[name][:, :, 1] == value).all()), name
    assert not found["gradient of bias"][:, 1].any() and bool(found["gradient of bias"].isfinite().all())


def as_mask(v, bias, there):
    finite = bias.isfinite()
    return formula(v, torch.where(finite, bias, torch.zeros_like(bias)), there & finite)


def test_minus_infinity_is_no_key():
    trials = []
    for seed in SEEDS:
        inputs = inputs_of(seed)
        excluded = torch.rand(inputs["bias"].shape, generator=torch.Generator().manual_seed(seed)) < 0.4
        excluded[1, 3] = True
        inputs["bias"][excluded] = -math.inf
        trials.append(Trial(STATISTICS, as_mask, inputs))
        assert not trials[-1].found["gradient of bias"][excluded].any()
    check(trials)


def test_plus_infinity():
    """The maximum and the log of the sum are infinite; rows beside keep their own."""
    inputs = inputs_of(0)
    inputs["there"][2, 3] = True
    plain = STATISTICS(**inputs)
    inputs["bias"][0, 2, 3] = math.inf
    found = STATISTICS(**inputs)
    assert float(found.top[0, 0, 2]) == float(found.lse[0, 0, 2]) == math.inf
    others = torch.ones(found.lse.shape, dtype=torch.bool)
    others[0, 0, 2] = False
    for one, other in zip(found, plain):
        assert torch.equal(one[others], other[others])
