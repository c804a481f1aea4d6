"""What dense computations share. Pairs that do not exist have weight 0, and so do all of a row that has none."""

import torch


def heads(x, H):
    """[B, G, …] -> [B, H, …]: each key head for its group of query heads."""
    return x.repeat_interleave(H // x.shape[1], 1)


def softmax(s, seen=None, dim=-1):
    """The softmax over what is seen; 0 elsewhere, and everywhere in a row that sees nothing."""
    if seen is None:
        return s.softmax(dim)
    top = s.masked_fill(~seen, -torch.inf).amax(dim, keepdim=True)
    e = torch.where(seen, torch.exp(s - torch.where(top > -torch.inf, top, 0)), 0)
    total = e.sum(dim, keepdim=True)
    return e / torch.where(total > 0, total, 1)


def scores(q, k):
    """[B, H, M, D] and [B, G, N, D] -> [B, H, M, N]: products over the root of the width."""
    return q @ heads(k, q.shape[1]).mT / q.shape[-1] ** 0.5


def attend(p, v):
    """[B, H, M, N] and [B, G, N, E] -> [B, H, M, E]."""
    return p @ heads(v, p.shape[1])


def attention(q, k, v, seen=None, bias=0):
    """Softmax attention; `seen` and `bias` are stretched to [B, H, M, N]."""
    s = scores(q, k) + bias
    return attend(softmax(s, None if seen is None else seen.expand_as(s)), v)


def causal(M, N=None):
    """[M, N]: j <= i."""
    return torch.ones(M, M if N is None else N, dtype=torch.bool).tril()


def rotate(x, position, base=10000.0):
    """[…, N, D] turned by angles position * base ** (-2 r / D), the first half of features with the second. `position`
    is [N] or stretches to […, N]."""
    R = x.shape[-1] // 2
    a = position[..., None] * base ** (-torch.arange(R, dtype=x.dtype) / R)
    first, second = x[..., :R], x[..., R:]
    return torch.cat((first * a.cos() - second * a.sin(), first * a.sin() + second * a.cos()), -1)
