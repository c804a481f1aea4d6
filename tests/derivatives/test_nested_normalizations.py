"""A statistic of statistics moves by another amount in each row: what is invariant in all of them moving together is
not invariant in each."""

import pytest
import torch

import attnc

INPUTS = "input x[B, M, C], y[B, N, C] let s = x[i] @ y[j]"


def given():
    random = torch.Generator().manual_seed(0)
    shapes = ((2, 7, 3), (2, 5, 3))
    return [torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_() for shape in shapes]


def row_maxima(x, y):
    s = x @ y.mT
    return s.amax(2).softmax(1)[:, None] @ x


def beside_a_softmax(x, y):
    return row_maxima(x, y) + (x @ y.mT).softmax(2) @ y


def row_sums(x, y):
    total = (x @ y.mT).exp().sum(2)
    return (total / total.sum(1, keepdim=True))[:, None]


def top_scores(x, y):
    s = x @ y.mT
    return (s - s.amax(2, keepdim=True)).exp().sum(2)[:, None]


@pytest.mark.parametrize(
    "text, dense",
    [
        ("output t = sum[i](softmax[i](max[j](s)) * x[i])", row_maxima),
        (
            "let u[i] = sum[j](softmax[j](s) * y[j]) let t = sum[i](softmax[i](max[j](s)) * x[i])"
            " output w[i] = u[i] + t",
            beside_a_softmax,
        ),
        ("let r[i] = sum[j](exp(s)) output w[i] = r[i] / sum[i](r[i])", row_sums),
        ("output w[i] = sum[j](exp(s - max[j](s)))", top_scores),
    ],
)
def test_gradients(text, dense):
    attention = attnc.loads(f"attention nested {INPUTS} {text}")
    x, y = given()
    wanted = dense(x, y)
    for call in (attention, attention.reference):
        found = call(x, y).reshape(wanted.shape)
        weights = torch.linspace(0.5, 2.0, wanted.numel(), dtype=torch.float64).reshape(wanted.shape)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
        ours, theirs = (torch.autograd.grad((o * weights).sum(), (x, y), retain_graph=True) for o in (found, wanted))
        for one, other in zip(ours, theirs):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
    assert torch.autograd.gradgradcheck(attention, given(), atol=1e-6)
