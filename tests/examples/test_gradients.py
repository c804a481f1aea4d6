"""Which inputs get gradients, and that these are the results' derivatives."""

import pytest
import torch

from .cases import BY_NAME, EXAMPLES, ODD, draw, trials
from .judge import faults
from .kernels import call, load

TINY = {"B": 1, "H": 2, "G": 1, "M": 4, "N": 5, "D": 12, "E": 10}
every = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


@every
def test_gradcheck(example):
    inputs = draw(example, TINY, torch.float64)
    given = [t.requires_grad_() if t.is_floating_point() else t for t in inputs.values()]

    def function(*tensors):
        return load(example.name)(*tensors, **example.parameters)

    assert torch.autograd.gradcheck(function, given, nondet_tol=0.0, fast_mode=True)


@pytest.mark.parametrize("name", ["alibi", "shaw", "cosine", "sink"])
def test_gradient_of_the_last_input_only(name):
    drawn = trials(BY_NAME[name], ODD, torch.float32)
    merged = []
    for trial in drawn:
        last = list(trial.inputs)[-1]
        full = call(name, trial.inputs, trial.parameters)
        found = call(name, trial.inputs, trial.parameters, wanted={last})
        assert list(found) == ["result 0", f"gradient of {last}"]
        assert torch.equal(found["result 0"], full["result 0"])
        merged.append(full | found)
    assert not faults(merged, drawn)


@pytest.mark.parametrize("wanted", ["q", "k", "q v"])
def test_gradients_of_some_inputs(wanted):
    """They are as good as those of the run that has all; passes over other tiles sum in another order."""
    names = wanted.split()
    drawn = trials(BY_NAME["causal"], ODD, torch.float32)
    merged = []
    for trial in drawn:
        found = call("causal", trial.inputs, {}, wanted=set(names))
        assert list(found) == ["result 0", *(f"gradient of {name}" for name in names)]
        merged.append(call("causal", trial.inputs, {}) | found)
    assert not faults(merged, drawn)


@pytest.mark.parametrize("name", ["causal", "partial", "differential"])
def test_results_are_the_same_without_gradients(name):
    example = BY_NAME[name]
    inputs = draw(example, ODD, torch.float32)
    full = call(name, inputs, example.parameters)
    results = load(name)(*inputs.values(), **example.parameters)
    for n, result in enumerate(results if isinstance(results, tuple) else (results,)):
        assert not result.requires_grad
        assert torch.equal(result, full[f"result {n}"])


def test_inputs_that_need_no_gradient_get_none():
    example = BY_NAME["alibi"]
    inputs = draw(example, ODD, torch.float32)
    for name in ("q", "slope"):
        inputs[name].requires_grad_()
    load("alibi")(*inputs.values()).sum().backward()
    assert {name for name, t in inputs.items() if t.grad is not None} == {"q", "slope"}
