"""Attention along edges, among points and between two texts."""

import torch
from torch.nn.functional import leaky_relu

from ..parts import heads, softmax
from ..rows import below, positive, row


@row("bidaf", sizes={"C": 5})
def bidaf(x, y, w):
    (B, M, C), N = x.shape, y.shape[1]
    left, right = x[:, :, None].expand(B, M, N, C), y[:, None].expand(B, M, N, C)
    s = torch.cat((left, right, left * right), -1) @ w
    u = s.softmax(2) @ y
    t = s.amax(2).softmax(1)[:, None] @ x
    return torch.cat((x, u, x * u, x * t), -1)


@row("gatv2", "gatv2", sizes={"C": 5})
def gatv2(x, edge, wl, wr, a):
    left, right = (torch.einsum("hdc,bnc->bhnd", w, x) for w in (wl, wr))
    s = leaky_relu(left[:, :, :, None] + right[:, :, None], 0.2) @ a[:, None, :, None]
    s = s[..., 0]
    return softmax(s, edge[:, None].expand_as(s)) @ right


@row("gatv2", "gat", sizes={"C": 5})
def gat(x, edge, w, a, c):
    y = torch.einsum("hdc,bnc->bhnd", w, x)
    s = leaky_relu((y @ a[:, :, None]) + (y @ c[:, :, None]).mT, 0.2)
    return softmax(s, edge[:, None].expand_as(s)) @ y


def directions(random, shape):
    """Vectors of length 1."""
    x = torch.randn(shape, generator=random)
    return x / x.norm(dim=-1, keepdim=True)


@row("spherical_attention_spherical_neighborho", "spherical", draws={"area": positive})
def spherical(q, k, v, area):
    H = q.shape[1]
    w = area * torch.exp(q @ heads(k, H).mT / q.shape[-1] ** 0.5)
    return w / w.sum(-1, keepdim=True) @ heads(v, H)


@row(
    "spherical_attention_spherical_neighborho",
    "spherical_neighborhood",
    draws={"area": positive, "normal": directions},
    parameters={"radius": 0.8},
)
def neighborhood(q, k, v, area, normal, radius):
    H = q.shape[1]
    angle = torch.arccos((normal.detach() @ normal.detach().T).clamp(-1, 1))
    s = q @ heads(k, H).mT / q.shape[-1] ** 0.5 + area.log()
    return softmax(s, (angle <= radius).expand_as(s)) @ heads(v, H)


def angle(x, y):
    return torch.atan2(torch.linalg.cross(x, y).norm(dim=-1), (x * y).sum(-1))


def pair_features(point, normal):
    """[B, N, N, 4]: the distance of two points, and the angles of their normals with the line and with one another."""
    shape = (*point.shape[:2], *point.shape[1:])
    line = point[:, None] - point[:, :, None]
    first, second = normal[:, :, None].expand(shape), normal[:, None].expand(shape)
    return torch.stack((line.norm(dim=-1), angle(first, line), angle(second, line), angle(first, second)), -1)


@row("roitr_ppf_attention", draws={"near": lambda random, shape: torch.rand(shape, generator=random) < 0.2})
def roitr(q, k, v, point, normal, near, wp, wg):
    H, pairs = q.shape[1], pair_features(point.detach(), normal.detach())
    key = heads(k, H)[:, :, None] + torch.einsum("hdc,bijc->bhijd", wp, pairs)
    value = heads(v, H)[:, :, None] + torch.einsum("hec,bijc->bhije", wg, pairs)
    s = torch.einsum("bhid,bhijd->bhij", q, key) / q.shape[-1] ** 0.5
    return torch.einsum("bhij,bhije->bhie", softmax(s, near[:, None].expand_as(s)), value)


def unevenly(random, shape):
    """Which pairs are seen: many in one row, few in another, none in the first."""
    seen = torch.rand(shape, generator=random) < torch.rand(shape[:-1], generator=random)[..., None]
    return seen & (torch.arange(shape[-2]) > 0)[:, None]


@row("nap", "nap")
def nap(q, k, v, gain, shift):
    s = q @ heads(k, q.shape[1]).mT
    w = gain[:, None, None] * (s - s.mean(-1, keepdim=True)) / s.std(-1, correction=0, keepdim=True)
    return (w + shift[:, None, None]) @ heads(v, q.shape[1])


@row("nap", "non", draws={"seen": unevenly})
def non(q, k, v, seen):
    count = seen.sum(-1)[:, None, :, None].to(q.dtype)
    s = q @ heads(k, q.shape[1]).mT * seen[:, None] / count.clamp(min=1) ** 0.5
    return s @ heads(v, q.shape[1])


