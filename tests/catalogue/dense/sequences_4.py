"""Streams, passages, segments, blanks and sentinels."""

import torch

from ..parts import attention, causal, heads, rotate, softmax
from ..rows import below, documents, row
from .sequences_2 import project


@row("mqa")
def mqa(q, k, v):
    return attention(q, k[:, None], v[:, None], causal(q.shape[2]))


@row("nope_with_per_head_temperature")
def nope(q, k, v, tau):
    return attention(q * tau[:, None, None], k, v, causal(q.shape[2]))


@row(
    "selective_joint_attention_with_localized",
    sizes={"P": 8},
    parameters={"ratio": 2.5, "window": 3.2},
    large={"N": 2048, "P": 819},
)
def joint(q, k, v, motion_q, motion_k, motion_v, ratio, window):
    N, P = q.shape[2], motion_q.shape[2]
    time = torch.cat((torch.arange(N, dtype=q.dtype), ratio * torch.arange(P, dtype=q.dtype)))
    stream = torch.cat((torch.zeros(N), torch.ones(P)))
    query, key = (rotate(torch.cat(pair, 2), time) for pair in ((q, motion_q), (k, motion_k)))
    seen = (stream[:, None] == stream) | ((time[:, None] - time).abs() <= window)
    out = attention(query, key, torch.cat((v, motion_v), 2), seen)
    return out[:, :, :N], out[:, :, N:]


def at(*positions):
    """The same places of every sequence."""

    def draw(random, shape):
        drawn = torch.zeros(shape, dtype=torch.bool)
        drawn[:, list(positions)] = True
        return drawn

    return draw


@row("sentinel_token_kv_compression", draws={"opens": at(2, 9), "closes": at(6, 13)})
def sentinels(q, k, v, opens, closes):
    B, N = opens.shape
    seen = causal(N).repeat(B, 1, 1)
    for b in range(B):
        for first, last in zip(opens[b].nonzero(), closes[b].nonzero()):
            seen[b, last + 1 :, first + 1 : last] = False
    return attention(q, k, v, seen[:, None])


@row(
    "set_encoder_inter_passage_attention",
    sizes={"C": 7},
    draws={"passage": documents, "interacts": at(0, 7, 15)},
)
def set_encoder(x, wq, wk, wv, table, passage, interacts):
    place = torch.zeros_like(passage)
    for b, numbers in enumerate(passage.tolist()):
        for i, number in enumerate(numbers):
            place[b, i] = numbers[:i].count(number)
    y = x + table[place]
    seen = (passage[:, :, None] == passage[:, None]) | interacts[:, None]
    return attention(*(project(w, y) for w in (wq, wk, wv)), seen[:, None])


@row("smith_hierarchical_attention", parameters={"block": 4})
def smith(q, k, v, wq, wk, wv, block):
    number = torch.arange(q.shape[2]) // block
    words = attention(q, k, v, number[:, None] == number)
    q, k, v = (torch.einsum("hde,bhpe->bhpd", w, words[:, :, ::block]) for w in (wq, wk, wv))
    return words, attention(q, k, v)


@row(
    "tadam_dual_cross_attention_matching",
    sizes={"H": 4, "G": 2},
    parameters={"segments": 3, "tokens": 5, "words": 4},
    large={"segments": 8, "tokens": 256, "words": 64},
)
def tadam(q, k, v, rq, rk, rv, valid, segments, tokens, words):
    def split(x):
        return heads(x, q.shape[1]).unflatten(2, (segments, -1))

    query, key, value = split(q), split(k), split(v)
    there = valid[:, None].unflatten(2, (segments, tokens))
    gist = torch.where(there[..., None], value, 0).sum(3) / there.sum(-1, keepdim=True)
    w = torch.einsum("bhce,bhe->bhc", gist, gist[:, :, -1]).softmax(-1)[..., None, None]
    root = q.shape[-1] ** 0.5
    segment = (query @ split(rk).mT / root).softmax(-1) @ split(rv)
    s = split(rq) @ key.mT / root
    response = softmax(s, there[:, :, :, None].expand_as(s)) @ value
    return (w * segment).flatten(2, 3), (w * response).flatten(2, 3)


@row(
    "text_infilling_self_attention",
    sizes={"C": 6},
    parameters={"base": 10},
    draws={"segment": below(4), "offset": below(10), "step": below(7)},
)
def infilling(x, wq, wk, wv, segment, offset, template, step, base):
    C = x.shape[-1]
    pos = (base * segment + offset).to(x.dtype)
    angle = pos[..., None] / 10000.0 ** (torch.arange(0, C, 2, dtype=x.dtype) / C)
    y = x + torch.stack((angle.sin(), angle.cos()), -1).flatten(2)
    seen = template[:, None] | (step[:, None] < step[:, :, None])
    return attention(*(project(w, y) for w in (wq, wk, wv)), seen[:, None])
