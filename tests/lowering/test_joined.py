"""Joined axes against what they stand for: keys concatenated, in torch."""

import pytest
import torch

import attnc
from attnc.diagnostics import AttnError

from .conftest import B, D, E, H, N, heads, same, scores

P = 5
LOWER = torch.ones(N, N, dtype=torch.bool).tril()
WIDE = torch.cat([torch.ones(N, P, dtype=torch.bool), LOWER], -1)
PREFIX = """
    attention a
    input     kp[B, H, P, D], vp[B, H, P, E]
    axis      i, j: N
    axis      n: P
    axis      u: n | j
    score     s = join[u](q[i] @ kp[n], q[i] @ k[j]) / sqrt(D)
    mask      j <= i
"""
WEIGHTS = {
    "softmax[u](s)": lambda s: s.softmax(-1),
    "softmax1[u](s)": lambda s: s.exp() / (1 + s.exp().sum(-1, keepdim=True)),
    "l1[u](s)": lambda s: s.nan_to_num(neginf=0) / s.nan_to_num(neginf=0).abs().sum(-1, keepdim=True),
    "sigmoid(s)": lambda s: s.sigmoid(),
    "softmax[u: u % 2 == 0](s)": lambda s: s.exp() / s.exp()[..., ::2].sum(-1, keepdim=True),
    "softmax[u](s) if u < 3 else 0.0": lambda s: s.softmax(-1) * (torch.arange(P + N) < 3),
}


@pytest.fixture
def prefix(one, make):
    q, k, v = one
    return q, k, v, make(B, H, P, D), make(B, H, P, E)


def joined(q, k, v, kp, vp):
    """Scores and values of a prefix, then of the sequence."""
    s = torch.cat([q @ kp.mT / D**0.5, scores(q, k)], -1).masked_fill(~WIDE, -torch.inf)
    return s, torch.cat([vp, heads(v)], -2)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_prefix(meaning, prefix, weights):
    """A mask that names a part governs that part alone."""
    s, values = joined(*prefix)
    text = f"{PREFIX} normalize p = {weights} aggregate out[i] = sum[u](p * join[u](vp[n], v[j]))"
    same(meaning(text, *prefix), WEIGHTS[weights](s) @ values)


@pytest.mark.parametrize("weights", ["softmax[u](s)", "l1[u](s)", "standardize[u](s)", "softmax[u](s) * softmax[i](s)"])
def test_kernels(prefix, weights):
    attention = attnc.loads(f"{PREFIX} normalize p = {weights} aggregate out[i] = sum[u](p * join[u](vp[n], v[j]))")
    attnc.verify(attention, *(tensor.requires_grad_() for tensor in prefix))


def test_parts(meaning, prefix):
    """A part is read at its own index; a position counts from the first part on."""
    s, _ = joined(*prefix)
    p = s.softmax(-1)
    text = f"{PREFIX} normalize p[i, u] = softmax[u](s) output own[i, j] = p[i, j], before[i, n] = p[i, n],"
    text += " third[i] = p[i, 2], last[i] = p[i, N + P - 1], previous[i, n] = p[i - 1, n], shifted[i, j] = p[i, j - 1]"
    found = meaning(
        text, *(t for t, name in zip(prefix, "qkvkv") if t is not prefix[2] and t is not prefix[4]), prefix[4]
    )
    same(found.own, p[..., P:]), same(found.before, p[..., :P])
    same(found.third, p[..., 2]), same(found.last, p[..., -1])
    same(found.previous[:, :, 1:], p[:, :, :-1, :P])
    same(found.shifted, torch.nn.functional.pad(p, (1, 0))[..., :N])


def test_statistics_of_all_parts(meaning, prefix):
    s, _ = joined(*prefix)
    text = f"{PREFIX} output lse[i] = logsumexp[u](s), many[i] = count[u](s > 0), top[i] = max[u](s)"
    found = meaning(text, prefix[0], prefix[1], prefix[3], prefix[4])
    same(found.lse, s.logsumexp(-1)), same(found.many, (s > 0).sum(-1)), same(found.top, s.amax(-1))


def test_along_another_axis(meaning, prefix):
    """Column statistics are taken for each part."""
    s, values = joined(*prefix)
    text = f"{PREFIX} normalize p = softmax[i](s) aggregate out[i] = sum[u](p * join[u](vp[n], v[j]))"
    same(meaning(text, *prefix), s.softmax(-2) @ values)


