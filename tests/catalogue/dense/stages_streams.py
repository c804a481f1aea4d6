"""Cross-attention of two streams, of layers and of copies, with what surrounds it."""

import torch

from ..parts import attention, softmax
from ..rows import below, row


def read(x, y, wq, wk, wv, seen=None):
    """[B, M, C] and [B, N, C] -> [B, M, E]: one head with projections; `seen` is [B, N]."""
    s = (x @ wq.T) @ (y @ wk.T).mT / wq.shape[0] ** 0.5
    return softmax(s, None if seen is None else seen[:, None].expand_as(s)) @ (y @ wv.T)


def heads_of(x, y, wq, wk, wv):
    """[B, H, M, E]: the same with a head for each of the projections."""
    return torch.stack([read(x, y, *w) for w in zip(wq, wk, wv)], 1)


def layer_norm(x, eps):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=eps)


@row("multi_layers_trainable_pooling", sizes={"L": 5, "C": 7, "F": 9}, draws={"length": below(20, 3)})
def layers(x, length, bias, q, wk, wv, w1, w2, state):
    B, results = x.shape[0], []
    for b in range(B):
        own = x[b, :, : length[b]]
        y = (own[:, -1] if state == "last" else own.mean(1)) + bias
        read = torch.softmax(q @ (y @ wk.T).T / q.shape[-1] ** 0.5, -1) @ (y @ wv.T)
        results.append((torch.nn.functional.gelu(read @ w1.T) @ w2.T).mean(0))
    return torch.stack(results)


@row("mures_guided_residual_module", sizes={"C": 7, "R": 3})
def modalities(x, f, g, wq, wk, wv, w1, w2):
    results = []
    for m, features in enumerate((g, f)):
        found = read(x[:, m, None], features, wq[m], wk[m], wv[m])[:, 0]
        results.append(x[:, m] + torch.relu(found @ w1[m].T) @ w2[m].T)
    return torch.cat(results, -1)


@row("s2e_residual_attention_module", sizes={"C": 7})
def trainable_copy(x, y, fq, fk, fv, wq, wk, wv, z):
    frozen = heads_of(x, y, fq.detach(), fk.detach(), fv.detach())
    return frozen + heads_of(x, y, wq, wk, wv) @ z.mT


@row("shvit_shsa", sizes={"C": 11}, parameters={"part": 3})
def part_of_channels(x, scale, shift, wq, wk, wv, wo, part, eps):
    y = layer_norm(x, eps) * scale + shift
    first = read(y[..., :part], y[..., :part], wq, wk, wv)
    return torch.cat((first, y[..., part:]), -1) @ wo.T


@row("stablevc_dual_attention_with_adaptive_ga", sizes={"S": 5})
def two_memories(q, kt, vt, ks, vs, alpha):
    return attention(q, kt, vt) + torch.tanh(alpha)[:, None, None] * attention(q, ks, vs)


def multi_head(x, y, wq, wk, wv, wo):
    return torch.einsum("bhne,hce->bnc", heads_of(x, y, wq, wk, wv), wo)


@row("wn_duma", sizes={"C": 7})
def co_attention(x, y, wq, wk, wv, wo, w, eps):
    passage = multi_head(x, y, wq[0], wk[0], wv[0], wo[0])
    answer = multi_head(y, passage, wq[1], wk[1], wv[1], wo[1])
    return layer_norm(torch.cat((passage.mean(1), answer.mean(1)), -1) @ w.T, eps)


@row("casspr_hierarchical_point_voxel_cross_at", sizes={"C": 7})
def branches(x, y, xs, ys, wq, wk, wv):
    w = list(zip(wq, wk, wv))
    a, b = x + read(x, x, *w[0], xs), y + read(y, y, *w[1], ys)
    return xs[..., None] * read(a, b, *w[2], ys), ys[..., None] * read(b, a, *w[3], xs)
