"""Definitions: the prelude's, each against torch, and what a definition sees, inherits and may be called with."""

import pytest
import torch
from torch.nn.functional import pad

from .conftest import B, D, H, M, N, heads, same, scores

softmax = torch.softmax


def standardize(s):
    centred = s - s.mean(-1, keepdim=True)
    return centred / centred.pow(2).mean(-1, keepdim=True).sqrt()


NORMALIZATIONS = {
    "softmax[j](s)": lambda s: softmax(s, -1),
    "softmax1[j](s)": lambda s: softmax(pad(s, (0, 1)), -1)[..., :-1],
    "sink_softmax[j](s, 0.5)": lambda s: softmax(pad(s, (0, 1), value=0.5), -1)[..., :-1],
    "weighted_softmax[j](s, j)": lambda s: softmax(s + torch.arange(N, dtype=s.dtype).log(), -1),
    "signed_softmax[j](s)": lambda s: s.sign() * softmax(s.abs(), -1),
    "l1[j](s)": lambda s: s / s.abs().sum(-1, keepdim=True),
    "l2[j](s)": lambda s: s / s.norm(dim=-1, keepdim=True),
    "standardize[j](s)": standardize,
    "softmax[j](s) * softmax[i](s)": lambda s: softmax(s, -1) * softmax(s, -2),
    "softmax[i, j](s)": lambda s: softmax(s.flatten(-2), -1).view_as(s),
    "softmax[j: j < 3](s)": lambda s: (
        softmax(s[..., :3], -1) @ torch.eye(3, N, dtype=s.dtype)
        + (s - s[..., :3].amax(-1, keepdim=True)).exp().masked_fill(torch.arange(N) < 3, 0)
        / (s[..., :3] - s[..., :3].amax(-1, keepdim=True)).exp().sum(-1, keepdim=True)
    ),
}


@pytest.mark.parametrize("text", NORMALIZATIONS)
def test_normalizations(meaning, qkv, text):
    q, k, _ = qkv
    same(meaning(f"attention a normalize p[i, j] = {text} output p", q, k), NORMALIZATIONS[text](scores(q, k)))


REDUCTIONS = {
    "logsumexp[j](x[j])": lambda x: x.logsumexp(-1),
    "mean[j](x[j])": lambda x: x.mean(-1),
    "var[j](x[j])": lambda x: x.var(-1, correction=0),
    "std[j](x[j])": lambda x: x.std(-1, correction=0),
    "norm[j](x[j])": lambda x: x.norm(dim=-1),
    "count[j](x[j] > 0)": lambda x: (x > 0).sum(-1),
    "any[j](x[j] > 1)": lambda x: (x > 1).any(-1),
    "all[j](x[j] > -1)": lambda x: (x > -1).all(-1),
    "mean(x)": lambda x: x.mean(-1),
    "logsumexp(x)": lambda x: x.logsumexp(-1),
    "any(x > 1)": lambda x: (x > 1).any(-1),
    "mean[j: x[j] > 0](x[j])": lambda x: x.clamp(min=0).sum(-1) / (x > 0).sum(-1),
    "sum[j](onehot[j](2) * x[j])": lambda x: x[:, 2],
}


@pytest.mark.parametrize("text", REDUCTIONS)
def test_reductions(meaning, make, text):
    x = make(B, N)
    same(meaning(f"attention a input x[B, N] output y = {text}", x), REDUCTIONS[text](x))


POINTWISE = {
    "softcap(x[j], 3.0)": lambda x: 3 * torch.tanh(x / 3),
    "softcap(cap=3.0, x=x[j])": lambda x: 3 * torch.tanh(x / 3),
    "gumbel(sigmoid(x[j]))": lambda x: -torch.log(-torch.log(x.sigmoid())),
    "dropout(x[j], sigmoid(x[j]), 0.5)": lambda x: torch.where(x.sigmoid() >= 0.5, 2 * x, 0),
    "straight(1.0 if x[j] > 0 else 0.0, sigmoid(x[j]))": lambda x: (x > 0).to(x.dtype),
}


@pytest.mark.parametrize("text", POINTWISE)
def test_pointwise(meaning, make, text):
    x = make(B, N)
    same(meaning(f"attention a input x[B, N] output y[j] = {text}", x), POINTWISE[text](x))


def test_straight_through(meaning, make):
    x = make(N).requires_grad_()
    text = "attention a input x[N] output y[j] = straight(1.0 if x[j] > 0 else 0.0, sigmoid(x[j]))"
    meaning(text, x).sum().backward()
    same(x.grad, (x.sigmoid() * (1 - x.sigmoid())).detach())


def test_causal_aligns_the_ends(meaning, qkv):
    q, k, v = qkv
    s = scores(q, k)
    late = torch.arange(N)[None] > torch.arange(M)[:, None] + N - M
    same(meaning("attention a mask causal(i, j)", q, k, v), softmax(s.masked_fill(late, -torch.inf), -1) @ heads(v))


def rotated(x, base=10000.0):
    """Su et al., RoFormer (2021), in the half-split form."""
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * base ** (-torch.arange(half, dtype=x.dtype) / half)
    first, second = x[..., :half], x[..., half:]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


