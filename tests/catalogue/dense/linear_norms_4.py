"""Attention of positions, documents and heads of the caller's choice, and what surrounds it."""

import torch

from ..parts import attend, attention, causal, heads, rotate, scores
from ..rows import below, row, small
from .linear_norms_3 import softmax_causal


def patterns(random, shape):
    return torch.arange(shape[0])


PATTERNS = {"form": below(4), "sentence": below(5), "pattern": patterns}


def fitting(form, sentence, offset):
    """[B, 4, N, N]: one pattern for each head, the last of which is free."""
    N = form.shape[1]
    place = (torch.arange(N) == torch.arange(N)[:, None] + offset).expand(form.shape[0], N, N)
    same = [x[:, :, None] == x[:, None] for x in (form, sentence)]
    return torch.stack((*same, place, torch.ones_like(place)), 1)


@row("injected_attention_patterns", "masked", sizes={"N": 17}, draws=PATTERNS, parameters={"offset": -2})
def injected_masks(q, k, v, form, sentence, pattern, offset):
    return attention(q, k, v, fitting(form, sentence, offset)[:, pattern])


@row("injected_attention_patterns", "fixed", sizes={"N": 17}, draws=PATTERNS)
def injected_weights(v, form, sentence, pattern, offset):
    m = fitting(form, sentence, offset)[:, pattern].to(v.dtype)
    return m / m.sum(-1, keepdim=True).clamp(min=1) @ v


@row("value_sign_flip", sizes={"N": 17}, parameters={"image": 7, "negative": 5, "scale": 1.5})
def value_sign_flip(q, k, v, image, negative, scale, bias):
    N = q.shape[2]
    k, v = torch.cat((k, k[:, :, -negative:]), 2), torch.cat((v, -scale * v[:, :, -negative:]), 2)
    kind = torch.tensor([0] * image + [1] * (N - image - negative) + [2] * negative + [3] * negative)
    sees = torch.tensor([[1, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 0]], dtype=torch.bool)
    return attention(q, k, v, sees[kind[:N]][:, kind], -bias * (kind == 3))


def attend_to(x, y):
    return (x @ y.mT / x.shape[-1] ** 0.5).softmax(-1) @ y


@row("2d3d_matr_coarse_transformer_with_multi", "layer", sizes={"C": 7, "P": 3, "R": 4}, draws={"U": small})
def matr_layer(x, y, px, py, w, U):
    a, c = (z + torch.cat(((p @ w.T).sin(), (p @ w.T).cos()), -1) @ U.T for z, p in ((x, px), (y, py)))
    own = a + attend_to(a, a)
    return own + attend_to(own, c)


@row("2d3d_matr_coarse_transformer_with_multi", "matching", sizes={"C": 5}, draws={"level": below(3)})
def matr_matching(f, g, level, keep):
    distance = torch.cdist(f, g)
    best, nearest = distance.argmin(-1), distance.topk(keep, -1, largest=False).indices
    return best, level[best], torch.zeros_like(distance, dtype=torch.bool).scatter(-1, nearest, True)


@row("cca", sizes={"N": 23}, parameters={"rows": 3, "cols": 5}, large={"rows": 24, "cols": 24})
def concentric(q, k, v, rows, cols):
    ring, left = torch.zeros(rows, cols, dtype=torch.long), min(rows, cols)
    for depth in range((left + 1) // 2):
        ring[depth : rows - depth, depth : cols - depth] = depth
    text = torch.arange(q.shape[2] - rows * cols) + (left + 1) // 2
    pos = torch.cat((ring.flatten(), text))
    return attention(rotate(q, pos), rotate(k, pos), v, pos[:, None] >= pos)


@row("deep_biaffine_attention", sizes={"C": 5, "L": 3})
def biaffine(x, y, U, u, xl, yl, V, Wx, Wy, c):
    p = (x @ U @ y.mT + (y @ u)[:, None]).softmax(-1)
    label = xl[:, None] @ V @ yl[:, None].mT
    return p, label + (xl @ Wx.T).mT[..., None] + (yl @ Wy.T).mT[:, :, None] + c[:, None, None]


def three(random, shape):
    """Documents 0, 1 and 2, none of them empty."""
    return torch.arange(shape[1]).expand(shape) * 3 // shape[1]


def first_of_three(random, shape):
    N = FIT5["N"]
    return torch.tensor([-(-d * N // 3) for d in range(3)]).expand(shape).clone()


FIT5 = {"N": 17, "S": 3}


@row("fit5_global_attention", sizes=FIT5, draws={"doc": three, "first": first_of_three})
def fit5(q, k, v, doc, first, wq, wk, wv):
    o = attention(q, k, v, (doc[:, :, None] == doc[:, None])[:, None])
    lead = torch.stack([o[b][:, first[b]] for b in range(len(o))])
    added = attention(lead @ wq.mT, lead @ wk.mT, lead @ wv.mT)
    return torch.stack([o[b].index_add(1, first[b], added[b]) for b in range(len(o))])


@row("focus_directions", sizes={"N": 17}, parameters={"a": 0.7})
def focus(q, k, v, dq, dk, chosen, relevant, a):
    k = heads(k, q.shape[1])
    on = a * chosen[:, None, None].to(q.dtype)
    p = softmax_causal(q + on * dq[:, None], k + on * dk[:, None])
    return attend(p, v), (p * relevant[:, None, None]).sum(-1).mean(-1)


def summed(o, w, kept):
    return sum(kept[..., h, None, None] * (o[:, h] @ w[h].T) for h in range(len(w)))


@row("headmask", "random_heads", sizes={"C": 5, "N": 17}, parameters={"causal": True})
def random_heads(q, k, v, w, kept, causal):
    p = softmax_causal(q, k) if causal else scores(q, k).softmax(-1)
    return summed(attend(p, v), w, kept)


@row("headmask", "important_heads", sizes={"C": 5, "N": 17}, parameters={"drop": 2})
def important_heads(q, k, v, w, gradient, drop, causal):
    o = attend(softmax_causal(q, k) if causal else scores(q, k).softmax(-1), v)
    importance = (o * gradient).sum((-1, -2)).abs()
    return summed(o, w, torch.ones_like(importance).scatter(1, importance.topk(drop, 1).indices, 0))


def ends(random, shape):
    return torch.randint(0, 17, shape, generator=random).sort(-1).values


@row("last_but_not_late_interaction", sizes={"C": 5, "N": 17, "S": 3}, draws={"last": ends})
def late(q, k, v, last, w):
    place, N = torch.arange(q.shape[2]), q.shape[2]
    o = attention(rotate(q, place), rotate(k, place), v, causal(N))
    o = torch.einsum("hce,bhne->bnc", w, o)
    documents = torch.stack([o[b, last[b]] for b in range(len(o))])
    return torch.cosine_similarity(documents, o[:, -1:], -1)


@row("cab_benchmark", "self_pattern", sizes={"N": 17}, parameters={"causal": True})
def self_pattern(q, k, v, causal):
    return attend(softmax_causal(q, k) if causal else scores(q, k).softmax(-1), v)


@row("cab_benchmark", "cross_pattern", parameters={"causal": True})
def cross_pattern(q, k, v, causal):
    return attend(softmax_causal(q, k) if causal else scores(q, k).softmax(-1), v)
