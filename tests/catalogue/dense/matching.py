"""Keypoints of two images: messages between them, and their assignment."""

import torch

from ..parts import attend, attention, heads, scores, softmax
from ..rows import below, positive, row, small


@row(
    "superglue_attentional_gnn_sinkhorn_with",
    "message",
    sizes={"C": 5, "F": 7},
    parameters={"cross": True},
    draws={"image": below(2)},
)
def message(image, x, wq, wk, wv, wo, w1, w2, cross):
    q, k, v = (torch.einsum("hdc,bnc->bhnd", w, x) for w in (wq, wk, wv))
    same = image[:, :, None] == image[:, None]
    seen = (~same if cross else same)[:, None]
    s = q @ k.mT / q.shape[-1] ** 0.5
    m = torch.einsum("hce,bhne->bnc", wo, softmax(s, seen.expand_as(s)) @ v)
    return x + torch.relu(torch.cat((x, m), -1) @ w1.T) @ w2.T


@row("superglue_attentional_gnn_sinkhorn_with", "assignment", draws={"f": small, "g": small})
def assignment(f, g, z, rounds):
    p = dustbins(f @ g.mT, z, rounds)
    return p[:, :-1, :-1], p[:, :-1, -1], p[:, -1, :-1]


def dustbins(s, z, rounds):
    """Rows and columns of [B, M, N] scores with one more of each: rows are scaled, then columns, again and again."""
    B, M, N = s.shape
    s = torch.cat((s, z.expand(B, M, 1)), 2)
    p = torch.cat((s, z.expand(B, 1, N + 1)), 1).exp()
    rows, columns = torch.ones(M + 1, dtype=s.dtype), torch.ones(N + 1, dtype=s.dtype)
    rows[-1], columns[-1] = N, M
    for _ in range(rounds):
        p = p * (rows / p.sum(2))[:, :, None]
        p = p * (columns / p.sum(1))[:, None]
    return p


def positive_features(x):
    return torch.nn.functional.elu(x) + 1


LOFTR = "loftr_linear_self_cross_attention_dual_s"


@row(LOFTR, "message")
def linear(q, k, v):
    q, k, v = positive_features(q), positive_features(heads(k, q.shape[1])), heads(v, q.shape[1])
    return q @ (k.mT @ v) / (q @ k.sum(2)[..., None])


@row(LOFTR, "coarse", sizes={"C": 5}, draws={"tau": positive})
def coarse(x, y, tau):
    s = x @ y.mT / tau
    return s.softmax(1) * s.softmax(2)


@row(LOFTR, "fine", sizes={"C": 7}, parameters={"size": 5})
def fine(x, window, size):
    heat = torch.einsum("bmc,bmyxc->bmyx", x, window).flatten(2).softmax(2).unflatten(2, (size, size))
    place = torch.linspace(-1, 1, size, dtype=x.dtype)
    return heat.sum(3) @ place, heat.sum(2) @ place


GLUE = "lightgluestick_almp"


def turned(x, a):
    """Features of [B, H, N, D] turned by angles [B, N, D / 2]."""
    pairs = torch.complex(*x.chunk(2, -1)) * torch.exp(1j * a)[:, None]
    return torch.cat((pairs.real, pairs.imag), -1)


@row(GLUE, "points", sizes={"M": 19})
def points(q, k, v, xy, w):
    a = xy @ w.T
    return attention(turned(q, a), turned(k, a), v)


@row(GLUE, "lines", draws={"joined": lambda random, shape: torch.rand(shape, generator=random) < 0.1})
def lines(q, k, v, joined):
    return attention(q, k, v, (joined | torch.eye(joined.shape[1], dtype=torch.bool))[:, None])


@row(GLUE, "across")
def across(q, k, v, v2):
    s = scores(q, k)
    return attend(s.softmax(3), v), s.softmax(2).mT @ heads(v2, q.shape[1])


@row(GLUE, "assignment")
def log_assignment(f, g, z, y):
    s = f @ g.mT
    p = s.softmax(1) * s.softmax(2) * z.sigmoid()[:, :, None] * y.sigmoid()[:, None]
    return p.log()


VIEWS = "multi_view_graph_attention_matcher"


@row(VIEWS, "message", sizes={"C": 5, "F": 7}, parameters={"cross": True}, draws={"view": below(3)})
def view_message(x, view, wq, wk, wv, wo, w1, w2, cross):
    return message(view, x, wq, wk, wv, wo, w1, w2, cross)


@row(VIEWS, "assignment", sizes={"C": 5}, draws={"x": small, "view": below(3)}, parameters={"one": 2, "other": 0})
def view_assignment(x, view, z, one, other, rounds):
    B, N = view.shape
    p = x.new_zeros(B, N, N)
    for b in range(B):
        rows, columns = (view[b] == one).nonzero()[:, 0], (view[b] == other).nonzero()[:, 0]
        found = dustbins((x[b, rows] @ x[b, columns].T)[None], z, rounds)[0, :-1, :-1]
        p = p.index_put((torch.tensor(b), rows[:, None], columns[None]), found)
    return p


@row("omniglue_position_guided_attention_with", "message", sizes={"C": 5, "F": 7, "K": 9})
def guided(x, y, px, py, gx, gy, wq, wk, wv, wo, w1, w2):
    q = torch.einsum("hdc,bnc->bhnd", wq, x) + px[:, None]
    k = torch.einsum("hdc,bnc->bhnd", wk, y) + py[:, None]
    best = (gx @ gy.mT).topk(y.shape[1] // 2, dim=2).indices
    seen = torch.zeros(*px.shape[:2], y.shape[1], dtype=torch.bool).scatter(2, best, True)
    m = attention(q, k, torch.einsum("hec,bnc->bhne", wv, y), seen[:, None])
    joined = torch.cat((x, torch.einsum("hce,bhne->bnc", wo, m)), -1)
    return x + torch.relu(joined @ w1.T) @ w2.T


@row("omniglue_position_guided_attention_with", "matches", sizes={"C": 5}, draws={"x": small})
def matches(x, y):
    s = x @ y.mT
    return s.softmax(1) * s.softmax(2)


PARA = "paraformer_parallel_self_cross_attention"


@row(PARA, "wave", sizes={"C": 5, "F": 7})
def wave(x, xy, w1, w2, u1, u2):
    amplitude, phase = torch.relu(x @ w1.T) @ w2.T, torch.relu(xy @ u1.T) @ u2.T
    turning = torch.polar(torch.ones_like(phase), phase) * amplitude
    return torch.cat((turning.real, turning.imag), -1)


@row(PARA, "message", sizes={"C": 5, "F": 7}, draws={"image": below(2)})
def parallel(x, image, wq, wk, wv, wo, w1, w2):
    q, k, v = (torch.einsum("hdc,bnc->bhnd", w, x) for w in (wq, wk, wv))
    same = (image[:, :, None] == image[:, None])[:, None]
    own, other = (torch.einsum("hce,bhne->bnc", wo, attention(q, k, v, seen)) for seen in (same, ~same))
    return x + torch.relu(torch.cat((x, own, other), -1) @ w1.T) @ w2.T


@row(PARA, "pooling", sizes={"C": 5}, parameters={"keep": 6})
def gated_pooling(x, w, keep):
    gate = (x @ w).sigmoid()
    kept = torch.zeros_like(gate).scatter(1, gate.topk(keep).indices, 1.0)
    return x * (gate * kept)[:, :, None]
