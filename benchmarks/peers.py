"""How a user of torch would compute the same attention: eagerly, with SDPA, with compiled FlexAttention.

All take the inputs by name and the pairs that exist, [1 or B, 1 or H, N, N], or None for all of them. Masks of
booleans and block masks are made before anything is timed; learned biases are made in every call, as training has to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Inputs = dict[str, Tensor]
Compute = Callable[[Inputs, Tensor | None], Tensor]
"""(inputs, pairs that exist) -> out."""
Visible = Callable[[Any, Any, Any, Any], Any]
"""(b, h, i, j) -> whether the pair exists: FlexAttention's `mask_mod`, and, with index tensors, a dense mask."""
Score = Callable[[Any, Any, Any, Any, Any], Any]
"""(score, b, h, i, j) -> score: FlexAttention's `score_mod`."""
Flex = Callable[..., Tensor]
"""FlexAttention with its block mask already given: (q, k, v, score_mod=None, scale=None)."""


@dataclass(frozen=True)
class Peers:
    """Three ways to compute an attention; a text where one cannot, which says why."""

    eager: Compute
    sdpa: Compute | str
    flex: Callable[[Inputs, Flex], Callable[[], Tensor]] | str


# --- eager ---------------------------------------------------------------------------------------------------------


def scores(q: Tensor, k: Tensor) -> Tensor:
    return (q @ k.mT) * (1 / math.sqrt(q.shape[-1]))


def weights(s: Tensor, visible: Tensor | None) -> Tensor:
    return (s if visible is None else s.masked_fill(~visible, -math.inf)).softmax(-1)


def eager_softmax(x: Inputs, visible: Tensor | None) -> Tensor:
    return weights(scores(x["q"], x["k"]), visible) @ x["v"]


def eager_alibi(x: Inputs, visible: Tensor | None) -> Tensor:
    n = x["q"].shape[-2]
    return weights(scores(x["q"], x["k"]) - x["slope"][:, None, None] * distances(n), visible) @ x["v"]


def eager_softcap(cap: float) -> Compute:
    def compute(x: Inputs, visible: Tensor | None) -> Tensor:
        return weights(cap * torch.tanh(scores(x["q"], x["k"]) / cap), visible) @ x["v"]

    return compute


def eager_sigmoid(x: Inputs, visible: Tensor | None) -> Tensor:
    return torch.sigmoid(scores(x["q"], x["k"]) + x["bias"][:, None, None]) @ x["v"]


def eager_differential(x: Inputs, visible: Tensor | None) -> Tensor:
    first = weights(scores(x["q"], x["k"]), visible)
    return (first - x["lam"][:, None, None] * weights(scores(x["q2"], x["k2"]), visible)) @ x["v"]


def eager_t5(x: Inputs, visible: Tensor | None) -> Tensor:
    return weights(x["q"] @ x["k"].mT + t5_bias(x), visible) @ x["v"]


# --- torch's SDPA --------------------------------------------------------------------------------------------------


def sdpa_full(x: Inputs, visible: Tensor | None) -> Tensor:
    return F.scaled_dot_product_attention(x["q"], x["k"], x["v"])


def sdpa_causal(x: Inputs, visible: Tensor | None) -> Tensor:
    return F.scaled_dot_product_attention(x["q"], x["k"], x["v"], is_causal=True)


def sdpa_masked(x: Inputs, visible: Tensor | None) -> Tensor:
    return F.scaled_dot_product_attention(x["q"], x["k"], x["v"], attn_mask=visible)


def sdpa_alibi(x: Inputs, visible: Tensor | None) -> Tensor:
    n = x["q"].shape[-2]
    return _sdpa_biased(x, -x["slope"][:, None, None] * distances(n), visible, None)


def sdpa_t5(x: Inputs, visible: Tensor | None) -> Tensor:
    return _sdpa_biased(x, t5_bias(x), visible, 1.0)


def _sdpa_biased(x: Inputs, bias: Tensor, visible: Tensor | None, scale: float | None) -> Tensor:
    whole = (bias if visible is None else bias.masked_fill(~visible, -math.inf)).expand(x["q"].shape[0], -1, -1, -1)
    return F.scaled_dot_product_attention(x["q"], x["k"], x["v"], attn_mask=whole, scale=scale)


def sdpa_differential(x: Inputs, visible: Tensor | None) -> Tensor:
    second = F.scaled_dot_product_attention(x["q2"], x["k2"], x["v"], is_causal=True)
    return sdpa_causal(x, visible) - x["lam"][:, None, None] * second


# --- FlexAttention -------------------------------------------------------------------------------------------------


def flex_plain(x: Inputs, flex: Flex) -> Callable[[], Tensor]:
    return lambda: flex(x["q"], x["k"], x["v"])


def flex_alibi(x: Inputs, flex: Flex) -> Callable[[], Tensor]:
    slope = x["slope"]

    def score(s: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
        return s - slope[h] * (i - j)

    return lambda: flex(x["q"], x["k"], x["v"], score_mod=score)


def flex_softcap(cap: float) -> Callable[[Inputs, Flex], Callable[[], Tensor]]:
    def score(s: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
        return cap * torch.tanh(s / cap)

    return lambda x, flex: lambda: flex(x["q"], x["k"], x["v"], score_mod=score)


def flex_differential(x: Inputs, flex: Flex) -> Callable[[], Tensor]:
    lam = x["lam"][:, None, None]
    return lambda: flex(x["q"], x["k"], x["v"]) - lam * flex(x["q2"], x["k2"], x["v"])


def flex_t5(x: Inputs, flex: Flex) -> Callable[[], Tensor]:
    table = x["table"]
    bucket = t5_buckets(x["q"].shape[-2], len(table))[:, 0].contiguous()  # by distance

    def score(s: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
        return s + table[bucket[(i - j).clamp(min=0)], h]

    return lambda: flex(x["q"], x["k"], x["v"], score_mod=score, scale=1.0)


# --- what they share -----------------------------------------------------------------------------------------------


@cache
def distances(n: int) -> Tensor:
    """i - j, [N, N]."""
    return (torch.arange(n)[:, None] - torch.arange(n)).float()


@cache
def t5_buckets(n: int, buckets: int, far: int = 128) -> Tensor:
    """The bucket of each pair, [N, N]: one for each small distance, then logarithmic ones."""
    distance, exact = distances(n).clamp(min=0).double(), buckets // 2
    steps = torch.log(distance.clamp(min=1) / exact) / math.log(far / exact) * (buckets - exact)
    large = (exact + torch.floor(steps + 1e-9)).clamp(max=buckets - 1)
    return torch.where(distance < exact, distance, large).long()


def t5_bias(x: Inputs) -> Tensor:
    table = x["table"]
    return table[t5_buckets(x["q"].shape[-2], len(table))].permute(2, 0, 1)
