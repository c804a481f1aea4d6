"""Attention as probability: posteriors, sinks, memories, selection."""

from itertools import product

import torch

from ..parts import attend, attention, causal, heads, rotate, scores, softmax
from ..rows import documents, positive, row


@row("attention_as_marginalisation_over_latent", "posterior", draws={"prior": positive})
def posterior(q, k, v, prior):
    joint = prior * torch.exp(scores(q, k))
    total = joint.sum(-1)
    p = joint / total[..., None]
    return attend(p, v), p, total.log()


@row("attention_as_marginalisation_over_latent", "slots")
def slots(q, k, v):
    shares = scores(q, k).softmax(-2)
    p = shares / shares.sum(-1, keepdim=True)
    return attend(p, v), p


def within_documents(doc):
    """[B, 1, N, N]: causal and of one document, of which padding, -1, has none."""
    same = (doc[:, :, None] == doc[:, None]) & (doc[:, :, None] >= 0)
    return (same & causal(doc.shape[1]))[:, None]


@row("attention_sink_as_anti_over_mixing", "first_token", draws={"doc": documents})
def first_token(q, k, v, doc, eps):
    seen = within_documents(doc)
    p = softmax(scores(q, k), seen.expand(-1, q.shape[1], -1, -1))
    before = torch.cat((torch.full_like(doc[:, :1], -2), doc[:, :-1]), 1)
    mass = (p * (doc != before)[:, None, None]).sum(-1)
    there = (doc >= 0)[:, None].to(p)
    share = (mass * there).sum(-1) / there.sum(-1).clamp(min=1)
    return attend(p, v), share, (share > eps).to(p).mean(-1)


@row("attention_sink_as_anti_over_mixing", "explicit_sink", draws={"doc": documents})
def explicit_sink(q, k, v, c, doc):
    e = torch.exp(scores(q, k)) * within_documents(doc)
    sink = torch.exp(c)[:, None]
    total = e.sum(-1) + sink
    return attend(e / total[..., None], v), sink / total


@row("attention_sink_reference_frame_types", parameters={"positions": "scaled", "factor": 3.0})
def frames(q, k, v, table, tau, positions, factor):
    H, N = q.shape[1], q.shape[2]
    place = torch.arange(N, dtype=q.dtype)
    if positions == "absolute":
        q, k = q + table, k + table
    else:
        place = place / factor if positions == "scaled" else place
        q, k = rotate(q, place), rotate(k, place)
    p = softmax(scores(q, k), causal(N).expand(q.shape[0], H, N, N))
    received = p.sum((1, 2)) / (H * N)
    return attend(p, v), received, received >= tau


def ball(x, radius):
    """[…, C] -> […, 2 ** C]: which addresses differ from x in at most `radius` bits."""
    addresses = torch.tensor(list(product((0, 1), repeat=x.shape[-1])))
    return (x[..., None, :] != addresses).sum(-1) <= radius


def bits(random, shape):
    return torch.randint(0, 2, shape, generator=random)


@row(
    "attention_sparse_distributed_memory",
    "hamming_balls",
    sizes={"C": 7},
    parameters={"radius": 2},
    draws={"x": bits, "y": bits},
)
def hamming_balls(v, x, y, radius):
    shared = ball(x, radius)[:, :, :, None] & ball(y, radius)[:, :, None]
    w = shared.sum(-1).to(v)
    total = w.sum(-1, keepdim=True)
    p = w / torch.where(total > 0, total, 1)
    return attend(p, v), p


@row("attention_sparse_distributed_memory", "continuous")
def continuous(q, k, v, beta):
    unit = [x / x.norm(dim=-1, keepdim=True) for x in (q, heads(k, q.shape[1]))]
    p = (beta * unit[0] @ unit[1].mT).softmax(-1)
    return attend(p, v), p


@row("softmax_selection_limits", parameters={"n": 5, "T": 0.7, "r": 2.3})
def selection(q, k, v, n, T, r):
    s = scores(q, k)
    p = (s / T).softmax(-1)
    chosen = torch.zeros_like(p, dtype=torch.bool).scatter(-1, s.topk(n).indices, True)
    part = attend(p * chosen, v)
    far = (heads(v, q.shape[1])[:, :, None] - part[:, :, :, None]).norm(dim=-1) > r
    outside = (far & ~chosen).sum(-1).to(p) / (~chosen).sum(-1)
    return p, (attend(p, v) - part).norm(dim=-1), outside


@row("softmax_vs_linear_attention_gap")
def gap(q, k, v):
    p = (q @ heads(k, q.shape[1]).mT).softmax(-1)
    one, other = (torch.where(x > 0, x + 1, torch.exp(x)) for x in (q, heads(k, q.shape[1])))
    w = one @ other.mT
    w = w / w.sum(-1, keepdim=True)
    return attend(p, v), attend(w, v), p.amax(-1), w.amax(-1)


