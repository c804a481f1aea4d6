"""Meanings are checked in float64 through `reference`, against torch written by hand."""

import pytest
import torch

import attnc
from attnc.spec import Attention

B, H, G, M, N, D, E = 2, 4, 2, 5, 7, 6, 3


@pytest.fixture
def make():
    """`make(2, 3)`: numbers of this shape, always the same in one test."""
    generator = torch.Generator().manual_seed(7)

    def numbers(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return numbers


@pytest.fixture
def qkv(make):
    """q, k, v of different lengths and widths, with two key/value heads for four query heads."""
    return make(B, H, M, D), make(B, G, N, D), make(B, G, N, E)


@pytest.fixture
def one(make):
    """q, k, v of one sequence: `axis i, j: N`."""
    return make(B, H, N, D), make(B, G, N, D), make(B, G, N, E)


@pytest.fixture
def meaning():
    """`meaning(text, *tensors, **named)`: what the spec says of these tensors."""

    def value(text, *tensors, **named):
        spec = attnc.loads(text)
        assert isinstance(spec, Attention)
        return spec.reference(*tensors, **named)

    return value


def heads(x):
    """Key/value heads, each repeated for the query heads of its group."""
    return x.repeat_interleave(H // G, dim=1)


def scores(q, k):
    return q @ heads(k).transpose(-1, -2) / D**0.5


def same(found, wanted):
    """Equal numbers of equal shape and dtype."""
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-12)
