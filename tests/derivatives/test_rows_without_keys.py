"""Gradients of rows that see no key are 0, by kernels and by torch through the dense meaning."""

import pytest
import torch

import attnc

NORMALIZATIONS = ["softmax", "softmax1", "standardize", "sparsemax", "entmax15", "l1"]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_gradients(normalization):
    text = f"input keep[B, N]: bool mask keep[j] normalize p = {normalization}[j](s) output out, p"
    attention = attnc.loads(f"attention a {text}")
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 2, 5, 4, generator=random, dtype=torch.float64).requires_grad_() for _ in "qkv")
    keep = torch.tensor([[True, False, True, True, True], [False] * 5])
    weights = torch.rand(2, 2, 5, 5, generator=random, dtype=torch.float64)
    found = []
    for call in (attention, attention.reference):
        out, p = call(q, k, v, keep)
        assert not out[1].any() and not p[1].any()
        found.append(torch.autograd.grad(out.sum() + (weights * p).sum(), (q, k, v)))
    for ours, theirs in zip(*found):
        assert not ours[1].any() and ours[0].any()
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
