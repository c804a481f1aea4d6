"""Systems that split attention: shards, tasks, steps of a ring, trees; and plain attention with a little around it."""

import torch

from ..parts import attention, heads, scores
from ..rows import below, row


def with_lse(q, k, v, seen):
    """The result and the log of the sum of exponentials, which is -inf in rows that see nothing."""
    s = scores(q, k)
    lse = torch.where(seen.expand_as(s), s, -torch.inf).logsumexp(-1)
    return attention(q, k, v, seen), lse


def offset_causal(M, N, offset):
    return torch.arange(N) <= torch.arange(M)[:, None] + offset


@row("tree_attention", "decode", parameters={"offset": 3})
def decode(q, k, v, offset):
    return attention(q, k, v, offset_causal(q.shape[2], k.shape[2], offset))


@row("tree_attention", "energy", parameters={"offset": 3})
def energy(q, k, v, z, offset):
    s = scores(q, k) + z @ heads(v, q.shape[1]).mT
    return s.masked_fill(~offset_causal(q.shape[2], k.shape[2], offset), -torch.inf).logsumexp(-1)


@row(
    "cad_distca",
    draws={"row_doc": below(4), "doc": below(3), "row_pos": below(9, -1), "pos": below(9)},
)
def tasks(q, k, v, row_doc, row_pos, doc, pos):
    seen = (row_doc[:, :, None] == doc[:, None]) & (pos[:, None] <= row_pos[:, :, None])
    return with_lse(q, k, v, seen[:, None])


@row("distributed_multi_head_attention_for_mil")
def shard(q, k, v):
    s = scores(q, k)
    lse = torch.logsumexp(s, -1)
    return torch.exp(s - lse[..., None]) @ heads(v, q.shape[1]), lse


@row(
    "long_context_attention_benchmark",
    "step",
    parameters={"pattern": "blocks", "window": 5, "row": 9, "key": 6},
    draws={"doc": below(3), "key_doc": below(3)},
)
def step(q, k, v, doc, key_doc, pattern, window, row, key):
    y, x = row + torch.arange(q.shape[2])[:, None], key + torch.arange(k.shape[2])
    seen = {
        "full": torch.ones_like(y - x, dtype=torch.bool),
        "causal": x <= y,
        "window": (y - window < x) & (x <= y),
        "document": (doc[:, None, :, None] == key_doc[:, None, None]) & (x <= y),
        "blocks": ((x < window) | (x - x % window == y - y % window)) & (x <= y),
    }
    return with_lse(q, k, v, seen[pattern])


@row("long_context_attention_benchmark", "merge", sizes={"R": 3})
def merge(o, lse):
    total = torch.logsumexp(lse, 2)
    return (torch.exp(lse - total[:, :, None])[..., None] * o).sum(2), total


@row("bert4rec_bidirectional_self_attention")
def both_sides(q, k, v, valid):
    return attention(q, k, v, valid[:, None, None])


@row("ep", sizes={"M": 5})
def slices(x, u, w):
    p = torch.softmax(u @ x.mT / x.shape[-1] ** 0.5, -1)
    return torch.stack([(p[:, m, None] @ (x @ w[m].mT))[:, 0] for m in range(u.shape[0])], 1)


@row("lumaflux_pga", sizes={"C": 7, "F": 5, "R": 3})
def adapted(x, m, w, a, b, gamma, beta):
    q, k, v = (
        torch.einsum("hdc,bnc->bhnd", w[t].detach(), x) + torch.einsum("hdr,rf,bnf->bhnd", b[t], a[t], m)
        for t in range(3)
    )
    scale, shift = (torch.einsum("hdf,bnf->bhnd", t, m) for t in (gamma, beta))
    return scale * attention(q, k, v) + shift
