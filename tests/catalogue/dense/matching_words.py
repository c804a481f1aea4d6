"""Words and images: attention of one to the other, and how well they match."""

import torch
from torch.nn.functional import cosine_similarity, normalize

from ..parts import attend, attention, heads, softmax
from ..rows import below, fraction, positive, row

ATTNGAN = "attngan_word_attention_damsm"


@row(ATTNGAN, "words", sizes={"C": 5})
def words(x, e, U):
    y = e @ U.T
    return (x @ y.mT).softmax(-1) @ y


@row(ATTNGAN, "similarity")
def similarity(e, x, sharp, focus):
    among_words = (e @ x.mT).softmax(1)
    c = (sharp * among_words).softmax(2) @ x
    return torch.exp(focus * cosine_similarity(c, e, dim=2)).sum(1).log() / focus


MGCA = "mgca_bidirectional_token_cross_attention"


@row(MGCA, "both_ways", sizes={"C": 5})
def both_ways(x, y, wq, wk, wv, wo):
    def gather(one, other):
        q, k, v = (torch.einsum("hdc,bnc->bhnd", w, z) for w, z in ((wq, one), (wk, other), (wv, other)))
        o = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return torch.einsum("hce,bhne->bnc", wo, o)

    return gather(x, y), gather(y, x)


@row(MGCA, "token_weights", sizes={"G": 4})
def token_weights(q, k, valid):
    s = q[:, :, 0, None] @ k.mT / q.shape[-1] ** 0.5
    seen = valid & (torch.arange(k.shape[2]) > 0)
    return softmax(s[:, :, 0], seen[:, None].expand(s[:, :, 0].shape)).mean(1)


@row(MGCA, "prototypes", sizes={"C": 5})
def prototypes(x, c, rounds, sharpness):
    p = torch.exp(sharpness * cosine_similarity(x[:, None], c[None], dim=2))
    for _ in range(rounds):
        p = p / p.sum(0) * (len(x) / len(c))
        p = p / p.sum(1, keepdim=True)
    return p


@row("sgraf", "alignment", sizes={"C": 5, "F": 7})
def alignment(x, y, w, sharpness):
    c = torch.relu(cosine_similarity(x[:, :, None], y[:, None], dim=3))
    c = c / c.square().sum(2, keepdim=True).sqrt()
    u = (sharpness * c).softmax(1).mT @ x
    return normalize((u - y).square() @ w.T, dim=2)


@row("sgraf", "reasoning", sizes={"C": 5, "F": 7})
def reasoning(x, wi, wo, w):
    e = (x @ wi.T @ (x @ wo.T).mT).softmax(2)
    return torch.relu(e @ x @ w.T)


@row("sgraf", "filtration", sizes={"C": 5}, draws={"std": positive})
def filtration(x, w, mean, std, gain, shift):
    gate = torch.sigmoid(gain * (x @ w - mean) / std + shift)
    return ((gate / gate.sum(1, keepdim=True))[:, :, None] * x).sum(1)


def plan(s, rounds):
    """The transport plan of [B, ..., M, N] scores with uniform marginals: rows are scaled, then columns."""
    p = s.exp()
    for _ in range(rounds):
        p = p / p.sum(-1, keepdim=True) / s.shape[-2]
        p = p / p.sum(-2, keepdim=True) / s.shape[-1]
    return p


@row("multi_prompts_sinkhorn_attention", "transport")
def transport(q, k, v, rounds, eps):
    return attend(plan(q @ heads(k, q.shape[1]).mT / eps, rounds), v)


@row("multi_prompts_sinkhorn_attention", "score_map", sizes={"C": 5, "K": 3, "P": 4})
def score_map(x, y, rounds, eps):
    c = cosine_similarity(x[:, :, None], y.flatten(1, 2)[:, None], dim=3)
    return (plan(c / eps, rounds) * c).unflatten(2, y.shape[1:3]).sum(3)


@row("sam_token_grouping_attention", draws={"u": fraction})
def grouping(q, k, v, u):
    s = q @ heads(k, q.shape[1]).mT - torch.log(-torch.log(u))
    soft = s.softmax(2)
    hard = torch.nn.functional.one_hot(s.argmax(2), s.shape[2]).mT
    p = hard + soft - soft.detach()
    total = p.sum(3, keepdim=True)
    return attend(torch.where(total > 0, p / torch.where(total > 0, total, 1), 0), v), p


@row("reatt", "relevance", draws={"doc": below(3)})
def relevance(q, k, doc, documents):
    s = q @ heads(k, q.shape[1]).mT
    best = [s.masked_fill((doc != n)[:, None, None], -torch.inf).amax(3).mean(2) for n in range(documents)]
    return torch.stack(best, 2)


@row("reatt", "retrieval", sizes={"R": 5})
def retrieval(r, w, keep):
    mixed = (w.softmax(0)[:, None] * r).sum(1)
    return mixed.softmax(1), torch.zeros_like(mixed).scatter(1, mixed.topk(keep).indices, 1.0)


@row("reatt", "reading", sizes={"M": 19, "R": 4}, draws={"doc": below(4, -1)})
def reading(q, k, v, doc, kept):
    seen = (doc == -1) | kept.gather(1, doc.clamp(min=0))
    return attention(q, k, v, seen[:, None, None])
