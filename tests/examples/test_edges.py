"""Rows without keys, scores at minus infinity, scores so large that a softmax takes one key."""

import math
from dataclasses import replace

import pytest
import torch

from . import oracles
from .cases import BY_NAME, EXAMPLES, ODD, draw
from .judge import Trial, faults
from .kernels import call, check_example

every = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
NO_WINDOW = {"sliding": {"window": 0}, "dilated": {"window": 0}, "generation": {"offset": -1000}}


def assert_zero_and_finite(found, rows):
    """Results are exactly 0 in the rows [b, i], where gradients of the queries are too; all gradients are finite."""
    for name, number in found.items():
        assert bool(number.isfinite().all()), name
    for name in ("result 0", "gradient of q"):
        assert not found[name].movedim(2, 1)[rows].any(), name


@pytest.mark.parametrize("name", NO_WINDOW)
def test_no_row_has_a_key(name):
    example = BY_NAME[name]
    inputs = draw(example, ODD, torch.float32)
    found = call(name, inputs, {**example.parameters, **NO_WINDOW[name]})
    assert not any(number.any() for number in found.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_padding_is_0(dtype):
    example = BY_NAME["documents"]
    inputs = draw(example, ODD, dtype)
    inputs["doc"][1, :9] = -1
    assert_zero_and_finite(call("documents", inputs, {}), inputs["doc"] < 0)


def test_rows_before_all_keys_are_0():
    check_example(BY_NAME["generation"], ODD, offset=-5)
    inputs = draw(BY_NAME["generation"], ODD, torch.float32)
    rows = (torch.arange(ODD["M"]) < 5).expand(ODD["B"], -1)
    assert_zero_and_finite(call("generation", inputs, {"offset": -5}), rows)


@every
def test_no_keys_at_all(example):
    found = call(example.name, draw(example, {**ODD, "N": 0}, torch.float32), example.parameters)
    for name, number in found.items():
        assert not number.isnan().any(), name
        assert name == "result 1" or not number.any(), name


@pytest.mark.parametrize("prefix", [-4, 0, 53, 1000])
def test_prefix_of_any_length(prefix):
    trial = Trial(oracles.prefix_lm, draw(BY_NAME["prefix_lm"], ODD, torch.float32), {})
    trial.inputs["prefix"].fill_(prefix)
    assert not faults([call("prefix_lm", trial.inputs, {})], [trial])


def test_scores_of_minus_infinity_are_no_keys():
    """A bias that excludes some pairs, and all those of a row."""
    inputs = draw(BY_NAME["cosine"], ODD, torch.float32)
    excluded = torch.rand(inputs["bias"].shape, generator=torch.Generator().manual_seed(5)) < 0.3
    excluded[2, 7] = excluded[5, 11] = True

    def masked(q, k, v, tau, bias):
        s = oracles.cosine_scores(q, k, tau) + bias.masked_fill(excluded, 0)
        return oracles.weighted(oracles.softmax(s, ~excluded), v)

    trial = Trial(masked, dict(inputs), {})
    inputs["bias"][excluded] = -math.inf
    found = call("cosine", inputs, {})
    assert not faults([found], [trial])
    assert not found["gradient of bias"][excluded].any()
    assert not found["result 0"][:, 2, 7].any() and not found["result 0"][:, 5, 11].any()


def test_a_sink_of_minus_infinity_takes_nothing():
    inputs = draw(BY_NAME["sink"], ODD, torch.float32)
    inputs["sink"].fill_(-math.inf)
    found = call("sink", inputs, {})
    assert not found.pop("gradient of sink").any()
    plain = {name: inputs[name] for name in ("q", "k", "v")}
    assert not faults([found], [Trial(oracles.causal, plain, {})])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["t5_encoder", "t5_decoder"])
def test_buckets_begin_where_the_paper_has_them(name, dtype):
    """With T5's own sizes some logarithms are whole numbers: a unit of rounding moves those distances a bucket down."""
    example = replace(BY_NAME[name], sizes={"T": 32}, parameters={"far": 128})
    check_example(example, {**ODD, "B": 1, "N": 150}, dtype, draws=2)


def huge(random, shape):
    return 1e5 * torch.randn(shape, generator=random)


@every
def test_scores_of_ten_billion(example):
    """A softmax takes one key: rounding of scores, were it not the same in all passes, would overflow."""
    far = replace(example, draws={**example.draws, "q": huge, "k": huge})
    inputs = draw(far, ODD, torch.float32)
    for name, number in call(example.name, inputs, example.parameters).items():
        assert bool(number.isfinite().all()), name
    check_example(far, ODD, draws=1)
