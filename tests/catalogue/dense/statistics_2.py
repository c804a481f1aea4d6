"""Attention mass as a statistic of documents, image tokens and words."""

import torch

from ..parts import attend, attention, causal, rotate, scores, softmax
from ..rows import below, fraction, row


def blocks(random, shape):
    """0 for the instruction, then two to four documents, then the query."""
    B, N = shape
    numbers = torch.zeros(B, N, dtype=torch.long)
    for b in range(B):
        starts = torch.tensor([3, 6, 10, N - 4] if b % 2 else [2, 4, 7, 11, N - 5])
        numbers[b] = (torch.arange(N)[:, None] >= starts).sum(-1)
    return numbers


def late(random, shape):
    """True for the last three tokens."""
    return (torch.arange(shape[-1]) >= shape[-1] - 3).expand(shape).clone()


@row(
    "blockrank",
    parameters={"tau": 0.2},
    draws={"block": blocks, "signal": late, "relevant": below(3)},
)
def blockrank(q, k, v, block, signal, relevant, tau):
    B, N = block.shape
    n = torch.arange(N)
    own, last = block[:, :, None], block[:, -1, None, None]
    seen = causal(N) & ((block[:, None] == own) | (block[:, None] == 0) | (own == last))
    s = scores(rotate(q, n), rotate(k, n))
    p = softmax(s, seen[:, None].expand_as(s))
    mass = torch.zeros(B, int(block[:, -1].max()) - 1, dtype=q.dtype)
    loss = []
    for b in range(B):
        docs = int(block[b, -1]) - 1
        rows = p[b][:, signal[b]]
        one = torch.stack([rows[:, :, block[b] == c + 1].sum(-1).mean() for c in range(docs)])
        mass[b, :docs] = one
        loss.append(-(one / tau).log_softmax(-1)[relevant[b]])
    return attend(p, v), mass, torch.stack(loss)


def stepped(random, shape):
    """Document numbers that begin with -1 for the instruction."""
    B, N = shape
    return torch.stack([(torch.arange(N) + b) * (3 + b) // N - 1 for b in range(B)])


def two_or_three(random, shape):
    return torch.arange(shape[0]) % 2 + 2


@row(
    "icr",
    sizes={"M": 5, "P": 3, "N": 23},
    parameters={"margin": 0.8},
    draws={"doc": stepped, "docs": two_or_three},
    large={"M": 16, "P": 4},
)
def icr(q, k, own, empty, own_empty, doc, docs, margin):
    def mass(rows, others):
        both = torch.cat((k, others), 2)
        seen = torch.cat((torch.ones(rows.shape[2], k.shape[2], dtype=torch.bool), causal(rows.shape[2])), 1)
        s = scores(rows, both)
        return softmax(s, seen.expand_as(s)).mean(2).sum(1)[:, : k.shape[2]]

    a = mass(q, own) - mass(empty, own_empty)
    relevance = torch.zeros(len(q), int(docs.max()), dtype=q.dtype)
    for b in range(len(q)):
        for c in range(int(docs[b])):
            one = a[b][doc[b] == c]
            relevance[b, c] = one[one > one.mean() - margin * one.std(correction=0)].sum()
    return relevance


@row("carve", parameters={"layers": 3, "lam": 0.02, "share": 0.6})
def carve(q, k, v, asked, neutral, keys, layers, lam, share):
    def image(rows):
        s = torch.einsum("bhld,bhjld->bhlj", rows, keys) / rows.shape[-1] ** 0.5
        return s.softmax(-1).mean(1)

    ratio = (image(asked) / (image(neutral) + lam)).mean(1)
    order = ratio.argsort(-1, descending=True)
    ranked = ratio.gather(-1, order)
    before = ranked.cumsum(-1) - ranked
    kept = torch.zeros_like(ratio, dtype=torch.bool)
    kept.scatter_(-1, order, before < share * ratio.sum(-1, keepdim=True))
    return attention(q[:, :, None], k, v, kept[:, None, None])[:, :, 0], ratio, kept


def middle(random, shape):
    """True between a third and most of the sequence."""
    n = torch.arange(shape[-1])
    return ((n >= 3) & (n < shape[-1] - 5)).expand(shape).clone()


@row("controlmllm_attention_energy_steering", sizes={"C": 7, "M": 5}, draws={"image": middle})
def controlmllm(q, x, latent, w, image, region):
    M, N, D = q.shape[2], x.shape[1], q.shape[3]
    tokens = x + latent * image[..., None]
    s = torch.einsum("bhid,hdc,bjc->bhij", q, w, tokens) / D**0.5
    p = softmax(s, torch.ones(M, N, dtype=torch.bool).tril(N - M).expand_as(s))
    whole = (p * image[:, None, None]).sum(-1).mean(1)
    inside = (p * (image & region)[:, None, None]).sum(-1).mean(1)
    return (1 - inside / whole) ** 2


@row("damro", sizes={"P": 11}, parameters={"outliers": 3, "first": 4, "alpha": 0.7}, large={"P": 2000})
def damro(q, k, v, cls, patch, outliers, first, alpha):
    P = patch.shape[2]
    a = (patch @ cls[..., None])[..., 0].div(q.shape[-1] ** 0.5).softmax(-1).mean(1)
    outlier = torch.zeros_like(a, dtype=torch.bool).scatter(-1, a.topk(outliers).indices, True)
    few = torch.ones(k.shape[0], k.shape[2], dtype=torch.bool)
    few[:, first : first + P] = outlier
    one = q[:, :, None]
    out = (1 + alpha) * attention(one, k, v) - alpha * attention(one, k, v, few[:, None, None])
    return out[:, :, 0], a, outlier


@row("dpl", draws={"background": fraction})
def dpl(q, k, v, gain, noun, background):
    p = scores(q, k).softmax(-1)
    mask = background[:, None, :, None]
    leak = torch.cosine_similarity(p, mask, dim=2, eps=0)
    overlap = (p * mask).sum(2) / (p + mask - p * mask).sum(2)
    chosen = noun[:, None].to(q)
    loss = ((leak + overlap) * chosen).sum((1, 2)) / (chosen.sum((1, 2)) * q.shape[1])
    return attend(p * gain[:, None, None], v), p, loss


@row("dsd_cross_attention_score_with_logsumexp", parameters={"lam": 1.5})
def dsd(q, k, bias, lam):
    total = torch.exp(lam * scores(q, k) + bias).sum((-1, -2))
    return (total.log() / lam).mean(1)


@row("inherently_faithful_two_stage_masked_vit", sizes={"K": 4, "C": 7})
def masked_vit(q, k, v, part, x):
    r = (x @ part.mT).softmax(-1)
    soft = r[..., 1:].sum(-1)
    keep = (r.argmax(-1) > 0).to(q) + soft - soft.detach()
    e = keep[:, None, None] * torch.exp(scores(q, k))
    return attend(e / e.sum(-1, keepdim=True), v), keep


@row("mvp_multi_view_anchor_reranking", sizes={"V": 5, "C": 7})
def mvp(x, u, w):
    s = torch.einsum("vd,dc,bvjc->bvj", u, w, x) / w.shape[0] ** 0.5
    anchor = (s.softmax(-1)[..., None] * x).sum(2)
    V = len(u)
    near = torch.cosine_similarity(anchor[:, :, None], anchor[:, None], dim=-1) ** 2
    loss = near[:, ~torch.eye(V, dtype=torch.bool)].mean(-1)
    return torch.einsum("bvc,bvjc->bvj", anchor, x).mean(1), loss
