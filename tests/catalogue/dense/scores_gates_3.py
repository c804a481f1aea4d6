"""Readers, documents and sessions, convolved projections, and systems of masks."""

from math import log

import torch
from torch.nn import functional

from ..parts import attend, attention, causal, scores, softmax
from ..rows import below, documents, positive, row


def roap_scores(q, k, rank, table, R):
    r = (rank[:, :, None] - rank[:, None]).clamp(-R, R) + R
    return scores(q, k) + table[:, r].transpose(0, 1)


@row("roap_ro_rpb_tt_prior", "additive", parameters={"R": 3}, draws={"rank": below(19)})
def roap_additive(q, k, v, rank, text, table, gamma, R):
    both = (text[:, :, None] & text[:, None])[:, None]
    return attend((roap_scores(q, k, rank, table, R) + gamma * both).softmax(-1), v)


@row("roap_ro_rpb_tt_prior", "multiplicative", parameters={"R": 3}, draws={"rank": below(19), "gamma": positive})
def roap_multiplicative(q, k, v, rank, text, table, gamma, R):
    both = (text[:, :, None] & text[:, None])[:, None]
    p = roap_scores(q, k, rank, table, R).softmax(-1) * (1 + gamma * both)
    return attend(p / p.sum(-1, keepdim=True), v)


@row("stanford_attentive_reader", sizes={"C": 5, "A": 7})
def stanford_reader(q, x, w, entities, occurs):
    p = torch.einsum("bmd,dc,bnc->bmn", q, w, x).softmax(-1)
    absent = ~occurs[:, None]
    z = torch.einsum("bmn,bnc,ac->bma", p, x, entities).masked_fill(absent, -torch.inf)
    return z.log_softmax(-1).masked_fill(absent, 0), z.argmax(-1)


def causal_convolution(x, w):
    """[B, H, N, D], with the kernel [H, 3, D], whose first entry is the latest."""
    flat = functional.pad(x.mT.flatten(1, 2), (2, 0))
    kernel = w.flip(1).mT.flatten(0, 1)[:, None]
    return functional.conv1d(flat, kernel, groups=len(kernel)).view_as(x.mT).mT


@row("rcmha", sizes={"C": 7})
def rcmha(x, wq, wk, wv, cq, ck, cv, r, a, c):
    q, k, v = (causal_convolution(x[:, None] @ w.mT, one) for w, one in ((wq, cq), (wk, ck), (wv, cv)))
    n = torch.arange(x.shape[1])
    position = r[:, (n[:, None] - n).clamp(min=0)]
    s = (q + a[:, None]) @ k.mT + torch.einsum("bhid,hijd->bhij", q + c[:, None], position)
    return softmax(s / q.shape[-1] ** 0.5, causal(len(n))) @ v


@row("sigmoid_attention_flashsigmoid", parameters={"causal": True})
def sigmoid_attention(q, k, v, causal):
    N = k.shape[2]
    p = torch.sigmoid(scores(q, k) - log(N))
    return attend(p.tril() if causal else p, v)


def in_sessions(random, shape):
    return torch.rand(shape, generator=random).lt(0.2).cumsum(-1)


def few(random, shape):
    return torch.rand(shape, generator=random) < 0.1


@row(
    "spar_poly_attention_with_sparse_session",
    "sessions",
    parameters={"window": 2},
    draws={"session": in_sessions, "drawn": few},
)
def spar_sessions(q, k, v, session, drawn, window):
    n = torch.arange(q.shape[2])
    first = torch.cat((torch.ones(len(session), 1, dtype=torch.bool), session.diff() != 0), 1)
    near = (n[:, None] - n).abs() < window
    seen = near | first[:, :, None] | first[:, None] | drawn
    return attention(q, k, v, (seen & (session[:, :, None] == session[:, None]))[:, None])


@row("spar_poly_attention_with_sparse_session", "pooling", sizes={"C": 5, "F": 7, "M": 3}, large={"M": 32})
def spar_pooling(x, w, code, valid):
    return softmax((torch.tanh(x @ w.T) @ code.T).mT, valid[:, None]) @ x


@row("spar_poly_attention_with_sparse_session", "match", sizes={"C": 5, "M": 3, "N": 7}, large={"M": 32, "N": 64})
def spar_match(user, item, w):
    products = user @ item.mT
    weight = (user @ functional.gelu(item @ w.T).mT).flatten(1).softmax(-1)
    return (weight * products.flatten(1)).sum(1)


@row(
    "video_qa_context_matching_squeeze_excite",
    "excited",
    sizes={"Y": 5, "X": 7, "C": 6, "F": 3},
    large={"Y": 32, "X": 64},
)
def excited(f, w1, w2):
    return f * ((f.mean((1, 2)) @ w1.T).relu() @ w2.T).sigmoid()[:, None, None]


@row("video_qa_context_matching_squeeze_excite", "matched")
def matched(c, q, wc, wq, w, valid):
    M, N = c.shape[1], q.shape[1]
    context, question = c[:, :, None].expand(-1, M, N, -1), q[:, None].expand(-1, M, N, -1)
    s = torch.cat((context, question, context * question), -1) @ torch.cat((wc, wq, w))
    u = softmax(s, valid[:, None]) @ q
    return torch.cat((c, u, c * u), -1)


def streaming(M, N, sinks, window):
    """[M, N]: causal, of the first and of the latest keys; the last query is at the last key."""
    i, j = torch.arange(N - M, N)[:, None], torch.arange(N)
    return (j <= i) & ((j < sinks) | (i - j < window))


@row("duoattention", "calibration", parameters={"sinks": 2, "window": 4, "penalty": 0.3})
def duo_calibration(q, k, v, gate, sinks, window, penalty):
    M, N = q.shape[2], k.shape[2]
    full = attention(q, k, v, streaming(M, N, sinks, N))
    a = gate[:, None, None]
    out = a * full + (1 - a) * attention(q, k, v, streaming(M, N, sinks, window))
    return out, ((out - full) ** 2).sum((1, 2, 3)), (penalty * gate.abs().sum()).expand(len(q))


@row("duoattention", "deployment", parameters={"sinks": 2, "window": 4, "threshold": 0.2})
def duo_deployment(q, k, v, gate, sinks, window, threshold):
    M, N = q.shape[2], k.shape[2]
    retrieves = (gate > threshold)[:, None, None]
    return attention(q, k, v, streaming(M, N, sinks, torch.where(retrieves, N, window)))


@row("flexattention", parameters={"window": 7}, draws={"doc": documents})
def flexattention(q, k, v, doc, window):
    H, N = q.shape[1:3]
    gap = torch.arange(N)[:, None] - torch.arange(N)
    slope = torch.tensor([2.0 ** -(h + 1) for h in range(H)], dtype=q.dtype)
    s = 20 * torch.tanh(scores(q, k) / 20) - slope[:, None, None] * gap.abs()
    seen = (doc[:, :, None] == doc[:, None]) & (gap >= 0) & (gap < window)
    s = s.masked_fill(~seen[:, None], -torch.inf)
    return attend(s.softmax(-1), v), s.logsumexp(-1)
