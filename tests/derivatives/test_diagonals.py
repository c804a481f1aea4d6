"""Gradients of what is read at an index twice, or at one that another position has too: they are on the diagonal."""

import pytest
import torch

import attnc


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def diagonal(x):
    return x.diagonal(dim1=-2, dim2=-1)


def check(found, wanted, inputs):
    torch.testing.assert_close(found, wanted)
    weights = numbers(*wanted.shape, seed=9).detach()
    gradients = [torch.autograd.grad((x * weights).sum(), inputs) for x in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


READS = {
    "x[i, i]": diagonal,
    "x[i, i] * x[i, i]": lambda x: diagonal(x) ** 2,
    "sum[j](x[i, j] * x[j, j] * x[i, i])": lambda x: (x * diagonal(x)[:, None] * diagonal(x)[:, :, None]).sum(-1),
    "sum[j](x[i, j] * x[j, i])": lambda x: (x * x.mT).sum(-1),
    "x[i + 1, i]": lambda x: torch.nn.functional.pad(diagonal(x[:, 1:]), (0, 1)),
    "x[i, i + 1]": lambda x: torch.nn.functional.pad(diagonal(x[:, :, 1:]), (0, 1)),
    "x[N - 1 - i, i]": lambda x: diagonal(x.flip(-2)),
    "x[i // 2, i // 2]": lambda x: diagonal(x)[:, torch.arange(7) // 2],
}


@pytest.mark.parametrize("read", READS)
def test_tensors(read):
    x = numbers(2, 7, 7)
    attention = attnc.loads(f"attention a input x[B, N, N] axis i, j: N output out[i] = {read}")
    check(attention(x=x), READS[read](x), [x])


WEIGHTS = {
    "p[i, i]": diagonal,
    "p[i, i] * p[0, i]": lambda p: diagonal(p) * p[..., 0, :],
    "sum[j](p[i, j] * p[j, j])": lambda p: (p * diagonal(p)[..., None, :]).sum(-1),
    "sum[j](p[i, j] * p[j, i])": lambda p: (p * p.mT).sum(-1),
}


@pytest.mark.parametrize("read", WEIGHTS)
def test_weights(read):
    q, k = numbers(1, 2, 9, 4), numbers(1, 2, 9, 4, seed=1)
    text = read.replace("p[", "c[")
    attention = attnc.loads(
        f"attention a axis i, j: N score s = q[i] @ k[j] let c[i, j] = softmax[j](s) output out[i] = {text}"
    )
    check(attention(q, k), WEIGHTS[read]((q @ k.mT).softmax(-1)), [q, k])


def test_second_derivatives():
    x = numbers(1, 5, 5)
    attention = attnc.loads(
        "attention a input x[B, N, N] axis i, j: N output out[i] = sum[j](x[i, j] * x[j, j] * x[i, i])"
    )
    assert torch.autograd.gradgradcheck(lambda x: attention(x=x), (x,))
