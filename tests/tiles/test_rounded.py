"""Bounds of whole numbers that are made of rounded floats: no pair is lost at the powers of two."""

import pytest
import torch
from torch.nn import functional

import attnc

CONDITIONS = {
    "floor(log2(max(abs(i - j), 1))) <= 4": lambda i, j: (i - j).abs().clamp(min=1).double().log2().floor() <= 4,
    "ceil(sqrt(abs(i - j))) % 4 == 0": lambda i, j: (i - j).abs().double().sqrt().ceil() % 4 == 0,
    "(1 << floor(log2(max(abs(i - j), 1)))) * abs(i % 64 - j % 64) <= 256": lambda i, j: (
        2 ** (i - j).abs().clamp(min=1).double().log2().floor() * (i % 64 - j % 64).abs() <= 256
    ),
    "log2(max(abs(i - j), 1)) < 4.5": lambda i, j: (i - j).abs().clamp(min=1).double().log2() < 4.5,
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_against_pairs(condition):
    n = 451
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, n, 8, requires_grad=True) for _ in "qkv")
    index = torch.arange(n)
    seen = CONDITIONS[condition](index[:, None], index)
    spec = attnc.loads(f"attention a axis i, j: N mask {condition}")
    found = spec(q, k, v)
    wanted = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    torch.testing.assert_close(found, wanted.nan_to_num(0))
    mine, theirs = (torch.autograd.grad(one.sin().sum(), (q, k, v)) for one in (found, wanted))
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_what_rounds_tells_no_tile_by_itself():
    """A float is compared for each pair; only whole numbers made of it are told for a tile."""
    text = attnc.loads("attention a axis i, j: N mask log2(max(abs(i - j), 1)) < 4.5").source("cpp")
    assert "log2(max(abs(i - j), 1)) < 4.5" in text and "nothing is known of" in text
