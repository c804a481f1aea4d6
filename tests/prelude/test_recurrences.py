"""Lets that read themselves, against the same steps in torch: values, gradients of two orders, tangents, memory."""

import pytest
import torch

import attnc

B, H, N, D = 2, 3, 11, 4

SINKHORN = """
attention sinkhorn(rounds: int = 3)
input     there[M, N]: bool
axis      t: rounds
mask      there[i, j]
let       u[t, i] = -logsumexp[j](s + w[t - 1, j])
let       w[t, j] = -logsumexp[i](s + u[t, i])
normalize p = exp(s + u[rounds - 1, i] + w[rounds - 1, j])
"""
DUSTBIN = """
attention transport(rounds: int = 5)
input     alpha: float
axis      t: rounds
let       u[t, i] = -logaddexp(logsumexp[j](s + w[t - 1, j]), alpha + wb[t - 1])
let       ub[t] = log(N) - logaddexp(logsumexp[j](alpha + w[t - 1, j]), alpha + wb[t - 1])
let       w[t, j] = -logaddexp(logsumexp[i](s + u[t, i]), alpha + ub[t])
let       wb[t] = log(M) - logaddexp(logsumexp[i](alpha + u[t, i]), alpha + ub[t])
normalize p = exp(s + u[rounds - 1, i] + w[rounds - 1, j])
"""
MEANS = """
attention means
input     decay[H]
axis      i, j: N
let       slow[i] = 0.9 * slow[i - 1] + norm(q[i])
let       fast[i] = decay[h] * fast[i - 1] + slow[i] * slow[i - 1]
score     s = q[i] @ k[j] + fast[i] - fast[j]
normalize p = tanh(s)
"""
BACKWARDS = """
attention backwards
axis      i, j: N
let       later[j] = 0.5 * later[j + 1] + tanh(norm(k[j]))
score     s = q[i] @ k[j] * later[j]
"""
DELTA = """
attention delta
input     beta[B, H, N]
axis      i, j: N
axis      c: D
let       S[j, d, e] = S[j - 1, d, e] + beta[j] * k[j, d] * (v[j, e] - sum[c](k[j, c] * S[j - 1, c, e]))
aggregate out[i, e] = sum[d](q[i, d] * S[i, d, e])
"""
RECEIVED = """
attention received(rounds: int = 3)
axis      t: rounds
let       r[t, j] = sum[i](softmax[j](s) * (1.0 + sum[j](softmax[j](s) * r[t - 1, j])))
aggregate out[i] = sum[j](softmax[j](s) * r[rounds - 1, j] * v[j])
"""
PAIRS = """
attention pairs
axis      i, j: N
let       u[i] = 0.5 * u[i - 1] + sum[j: j <= i](tanh(q[i] @ k[j] * u[i - 1] + u[i - 2]))
score     s = q[i] @ k[j] + u[i - 1] + u[j - 1] * u[j]
normalize p = sigmoid(s)
"""


def numbers(*shape, seed=0):
    random = torch.Generator().manual_seed(seed + 10 * len(shape))
    return torch.randn(shape, generator=random, dtype=torch.float64)


def qkv():
    return [numbers(B, H, N, D, seed=n) / 2 for n in range(3)]


def scores(q, k):
    return q @ k.mT / D**0.5


def stepped(x):
    return torch.stack(x, -1)


def sinkhorn(q, k, v, there, rounds=3):
    s = scores(q, k).masked_fill(~there, -1e30)
    w = torch.zeros(B, H, 1, N, dtype=q.dtype)
    for _ in range(rounds):
        u = -torch.logsumexp(s + w, -1, keepdim=True)
        w = -torch.logsumexp(s + u, -2, keepdim=True)
    return (s + u + w).exp() @ v


def transport(q, k, v, alpha):
    """With a row and a column more, which take what is left (SuperGlue)."""
    s = torch.cat([scores(q, k), alpha.expand(B, H, N, 1)], -1)
    s = torch.cat([s, alpha.expand(B, H, 1, N + 1)], -2)
    mass = torch.zeros(N + 1, dtype=q.dtype)
    mass[-1] = torch.tensor(float(N), dtype=q.dtype).log()
    w = torch.zeros(B, H, N + 1, dtype=q.dtype)
    for _ in range(5):
        u = mass - torch.logsumexp(s + w[..., None, :], -1)
        w = mass - torch.logsumexp(s + u[..., None], -2)
    return (s + u[..., None] + w[..., None, :]).exp()[..., :-1, :-1] @ v


