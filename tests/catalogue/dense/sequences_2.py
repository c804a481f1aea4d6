"""Layers with their projections: experts, memories, fewer projections, values that are mixed first."""

import torch

from ..parts import attend, attention, causal, rotate, scores, softmax
from ..rows import row, small


def project(w, x):
    """[H, D, C] and [B, N, C] -> [B, H, N, D]."""
    return torch.einsum("hdc,bnc->bhnd", w, x)


def mix_experts(read, gate, wo, per):
    """[B, H, N, E] of experts one behind the other, each with a weight of [B, N, X]."""
    made = 0
    for n in range(gate.shape[-1]):
        own = slice(n * per, (n + 1) * per)
        made = made + gate[..., n, None] * torch.einsum("bhne,hce->bnc", read[:, own], wo[own])
    return made


@row("bam_soft_mixture_of_attention", attention="experts", sizes={"H": 6, "X": 3, "C": 7}, parameters={"per": 2})
def bam(x, router, wq, wk, wv, wo, per):
    read = attention(project(wq, x), project(wk, x), project(wv, x), causal(x.shape[1]))
    return mix_experts(read, (x @ router.mT).softmax(-1), wo, per)


@row("bam_soft_mixture_of_attention", attention="shared", sizes={"H": 6, "X": 3, "C": 7}, parameters={"per": 2})
def bam_shared(x, router, wq, wk, wv, wo, per):
    copies = router.shape[0]
    key, value = project(wk, x).repeat(1, copies, 1, 1), project(wv, x).repeat(1, copies, 1, 1)
    read = attention(project(wq, x), key, value, causal(x.shape[1]))
    return mix_experts(read, (x @ router.mT).softmax(-1), wo, per)


@row(
    "comemo",
    sizes={"C": 7, "N": 37},
    parameters={"rows": 2, "cols": 3, "scale": 2},
    draws=dict.fromkeys(("mo", "wq", "wk"), small),
    large={"N": 2048, "rows": 16, "cols": 16},
)
def comemo(x, mq, mk, mv, mo, gate, wq, wk, wv, rows, cols, scale):
    thumbnail = torch.arange(rows * cols).reshape(rows, cols)
    patches = thumbnail.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    images = thumbnail.numel() + patches.numel()
    text = rows * cols + torch.arange(x.shape[1] - images)
    pos = torch.cat((thumbnail.flatten(), patches.flatten(), text)).to(x.dtype)

    def read(x, q, k, seen):
        return softmax(scores(rotate(project(q, x), pos), rotate(project(k, x), pos)), seen)

    shape = (*x.shape[:1], len(wq), len(pos), len(pos))
    memory = attend(read(x, mq, mk, (torch.arange(len(pos)) < images).expand(shape)), project(mv, x))
    y = x + gate.tanh() * torch.einsum("bhne,hce->bnc", memory, mo)
    return attend(read(y, wq, wk, causal(len(pos)).expand(shape)), project(wv, y))


def joined(x):
    """[B, H, N, E] -> [B, N, H * E]."""
    return x.transpose(1, 2).flatten(2)


@row("optimised_efficient_super_attention", attention="optimised", sizes={"H": 3, "N": 17})
def optimised(x, wq, wk):
    return attention(project(wq.flatten(2), joined(x)), project(wk.flatten(2), joined(x)), x)


@row("optimised_efficient_super_attention", attention="efficient", sizes={"H": 3})
def efficient(x, wq):
    return attention(project(wq.flatten(2), joined(x)), x, x)


@row("optimised_efficient_super_attention", attention="super", sizes={"H": 3, "N": 17}, parameters={"causal": True})
def super_attention(x, wq, wk, a, causal):
    seen = torch.ones_like(a, dtype=torch.bool).tril() if causal else torch.ones_like(a, dtype=torch.bool)
    mixed = torch.where(seen, a, 0) @ x
    return attention(project(wq.flatten(2), joined(x)), project(wk.flatten(2), joined(x)), mixed, seen)