def test_three_parts_and_joins_of_joins(meaning, prefix, make):
    q, k, v, kp, vp = prefix
    z = make(H)
    s, values = joined(*prefix)
    wide = torch.cat([s, z[None, :, None, None].expand(B, H, N, 1)], -1).softmax(-1)[..., :-1] @ values
    declared = PREFIX.replace("input     kp[", "input z[H], kp[").replace("axis      n", "axis c: 1 axis n")
    text = f"""{declared} axis w: u | c
    normalize p = softmax[w](join[w](s, z[h]))
    aggregate out[i] = sum[w](p * join[w](join[u](vp[n], v[j]), 0))"""
    same(meaning(text, q, k, v, z, kp, vp), wide)
    flat = text.replace("w: u | c", "w: n | j | c").replace("join[w](s, z[h])", "join[w](t, r, z[h])")
    flat = flat.replace("join[w](join[u](vp[n], v[j]), 0)", "join[w](vp[n], v[j], 0)")
    flat = flat.replace("score     s = join[u](q[i] @ kp[n], q[i] @ k[j]) / sqrt(D)", "score s = 0 * q[i] @ k[j]")
    flat = flat.replace("mask", "let t = q[i] @ kp[n] / sqrt(D) let r = q[i] @ k[j] / sqrt(D) mask")
    same(meaning(flat, q, k, v, z, kp, vp), wide)


def test_two_indices_over_one_union(meaning, make):
    """Every pair of entries, each of either part."""
    x, z = make(N), make(P)
    both = torch.cat([x, z])
    text = """attention a input x[N], z[P] axis j: N, n: P, u: j | n, w: j | n
    let t[u] = join[u](x[j], z[n]) output y = sum[u, w](t[u] * t[w] * (u - w) ** 2), r = sum[u](t[u] * t[0] * u)"""
    place = torch.arange(N + P)
    found = meaning(text, x, z)
    turned = torch.cat([z, x])
    same(
        meaning(
            text.replace("w: j | n", "w: n | j").split("output")[0] + "output y = sum[w](t[w] * join[w](z[n], x[j]))",
            x,
            z,
        ),
        (both * turned).sum(),
    )
    same(found.y, (both[:, None] * both * (place[:, None] - place) ** 2).sum())
    same(found.r, (both * both[0] * place).sum())


def test_passes(prefix):
    """Each part is gone through once: its sums follow its own maximum."""
    attention = attnc.loads(f"{PREFIX} normalize p = softmax[u](s) aggregate out[i] = sum[u](p * join[u](vp[n], v[j]))")
    assert len(attention.derivation().plan_forward(()).passes) == 2


def test_a_part_without_keys(make):
    """Empty parts, and parts whose scores are all -inf, take no share."""
    q, k, v, kp = make(1, 1, 4, D), make(1, 1, 4, D), make(1, 1, 4, E), make(1, 1, 3, D)
    text = """attention a input kp[B, H, P, D], bias[P] axis i, j: N axis n: P axis u: n | j
    mask j <= i and i > 0
    normalize p = softmax[u](join[u](q[i] @ kp[n] + bias[n], q[i] @ k[j] - 2000))
    aggregate out[i] = sum[u](p * join[u](0, v[j]))"""
    given = [t.requires_grad_() for t in (q, k, v, kp, torch.full((3,), -torch.inf, dtype=torch.float64))]
    out = attnc.loads(text)(*given)
    s = (q @ k.mT - 2000).masked_fill(~torch.ones(4, 4, dtype=torch.bool).tril(), -torch.inf)
    torch.testing.assert_close(out[:, :, 1:], (s.softmax(-1) @ v)[:, :, 1:])
    out.sum().backward()
    assert torch.all(out[:, :, 0] == 0) and all(torch.all(t.grad.isfinite()) for t in given)


@pytest.mark.parametrize(
    "text",
    [
        f"{PREFIX} normalize p = softmax[u](s) output p",
        "attention a axis n: 3, u: j | n score s = q[i] @ join[u](k[j], k[j])",
    ],
)
def test_whole_joined_results_are_refused(text):
    with pytest.raises(AttnError, match="joined axis"):
        attnc.loads(text).card()
