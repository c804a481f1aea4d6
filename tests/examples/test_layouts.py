"""How inputs lie in memory changes no bit of results and gradients."""

import pytest
import torch

from .cases import BY_NAME, EXAMPLES, ODD, draw
from .judge import differentiate
from .kernels import call, load


def transposed(t):
    """As a projection leaves it: heads behind positions."""
    return t.transpose(1, 2).contiguous().transpose(1, 2) if t.dim() == 4 else t


def sliced(t):
    """A part of a larger tensor along every axis, which begins within it."""
    larger = torch.full([n + 3 for n in t.shape], 77, dtype=t.dtype)
    larger[tuple(slice(1, n + 1) for n in t.shape)] = t
    return larger[tuple(slice(1, n + 1) for n in t.shape)]


def strided(t):
    """Every second number of a last axis."""
    wide = torch.full([*t.shape[:-1], 2 * t.shape[-1]], 77, dtype=t.dtype)
    wide[..., ::2] = t
    return wide[..., ::2]


def expanded(t):
    """The first of the batch and of the heads for all of them."""
    if t.dim() < 3:
        return t[:1].expand_as(t)
    return t[:1, :1].expand_as(t)


def assert_same_bits(name, inputs, parameters):
    plain = {key: t.contiguous() for key, t in inputs.items()}
    found, wanted = call(name, inputs, parameters), call(name, plain, parameters)
    for key in wanted:
        assert torch.equal(found[key], wanted[key]), key


@pytest.mark.parametrize("layout", [transposed, sliced, expanded], ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_rows_anywhere(example, layout):
    inputs = {name: layout(t) for name, t in draw(example, ODD, torch.float32).items()}
    assert not inputs["q"].is_contiguous()
    assert_same_bits(example.name, inputs, example.parameters)


@pytest.mark.parametrize("name", ["documents", "t5_decoder", "two_part"])
def test_features_apart(name):
    example = BY_NAME[name]
    inputs = {name: strided(t) for name, t in draw(example, ODD, torch.float32).items()}
    assert_same_bits(example.name, inputs, example.parameters)


@pytest.mark.parametrize("name", ["causal", "partial", "shaw"])
def test_gradients_that_come_in_one_number(name):
    """`out.sum()` hands back a gradient of stride 0."""
    example = BY_NAME[name]
    inputs = draw(example, ODD, torch.float32)
    found = []
    for is_one in (True, False):
        given = {key: t.clone().requires_grad_() for key, t in inputs.items()}
        results = load(name)(*given.values(), **example.parameters)
        results = results if isinstance(results, tuple) else (results,)
        weights = [torch.ones(()).expand_as(r) if is_one else torch.ones_like(r) for r in results]
        found.append(torch.autograd.grad(results, list(given.values()), weights))
    assert all(torch.equal(a, b) for a, b in zip(*found))


def test_oracles_see_no_layout():
    """What the tests above rely on: the values are the same."""
    inputs = draw(BY_NAME["causal"], ODD, torch.float64)
    plain = differentiate(BY_NAME["causal"].oracle, inputs, {})["result 0"]
    for layout in (transposed, sliced, strided):
        moved = {name: layout(t) for name, t in inputs.items()}
        assert torch.equal(differentiate(BY_NAME["causal"].oracle, moved, {})["result 0"], plain)