def means(q, k, v, decay):
    slow, fast = [torch.zeros(B, H, dtype=q.dtype)], [torch.zeros(B, H, dtype=q.dtype)]
    for norm in q.norm(dim=-1).unbind(-1):
        slow.append(0.9 * slow[-1] + norm)
        fast.append(decay * fast[-1] + slow[-1] * slow[-2])
    fast = stepped(fast[1:])
    return (q @ k.mT + fast[..., None] - fast[..., None, :]).tanh() @ v


def backwards(q, k, v):
    later = [torch.zeros(B, H, dtype=q.dtype)]
    for norm in reversed(k.norm(dim=-1).unbind(-1)):
        later.append(0.5 * later[-1] + norm.tanh())
    return (q @ k.mT * stepped(later[:0:-1])[..., None, :]).softmax(-1) @ v


def delta(q, k, v, beta):
    state, out = torch.zeros(B, H, D, D, dtype=q.dtype), []
    for n in range(N):
        key, value = k[:, :, n], v[:, :, n]
        missed = value - (key[..., None] * state).sum(-2)
        state = state + beta[:, :, n, None, None] * key[..., None] * missed[..., None, :]
        out.append((q[:, :, n, :, None] * state).sum(-2))
    return torch.stack(out, -2)


def received(q, k, v):
    p = scores(q, k).softmax(-1)
    r = torch.zeros(B, H, 1, N, dtype=q.dtype)
    for _ in range(3):
        r = (p * (1 + (p * r).sum(-1, keepdim=True))).sum(-2, keepdim=True)
    return (p * r) @ v


def pairs(q, k, v):
    dots, u = q @ k.mT, [torch.zeros(B, H, dtype=q.dtype)] * 2
    for n in range(N):
        seen = dots[:, :, n, : n + 1]
        u.append(0.5 * u[-1] + (seen * u[-1][..., None] + u[-2][..., None]).tanh().sum(-1))
    now, before = stepped(u[2:]), stepped(u[1:-1])
    return (dots + before[..., None] + (before * now)[..., None, :]).sigmoid() @ v