@row("nap", "max_pooling", sizes={"G": 4})
def max_pooling(v, seen):
    return v[:, :, None].masked_fill(~seen[:, None, :, :, None], -torch.inf).amax(3)


@row("carte_edge_conditioned_graph_attention", sizes={"C": 5})
def carte(x, edge, near, wq, wk, wv, we):
    z = edge * x[:, None]
    q = torch.einsum("hdc,bic->bhid", wq, x)
    k, v = (torch.einsum("hdc,bijc->bhijd", w, z) for w in (wk, wv))
    s = torch.einsum("bhid,bhijd->bhij", q, k) / q.shape[-1] ** 0.5
    p = softmax(s, near[:, None].expand_as(s))
    return torch.einsum("bhij,bhije->bhie", p, v), edge @ we.T


@row(
    "csagnn_job_specific_social_graph_attenti",
    sizes={"C": 5, "F": 7},
    draws={"contact": lambda random, shape: torch.rand(shape, generator=random) < 0.1},
)
def csagnn(x, job, contact, w, wj, a):
    y, z = torch.einsum("hdc,bnc->bhnd", w, x), torch.einsum("hdf,bf->bhd", wj, job)
    one, two, three = a.chunk(3, -1)
    s = (y * one[:, None]).sum(-1)[..., None] + (y * two[:, None]).sum(-1)[:, :, None]
    s = leaky_relu(s + (z * three).sum(-1)[..., None, None], 0.2)
    return softmax(s, contact[:, None].expand_as(s)) @ y


JIGSAW = "jigsaw_point_attention_primal_dual_sinkh"


@row(JIGSAW, "point_attention", sizes={"F": 7}, draws={"near": unevenly})
def point_attention(q, k, place, near, wp, w1, w2, v):
    H = q.shape[1]
    delta = ((place[:, :, None] - place[:, None]) @ wp.T)[:, None]
    s = torch.relu((q[:, :, :, None] - heads(k, H)[:, :, None] + delta) @ w1.T) @ w2.T
    p = softmax(s, near[:, None, :, :, None].expand_as(s), 3)
    return (p * (heads(v, H)[:, :, None] + delta)).sum(3)


@row(JIGSAW, "matching", sizes={"C": 5, "M": 13, "N": 13}, draws={"tau": lambda random, shape: torch.full(shape, 2.5)})
def fitting(x, y, A, tau, rounds):
    p = torch.exp(x @ A @ y.mT / tau)
    for _ in range(rounds):
        p = p / p.sum(2, keepdim=True)
        p = p / p.sum(1, keepdim=True)
    return p


VLG = "vlg_net_graph_matching_layer_and_masked"


@row(VLG, "moments", sizes={"C": 5}, draws={"first": below(12), "last": below(19, 6)})
def moments(x, w, first, last):
    n = torch.arange(x.shape[1])
    seen = (first[..., None] <= n) & (n <= last[..., None])
    return softmax((x @ w)[:, None].expand(seen.shape), seen) @ x


@row(VLG, "edges", sizes={"C": 5, "F": 7})
def edges(x, w1, w2, neighbours):
    N = x.shape[1]
    s = (x @ x.mT).masked_fill(torch.eye(N, dtype=torch.bool), -torch.inf)
    best = s.topk(neighbours).indices
    near = torch.stack([one[places] for one, places in zip(x, best)])
    own = x[:, :, None].expand_as(near)
    return (torch.relu(torch.cat((own, near - own), -1) @ w1.T) @ w2.T).amax(2)


@row("gtan_tri_attention", "graph", sizes={"C": 5, "F": 7})
def answers(x, near, w, a, wv):
    B, N, C = x.shape
    both = torch.cat((x[:, :, None].expand(B, N, N, C), x[:, None].expand(B, N, N, C)), -1)
    return softmax(leaky_relu(both @ w.T, 0.2) @ a, near) @ x @ wv.T


@row("gtan_tri_attention", "words", sizes={"C": 5, "F": 7, "R": 9, "A": 11})
def tri_attention(r, y, x, c, w1, w2, w):
    def weigh(words, context, n):
        return (torch.tanh(words @ w1[n].T + context[:, None]) @ w[n]).softmax(1)[:, None] @ words

    respondent, question = weigh(r, c @ w2[0].T, 0)[:, 0], weigh(y, c @ w2[1].T, 1)[:, 0]
    answer = weigh(x, (question + respondent) @ w2[2].T, 2)[:, 0]
    return torch.cat((respondent, question, answer), 1)