@pytest.mark.parametrize("text", ["rope[d](q[i, d], i)", "rope[d](q[i, d], i, base=100.0)"])
def test_rope(meaning, make, text):
    q = make(B, H, M, D)
    found = meaning(f"attention a output x[i, d] = {text}", q)
    same(found, rotated(q, 100.0 if "base" in text else 10000.0))


def test_rope_over_the_vector(meaning, one):
    q, k, v = one
    text = "attention a axis i, j: N score s = rope(q[i], i) @ rope(k[j], j) / sqrt(D)"
    same(meaning(text, q, k, v), softmax(rotated(q) @ rotated(heads(k)).mT / D**0.5, -1) @ heads(v))


def test_sample_is_bilinear(meaning, make):
    f, at = make(B, 4, 5), torch.rand(B, M, 2, dtype=torch.float64) * torch.tensor([3.0, 4.0], dtype=torch.float64)
    text = """
    attention a
    input     f[B, Y, X], at[B, M, 2]
    axis      y: Y, x: X
    output    got[i] = sample[y, x](f[y, x], at[i, 0], at[i, 1])
    """
    grid = (at / torch.tensor([3.0, 4.0], dtype=torch.float64) * 2 - 1).flip(-1)[:, None]
    wanted = torch.nn.functional.grid_sample(f[:, None], grid, align_corners=True)[:, 0, 0]
    torch.testing.assert_close(meaning(text, f, at), wanted, rtol=1e-9, atol=1e-9)


# --- a user's own ----------------------------------------------------------------------------------------------------


def test_a_definition_of_the_user_takes_the_place_of_the_preludes(meaning, qkv):
    q, k, v = qkv
    text = "define softmax[j](s) = e / sum[j](e) with e = abs(s) attention a"
    s = scores(q, k).abs()
    same(meaning(text, q, k, v), s / s.sum(-1, keepdim=True) @ heads(v))


def test_inside_the_prelude_too(meaning, qkv):
    q, k, _ = qkv
    text = "define abs_[j](s) = s attention a normalize p = signed_softmax[j](s) output p"
    s = scores(q, k)
    same(meaning(text, q, k), s.sign() * softmax(s.abs(), -1))
    text = "define softmax[j](s) = s attention a normalize p = signed_softmax[j](s) output p"
    same(meaning(text, q, k), s)


def test_masks_and_conditions_are_inherited(meaning, one):
    q, k, _ = one
    text = """
    define    share[j](x) = x / total[j](x)
    define    total[j](x) = sum[j: j > 0](x)
    attention a
    axis      i, j: N
    mask      j <= i
    normalize p = share[j: j != 2](exp(s))
    output    p
    """
    n = torch.arange(N)
    e = scores(q, k).exp()
    inner = (n[None] <= n[:, None]) & (n > 0) & (n != 2)
    total = (e * inner).sum(-1, keepdim=True)
    wanted = torch.where(total > 0, e / total, 0) * (n[None] <= n[:, None])
    same(meaning(text, q, k), wanted)


def test_a_formal_is_read_at_another_index(meaning, make):
    x = make(B, N)
    text = "define before[j](x) = x[j - 1] + x attention a input x[B, N] output y[j] = before[j](x[j] ** 2)"
    same(meaning(text, x), pad(x**2, (1, 0))[:, :N] + x**2)


def test_a_formal_that_does_not_depend_on_the_axis(meaning, make):
    x, z = make(B, N), make(B)
    text = """
    define    above[j](x, z) = sum[j](relu(x - z)) + z
    attention a
    input     x[B, N], z[B]
    output    y = above[j](x[j], z)
    """
    same(meaning(text, x, z), (x - z[:, None]).relu().sum(-1) + z)


def test_a_list_of_indices_for_one_axis(meaning, make):
    x = make(B, 3, 4)
    text = """
    define    spread[j](x) = max[j](x) - min[j](x) + sum[j](1)
    attention a
    input     x[B, Y, X]
    axis      y: Y, z: X
    output    s = spread[y, z](x[y, z])
    """
    same(meaning(text, x), x.amax((1, 2)) - x.amin((1, 2)) + 12)


def test_names_of_a_definition_are_its_own(meaning, make):
    """`x`, `m` and `j` mean the definition's; the caller's are untouched."""
    x, m = make(B, N), make(B)
    text = """
    define    shifted[j](y) = y - m with m = max[j](y)
    attention a
    input     x[B, N], m[B]
    output    z[j] = shifted[j](x[j]) * m
    """
    same(meaning(text, x, m), (x - x.amax(-1, keepdim=True)) * m[:, None])


def test_defaults_of_formals(meaning, make):
    x = make(N)
    text = "define lift(x, by = 2 * pi, times = 1) = (x + by) * times "
    text += "attention a input x[N] output y[j] = lift(x[j], times=3)"
    same(meaning(text, x), (x + 2 * torch.pi) * 3)


def test_definitions_call_definitions(meaning, make):
    x = make(B, N)
    text = """
    define    centred[j](x) = x - mean[j](x)
    define    energy[j](x)  = sum[j](centred[j](x) ** 2)
    attention a
    input     x[B, N]
    output    y = energy[j](x[j])
    """
    same(meaning(text, x), (x - x.mean(-1, keepdim=True)).pow(2).sum(-1))
