"""Results and several stages: order of axes, outputs, and the specs of the language's own text."""

import pytest
import torch

import attnc
from attnc.diagnostics import AttnError

from .conftest import B, D, E, G, H, N, heads, same, scores

LOWER = torch.ones(N, N, dtype=torch.bool).tril()


def test_the_axes_of_a_result(meaning, make):
    """Batch, then heads if it depends on them and does not list them, the listed indices, the trailing vector."""
    x, w = make(B, N, D), make(H)
    text = """
    attention a
    input     x[B, N, D], w[H]
    axis      j: N, d: D
    output    a[j] = x[j], b[d, j] = x[j, d], c[j] = w[h] * x[j], e[j, h] = w[h] * x[j, 0], f = w
    output    g[j, b] = x[j, 0], n[j] = j
    """
    found = meaning(text, x, w)
    same(found.a, x), same(found.b, x.mT), same(found.c, w[None, :, None, None] * x[:, None])
    same(found.e, x[..., :1] * w), same(found.f, w.expand(B, H)), same(found.g, x[..., 0].T)
    same(found.n, torch.arange(N).expand(B, N))


def test_without_a_batch(meaning, make):
    x = make(N, D)
    same(meaning("attention a input x[N, D] axis j: N output y[j] = 2 * x[j]", x), 2 * x)


def test_results_are_a_named_tuple_in_the_order_of_the_output(meaning, qkv):
    q, k, v = qkv
    found = meaning("attention a output lse = logsumexp[j](s), out, received[j] = sum[i](p)", q, k, v)
    assert found._fields == ("lse", "out", "received")
    s = scores(q, k)
    p = torch.softmax(s, -1)
    same(found.lse, s.logsumexp(-1)), same(found.out, p @ heads(v)), same(found.received, p.sum(-2))


def test_the_default_chain_follows_the_names(meaning, qkv):
    q, k, v = qkv
    text = "attention a score t = q[i] @ k[j] normalize w = softmax[i](t)"
    same(meaning(text, q, k, v), torch.softmax(scores(q, k) * D**0.5, -2) @ heads(v))


def test_a_name_in_an_output_may_list_its_indices(meaning, qkv):
    q, k, _ = qkv
    same(meaning("attention a output p[j, i]", q, k), torch.softmax(scores(q, k), -1).mT)


def test_values_that_depend_on_the_pair(meaning, one, make):
    q, k, v = one
    r = make(2 * 3 + 1, E)
    text = """
    attention a(R: int = 3)
    input     r[2 * R + 1, E]
    axis      i, j: N
    aggregate out[i] = sum[j](p * (v[j] + r[clamp(j - i + R, 0, 2 * R)]))
    """
    n = torch.arange(N)
    p = torch.softmax(scores(q, k), -1)
    pairs = r[(n[None] - n[:, None] + 3).clamp(0, 6)]
    same(meaning(text, q, k, v, r), p @ heads(v) + torch.einsum("bhij,ije->bhie", p, pairs))


def test_agent(meaning, qkv, make):
    q, k, v = qkv
    a = make(B, H, 3, D)
    text = """
    attention agent
    input     a[B, H, A, D]
    axis      n: A
    let       gathered[n] = sum[j](softmax[j](a[n] @ k[j] / sqrt(D)) * v[j])
    aggregate out[i] = sum[n](softmax[n](q[i] @ a[n] / sqrt(D)) * gathered[n])
    """
    gathered = torch.softmax(scores(a, k), -1) @ heads(v)
    same(meaning(text, q, k, v, a), torch.softmax(q @ a.mT / D**0.5, -1) @ gathered)


def test_differential(meaning, make):
    q, k, v = make(B, H, N, D), make(B, G, N, D), make(B, G, N, E)
    q2, k2, lam = make(B, H, N, D), make(B, G, N, D), make(H)
    text = """
    attention differential
    input     q2[B, H, M, D], k2[B, G, N, D], lam[H]
    mask      j <= i
    normalize p = softmax[j](q[i] @ k[j] / sqrt(D)) - lam[h] * softmax[j](q2[i] @ k2[j] / sqrt(D))
    """
    one, two = (torch.softmax(s.masked_fill(~LOWER, -torch.inf), -1) for s in (scores(q, k), scores(q2, k2)))
    same(meaning(text, q, k, v, q2, k2, lam), (one - lam[:, None, None] * two) @ heads(v))


