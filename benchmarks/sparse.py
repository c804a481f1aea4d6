"""Masks that leave few pairs: what a pair costs, the same in FlexAttention, and what it takes to find the tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, astuple, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from .cases import Sizes, mechanisms
from .specs import WINDOW, example, from_text
from .timing import Act, Effort, Ratio, compare, measure
from .variants import Variant, measure_all

GOAL_PAIR = 1.5
CAUSAL = "causal, a pair"
DOCUMENTS = "attention documents\naxis i, j: N\ninput doc[B, N]: int\nmask doc[i] == doc[j] and j <= i\n"
GRID = """attention grid(rows: int = 64, cols: int = 64, radius: int = 6)
axis i, j: {y: rows, x: cols}
mask abs(i.y - j.y) <= radius and abs(i.x - j.x) <= radius
"""
ONE_ROW = "attention tiles\ninput doc[B, N]: int, own[B, M]: int\nmask own[i] == doc[j]\n"
Predicate = Callable[..., Any]


def measure_pairs(sizes: Sizes, effort: Effort) -> list[Variant]:
    """What a pair costs under masks that leave few of them, times what one of causal attention costs."""
    plain = tuple(mechanisms()["causal"].inputs(sizes, torch.float32).values())
    documents = _documents(sizes.N, sizes.N // 16)
    within = from_text(DOCUMENTS)
    windowed, width = from_text(WINDOW), sizes.N // 32
    lengths = documents.unique(return_counts=True)[1]
    pairs = {
        CAUSAL: sizes.N * (sizes.N + 1) // 2,
        "packed documents, a pair": int((lengths * (lengths + 1) // 2).sum()),
        f"causal window of {width}, a pair": sizes.N * width - width * (width - 1) // 2,
    }
    calls: dict[str, Callable[..., Tensor]] = {
        CAUSAL: example("causal"),
        "packed documents, a pair": lambda *tensors: within(*tensors, documents.expand(sizes.B, -1)),
        f"causal window of {width}, a pair": lambda *tensors: windowed(*tensors, window=width),
    }
    found = measure_all(calls, dict.fromkeys(calls, plain), sizes, effort)
    shares = [pairs[CAUSAL] / pairs[one.over] for one in found]
    each = [Ratio(*(share * x for x in astuple(one.ratio))) for one, share in zip(found, shares)]
    return [replace(one, ratio=ratio, goal=GOAL_PAIR) for one, ratio in zip(found, each)]


def measure_beside_flex(side: int, length: int, effort: Effort, is_compiled: bool) -> list[Variant]:
    """A window over a text and one over a square grid, forward, over the same in FlexAttention, tokens as they come."""
    window, radius = min(256, length // 4), 6
    grid = from_text(GRID)
    attention = from_text(WINDOW)

    def near(b: Any, h: Any, i: Any, j: Any) -> Any:
        return ((i // side - j // side).abs() <= radius) & ((i % side - j % side).abs() <= radius)

    def recent(b: Any, h: Any, i: Any, j: Any) -> Any:
        return (j <= i) & (i - j < window)

    square = Sizes(1, 8, side * side, 64)
    return [
        _beside(f"window of {window}", Sizes(1, 4, length, 64), partial(attention, window=window), recent, 1 / 3,
                effort, is_compiled),
        _beside(f"{2 * radius + 1} by {2 * radius + 1} of a grid of {side} by {side}", square,
                partial(grid, rows=side, cols=side, radius=radius), near, 1 / 5, effort, is_compiled),
    ]  # fmt: skip


def _beside(
    name: str, sizes: Sizes, ours: Any, seen: Predicate, goal: float, effort: Effort, is_compiled: bool
) -> Variant:
    inputs = tuple(torch.randn(sizes.B, sizes.H, sizes.N, sizes.D) for _ in "qkv")
    mask = create_block_mask(seen, None, None, sizes.N, sizes.N, device="cpu")
    torch._dynamo.reset()  # so that no mask meets the limit on recompilations of another
    function = torch.compile(flex_attention, dynamic=False) if is_compiled else flex_attention
    theirs: Any = partial(function, block_mask=mask)
    torch.testing.assert_close(ours(*inputs), theirs(*inputs), rtol=1e-3, atol=1e-4)
    under = "the same in FlexAttention" + ("" if is_compiled else ", not compiled")
    acts: dict[str, Act] = {under: lambda: theirs(*inputs), name: lambda: ours(*inputs)}
    return _variant(name, under, sizes, "forward", acts, effort, goal)


def measure_tiles(length: int, shorter: int, effort: Effort) -> list[Variant]:
    """What it takes to know the tiles of packed documents: one query over all keys, all of whose tiles but those of its
    document are left out; over FlexAttention's block mask of a text that is shorter."""
    documents = _documents(length, 512)[None]
    few = _documents(shorter, 512)
    query, keys = torch.randn(1, 1, 1, 16), torch.randn(1, 1, length, 16)
    own = documents[:, length // 2 : length // 2 + 1]
    attention = from_text(ONE_ROW)
    name = f"the tiles of {length} tokens"
    under = f"FlexAttention's block mask of {shorter} tokens"
    acts: dict[str, Act] = {
        under: lambda: create_block_mask(
            lambda b, h, i, j: (few[i] == few[j]) & (j <= i), None, None, shorter, shorter, device="cpu"
        ),
        name: lambda: attention(query, keys, keys, documents, own),
    }
    return [_variant(name, under, Sizes(1, 1, length, 16), "forward", acts, effort, None)]


def _variant(
    over: str, under: str, sizes: Sizes, direction: str, acts: dict[str, Act], effort: Effort, goal: float | None
) -> Variant:
    times = measure(acts, effort)
    milliseconds = {name: 1000 * sorted(each)[len(each) // 2] for name, each in times.items()}
    return Variant(over, under, asdict(sizes), direction, compare(times[over], times[under]), milliseconds, goal)


def _documents(length: int, mean: int) -> Tensor:
    """The number of each position's document: consecutive ones of random lengths."""
    random = torch.Generator().manual_seed(0)
    starts = torch.randperm(length - 1, generator=random)[: length // mean - 1] + 1
    return torch.zeros(length, dtype=torch.int64).index_fill_(0, starts, 1).cumsum(0)
