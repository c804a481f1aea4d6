"""What is compared: mechanisms with their inputs and peers, and the sizes and dtypes that they are measured at."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import attnc

from . import peers
from .peers import Inputs, Peers, Visible
from .specs import example

CAP = 50.0
FORWARD, BACKWARD, BOTH = "forward", "backward", "forward + backward"


@dataclass(frozen=True)
class Sizes:
    """B batch entries of H heads, N positions, D features."""

    B: int
    H: int
    N: int
    D: int


@dataclass(frozen=True)
class Mechanism:
    """An attention, what it is given beyond q, k and v, which pairs it has (None: all), and its peers."""

    name: str
    attention: Callable[[], attnc.Attention]
    peers: Peers
    visible: Callable[[Inputs], Visible] | None
    extra: Callable[[Sizes, torch.Generator], Inputs] = lambda sizes, generator: {}
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def inputs(self, sizes: Sizes, dtype: torch.dtype, seed: int = 0) -> Inputs:
        """q, k, v and the rest, by name in the order of the spec's inputs."""
        generator = torch.Generator().manual_seed(seed)
        shape = (sizes.B, sizes.H, sizes.N, sizes.D)
        found = {name: torch.randn(shape, generator=generator) for name in "qkv"}
        found |= self.extra(sizes, generator)
        return {name: t.to(dtype) if t.is_floating_point() else t for name, t in found.items()}

    def mask(self, inputs: Inputs) -> Tensor | None:
        """The pairs that exist, [1 or B, 1, N, N]."""
        if self.visible is None:
            return None
        batch, heads, length, _ = inputs["q"].shape
        b, h = torch.arange(batch)[:, None, None, None], torch.arange(heads)[:, None, None]
        i, j = torch.arange(length)[:, None], torch.arange(length)[None, :]
        found: Tensor = self.visible(inputs)(b, h, i, j)
        return found if found.dim() == 4 else found[None, None]


@dataclass(frozen=True)
class Case:
    """A mechanism at given sizes; `directions` are those beyond the forward that have rows. `only_sdpa` leaves out
    eager code, which may hold too many pairs, and FlexAttention, which takes long to compile for each size."""

    mechanism: Mechanism
    sizes: Sizes
    dtype: torch.dtype = torch.float32
    directions: tuple[str, ...] = (BOTH,)
    only_sdpa: bool = False


# --- which pairs exist ---------------------------------------------------------------------------------------------


def causal(x: Inputs) -> Visible:
    return lambda b, h, i, j: j <= i


def sliding(window: int) -> Callable[[Inputs], Visible]:
    return lambda x: lambda b, h, i, j: (j <= i) & (i - j < window)


def prefix(x: Inputs) -> Visible:
    lengths = x["prefix"]
    return lambda b, h, i, j: (j <= i) | (j < lengths[b])


def documents(x: Inputs) -> Visible:
    doc = x["doc"]
    return lambda b, h, i, j: (j <= i) & (doc[b, i] == doc[b, j])


# --- further inputs ------------------------------------------------------------------------------------------------


def _slopes(sizes: Sizes, generator: torch.Generator) -> Inputs:
    """The geometric slopes of the paper."""
    return {"slope": 2.0 ** (-8.0 * (torch.arange(sizes.H) + 1) / sizes.H)}


def _prefix(sizes: Sizes, generator: torch.Generator) -> Inputs:
    return {"prefix": torch.full((sizes.B,), sizes.N // 4)}


def _documents(sizes: Sizes, generator: torch.Generator) -> Inputs:
    """Four documents, of a half, a quarter and twice an eighth of the sequence."""
    ends = torch.tensor([sizes.N // 2, 3 * sizes.N // 4, 7 * sizes.N // 8])
    return {"doc": (torch.arange(sizes.N)[:, None] >= ends).sum(-1).expand(sizes.B, -1).contiguous()}


def _biases(sizes: Sizes, generator: torch.Generator) -> Inputs:
    return {"bias": torch.full((sizes.H,), -math.log(sizes.N))}


def _second(sizes: Sizes, generator: torch.Generator) -> Inputs:
    shape = (sizes.B, sizes.H, sizes.N, sizes.D)
    second = {name: torch.randn(shape, generator=generator) for name in ("q2", "k2")}
    return {**second, "lam": torch.full((sizes.H,), 0.5)}


def _table(sizes: Sizes, generator: torch.Generator) -> Inputs:
    return {"table": torch.randn((32, sizes.H), generator=generator)}


def mechanisms(window: int = 256) -> dict[str, Mechanism]:
    """All of them by name; `window` is that of the sliding one."""
    no_softmax = "not a softmax"
    plain = peers.flex_plain
    masked = Peers(peers.eager_softmax, peers.sdpa_masked, plain)
    t5 = Peers(peers.eager_t5, peers.sdpa_t5, peers.flex_t5)
    cap = Peers(peers.eager_softcap(CAP), "changes scores other than by a bias", peers.flex_softcap(CAP))
    two = Peers(peers.eager_differential, peers.sdpa_differential, peers.flex_differential)
    given = {"window": window, "cap": CAP}
    found = [
        Mechanism("full", lambda: example("cross"), Peers(peers.eager_softmax, peers.sdpa_full, plain), None),
        Mechanism("causal", lambda: example("causal"), Peers(peers.eager_softmax, peers.sdpa_causal, plain), causal),
        Mechanism("sliding", lambda: example("sliding"), cap, sliding(window), parameters=given),
        Mechanism(
            "alibi",
            lambda: example("alibi"),
            Peers(peers.eager_alibi, peers.sdpa_alibi, peers.flex_alibi),
            causal,
            _slopes,
        ),
        Mechanism("prefix_lm", lambda: example("prefix_lm"), masked, prefix, _prefix),
        Mechanism("documents", lambda: example("documents"), masked, documents, _documents),
        Mechanism("t5_decoder", lambda: example("t5", "t5_decoder"), t5, causal, _table),
        Mechanism("differential", lambda: example("differential"), two, causal, _second),
        Mechanism(
            "sigmoid", lambda: example("sigmoid"), Peers(peers.eager_sigmoid, no_softmax, no_softmax), None, _biases
        ),
    ]
    return {mechanism.name: mechanism for mechanism in found}


def cases(quick: bool) -> list[Case]:
    """The rows of the table. A quick run takes every path that needs no long compilation."""
    if quick:
        known = mechanisms(window=16)
        every = (BACKWARD, BOTH)
        return [Case(known[name], Sizes(1, 2, 64, 16), directions=every) for name in ("causal", "sliding")]
    known = mechanisms()
    usual = Sizes(1, 8, 2048, 64)
    found = [Case(mechanism, usual) for name, mechanism in known.items() if name not in _PLAIN]
    plain = [
        Case(known[name], sizes, dtype, (BACKWARD, BOTH), sizes != usual)
        for sizes in (usual, *_MORE)
        for dtype in (torch.float32, torch.bfloat16)
        for name in _PLAIN
    ]
    return plain + found


_PLAIN = ("full", "causal")
_MORE = (
    Sizes(1, 8, 1024, 64),
    Sizes(1, 4, 4096, 64),
    Sizes(1, 2, 16384, 64),
    Sizes(1, 8, 1024, 128),
    Sizes(1, 4, 4096, 128),
    Sizes(64, 8, 128, 64),
)
