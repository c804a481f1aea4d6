"""Attentions within windows of videos and of scales of a picture, and windows that are looked at again and again."""

import math

import torch

from ..parts import attend, attention, heads, rotate, scores, softmax
from ..rows import row, small
from .grids_places import places


@row(
    "radial_attention",
    sizes={"N": 115},
    parameters={"frames": 11, "area": 10, "block": 2, "decay": 0.75},
    large={"frames": 15, "area": 128, "block": 16},
)
def radial(q, k, v, frames, area, block, decay):
    def keeps(i, j):
        if max(i, j) >= frames * area or j < area:
            return True
        d, aside = abs(i // area - j // area), abs(i % area - j % area)
        if d == 0:
            return True
        width = area // 2 if d == 1 else 2.0 ** (area.bit_length() - d.bit_length()) * decay
        return aside <= max(width, block) and (width >= block or d % int(block / width) == 0)

    N = q.shape[2]
    seen = torch.tensor([[keeps(i, j) for j in range(N)] for i in range(N)])
    s = scores(q, k).masked_fill(~seen, -torch.inf)
    return attend(s.softmax(-1), v), s.logsumexp(-1)


@row("sliding_window_causal_attention_with_sin", sizes={"N": 35}, parameters={"chunk": 3, "window": 4, "sinks": 2})
def rolling(q, k, v, chunk, window, sinks):
    """Chunk by chunk, as a cache would hold them: positions are those in the cache."""
    N, made, k, v = q.shape[2], [], heads(k, q.shape[1]), heads(v, q.shape[1])
    for own in range(0, N, chunk):
        first = max(own - (window - 1) * chunk, 0)
        kept = [j for j in range(min(own + chunk, N)) if j < sinks * chunk or j >= first]
        at = torch.arange(len(kept)).to(q)
        new = [kept.index(i) for i in range(own, min(own + chunk, N))]
        s = rotate(q[:, :, own : own + chunk], at[new]) @ rotate(k[:, :, kept], at).mT / q.shape[-1] ** 0.5
        made.append(s.softmax(-1) @ v[:, :, kept])
    return torch.cat(made, 2)


def hilbert(order):
    """The places of a square of 2 ** order rows along a Hilbert curve."""
    if order == 0:
        return torch.zeros(1, 2, dtype=torch.long)
    inner, n = hilbert(order - 1), 2 ** (order - 1)
    turned = inner.flip(-1)
    last = torch.stack((2 * n - 1 - inner[:, 1], n - 1 - inner[:, 0]), -1)
    return torch.cat((turned, inner + torch.tensor([0, n]), inner + n, last))


def curve(random, shape):
    return hilbert(math.ceil(math.log(shape[0], 4)))[: shape[0]]


def coarse(random, shape):
    side = math.isqrt(shape[0])
    return torch.stack(places(shape[0] // side, side), -1)


@row(
    "scale_dit_hierarchical_local_attention",
    sizes={"N": 64, "L": 12, "T": 5},
    parameters={"side": 2, "scale": 3},
    draws={"at": curve, "low": coarse},
    large={"N": 4096, "L": 256, "T": 64},
)
def scale_dit(q, k, v, at, kl, vl, low, kt, vt, side, scale):
    def turned(x, at):
        R = x.shape[-1] // 2
        return torch.cat((rotate(x[..., :R], at[:, 0].to(x)), rotate(x[..., R:], at[:, 1].to(x))), -1)

    keys = torch.cat((turned(k, at), turned(kl, scale * low), kt), 2)
    same = (at[:, None] // side == at // side).all(-1)
    seen = torch.cat((same, torch.ones(len(at), kl.shape[2] + kt.shape[2], dtype=torch.bool)), 1)
    return attention(turned(q, at), keys, torch.cat((v, vl, vt), 2), seen)


@row(
    "boundary_attention",
    sizes={"C": 5},
    parameters={"rows": 4, "cols": 7, "radius": 1, "rounds": 3},
    draws={"wq": small, "wk": small, "wv": small},
    large={"rows": 32, "cols": 64, "rounds": 4},
)
def boundary(x, wq, wk, wv, bias, rows, cols, radius, rounds):
    y, z = places(rows, cols)
    dy, dx = y - y[:, None], z - z[:, None]
    near = (dy.abs() <= radius) & (dx.abs() <= radius)
    side = 2 * radius
    learned = bias[(dy + radius).clamp(0, side), (dx + radius).clamp(0, side)]
    for _ in range(rounds):
        s = (x @ wq.T) @ (x @ wk.T).mT / len(wq) ** 0.5 + learned
        x = x + softmax(s, near.expand_as(s)) @ (x @ wv.T)
    return x


def halonet(q, k, v, down, right, rows, cols, block, halo, stride):
    y, x = places(rows, cols)
    asked = (y % stride == 0) & (x % stride == 0)

    def near(c):
        low = (c // block * block)[:, None]
        return (low - halo <= c) & (c < low + block + halo)

    def table(t, c):
        return t[(c - c[:, None] + len(t) // 2).clamp(0, len(t) - 1)]

    keys = heads(k, q.shape[1])[:, :, None] + table(down, y) + table(right, x)
    s = torch.einsum("bhid,bhijd->bhij", q, keys)
    return attend(softmax(s, (near(y) & near(x)).expand_as(s)), v)[:, :, asked]


row(
    "halonet_blocked_local_self_attention",
    parameters={"rows": 5, "cols": 7, "block": 3, "halo": 1, "stride": 2},
    large={"rows": 32, "cols": 64, "stride": 1},
)(halonet)
