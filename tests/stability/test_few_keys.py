"""Rows with no key at all and with one, a single key, a single query: zeros that are exact, and no NaN in any order."""

import pytest
import torch

from ..examples.noise import Noise
from .judge import Trial, check, differentiate
from .specs import BY_NAME, FORMULA_OF, bare, call_of, dense, draw

SEEDS = range(3)
SECOND = ("softmax", "standardize", "l2", "entmax15")


def sparse(inputs):
    """Row 0 has no key, row 1 one, row 2 two, row 3 all but one."""
    there = torch.zeros_like(inputs["there"])
    there[1, 4] = there[2, 3] = there[2, 7] = True
    there[3, 1:] = True
    inputs["there"] = there
    return inputs


def drawn(name, seed, **sizes):
    inputs = draw(name, seed, **sizes)
    inputs["q"] = torch.randn(inputs["q"].shape, generator=torch.Generator().manual_seed(seed + 9))
    return inputs


@pytest.mark.parametrize("name", BY_NAME)
def test_rows_with_few_keys(name):
    check([Trial(call_of(name), dense(name, exact=False), sparse(drawn(name, seed, M=4))) for seed in SEEDS])


@pytest.mark.parametrize("name", BY_NAME)
def test_rows_without_keys_are_0(name):
    """Results, and gradients of what only these rows read; and of all, where no row has a key."""
    inputs = sparse(drawn(name, 0, M=4))
    found = differentiate(call_of(name), inputs)
    assert not any(number.isnan().any() for number in found.values())
    assert not found["result 0"][:, :, 0].any() and not found["gradient of q"][:, :, 0].any()
    assert not found["gradient of bias"][:, ~inputs["there"]].any()
    assert not found["gradient of wall"][:, ~inputs["there"]].any()
    assert not found["gradient of k"][:, :, 0].any() and not found["gradient of v"][:, :, 0].any()
    inputs["there"] = torch.zeros_like(inputs["there"])
    assert not any(number.any() for number in differentiate(call_of(name), inputs).values())


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("sizes", [{"N": 1}, {"M": 1}, {"M": 1, "N": 1}], ids=["one key", "one query", "one of each"])
def test_a_single_key_or_query(name, sizes):
    trials = []
    for seed in SEEDS:
        inputs = drawn(name, seed, **sizes)
        inputs["there"][:, 0] = True
        trials.append(Trial(call_of(name), dense(name, exact=False), inputs))
    check(trials)


def second_order(call, inputs, dtype):
    """Derivatives of a function of the gradients; all in one dtype."""
    given = [inputs[n].to(dtype).requires_grad_() for n in ("v", "bias")]
    out = call(*given, inputs["there"])
    weights = torch.arange(out.numel()).to(dtype).cos().reshape(out.shape)
    first = torch.autograd.grad(out, given, weights, create_graph=True)
    total = sum((g * (g.detach() + 1).sin()).sum() for g in first)
    return {"first": first[1].detach()} | dict(zip(("v", "bias"), torch.autograd.grad(total, given)))


def error(found, truth):
    return {key: (found[key] - exact).abs().max() for key, exact in truth.items()}


@pytest.mark.parametrize(
    "name",
    SECOND,
)
def test_second_order(name):
    """In float64, against the dense formula there: errors are at most twice those that rounding every operation of it
    makes (which the truth has too), or 4 units; exactly 0 where there are no keys."""

    def formula(v, bias, there):
        return FORMULA_OF[name](bias, there) @ v

    inputs = sparse(draw(name, H=2, G=2, M=4))
    found = second_order(bare(name), inputs, torch.float64)
    truth = second_order(formula, inputs, torch.float64)
    noisy = []
    for seed in SEEDS:
        with Noise(torch.float64, seed):
            noisy.append(error(second_order(formula, inputs, torch.float64), truth))
    for key, own in error(found, truth).items():
        rounding = 2 * max(one[key] for one in noisy)
        assert own <= max(rounding, 4 * torch.finfo(torch.float64).eps * truth[key].abs().max()), key
    for key in ("first", "bias"):
        assert bool(found[key].isfinite().all()) and not found[key][:, ~inputs["there"]].any()
