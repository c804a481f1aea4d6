"""Biases of minus infinity exclude keys, and rows of nothing else are 0; plus infinity spoils its own row at most."""

import math

import pytest
import torch

from .judge import Trial, check, differentiate
from .specs import BY_NAME, call_of, dense, draw

# weights that vanish as their score falls: minus infinity is then as good as a mask
VANISHING = (
    *("softmax", "softmax1", "sink_softmax", "softmax2", "clipped_softmax", "weighted_softmax"),
    *("sparsemax", "entmax15", "entmax"),
    *("sigmoid", "squared_relu", "hard_sigmoid", "gelu", "softplus", "laplace"),
)
# weights that no longer grow where their score does
LEVEL = ("sigmoid", "hard_sigmoid", "tanh", "laplace")
SEEDS = range(3)
EMPTY = (1, 2)


def walled(name, seed, empty=True):
    """A third of all pairs is excluded, and one row as a whole if `empty`; every other row keeps a key."""
    inputs = draw(name, seed)
    inputs["q"] = torch.randn(inputs["q"].shape, generator=torch.Generator().manual_seed(seed))
    excluded = torch.rand(inputs["wall"].shape, generator=torch.Generator().manual_seed(seed + 50)) < 0.3
    inputs["there"][:, 0] = True
    excluded[..., 0] = False
    if empty:
        excluded[EMPTY] = True
    inputs["wall"][excluded] = -math.inf
    return inputs


def as_mask(name):
    """The dense formula with minus infinity as a mask: nothing infinite is computed with."""
    formula = dense(name, exact=False)

    def call(wall, there, **others):
        finite = wall.isfinite()
        return formula(wall=torch.where(finite, wall, torch.zeros_like(wall)), there=there & finite, **others)

    return call


def names(faulty, reason):
    """All that vanish; some are expected to fail."""
    mark = pytest.mark.xfail(strict=True, reason=reason)
    return [pytest.param(name, marks=[mark] if name in faulty else []) for name in VANISHING]


GELU = "gelu takes minus infinity times 0, as torch's does: NaN in the row and in gradients of all inputs"


@pytest.mark.parametrize("name", names(["gelu"], GELU))
def test_minus_infinity_is_no_key(name):
    check([Trial(call_of(name), as_mask(name), walled(name, seed, empty=False)) for seed in SEEDS])


@pytest.mark.parametrize("name", names(["gelu"], GELU))
def test_rows_of_minus_infinity_are_no_keys(name):
    check([Trial(call_of(name), as_mask(name), walled(name, seed)) for seed in SEEDS])


@pytest.mark.parametrize("name", names(["gelu"], GELU))
def test_nothing_comes_of_minus_infinity(name):
    """Exactly 0: the row that has nothing else, its gradients, and those of the bias wherever it is infinite."""
    for seed in SEEDS:
        inputs = walled(name, seed)
        found = differentiate(call_of(name), inputs)
        head, row = EMPTY
        infinite = inputs["wall"].isinf()
        assert not any(number.isnan().any() for number in found.values())
        assert not found["result 0"][:, head, row].any()
        assert not found["gradient of q"][:, head, row].any()
        assert not found["gradient of bias"][infinite].any()
        assert not found["gradient of wall"][infinite].any()


@pytest.mark.parametrize("name", LEVEL)
def test_plus_infinity_of_level_weights(name):
    """The limit: the weight of a score of 200, where all of these are level in float64 as well."""
    trials = []
    for seed in SEEDS:
        inputs = draw(name, seed)
        inputs["wall"][0, 2, 3] = math.inf

        def limit(wall, **others):
            return dense(name)(wall=wall.clamp(max=200.0), **others)

        trials.append(Trial(call_of(name), limit, inputs))
    check(trials)


@pytest.mark.parametrize("name", BY_NAME)
def test_plus_infinity_keeps_to_its_row(name):
    """Where weights have no limit, or none that does not depend on the way there, other rows are what they were."""
    inputs = draw(name)
    inputs["there"][2, 3] = True
    plain = differentiate(call_of(name), inputs)
    inputs["wall"][0, 2, 3] = math.inf
    found = differentiate(call_of(name), inputs)
    others = torch.ones(plain["result 0"].shape[1:3], dtype=torch.bool)
    others[0, 2] = False
    assert bool(plain["result 0"].any())
    assert torch.equal(found["result 0"][:, others], plain["result 0"][:, others])
    for gradient in ("gradient of bias", "gradient of wall"):
        assert torch.equal(found[gradient][others], plain[gradient][others])
    assert torch.equal(found["gradient of q"][:, others], plain["gradient of q"][:, others])