THERE = (numbers(N, N, seed=5) > -0.7) | torch.eye(N, dtype=torch.bool)
CASES = {
    "sinkhorn": (SINKHORN, sinkhorn, lambda: [*qkv(), THERE]),
    "dustbin": (DUSTBIN, transport, lambda: [*qkv(), torch.tensor(0.3, dtype=torch.float64)]),
    "means": (MEANS, means, lambda: [*qkv(), numbers(H).tanh()]),
    "backwards": (BACKWARDS, backwards, qkv),
    "delta": (DELTA, delta, lambda: [*qkv(), numbers(B, H, N).sigmoid()]),
    "received": (RECEIVED, received, qkv),
    "pairs": (PAIRS, pairs, qkv),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    text, formula, draw = CASES[name]
    attention, given = attnc.loads(text), draw()
    learned = [x.requires_grad_() for x in given if x.is_floating_point()]
    found, wanted = attention(*given), formula(*given)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(attention.reference(*given), wanted, rtol=1e-9, atol=1e-11)
    some = numbers(*wanted.shape, seed=7)
    first = [torch.autograd.grad(out, learned, some, create_graph=True) for out in (found, wanted)]
    torch.testing.assert_close(*first, rtol=1e-7, atol=1e-9)
    along = [numbers(*x.shape, seed=8) for x in learned]
    total = [sum((g * a).sum() for g, a in zip(one, along)) for one in first]
    second = [torch.autograd.grad(out, learned) for out in total]
    torch.testing.assert_close(*second, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["sinkhorn", "means", "delta"])
def test_tangents(name):
    text, formula, draw = CASES[name]
    given = draw()
    moving = [x.is_floating_point() for x in given]
    along = tuple(numbers(*x.shape, seed=3) if moves else None for x, moves in zip(given, moving))

    def tangent(call):
        def of(*learned):
            rest = iter(learned)
            return call(*(next(rest) if moves else x for x, moves in zip(given, moving)))

        learned = tuple(x for x in given if x.is_floating_point())
        return torch.func.jvp(of, learned, tuple(a for a in along if a is not None))[1]

    torch.testing.assert_close(tangent(attnc.loads(text)), tangent(formula), rtol=1e-7, atol=1e-9)


def test_rows_and_columns_sum_to_1():
    attention = attnc.loads(SINKHORN + "output p, last[i] = u[rounds - 1, i]")
    given = [x.float() for x in qkv()]
    found = attention(*given[:2], THERE, rounds=60)
    torch.testing.assert_close(found.p.sum(-2), torch.ones(B, H, N))
    torch.testing.assert_close(found.p.sum(-1), torch.ones(B, H, N), atol=1e-4, rtol=0)


def test_masked_rows_and_no_steps():
    """A row or a column without pairs gets 0, and so does everything without steps."""
    there = THERE.clone()
    there[2], there[:, 4] = False, False
    q, k, v = (x.requires_grad_() for x in qkv())
    attention = attnc.loads(SINKHORN)
    out = attention(q, k, v, there)
    grads = torch.autograd.grad(out.square().sum(), (q, k, v))
    assert not out[:, :, 2].any() and not grads[0][:, :, 2].any() and not grads[2][:, :, 4].any()
    assert all(g.isfinite().all() for g in grads)
    assert torch.autograd.gradcheck(lambda *x: attention(*x, there), (q, k, v), fast_mode=True)
    plain = attention(q, k, v, THERE, rounds=0)
    torch.testing.assert_close(plain, scores(q, k).exp().masked_fill(~THERE, 0) @ v)


def test_steps_of_a_constant_count():
    text = "attention a axis t: 3 let z[t, i] = tanh(norm(q[i]) + z[t - 1, i]) score s = q[i] @ k[j] * z[2, i]"
    q, k, v = qkv()
    z = torch.zeros(B, H, N, dtype=q.dtype)
    for _ in range(3):
        z = (q.norm(dim=-1) + z).tanh()
    torch.testing.assert_close(attnc.loads(text)(q, k, v), (q @ k.mT * z[..., None]).softmax(-1) @ v)


@pytest.mark.parametrize("first", [True, False])
def test_a_name_within_a_circle(first):
    """A let without indices stands for its expression, wherever it is written."""
    helper = "let shifted = s + w[t - 1, j] "
    rest = "let w[t, j] = -logsumexp[i](s + u[t, i]) normalize p = exp(s + u[2, i] + w[2, j])"
    lets = "let u[t, i] = -logsumexp[j](shifted) "
    text = helper + lets if first else lets + helper
    attention = attnc.loads(f"attention a axis t: 3 {text}{rest}")
    torch.testing.assert_close(attention(*qkv()), sinkhorn(*qkv(), torch.ones(N, N, dtype=torch.bool)))


def test_a_root_in_each_step():
    text = """attention a axis t: 2
    let u[t, i] = sum[j](sparsemax[j](s + u[t - 1, i] * norm(k[j])) * norm(k[j])) normalize p = sigmoid(s + u[1, i])"""
    attention, given = attnc.loads(text), [x.requires_grad_() for x in qkv()]
    torch.testing.assert_close(attention(*given), attention.reference(*given))
    assert torch.autograd.gradcheck(attention, given, fast_mode=True)


def test_kept_and_read_in_linear_memory():
    """Neither direction stores a value for each pair."""
    attention = attnc.loads(SINKHORN.replace("input     there[M, N]: bool", "").replace("mask      there[i, j]", ""))
    derivation = attention.derivation()
    gradient = derivation.gradient(("q", "k", "v"))
    for plan in (derivation.plan_forward(gradient.kept), derivation.plan_backward(gradient)):
        for tensor, axes in (*plan.temporaries, *((saved.tensor, saved.axes) for saved in gradient.kept)):
            assert len(derivation.roles.axes(axes, "length")) <= 1, tensor
