"""Attentions whose weights are read out: pooled, compared, summed by region."""

import torch

from ..parts import attend, attention, heads, scores, softmax
from ..rows import below, row


@row("poly_encoder", sizes={"M": 5, "C": 7, "R": 3}, large={"M": 16})
def poly_encoder(code, x, candidate):
    y = (code @ x.mT).softmax(-1) @ x
    z = (candidate @ y.mT).softmax(-1) @ y
    return (z * candidate).sum(-1)


@row("adversarial_attention_gate", sizes={"P": 23, "K": 5, "C": 7}, parameters={"background": 2}, large={"P": 2048})
def adversarial_attention_gate(w, x, background):
    y = (x @ w.mT).softmax(-1)
    foreground = torch.arange(w.shape[0]) != background
    return y[..., foreground].sum(-1, keepdim=True) * x, y


@row(
    "attention_sum_reader",
    sizes={"M": 5},
    draws={"word": below(6), "candidate": below(8), "length": below(19, 3)},
    large={"M": 16},
)
def attention_sum_reader(q, k, word, candidate, length):
    seen = torch.arange(k.shape[1]) < length[:, None]
    p = softmax(torch.einsum("bd,bjd->bj", q, k), seen)
    return (p[:, None] * (word[:, None] == candidate[:, :, None])).sum(-1), p


@row(
    "smtr_sub_string_encoder_and_matcher",
    sizes={"M": 2, "N": 7, "P": 23},
    draws={"length": below(8)},
    large={"M": 2, "P": 2048},
)
def smtr(q, k, v, length, w, image_k, image_v):
    H = q.shape[0]
    s = scores(q.expand(k.shape[0], *q.shape), k)
    seen = torch.arange(k.shape[2]) < length[:, None, None, None]
    u = attend(softmax(s, seen.expand_as(s)), v)
    p = scores(torch.einsum("hde,bhne->bhnd", w, u), image_k).softmax(-1)
    return p @ heads(image_v, H), p


def correspondences(random, shape):
    return torch.randint(-1, 19, shape, generator=random)


@row("matching_attention", draws={"source": correspondences})
def matching_attention(q, k, v, source):
    p = scores(q, k).softmax(-1)
    there = source.clamp(min=0)[:, None, :, None].expand(*p.shape[:3], 1)
    matched = torch.where(source[:, None] < 0, 0, p.gather(-1, there)[..., 0])
    return attend(p, v), p, matched


def low_corner(random, shape):
    return 1.3 * torch.rand(shape, generator=random)


def high_corner(random, shape):
    return 2.2 + 1.5 * torch.rand(shape, generator=random)


@row(
    "v2p_attention_grounding_head",
    sizes={"C": 7},
    parameters={"rows": 5, "cols": 7, "share": 0.4, "penalty": 0.7},
    draws={"low": low_corner, "high": high_corner},
    large={"rows": 32, "cols": 64},
)
def v2p(act, x, wq, wk, low, high, rows, cols, share, penalty):
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).to(x)
    p = torch.einsum("bd,bjd->bj", act @ wq.mT, x @ wk.mT).div(wq.shape[0] ** 0.5).softmax(-1)
    middle, deviation = (low + high)[:, None] / 2, share * (high - low)[:, None]
    bell = torch.exp(-(((places - middle) / deviation) ** 2).sum(-1) / 2)
    goal = bell / bell.sum(-1, keepdim=True)
    inside = ((places >= low[:, None]) & (places <= high[:, None])).all(-1)
    loss = (goal * (goal.log() - p.log())).sum(-1) + penalty * (p * ~inside).sum(-1)
    return p, p @ places, loss


@row("avc", sizes={"L": 3}, parameters={"lam": 0.6, "alpha": 0.4})
def avc(q, k, v, last, keys, image, lam, alpha):
    a = (last[..., None, :] @ keys.mT).div(q.shape[-1] ** 0.5)[..., 0, :].softmax(-1).mean((1, 2))
    blind = torch.zeros_like(image)
    for b in range(len(image)):
        own = a[b][image[b]]
        blind[b] = image[b] & (a[b] > own.mean() + lam * own.std(correction=0))
    few = (blind | ~image)[:, None, None]
    one = q[:, :, None]
    out = (1 + alpha) * attention(one, k, v) - alpha * attention(one, k, v, few)
    return out[:, :, 0], a, blind