@row("memorization_capacity_of_mha", sizes={"C": 5}, parameters={"c": 3.0})
def saturated(q, k, v, wo, c):
    s = scores(q, k)
    p = (c * s).softmax(-1)
    best = s.argmax(-1)[..., None].expand(*s.shape[:-1], v.shape[-1])
    y = torch.einsum("hce,bhie->bic", wo, attend(p, v))
    return y, p, heads(v, q.shape[1]).gather(2, best)


@row("outlier_driven_rescaling", "learned_sink")
def learned_sink(q, k, v, sink):
    N = q.shape[2]
    e = torch.exp(scores(q, k)) * causal(N)
    alpha = e.sum(-1) / (e.sum(-1) + torch.exp(sink)[:, None])
    return alpha[..., None] * attention(q, k, v, causal(N)), alpha


@row("outlier_driven_rescaling", "gated", sizes={"C": 5})
def gated(q, k, v, x, w):
    gate = torch.einsum("hec,bic->bhie", w, x)
    return attention(q, k, v, causal(q.shape[2])) / (1 + torch.exp(-gate))


@row("outlier_driven_rescaling", "gated_norm", sizes={"C": 7, "R": 3})
def gated_norm(x, down, up, eps):
    n = x / (x.square().mean(-1, keepdim=True) + eps).sqrt()
    return n * torch.sigmoid(torch.nn.functional.silu(n @ down.mT) @ up.mT)


@row("attention_mass_penalty", parameters={"lam": 0.3})
def deceiving(q, k, v, bad, lam, over):
    p = scores(q, k).softmax(-1)
    hidden = -torch.log(1 - (p * bad[:, None, None]).sum(-1))
    per_query = hidden.mean(1) if over == "mean" else hidden.amax(1)
    return attend(p, v), lam * per_query.mean(-1)


def kinds(random, shape):
    """Twelve tokens of the system and of images, then the answer."""
    given = torch.randint(0, 2, (*shape[:-1], 12), generator=random)
    return torch.cat((given, torch.full((*shape[:-1], shape[-1] - 12), 2)), -1)


@row("visual_attention_score_training_free_att", draws={"kind": kinds}, parameters={"more": 0.7, "less": 0.4})
def reallocated(q, k, v, kind, more, less):
    factor = torch.tensor([1 - less, 1 + more, 1.0], dtype=q.dtype)[kind][:, None, None]
    e = torch.exp(scores(q, k)) * factor * causal(q.shape[2])
    p = e / e.sum(-1, keepdim=True)
    visual, system = ((p * (kind == n)[:, None, None]).sum(-1) for n in (1, 0))
    ratio = torch.where(system > 0, visual / torch.where(system > 0, system, 1), 0)
    answers = (kind == 2)[:, None]
    vas = (ratio * answers).sum((1, 2)) / (answers.sum((1, 2)) * q.shape[1])
    return attend(p, v), ratio, vas


def topics_of_all(random, shape):
    return torch.arange(shape[-1]).expand(shape)[:, torch.randperm(shape[-1], generator=random)] % 3


@row("topic_structure_in_self_attention", draws={"topic": topics_of_all})
def topics(q, k, v, topic, T):
    p = (q @ heads(k, q.shape[1]).mT).softmax(-1)
    member = torch.nn.functional.one_hot(topic, T).to(p)
    pairs = torch.einsum("bir,bhij,bjc->bhrc", member, p, member)
    number = member.sum(1)[:, :, None] * member.sum(1)[:, None]
    pairs = (pairs / number[:, None]).flatten(-2)
    same = (topic[:, :, None] == topic[:, None])[:, None]
    same, other = ((p * x).sum((-2, -1)) / x.sum((-2, -1)) for x in (same, ~same))
    return attend(p, v), pairs, same, other


@row("qada")
def qada(q, k, v, sink, window, tau):
    s, N = scores(q, k), q.shape[2]
    i, j = torch.arange(N)[:, None], torch.arange(N)
    recent = (j <= i) & (i - j < window)
    near = recent | ((j <= i) & (j < sink))
    mean = (s * recent).sum(-1) / recent.sum(-1)
    spread = ((s - mean[..., None]).square() * recent).sum(-1) / recent.sum(-1)
    bulk = ((j <= i) & ~near).sum(-1) * torch.exp(mean + spread / 2)
    mass = (torch.exp(s) * near).sum(-1)
    local = mass / (mass + bulk) >= tau
    seen = torch.where(local[..., None], near, j <= i)
    return attend(softmax(s, seen), v), local
