"""Scans of keys and features against torch's, with gradients."""

import pytest
import torch

import attnc
from attnc.diagnostics import AttnError

N = 41


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def scanned(x, name, reverse, exclusive):
    """Along the last axis, in torch."""
    x = x.flip(-1) if reverse else x
    found = x.cumsum(-1) if name == "cumsum" else x.cummax(-1).values if name == "cummax" else x.cumprod(-1)
    if exclusive:
        start = {"cumsum": 0.0, "cummax": -torch.inf, "cumprod": 1.0}[name]
        found = torch.cat([torch.full_like(found[..., :1], start), found[..., :-1]], -1)
    return found.flip(-1) if reverse else found


def same(found, wanted, given):
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    some = torch.randn(wanted.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    finite = wanted.isfinite()
    mine, theirs = (torch.autograd.grad((torch.where(finite, out, 0) * some).sum(), given) for out in (found, wanted))
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["cumsum", "cummax"])
@pytest.mark.parametrize("flags", ["", ", reverse", ", exclusive", ", exclusive, reverse"])
def test_along_keys(name, flags):
    x = numbers(2, 3, N)
    attention = attnc.loads(f"attention a input x[B, H, N] axis j: N output y[j] = {name}[j{flags}](x[j])")
    same(attention(x), scanned(x, name, "reverse" in flags, "exclusive" in flags), [x])


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_along_features(name):
    x = numbers(2, 3, N, 5)
    attention = attnc.loads(
        f"attention a input x[B, H, N, D] axis j: N, d: D output y[j, d] = {name}[d, reverse](x[j, d])"
    )
    same(attention(x), scanned(x, name, True, False), [x])


def test_masked_and_counted():
    """A scan passes over what a mask or its bracket leaves out; conditions are counted."""
    x, keep = numbers(2, N), torch.rand(2, N, generator=torch.Generator().manual_seed(1)) < 0.6
    text = """attention a input x[B, N], keep[B, N]: bool axis j: N
    output y[j] = cumsum[j: keep[j]](x[j]), many[j] = cumsum[j](keep[j])"""
    found = attnc.loads(text)(x, keep)
    assert torch.equal(found.many, keep.cumsum(-1))
    same(found.y, (x * keep).cumsum(-1), [x])


def test_forgetting():
    """Softmax with a learned decay of each key, and its gates' gradients: Lin et al., Forgetting Transformer, 2025."""
    q, k, v = (numbers(2, 3, N, 8, seed=n) for n in range(3))
    gate = numbers(2, 3, N, seed=4)
    text = """attention forgetting input gate[B, H, N] axis i, j: N
    let f[j] = cumsum[j](log_sigmoid(gate[j]))
    score s = q[i] @ k[j] / sqrt(D) + f[i] - f[j]
    mask j <= i"""
    f = torch.nn.functional.logsigmoid(gate).cumsum(-1)
    s = q @ k.mT / 8**0.5 + f[..., :, None] - f[..., None, :]
    s = s.masked_fill(~torch.ones(N, N, dtype=torch.bool).tril(), -torch.inf)
    attention, given = attnc.loads(text), [q, k, v, gate]
    same(attention(*given), s.softmax(-1) @ v, given)
    attnc.verify(attention, *(t.detach().float().requires_grad_() for t in given))


def test_second_order():
    x = numbers(1, 2, 6)
    attention = attnc.loads("attention a input x[B, H, N] axis j: N output y[j] = exp(cumsum[j](tanh(x[j])))")
    assert torch.autograd.gradgradcheck(attention, (x,), check_fwd_over_rev=True)


@pytest.mark.parametrize(
    "text, words",
    [
        ("let c = cumprod[j](q[i] @ k[j]) score t = c", "'cumprod' along a length"),
        ("input x[B, N] axis j: N output y[j] = cumprod[j](x[j])", "'cumprod' along a length"),
    ],
)
def test_refused(text, words):
    with pytest.raises(AttnError, match=words):
        attnc.loads(f"attention a {text}").card()
