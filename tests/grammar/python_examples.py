"""The attentions and definitions of the language's description as decorated functions; none is ever called."""

# ruff: noqa: F403, F405, F722, F821, F841, F842

from typing import Literal

from attnc.names import *


def attention(function):
    return function


def define(axes):
    def decorate(function):
        function.axes = axes
        return function

    return decorate


@attention
def causal():
    mask(j <= i)


@attention
def defaults():
    s = q[i] @ k[j] / sqrt(D)
    p = softmax[j](s)
    return sum[j](p * v[j])


@attention
def sliding(slope: "[H]", window: int = 1024, cap: float = 50.0):
    """Sliding window with soft-capped logits and a learned slope per head."""
    i: N
    j: N
    s = softcap(q[i] @ k[j] / sqrt(D), cap) - slope[h] * (i - j)
    mask(j <= i and i - j < window)


@attention
def agent(a: "[B, H, A, D]"):
    n: A
    gathered[n] = sum[j](softmax[j](a[n] @ k[j] / sqrt(D)) * v[j])
    return sum[n](softmax[n](q[i] @ a[n] / sqrt(D)) * gathered[n])


@attention
def differential(q2: "[B, H, M, D]", k2: "[B, G, N, D]", lam: "[H]"):
    mask(j <= i)
    p = softmax[j](q[i] @ k[j] / sqrt(D)) - lam[h] * softmax[j](q2[i] @ k2[j] / sqrt(D))


@attention
def moba(block: int = 512, keep: int = 3):
    i: N
    j: N
    c: ceildiv(N, block)
    gate[i, c] = q[i] @ mean[j : j // block == c](k[j]) if (c + 1) * block <= i else -inf
    chosen[i, c] = topk[c](gate[i, c], keep) or c == i // block
    mask(j <= i and chosen[i, j // block])


@attention
def talking_heads(before: "[H, H]", after: "[H, H]"):
    g: H
    f: H
    s[g, i, j] = q[g, i] @ k[g, j] / sqrt(D)
    p0[f, i, j] = softmax[j](sum[g](before[f, g] * s[g, i, j]))
    p = sum[f](after[h, f] * p0[f, i, j])


@attention
def retention(gamma: "[H]"):
    i: N
    j: N
    mask(j <= i)
    p = q[i] @ k[j] * gamma[h] ** (i - j)


@attention
def delta_rule(beta: "[B, H, N]"):
    i: N
    j: N
    c: D
    S[j, d, e] = S[j - 1, d, e] + beta[j] * k[j, d] * (v[j, e] - sum[c](k[j, c] * S[j - 1, c, e]))
    return sum[d](q[i, d] * S[i, d, e])


@attention
def optimal_transport(rounds: int = 20):
    t: rounds
    u[t, i] = -logsumexp[j](s + w[t - 1, j])
    w[t, j] = -logsumexp[i](s + u[t, i])
    p = exp(s + u[rounds - 1, i] + w[rounds - 1, j])


@attention
def everything(
    doc: "[B, N]: int",
    valid: "[B, N]: bool",
    scale: ": float",
    other: "[]",
    n: int,
    cap: float = -1,
    flag: "bool" = True,
    mode: Literal["a", "b"] = "a",
    kind: "Literal['x', 'y']" = "y",
):
    """Two lines,
    the second one indented."""
    i: {y: rows, x: cols}
    j: {y: rows, x: cols}
    u: j | c
    require(H % 2 == 0, N % n == 0)
    t = (
        v[j(i.y + 1, i.x)]  # a comment inside
        if mode == "a" and not flag
        else q[i, :n] @ k[j, n:]
    )
    best = doc[i] not in (0, 1) or 0 <= j < n
    return cumsum[j, reverse](t), best, t


@define(("j",))
def softmax(s):
    m = max[j](s)
    e = exp(s - m)
    return e / sum[j](e)


@define(("j",))
def softmax1(s):
    m = max(0, max[j](s))
    e = exp(s - m)
    return e / (exp(-m) + sum[j](e))


@define(("j",))
def sink_softmax(s: "[j]", z):
    m = max(z, max[j](s))
    e = exp(s - m)
    return e / (exp(z - m) + sum[j](e))


@define(("j",))
def l1(s):
    return s / sum[j](abs(s))


@define(("j",))
def standardize(s):
    return (s - mean[j](s)) / std[j](s)


@define(("j",))
def sparsemax(s):
    top = max[j](s)
    t = root[t : top - 1 <= t <= top](sum[j](relu(s - t)) - 1)
    return relu(s - t)


@define(("j",))
def signed_softmax(s):
    return sign(s) * softmax[j](abs(s))


@define(("d",))
def rope(x, pos, base=10000.0):
    R = size(d) // 2
    a = pos * base ** (-(d % R) / R)
    y = -x[d + R] if d < R else x[d - R]
    return x * cos(a) + y * sin(a)


@define(("y", "x"))
def sample(f, py, px):
    return sum[y, x](relu(1 - abs(py - y)) * relu(1 - abs(px - x)) * f)
