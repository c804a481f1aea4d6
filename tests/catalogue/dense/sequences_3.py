"""Masks of sequences that hold several kinds of tokens, and attention in two steps."""

import torch

from ..parts import attention, causal, heads
from ..rows import documents, row, small


@row("two_tower_cloze_masking", sizes={"D": 6})
def two_tower(q, k, v, back_q, back_k, back_v):
    N = q.shape[2]
    ahead = attention(q, k, v, causal(N))
    back = attention(back_q, back_k, back_v, causal(N).mT)
    nothing = torch.zeros_like(ahead[:, :, :1])
    query = torch.cat((nothing, ahead[:, :, :-1]), 2) + torch.cat((back[:, :, 1:], nothing), 2)
    both = torch.cat((ahead, back), 2)
    seen = torch.cat((causal(N).tril(-1), causal(N).mT.triu(1)), 1)
    return attention(query, both, both, seen)


@row("pkv_prefix_pkv_residual_attention", attention="prefix", sizes={"P": 3})
def prefix(q, k, v, kp, vp):
    P, N = kp.shape[2], k.shape[2]
    seen = torch.cat((torch.ones(N, P, dtype=torch.bool), causal(N)), 1)
    return attention(q, torch.cat((kp, k), 2), torch.cat((vp, v), 2), seen)


def first_absent(random, shape):
    """The first sequence has no properties at all."""
    present = torch.rand(shape, generator=random) > 0.4
    present[0] = False
    return present


@row(
    "pkv_prefix_pkv_residual_attention",
    attention="residual",
    sizes={"P": 3, "C": 7},
    draws={"present": first_absent},
)
def residual(q, k, v, kp, vp, present, wo, ws, alpha):
    own = attention(q, k, v, causal(k.shape[2]))
    property = attention(q, kp, vp, present[:, None, None])
    return torch.einsum("bhne,hce->bnc", own, wo) + alpha * torch.einsum("bhne,hce->bnc", property, ws)


@row("aki_modality_mutual_attention", draws={"sample": documents})
def aki(q, k, v, sample, visual, question):
    hole = visual[:, :, None] & question[:, None]
    same = sample[:, :, None] == sample[:, None]
    return attention(q, k, v, ((causal(k.shape[2]) | hole) & same)[:, None])


@row("croc_mixed_mask", draws={"image": lambda random, shape: documents(random, shape) - 1})
def croc(q, k, v, image):
    same = (image[:, :, None] == image[:, None]) & (image >= 0)[:, None]
    return attention(q, k, v, (same | causal(k.shape[2]))[:, None])


@row("duoformer_scale_patch_attention", sizes={"N": 21}, parameters={"scales": 3}, large={"N": 2048, "scales": 4})
def duoformer(q, k, v, wq, wk, wv, scales):
    q, k, v = (x.unflatten(2, (-1, scales)) for x in (q, heads(k, q.shape[1]), heads(v, q.shape[1])))
    local = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    fused = local.mean(3)
    q, k, v = (torch.einsum("hde,bhpe->bhpd", w, fused) for w in (wq, wk, wv))
    return attention(q, k, v)


@row(
    "dyvte",
    sizes={"B": 5, "C": 3},
    parameters={"layers": 3, "layer": 2},
    draws={"bias": lambda random, shape: torch.zeros(shape)},
)
def dyvte(q, k, v, x, visual, w, bias, layers, layer):
    seen = causal(k.shape[2]).repeat(len(x), 1, 1)
    for b in range(len(x)):
        said = [bool(x[b, n, ~visual[b]].mean(0) @ w + bias > 0) for n in range(layers)]
        exit = said.index(True) if True in said else layers
        if layer > exit:
            seen[b] &= ~visual[b]
    return attention(q, k, v, seen[:, None])


@row("kha", attention="linear")
def kha(q, k, v, tq, tk, tv):
    return attention(q @ tq.mT, k @ tk.mT, v @ tv.mT, causal(k.shape[2]))


@row("kha", attention="gated", sizes={"F": 5})
def kha_gated(q, k, v, tq, tk, gate, up, down):
    value = ((v @ gate.mT).sigmoid() * (v @ up.mT)) @ down.mT
    return attention(q @ tq.mT, k @ tk.mT, value, causal(k.shape[2]))


@row("mhe", attention="added", sizes={"C": 5})
def mhe_added(x, wq, wk, wv, eq, ek, ev):
    return attention(*((x @ w.mT)[:, None] + e[:, None] for w, e in ((wq, eq), (wk, ek), (wv, ev))))


@row("mhe", attention="multiplied", sizes={"C": 5}, draws={"wq": small, "wk": small})
def mhe_multiplied(x, wq, wk, wv, eq, ek, ev):
    return attention(*((x @ w.mT)[:, None] * (1 + e[:, None]) for w, e in ((wq, eq), (wk, ek), (wv, ev))))
