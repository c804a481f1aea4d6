"""Weights that are edited after the softmax, learned mixing, and attention that is not of the input."""

import math

import torch

from ..parts import attend, causal, heads, rotate, scores, softmax
from ..rows import below, documents, row
from .linear_norms import divided, standard


def softmax_causal(q, k):
    s = scores(q, k)
    return softmax(s, causal(*s.shape[-2:]).expand_as(s))


def membership(random, shape):
    """1 where a token is of a document; some tokens are of none."""
    return torch.nn.functional.one_hot(documents(random, shape[:-1]) + 1, shape[-1] + 1)[..., 1:]


@row("found_in_the_middle_attention_calibratio", sizes={"N": 23, "S": 3}, draws={"own": membership})
def found_in_the_middle(q, k, v, own, dummy, t):
    p, empty, member = softmax_causal(q, k), softmax_causal(q, dummy), own[:, None]
    mass, bias = p @ member, empty @ member
    there = mass > 0
    a = softmax((mass - bias) / t, there) * mass.sum(-1, keepdim=True)
    factor = torch.where(there, a / torch.where(there, mass, 1), 0)
    placed = own.sum(-1)[:, None, None] > 0
    return attend(p * torch.where(placed, factor @ member.mT, 1), v)


@row("affine_scaled_attention", sizes={"C": 5, "N": 17})
def affine_scaled(q, k, v, x, scale, shift):
    alpha = (x @ scale.T).mT.sigmoid()[..., None]
    beta = (x @ shift.T).mT[..., None]
    return alpha * attend(softmax_causal(q, k), v) + beta * heads(v, q.shape[1]).cumsum(2)


def sharp(random, shape):
    return 3 * torch.randn(shape, generator=random)


@row(
    "clipped_softmax_gated_attention",
    "clipped_softmax",
    parameters={"low": -0.1, "high": 1.2},
    draws={"q": sharp},
    sizes={"N": 17},
)
def clipped_softmax(q, k, v, low, high, causal):
    p = softmax_causal(q, k) if causal else scores(q, k).softmax(-1)
    stretched = ((high - low) * p + low).clamp(0, 1)
    return attend(stretched.tril() if causal else stretched, v)


@row("clipped_softmax_gated_attention", "gated", parameters={"causal": True}, sizes={"C": 5, "N": 17})
def gated(q, k, v, x, w, c, causal):
    p = softmax_causal(q, k) if causal else scores(q, k).softmax(-1)
    return torch.sigmoid((x @ w.T + c).mT)[..., None] * attend(p, v)


@row("cog_attention", sizes={"N": 17})
def cog(q, k, v, base):
    place = torch.arange(q.shape[2])
    s = scores(rotate(q, place, base), rotate(k, place, base))
    return attend(s.sign() * softmax(s.abs(), causal(q.shape[2]).expand_as(s)), v)


@row("deconstructed_attention_variants", "approximate", sizes={"N": 17})
def approximate(q, k, v):
    x, y = (torch.nn.functional.elu(z) + 1 for z in (q, heads(k, q.shape[1])))
    return attend(divided((x @ y.mT).tril()), v)


def projected(x, w):
    """[…, N, C] by [H, D, C] -> […, H, N, D]."""
    return x[..., None, :, :] @ w.mT


@row(
    "deconstructed_attention_variants",
    "random_embeddings",
    sizes={"C": 5, "N": 17, "T": 7},
    draws={"token": below(7)},
)
def random_embeddings(token, table, wq, wk, v):
    x = table[token]
    return attend(softmax_causal(projected(x, wq), projected(x, wk)), v)


@row("deconstructed_attention_variants", "fixed_sequence", sizes={"C": 5, "N": 17})
def fixed_sequence(r, wq, wk, v):
    p = softmax_causal(projected(r, wq)[None], projected(r, wk)[None])
    return p @ v


@row("deconstructed_attention_variants", "static_embeddings", sizes={"C": 5, "N": 17})
def static_embeddings(x0, x, wq, wk, wv):
    return attend(softmax_causal(projected(x0, wq), projected(x0, wk)), projected(x, wv))


@row("deconstructed_attention_variants", "unmixed", sizes={"C": 5, "F": 7, "N": 17})
def unmixed(x, w1, w2):
    return torch.nn.functional.gelu(x @ w1.T) @ w2.T


@row("masked_mixers", sizes={"N": 17})
def masked_mixers(w, c, v):
    return torch.einsum("hij,bhje->bhie", w.tril(), v) + c[..., None]


@row("spectral_dictionary_token_mixing", sizes={"C": 5, "K": 7, "N": 17})
def spectral_dictionary(x, w, amplitude, frequency, phase):
    place = torch.arange(x.shape[1], dtype=x.dtype)[:, None] / x.shape[1]
    atoms = amplitude * torch.sin(2 * math.pi * frequency * place + phase)
    return torch.einsum("bnc,kc,kne->bne", x, w, atoms)


@row("hiif_multi_head_linear_attention")
def galerkin(q, k, v):
    state = heads(standard(k), q.shape[1]).mT @ heads(standard(v), q.shape[1])
    return q @ state / k.shape[2]


@row("imbalanced_attention_fix", sizes={"N": 17})
def imbalanced(q, k, v, visual, near, wide, keep, gain):
    p = softmax_causal(q, k)
    chosen = torch.zeros_like(visual)
    for value in (near, wide):
        best = value.masked_fill(~visual, -torch.inf).topk(keep, -1).indices
        chosen = chosen | torch.zeros_like(visual).scatter(1, best, True)
    chosen = (chosen & visual)[:, None, None]
    share = (p * visual[:, None, None]).sum(-1).mean(-1)
    return attend(divided(p * (1 + gain * share[..., None, None] * chosen)), v)
