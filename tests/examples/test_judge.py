"""The judge: it accepts rounding, and rejects whatever is wrong by more."""

import pytest
import torch

from . import oracles
from .cases import BY_NAME, EXAMPLES, ODD, draw, trials
from .judge import Trial, differentiate, faults
from .noise import Noise

SOME = [BY_NAME[name] for name in ("partial", "t5_decoder", "sink")]
some = pytest.mark.parametrize("example", SOME, ids=lambda example: example.name)
every = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
DTYPES = [torch.float32, torch.float64, torch.bfloat16]
ONE_KEY = {**ODD, "M": 21, "N": 1}


def rounded(trial):
    """What a sound kernel gives: the truth in the trial's dtype."""
    return {name: number.to(trial.dtype) for name, number in trial.truth.items()}


def faults_of_oracle(oracle, drawn):
    """What is found of another formula than the trials', evaluated in float64."""
    found = [differentiate(oracle, t.inputs, t.parameters, torch.float64) for t in drawn]
    return faults([{name: n.to(drawn[0].dtype) for name, n in numbers.items()} for numbers in found], drawn)


@some
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_accepts_eager_code(example, dtype):
    drawn = trials(example, ODD, dtype, range(2))
    own = [differentiate(example.oracle, t.inputs, t.parameters) for t in drawn]
    assert not faults(own, drawn)


@some
@pytest.mark.parametrize("dtype, factor", [(torch.float32, 1e-3), (torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_rejects_each_result_scaled(example, dtype, factor):
    drawn = trials(example, ODD, dtype, range(2))
    for name in drawn[0].truth:
        found = [rounded(t) | {name: rounded(t)[name] * (1 + factor)} for t in drawn]
        assert [fault.split(":")[0] for fault in faults(found, drawn)] == [name]


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, 1e-3])
def test_rejects_one_wrong_number(wrong):
    drawn = trials(BY_NAME["causal"], ODD, torch.float32, range(2))
    for name in drawn[0].truth:
        found = [rounded(t) for t in drawn]
        found[1][name][-1, 0, -1, -1] += wrong
        assert [fault.split(":")[0] for fault in faults(found, drawn)] == [name]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rejects_another_formula(dtype):
    drawn = trials(BY_NAME["cross"], ODD, dtype)

    def without_last_key(q, k, v):
        return oracles.cross(q, k[:, :, :-1], v[:, :, :-1])

    def with_wrong_scale(q, k, v):
        return oracles.cross(q * (16 / 17) ** 0.5, k, v)

    def without_gradient_of_weights(q, k, v):
        p = oracles.softmax(oracles.scaled(q, k)).detach()
        return oracles.weighted(p, v) + 0 * (q.sum() + k.sum())

    def with_neighbours_head(q, k, v):
        return oracles.cross(q, k.roll(1, dims=1), v)

    assert not faults_of_oracle(oracles.cross, drawn)
    for wrong in (without_last_key, with_wrong_scale, without_gradient_of_weights, with_neighbours_head):
        assert faults_of_oracle(wrong, drawn)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradients_that_cancel_are_measured_by_their_terms(dtype):
    """With one key the gradients of q and k are 0: rounding may be left of them, but no more than that."""
    drawn = trials(BY_NAME["cross"], ONE_KEY, dtype)
    for units, is_rounding in ((0.4, True), (4, False)):
        found = [rounded(t) for t in drawn]
        for numbers, trial in zip(found, drawn):
            keys = trial.inputs["k"].repeat_interleave(3, dim=1)
            numbers["gradient of q"] = units * torch.finfo(dtype).eps * keys.expand(-1, -1, 21, -1)
        assert (not faults(found, drawn)) == is_rounding


def test_results_must_be_there_in_the_right_shape():
    drawn = trials(BY_NAME["causal"], ODD, torch.float32, range(1))
    found = rounded(drawn[0])
    assert not faults([found], drawn)
    assert faults([{**found, "result 0": found["result 0"][:1]}], drawn)
    assert faults([{name: n for name, n in found.items() if name != "gradient of v"}], drawn)


@every
def test_noise_is_of_the_size_of_eager_errors(example):
    """Of results with numbers enough to tell: sums of one term after another err more than their terms do."""
    trial = trials(example, ODD, torch.float32, range(1))[0]
    for name in trial.truth:
        if trial.truth[name].numel() > 100:
            largest, mean = (trial.noise(name) / trial.eager_error(name)).tolist()
            assert 1 / 8 < largest < 8 and 1 / 4 < mean < 4, (name, largest, mean)


def test_noise_depends_on_its_seed_only():
    trial = Trial(oracles.cross, draw(BY_NAME["cross"], ODD, torch.float32), {})
    found = []
    for seed in (0, 0, 1):
        with Noise(torch.float32, seed):
            found.append(differentiate(trial.oracle, trial.inputs, {}, torch.float64)["gradient of q"])
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