def test_retention(meaning, one):
    q, k, v = one
    gamma = torch.tensor([0.9, 0.95, 0.8, 0.99], dtype=torch.float64)
    text = """
    attention retention
    input     gamma[H]
    axis      i, j: N
    mask      j <= i
    normalize p = q[i] @ k[j] * gamma[h] ** (i - j)
    """
    n = torch.arange(N)
    decay = gamma[:, None, None] ** (n[:, None] - n[None]).clamp(min=0) * LOWER
    same(meaning(text, q, k, v, gamma), scores(q, k) * D**0.5 * decay @ heads(v))


def test_shifted_reads_of_statistics(meaning, one):
    q, k, v = one
    text = """
    attention a
    axis      i, j: N
    let       top[i] = max[j](q[i] @ k[j])
    score     s = q[i] @ k[j] - top[i - 1] + top[i + 1]
    """
    s = scores(q, k) * D**0.5
    top = torch.nn.functional.pad(s.amax(-1), (1, 1))
    same(meaning(text, q, k, v), torch.softmax(s - top[..., :-2, None] + top[..., 2:, None], -1) @ heads(v))


# --- what is checked and not computed yet ----------------------------------------------------------------------------

NOT_LOWERED = {
    "the scan 'cumprod' along a length": "let c = cumprod[j, reverse](sigmoid(q[i] @ k[j])) score t = q[i] @ k[j] + c",
    "'rank' over a joined axis, but in a comparison with a number,": "axis c: 3 axis u: j | c "
    "let r = rank[u](join[u](q[i] @ k[j], 0.0)) score t = q[i] @ k[j] + r[j]",
    "'order' for several numbers of a row": "axis c: 3 axis u: j | c axis r: 40 "
    "let best[i, r] = order[u](join[u](q[i] @ k[j], 0.0), r) score t = q[i] @ k[j] + sum[r](best[i, r])",
    "'top' over several axes": "axis x, y: 4 input f[4, 4] "
    "score t = q[i] @ k[j] + sum[x, y](f[x, y] if top[x, y](f[x, y], 3) else 0.0)",
    "'top' of vectors": "require D == E let t = topk[j](v[j], 3) aggregate out[i] = sum[j](v[j] * t) * q[i]",
    "'top' over a joined axis of features": "axis c: 3 axis e: 4 axis u: e | c let z = join[u](1.0 * e, 2.0 * c) "
    "let w = sum[u](z if topk[u](z, 3) else 0.0) score s = q[i] @ k[j] + w",
    "the scan 'cumsum' over a joined axis": "axis c: 3 axis u: j | c let w = cumsum[u](join[u](q[i] @ k[j], 0.0)) "
    "score s = w[j]",
    "'solve'": "input A[D, D] axis c: D let z[d] = solve[d, c](A[d, c], w[d]) input w[D] "
    "score t = q[i] @ k[j] + sum[d](z[d])",
    "mixing heads of pairwise values": "axis f: H let t[f, i, j] = q[f, i] @ k[f, j] score s2 = sum[f](t[f, i, j])",
}


@pytest.mark.parametrize("construct", NOT_LOWERED)
def test_constructs_that_are_checked_and_not_computed_yet(construct, qkv):
    spec = attnc.loads(f"attention a {NOT_LOWERED[construct]}")
    for ask in (spec.card, spec.source, lambda: spec.reference(*qkv), lambda: spec(*qkv)):
        with pytest.raises(AttnError) as caught:
            ask()
        assert caught.value.code == "not-lowered"
        assert caught.value.diagnostics[0].title == f"{construct} cannot be compiled yet"
        assert caught.value.diagnostics[0].labels
