"""Weights that steer, select and sort."""

import torch

from ..parts import attend, attention, heads, scores, softmax
from ..rows import below, fraction, row


@row("primecomposer_attention_steering", "injected", draws={"given": fraction})
def injected(q, k, v, given, foreground):
    p = scores(q, k).softmax(-1)
    chosen = foreground[:, None, :, None].to(p)
    return attend(chosen * given + (1 - chosen) * p, v)


@row("primecomposer_attention_steering", "confined")
def confined(q, k, v, subject, region):
    return attention(q, k, v, ~(subject[:, None, None] & ~region[:, None, :, None]))


@row("sequential_attention", sizes={"M": 4, "P": 11, "C": 7}, large={"M": 4, "P": 2048})
def sequential(w, x):
    chosen = []
    gates, sets = [], []
    for logits in w:
        left = [c for c in range(len(logits)) if c not in chosen]
        gate = torch.ones_like(logits)
        gate = gate.index_put((torch.tensor(left),), logits[left].softmax(-1))
        chosen.append(max(left, key=lambda c: float(logits[c])))
        gates.append(gate)
        sets.append(torch.zeros_like(logits).index_fill(0, torch.tensor(chosen), 1.0).detach())
    B = len(x)
    a, taken = torch.stack(gates), torch.stack(sets)
    out = a[None, :, None] * x[:, None]
    return out, a.expand(B, *a.shape), taken.expand(B, *a.shape)


@row("ufc_integrative_self_cross_attention", "integrative", sizes={"C": 7, "R": 9, "F": 5})
def integrative(x, cost, wq, wk, wv, wc):
    z = torch.cat((x, cost), -1)[:, None]
    p = ((z @ wq.mT) @ (z @ wk.mT).mT / wq.shape[1] ** 0.5).softmax(-1)
    return p @ (x[:, None] @ wv.mT), p @ (cost[:, None] @ wc.mT)


@row("ufc_integrative_self_cross_attention", "matching")
def matching(v, cost):
    return attend(cost.softmax(-1), v)


def few_or_all(random, shape):
    return torch.randint(5, 20, shape, generator=random)


@row("alignatt", parameters={"heads": 3, "last": 4}, draws={"length": few_or_all})
def alignatt(q, k, length, heads, last):
    s = torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5
    seen = torch.arange(k.shape[1]) < length[:, None, None, None]
    frame = softmax(s, seen.expand_as(s)).mean(1).argmax(-1)
    return frame, frame < length[:, None] - last


@row("edatt", parameters={"last": 4, "alpha": 0.3}, draws={"length": few_or_all})
def edatt(q, k, length, last, alpha):
    s = scores(q, k)
    n, end = torch.arange(k.shape[2]), length[:, None, None, None]
    p = softmax(s, (n < end).expand_as(s))
    mass = (p.mean(1) * (n >= end[:, 0] - last)).sum(-1)
    return mass, mass < alpha


@row("memory_efficient_attention")
def memory_efficient(q, k, v, masked):
    """Chunks of five keys, with the running maximum, numerator and denominator."""
    H, M, N = q.shape[1], q.shape[2], k.shape[2]
    s, values = scores(q, k), heads(v, H)
    if masked:
        s = s.masked_fill(torch.ones(M, N, dtype=torch.bool).triu(N - M + 1), -torch.inf)
    top = torch.full_like(s[..., 0], -torch.inf)
    numerator, denominator = torch.zeros_like(q[..., :1]), torch.zeros_like(top)
    for part, own in zip(s.split(5, -1), values.split(5, -2), strict=True):
        new = torch.maximum(top, part.amax(-1)).detach()
        e = torch.exp(part - new[..., None])
        numerator = numerator * torch.exp(top - new)[..., None] + e @ own
        denominator = denominator * torch.exp(top - new) + e.sum(-1)
        top = new
    return numerator / denominator[..., None], top + denominator.log()


@row("attention_sorting", parameters={"docs": 4}, draws={"doc": below(4)})
def sorting(q, k, doc, docs):
    a = scores(q[:, :, None], k)[:, :, 0].softmax(-1).mean(1)
    mass = torch.stack([(a * (doc == c)).sum(-1) for c in range(docs)], -1)
    return mass, mass.argsort(-1).argsort(-1)


@row("attnrank", parameters={"slots": 5}, draws={"slot": below(6)})
def attnrank(q, k, slot, relevance, slots):
    a = scores(q[:, :, None], k)[:, :, 0].softmax(-1).mean(1)
    mass = torch.stack([(a * (slot == c)).sum(-1) for c in range(slots)], -1)
    favoured, best = mass.argsort(-1, descending=True), relevance.argsort(-1, descending=True)
    return mass, torch.zeros_like(best).scatter(-1, favoured, best)
