"""Attention of encoders and decoders, and regulated cross-attention."""

import torch

from ..parts import attend, heads, softmax
from ..rows import row, small

LUONG = {"C": 5, "F": 3}


@row("luong_attention", "global_attention", parameters={"form": "concat"}, sizes=LUONG)
def luong_global(q, k, v, W, Wa, Ua, a, Wc, Uc, form):
    k = heads(k, q.shape[1])
    if form == "concat":
        s = torch.tanh((q @ Wa.T)[:, :, :, None] + (k @ Ua.T)[:, :, None]) @ a
    else:
        s = q @ (W if form == "general" else torch.eye(len(W), dtype=W.dtype)) @ k.mT
    return torch.tanh(attend(s.softmax(-1), v) @ Wc.T + q @ Uc.T)


@row("luong_attention", "local_m", parameters={"radius": 2}, sizes=LUONG | {"M": 19, "N": 13})
def luong_monotonic(q, k, v, W, Wc, Uc, radius):
    s = q @ W @ heads(k, q.shape[1]).mT
    far = (torch.arange(s.shape[-1]) - torch.arange(s.shape[-2])[:, None]).abs()
    p = softmax(s, (far <= radius).expand_as(s))
    return torch.tanh(attend(p, v) @ Wc.T + q @ Uc.T)


@row("luong_attention", "local_p", parameters={"radius": 3.3}, sizes=LUONG)
def luong_predictive(q, k, v, W, Wp, a, Wc, Uc, radius):
    s = q @ W @ heads(k, q.shape[1]).mT
    S = s.shape[-1]
    centre = S * torch.sigmoid(torch.tanh(q @ Wp.T) @ a)
    far = torch.arange(S) - centre[..., None]
    p = softmax(s, far.abs() <= radius) * torch.exp(-(far**2) / (2 * (radius / 2) ** 2))
    return torch.tanh(attend(p, v) @ Wc.T + q @ Uc.T)


SOURCES = {"P": 11, "X": 5, "Y": 3, "F": 7, "N": 9, "D": 4}


def additive(q, x, W, U, a):
    return torch.tanh((q @ W.T)[:, :, None] + (x @ U.T)[:, None]) @ a


@row("flat_hierarchical_multi_source_attention", "flat", sizes=SOURCES, large={"P": 2048})
def flat(q, x, y, W, Ux, Uy, a, Vx, Vy):
    p = torch.cat((additive(q, x, W, Ux, a), additive(q, y, W, Uy, a)), -1).softmax(-1)
    return p @ torch.cat((x @ Vx.T, y @ Vy.T), 1)


@row("flat_hierarchical_multi_source_attention", "hierarchical", sizes=SOURCES, large={"P": 2048})
def hierarchical(q, x, y, W, Ux, Uy, a, Wb, Vx, Vy, b0, Ox, Oy):
    cx, cy = additive(q, x, W, Ux, a).softmax(-1) @ x, additive(q, y, W, Uy, a).softmax(-1) @ y
    both = torch.stack((cx @ Vx.T, cy @ Vy.T), 2)
    beta = (torch.tanh((q @ Wb.T)[:, :, None] + both) @ b0).softmax(-1)
    return beta[..., :1] * (cx @ Ox.T) + beta[..., 1:] * (cy @ Oy.T)


@row("rcar", sizes={"M": 9, "N": 7}, draws={"W": small})
def regulated(x, y, a, W, w, passes, rounds, heat):
    lam, m = heat, torch.ones_like(y)
    for _ in range(passes):
        mx, my = m[:, :, None] * x[:, None], (m * y)[:, :, None]
        s = torch.cosine_similarity(mx, my.expand_as(mx), -1, 0).relu()
        s = torch.nn.functional.normalize(s, dim=1)  # a region that no word likes keeps 0
        near = ((lam * s).softmax(-1) @ x - y) ** 2
        lam, m = lam + (near @ a)[..., None], m + torch.tanh(near @ W.T)
    whole = torch.ones_like(near[:, 0])
    for _ in range(rounds):
        e = (near * whole[:, None]) @ w
        whole = (e.softmax(-1)[..., None] * near).sum(1)
    return whole
