"""What is read outside counts as 0, whatever lies in memory there."""

import pytest
import torch

import attnc

SPEC = """attention frames(step: int = 1)
input     f[B, N, T, D], g[B, N, T, D]
axis      i, j: N, t: T
let       p[t, i, j] = softmax[j](f[i, t] @ g[j, t + step])
output    mass[t, j] = sum[i](p[t, i, j])
"""


@pytest.mark.parametrize("step", [1, -1, 7])
def test_other_axes_of_operands(step):
    random = torch.Generator().manual_seed(0)
    around = torch.full((4, 9, 3, 8), torch.nan, dtype=torch.float64)
    around[1:3] = torch.randn(2, 9, 3, 8, generator=random, dtype=torch.float64)
    g = around[1:3].requires_grad_()
    f = torch.randn(2, 9, 3, 8, generator=random, dtype=torch.float64).requires_grad_()
    attention = attnc.loads(SPEC)
    found, wanted = (call(f, g, step=step) for call in (attention, attention.reference))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(*(torch.autograd.grad((out**2).sum(), (f, g)) for out in (found, wanted))):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


FEATURES = """attention both
input     w[H, F, D]
axis      i, j: N
axis      f: F
let       a[i, f] = sum[d](w[h, f, d] * q[i, d])
let       b[j, f] = sum[d](w[h, f, d] * k[j, d])
score     s = cat(exp(a[i]), exp(-a[i])) @ cat(exp(b[j]), exp(-b[j]))
mask      j <= i
normalize p = l1[j](s)
"""


@pytest.mark.parametrize("D", [3, 8])  # packed, and read where it lies
def test_matrices_of_joined_features(D):
    """Their products are taken for all features of both, in tiles, where one part has fewer."""
    random = torch.Generator().manual_seed(0)
    around = torch.full((2, 5, D), torch.nan, dtype=torch.float64)
    w = around[:1]
    w.copy_(torch.randn(1, 5, D, generator=random, dtype=torch.float64))
    given = [w, *(torch.randn(1, 1, 9, D, generator=random, dtype=torch.float64) for _ in range(3))]
    w, q, k, v = (tensor.requires_grad_() for tensor in given)
    attention = attnc.loads(FEATURES)
    found, wanted = (call(q, k, v, w) for call in (attention, attention.reference))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(*(torch.autograd.grad((out**2).sum(), (w, q, k, v)) for out in (found, wanted))):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
