"""Sequences of unlike tokens: geometry, matches, blocks, runs and layers."""

import torch

from ..parts import attend, attention, causal, heads, rotate, softmax
from ..rows import below, positive, row


def rms_norm(x):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def read_layers(w, values):
    """One layer's mixture of a list of [B, N, C]."""
    stacked = torch.stack(values)
    return (torch.einsum("c,mbnc->mbn", w, rms_norm(stacked)).softmax(0)[..., None] * stacked).sum(0)


@row("attnres_block_attnres", attention="attnres", sizes={"C": 7}, parameters={"layers": 5})
def attnres(x, w, layers):
    read = [read_layers(w[m], [x[:, n] for n in range(m)]) for m in range(1, layers)]
    return torch.stack([torch.zeros_like(x[:, 0]), *read], 1)


@row(
    "attnres_block_attnres",
    attention="block_attnres",
    sizes={"C": 7},
    parameters={"layers": 8, "block": 3},
)
def block_attnres(x, w, layers, block):
    read = [torch.zeros_like(x[:, 0])]
    for m in range(1, layers):
        starts = range(0, m, block)
        read.append(read_layers(w[m], [x[:, n : min(n + block, m)].sum(1) for n in starts]))
    return torch.stack(read, 1)


def poses(random, shape):
    """Rigid motions: a rotation and a shift."""
    turned = torch.linalg.qr(torch.randn((*shape[:-2], 3, 3), generator=random)).Q
    pose = torch.eye(4).expand(shape).clone()
    pose[..., :3, :3] = turned
    pose[..., :3, 3] = torch.randn((*shape[:-2], 3), generator=random)
    return pose


def inverse_poses(random, shape):
    return torch.linalg.inv(poses(random, shape))


def representation(pose, x, y, D, posed, base):
    """[B, N, D, D]: blocks of the pose, then rotations by x, then by y."""
    R = (D - posed) // 2
    blocks = [pose] * (posed // 4)
    for place in (x, y):
        turned = rotate(torch.eye(R, dtype=x.dtype), place[..., None], base)  # row d is the turned unit vector d
        blocks.append(turned.mT)
    full = torch.zeros(*x.shape, D, D, dtype=x.dtype)
    at = 0
    for block in blocks:
        to = at + block.shape[-1]
        full[..., at:to, at:to] = block
        at = to
    return full


@row(
    "gta",
    sizes={"D": 16, "N": 17},
    draws={"pose": poses, "inverse": inverse_poses},
)
def gta(q, k, v, pose, inverse, x, y, posed, base):
    H, D = q.shape[1], q.shape[-1]
    there = representation(pose, x, y, D, posed, base)[:, None]
    back = representation(inverse, -x, -y, D, posed, base)[:, None]
    query, key, value = (
        (m @ t[..., None]).squeeze(-1) for m, t in ((there.mT, q), (back, heads(k, H)), (back, heads(v, H)))
    )
    return (there @ (softmax(query @ key.mT / D**0.5) @ value)[..., None]).squeeze(-1)


@row(
    "match_to_match_additive_attention",
    sizes={"E": 8},
    parameters={"rows": 2, "cols": 3, "other_rows": 3, "other_cols": 2},
    large={"rows": 7, "cols": 7, "other_rows": 7, "other_cols": 6, "E": 64},
)
def match_to_match(q, k, v, wq, wk, w, rows, cols, other_rows, other_cols):
    H, D = wq.shape
    places = torch.cartesian_prod(*(torch.arange(n, dtype=q.dtype) for n in (rows, cols, other_rows, other_cols)))

    def turn(x):
        quarters = x.split(D // 4, -1)
        return torch.cat([rotate(part, place) for part, place in zip(quarters, places.T)], -1)

    query, key = turn(q), turn(heads(k, H))
    alpha = (torch.einsum("hd,bhnd->bhn", wq, query) / D**0.5).softmax(-1)
    gated = torch.einsum("bhn,bhnd->bhd", alpha, query)[:, :, None] * key
    beta = (torch.einsum("hd,bhnd->bhn", wk, gated) / D**0.5).softmax(-1)
    gist = torch.einsum("bhn,bhnd->bhd", beta, gated)
    return torch.einsum("hcd,bhnd->bhnc", w, gist[:, :, None] * heads(v, H)) + q


@row(
    "s2_attention_dkernel",
    sizes={"N": 41},
    parameters={"block": 3, "local": 2, "stride": 4, "step": 3, "offset": 1, "dense": 1},
)
def s2(q, k, v, block, local, stride, step, offset, dense):
    H, N = q.shape[1], q.shape[2]
    layout = torch.zeros(H, N, N, dtype=torch.bool)
    for h in range(H):
        for own in range(0, N, block):
            for other in range(0, own + 1, block):
                near = (own - other) // block < local
                stripe = (other // block + h * step + offset) % stride == 0
                layout[h, own : own + block, other : other + block] = near or stripe or h >= H - dense
    return attention(q, k, v, layout & causal(N))


@row(
    "lazydrag_correspondence_driven_attention",
    sizes={"N": 17},
    parameters={"reach": 2.5, "strength": 0.8},
    draws={"source": below(17), "distance": positive},
)
def lazydrag(q, k, v, source_k, source_v, source_out, background, dragged, source, distance, reach, strength):
    H = q.shape[1]
    index = source[:, None, :, None]

    def moved(x):
        return x.gather(2, index.expand(*x.shape[:2], -1, x.shape[-1]))

    kept = background[:, None, :, None]
    key = torch.cat((torch.where(kept, source_k, k), moved(source_k)), 2)
    value = torch.cat((torch.where(kept, source_v, v), moved(source_v)), 2)
    there = torch.cat((torch.ones_like(dragged), dragged), 1)[:, None, None]
    read = attend(softmax(q @ heads(key, H).mT / q.shape[-1] ** 0.5, there.expand(-1, H, q.shape[2], -1)), value)
    gate = torch.where(dragged, strength * torch.exp(-distance / reach), 0)[:, None, :, None]
    return (1 - gate) * read + gate * moved(source_out)


@row(
    "attention_buckets",
    attention="buckets",
    parameters={"runs": 3, "length": 7},
    draws={"base": lambda random, shape: 50 * positive(random, shape)},
    large={"runs": 4, "length": 512},
)
def buckets(q, k, v, base, runs, length):
    read, places = [], torch.arange(length, dtype=q.dtype)
    for n, parts in enumerate(zip(*(x.split(length, 2) for x in (q, k, v)))):
        query, key = rotate(parts[0], places, base[n]), rotate(parts[1], places, base[n])
        read.append(attention(query, key, parts[2], causal(length)))
    return torch.cat(read, 2)


@row("attention_buckets", attention="mixture", sizes={"R": 3, "Y": 11})
def mixture(logits):
    predicted = logits.softmax(-1)
    sure = predicted.amax(-1, keepdim=True).softmax(1)
    return (sure * predicted).sum(1)
