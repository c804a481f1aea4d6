"""Weights carried through frames, layers, pieces and heads, and frequencies that lose their rotation."""

import torch

from ..parts import attend, attention, causal, heads, rotate, scores, softmax
from ..rows import row, small


@row("gmrw", sizes={"N": 11}, parameters={"frames": 4, "tau": 0.6}, large={"N": 2048})
def gmrw(f, place, frames, tau):
    f = f.transpose(1, 2)

    def step(one, other):
        return (f[:, one] @ f[:, other].mT / (f.shape[-1] ** 0.5 * tau)).softmax(-1)

    there = here = torch.eye(f.shape[2], dtype=f.dtype)
    for t in range(frames - 1):
        there = there @ step(t, t + 1)
    for t in reversed(range(1, frames)):
        here = here @ step(t, t - 1)
    return there @ place, there @ here @ place


def pieces(random, shape):
    """0 for the sink, three pieces, then the query."""
    B, N = shape
    starts = torch.tensor([[2, 6, 9, N - 5], [1, 4, 10, N - 4]])[torch.arange(B) % 2]
    return (torch.arange(N)[:, None] >= starts[:, None]).sum(-1)


def places(random, shape):
    """Positions that begin anew after the sink with each of the three pieces, and end with the query."""
    piece = pieces(random, shape)
    n = torch.arange(shape[-1])
    first = (piece[:, None] == piece[:, :, None]).int().argmax(-1)
    return n - first + torch.where(piece == 0, 0, torch.where(piece == 4, 9, 2))


@row(
    "parallel_context_encoding_sinks_selectiv",
    parameters={"pieces": 3, "keep": 2},
    draws={"piece": pieces, "place": places},
)
def parallel_context(q, k, v, piece, place, pieces, keep):
    N = q.shape[2]
    s = scores(rotate(q, place[:, None]), rotate(k, place[:, None]))
    own, last = piece[:, :, None], pieces + 1
    before = causal(N) & ((piece[:, None] == own) | (piece[:, None] == 0) | (own == last))
    seen = before[:, None].expand_as(s)
    mass = torch.stack([(s.exp() * (seen & (piece[:, None, None] == c + 1))).sum(-1) for c in range(pieces)], -1)
    best = torch.zeros_like(mass, dtype=torch.bool).scatter(-1, mass.topk(keep).indices, True)
    dropped = torch.zeros_like(seen)
    for c in range(pieces):
        dropped = dropped | ((piece[:, None, None] == c + 1) & (own == last)[:, None] & ~best[..., c, None])
    p = softmax(s, seen & ~dropped)
    return attend(p, v), -(p * torch.where(p > 0, p, 1).log()).sum(-1)


@row("vhd_vhr", parameters={"alpha": 1.7})
def vhd_vhr(q, k, v, image, alpha):
    full = attention(q[:, :, None], k, v)[:, :, 0]
    blind = attention(q[:, :, None], k, v, ~image[:, None, None])[:, :, 0]
    divergence = (full - blind).norm(dim=-1)
    top = divergence.topk(q.shape[1] // 2, -1).indices
    gain = torch.ones_like(divergence).scatter(-1, top, alpha)
    return gain[..., None] * full, divergence


@row("vl_sam_attention_map_generation", parameters={"layers": 3})
def vl_sam(q, k, image, layers):
    N = q.shape[2]
    n = torch.arange(N, dtype=q.dtype)
    damping = 1 - (n[:, None] - n) / (N - n)
    rollout = None
    for layer in range(layers):
        s = scores(q[..., layer, :], k[..., layer, :])
        p = softmax(s, causal(N).expand_as(s))
        weight = p.amax(-1).mean(-1)[..., None, None]
        step = (weight * p).mean(1) * damping
        rollout = step if rollout is None else rollout + step @ rollout
    return rollout[:, -1] * image


@row(
    "wings_lorra",
    sizes={"R": 3, "F": 5},
    draws=dict.fromkeys(("qd", "qu", "kd", "ku", "vd", "vu"), small),
)
def wings(q, k, v, image, wr, wo, qd, qu, kd, ku, vd, vu):
    B, H, N, D = q.shape
    k, v = heads(k, H), heads(v, H)
    seen = causal(N).expand(B, H, N, N)
    p = softmax(scores(q, k), seen)
    kinds = torch.stack((image, ~image), 1)
    logits = torch.einsum("bhij,bmj->bhim", p, kinds.to(p))
    rho = (torch.relu(logits @ wr.mT) @ wo.mT).softmax(-1)
    out = p @ v
    for m in range(2):
        eye_d, eye_e = torch.eye(D, dtype=q.dtype), torch.eye(v.shape[-1], dtype=q.dtype)
        x = q @ (eye_d + qu[:, m] @ qd[:, m]).mT
        y = k @ (eye_d + ku[:, m] @ kd[:, m]).mT
        z = v @ (eye_e + vu[:, m] @ vd[:, m]).mT
        own = seen & kinds[:, m, None, None]
        out = out + rho[..., m, None] * (softmax(scores(x, y), own) @ z)
    return out


@row("dope", parameters={"tau": 0.66})
def dope(q, k, v, tau, both, sigma, rest):
    assert both and rest == "plain"
    B, H, N, D = q.shape
    R = D // 2
    x, y = rotate(q, torch.arange(N)), heads(rotate(k, torch.arange(N)), H)
    keep = torch.zeros(B, H, D, dtype=torch.bool)
    for r in range(R):
        pair = y[..., [r, r + R]]
        shares = torch.linalg.eigvalsh(pair.mT @ pair / N)
        shares = shares / shares.sum(-1, keepdim=True)
        entropy = -torch.xlogy(shares, shares).sum(-1)
        keep[..., r] = keep[..., r + R] = entropy >= tau
    mask = keep[:, :, None]
    s = scores(torch.where(mask, x, q), torch.where(mask, y, heads(k, H)))
    return attend(softmax(s, causal(N).expand_as(s)), v), keep.to(q)
