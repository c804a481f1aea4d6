"""The attentions whose speed is measured: what each is given, which pairs it has, and how FlexAttention says it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest

import attnc

from .. import peers
from ..cases import CAP, causal, sliding
from ..peers import Flex, Inputs, Visible
from ..specs import SOFTCAP, example, from_text
from .outcomes import Task

WINDOW = 4096
"""The default of examples/sliding.attn."""
Pairs = Callable[[int], int]
FlexAct = Callable[[Inputs, Flex], Callable[[], Tensor]]


@dataclass(frozen=True)
class Sizes:
    """B batch entries of H heads, N positions, D features."""

    B: int
    H: int
    N: int
    D: int

    @classmethod
    def of(cls, task: Task) -> Sizes:
        return cls(*(task[name] for name in "BHND"))


@dataclass(frozen=True)
class Mechanism:
    """`visible` is None where all pairs exist, `pairs` counts those of one head. `is_causal` is what SDPA is told; None
    where SDPA has no such attention. `flex` is a text where FlexAttention has none."""

    name: str
    attention: Callable[[], attnc.Attention]
    pairs: Pairs
    visible: Callable[[Inputs], Visible] | None
    flex: FlexAct | str
    is_causal: bool | None = None
    extra: Callable[[Sizes, str], Inputs] = lambda sizes, device: {}

    def inputs(self, sizes: Sizes, dtype: torch.dtype, device: str) -> Inputs:
        """q, k, v, which have gradients, and the rest, which has none, by name in the order of the spec's inputs."""
        random = torch.Generator(device).manual_seed(0)
        shape = (sizes.B, sizes.H, sizes.N, sizes.D)
        main = {n: torch.randn(shape, generator=random, device=device).to(dtype).requires_grad_() for n in "qkv"}
        return main | {name: t.to(dtype) for name, t in self.extra(sizes, device).items()}

    def operations(self, sizes: Sizes, products: int) -> float:
        """Floating-point operations of so many matrix products over the pairs that exist: 2 forward, 5 backward."""
        return 2.0 * products * sizes.B * sizes.H * sizes.D * self.pairs(sizes.N)


def all_pairs(n: int) -> int:
    return n * n


def window_pairs(window: int, n: int) -> int:
    """Pairs with j <= i < j + window."""
    short = min(n, window)
    return short * (short + 1) // 2 + (n - short) * window


def causal_pairs(n: int) -> int:
    return window_pairs(n, n)


def _slopes(sizes: Sizes, device: str) -> Inputs:
    """The geometric slopes of the paper."""
    return {"slope": 2.0 ** (-8.0 * (torch.arange(sizes.H, device=device) + 1) / sizes.H)}


def _biases(sizes: Sizes, device: str) -> Inputs:
    return {"bias": torch.full((sizes.H,), -math.log(sizes.N), device=device)}


def _sinks(sizes: Sizes, device: str) -> Inputs:
    return {"sink": torch.linspace(-1, 1, sizes.H, device=device)}


def _flex_alibi(x: Inputs, flex: Flex) -> Callable[[], Tensor]:
    """A narrow slope times an integer distance would be a narrow number: the slope is widened."""
    return peers.flex_alibi({**x, "slope": x["slope"].float()}, flex)


def _flex_sink(x: Inputs, flex: Flex) -> Callable[[], Tensor]:
    """A sink multiplies a row by exp(lse) / (exp(lse) + exp(sink)), by a kernel of its own after FlexAttention."""
    compiled = torch.compile(_with_sink, dynamic=False) if x["q"].is_cuda else _with_sink

    def act() -> Tensor:
        out, aux = flex(x["q"], x["k"], x["v"], return_aux=AuxRequest(lse=True))
        found: Tensor = compiled(out, aux.lse, x["sink"])
        return found

    return act


def _with_sink(out: Tensor, lse: Tensor, sink: Tensor) -> Tensor:
    return out * torch.sigmoid(lse - sink[:, None]).to(out.dtype)[..., None]


def _mechanisms() -> list[Mechanism]:
    cap, window = peers.flex_softcap(CAP), sliding(WINDOW)
    return [
        Mechanism("full", lambda: example("cross"), all_pairs, None, peers.flex_plain, is_causal=False),
        Mechanism("causal", lambda: example("causal"), causal_pairs, causal, peers.flex_plain, is_causal=True),
        Mechanism("window", lambda: example("sliding"), partial(window_pairs, WINDOW), window, cap),
        Mechanism("softcap", lambda: from_text(SOFTCAP), causal_pairs, causal, cap),
        Mechanism("alibi", lambda: example("alibi"), causal_pairs, causal, _flex_alibi, extra=_slopes),
        Mechanism("sigmoid", lambda: example("sigmoid"), all_pairs, None, "not a softmax", extra=_biases),
        Mechanism("sink", lambda: example("sink"), causal_pairs, causal, _flex_sink, extra=_sinks),
    ]


MECHANISMS = {mechanism.name: mechanism for mechanism in _mechanisms()}
