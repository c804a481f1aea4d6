"""What each example computes, written densely in torch from its paper's formula; imports nothing from attnc.

q[B, H, M, D], k[B, G, N, D], v[B, G, N, E] -> out[B, H, M, E]. Every formula runs in the dtype of its inputs, so the
same text is the truth in float64 and what eager code loses in a narrower dtype. Rows without keys are 0.
"""

import math

import numpy as np
import torch


def spread(x, heads):
    """Keys or values of G heads as H heads read them: H / G neighbours share one."""
    return x.repeat_interleave(heads // x.shape[1], dim=1)


def dots(q, k):
    return q @ spread(k, q.shape[1]).mT


def scaled(q, k):
    return dots(q, k) / math.sqrt(q.shape[-1])


def weighted(p, v):
    return p @ spread(v, p.shape[1])


def positions(m, n):
    """Query and key positions that broadcast to [M, N]."""
    return torch.arange(m)[:, None], torch.arange(n)[None, :]


def before(n):
    i, j = positions(n, n)
    return j <= i


def softmax(s, seen=None):
    """exp(s_ij) / sum_j exp(s_ij) over the pairs that exist; 0 at the others and in rows without any."""
    if seen is None:
        return torch.softmax(s, -1) if s.shape[-1] else s
    alive = seen.any(-1, keepdim=True)
    return torch.softmax(s.masked_fill(~seen & alive, -math.inf), -1) * (seen & alive)


def with_sink(s, z, seen):
    """exp(s_ij) / (exp(z) + sum_j exp(s_ij)): one more key with the score z, whose weight is dropped."""
    full = torch.cat([s.masked_fill(~seen, -math.inf), z.expand(*s.shape[:-1], 1)], -1)
    return torch.softmax(full, -1)[..., :-1]


def turned(x, base):
    """Rotary positions: the pair (x_d, x_{d + R}) turns by position * base ** (-d / R), R pairs in all. The paper pairs
    neighbours, which is the same up to the order of features. Angles are constants, in float32 at least."""
    half = x.shape[-1] // 2
    wide = np.float64 if x.dtype == torch.float64 else np.float32
    angles = np.arange(x.shape[-2], dtype=wide)[:, None] * wide(base) ** (-np.arange(half, dtype=wide) / wide(half))
    cos, sin = torch.tensor(np.cos(angles)).to(x.dtype), torch.tensor(np.sin(angles)).to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


# --- which pairs exist ---------------------------------------------------------------------------------------------


def cross(q, k, v):
    return weighted(softmax(scaled(q, k)), v)


def causal(q, k, v):
    return weighted(softmax(scaled(q, k), before(k.shape[2])), v)


def generation(q, k, v, offset=0):
    i, j = positions(q.shape[2], k.shape[2])
    return weighted(softmax(scaled(q, k), j <= i + offset), v)


def sliding(q, k, v, window=4096, cap=50.0):
    i, j = positions(q.shape[2], k.shape[2])
    s = cap * torch.tanh(scaled(q, k) / cap)
    return weighted(softmax(s, (j <= i) & (i - j < window)), v)


def dilated(q, k, v, window=512, step=2):
    i, j = positions(q.shape[2], k.shape[2])
    return weighted(softmax(scaled(q, k), (j <= i) & (i - j < window * step) & ((i - j) % step == 0)), v)


def prefix_lm(q, k, v, prefix):
    i, j = positions(q.shape[2], k.shape[2])
    return weighted(softmax(scaled(q, k), (j <= i) | (j < prefix[:, None, None, None])), v)


def documents(q, k, v, doc):
    same = (doc[:, None, :, None] == doc[:, None, None, :]) & (doc >= 0)[:, None, None, :]
    return weighted(softmax(scaled(q, k), before(k.shape[2]) & same), v)


# --- scores --------------------------------------------------------------------------------------------------------


def alibi(q, k, v, slope):
    i, j = positions(q.shape[2], k.shape[2])
    return weighted(softmax(scaled(q, k) - slope[:, None, None] * (i - j), before(k.shape[2])), v)


def pair_bias(q, k, v, bias):
    return weighted(softmax(scaled(q, k) + bias), v)


def sequence_bias(q, k, v, bias):
    return weighted(softmax(scaled(q, k) + bias[:, None]), v)


def t5_bucket(relative, both_ways, buckets, far):
    """The paper's function of (key position - query position), in integers: bucket t begins at the least distance n
    with (n / exact) ** (buckets - exact) >= (far / exact) ** (t - exact)."""
    behind = 0
    if both_ways:
        buckets //= 2
        behind = (relative > 0) * buckets
        distance = relative.abs()
    else:
        distance = (-relative).clamp(min=0)
    exact = buckets // 2
    large = [exact] * (max(distance.flatten().tolist(), default=0) + 1)
    for n in range(exact, len(large)):
        steps = buckets - exact
        large[n] = max(exact + t for t in range(steps) if n**steps * exact**t >= far**t * exact**steps)
    return behind + torch.where(distance < exact, distance, torch.tensor(large)[distance])


def t5(q, k, v, table, far, both_ways):
    i, j = positions(q.shape[2], k.shape[2])
    bias = table[t5_bucket(j - i, both_ways, len(table), far)]
    seen = None if both_ways else j <= i
    return weighted(softmax(dots(q, k) + bias.permute(2, 0, 1), seen), v)


def t5_encoder(q, k, v, table, far=128):
    return t5(q, k, v, table, far, True)


def t5_decoder(q, k, v, table, far=128):
    return t5(q, k, v, table, far, False)


def shaw(q, k, v, key_table, value_table, clip=16):
    i, j = positions(q.shape[2], k.shape[2])
    r = (j - i).clamp(-clip, clip) + clip
    s = (dots(q, k) + torch.einsum("bhid,ijd->bhij", q, key_table[r])) / math.sqrt(q.shape[-1])
    p = softmax(s)
    return weighted(p, v) + torch.einsum("bhij,ije->bhie", p, value_table[r])


def rotary(q, k, v, base=10000.0):
    return causal(turned(q, base), turned(k, base), v)


def two_part(q, k, v, q_rope, k_rope, base=10000.0):
    s = dots(q, k) + turned(q_rope, base) @ turned(k_rope, base)[:, None].mT
    return weighted(softmax(s / math.sqrt(q.shape[-1] + q_rope.shape[-1]), before(k.shape[2])), v)


def cosine_scores(q, k, tau):
    unit = torch.nn.functional.normalize
    return dots(unit(q, dim=-1, eps=0), unit(k, dim=-1, eps=0)) / tau.clamp(min=0.01)[:, None, None]


def cosine(q, k, v, tau, bias):
    return weighted(softmax(cosine_scores(q, k, tau) + bias), v)


# --- normalizations ------------------------------------------------------------------------------------------------


def softmax_plus_one(q, k, v):
    return weighted(with_sink(scaled(q, k), torch.zeros((), dtype=q.dtype), before(k.shape[2])), v)


def sink(q, k, v, sink):
    return weighted(with_sink(scaled(q, k), sink[:, None, None], before(k.shape[2])), v)


def sigmoid(q, k, v, bias):
    return weighted(torch.sigmoid(scaled(q, k) + bias[:, None, None]), v)


def squared_relu(q, k, v):
    return weighted(torch.relu(scaled(q, k)) ** 2 / k.shape[2], v)


def cog(q, k, v):
    s = scaled(q, k)
    return weighted(torch.sign(s) * softmax(s.abs(), before(k.shape[2])), v)


def differential(q, k, v, q2, k2, lam):
    seen = before(k.shape[2])
    return weighted(softmax(scaled(q, k), seen) - lam[:, None, None] * softmax(scaled(q2, k2), seen), v)


def partial(q, k, v):
    s = scaled(q, k)
    return weighted(softmax(s), v), torch.logsumexp(s, -1)
