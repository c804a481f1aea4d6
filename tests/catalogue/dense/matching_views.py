"""Tokens of several views of a scene, and terms of a long document."""

import torch
from torch.nn.functional import cosine_similarity

from ..parts import attention
from ..rows import below, fraction, positive, row

CALITEX = "calitex_part_aligned_condition_routed_at"


@row(CALITEX, "parts", sizes={"M": 19}, draws={"part": below(4)})
def parts(q, k, v, part):
    return attention(q, k, v, (part[:, :, None] == part[:, None])[:, None])


@row(CALITEX, "routed", sizes={"M": 19}, draws={"kind": below(3)})
def routed(q, k, v, kind):
    texture, geometry, reference = range(3)
    allowed = torch.eye(3, dtype=torch.bool)
    allowed[texture, geometry] = allowed[geometry, reference] = True
    return attention(q, k, v, allowed[kind[:, :, None], kind[:, None]][:, None])


@row(
    "spad_epipolar_cross_view_attention",
    sizes={"C": 5, "V": 3},
    draws={"view": below(3)},
    parameters={"tau": 0.4},
)
def epipolar(x, ray, we, view, place, F, wq, wk, wv, tau):
    seen = view[:, :, None] == view[:, None]
    for b, i, j in (~seen).nonzero():
        across, down, offset = F[b, view[b, j], view[b, i]].detach() @ place[b, i].detach()
        point = place[b, j].detach()
        away = across * point[0] + down * point[1] + offset * point[2]
        seen[b, i, j] = away.abs() <= tau * torch.hypot(across, down)
    y = x + ray @ we.T
    q, k, v = (torch.einsum("hdc,bnc->bhnd", w, y) for w in (wq, wk, wv))
    return attention(q, k, v, seen[:, None])


TKL = "tkl_local_self_attention_kernel_pooling"


@row(TKL, "chunks", sizes={"M": 19}, large={"size": 40, "overlap": 5})
def chunks(q, k, v, size, overlap):
    N = q.shape[2]
    seen = torch.zeros(N, N, dtype=torch.bool)
    for start in range(0, N, size):
        seen[start : start + size, max(start - overlap, 0) : start + size + overlap] = True
    return attention(q, k, v, seen)


@row(TKL, "match", sizes={"C": 5, "K": 3}, draws={"c": positive, "centre": fraction})
def match(x, y, centre, a, c, z, w, window, width, regions):
    m = cosine_similarity(x[:, :, None], y[:, None], dim=3)
    near = torch.exp(-((m[..., None] - centre) ** 2) / (2 * width**2))
    hits = torch.stack([near[:, :, n : n + window].sum(2) for n in range(m.shape[2])], 2)
    score = (w * (a * (hits + 0.001) ** (1 / c) - z)).sum((1, 3))
    return score.topk(regions).values.sum(1), score
