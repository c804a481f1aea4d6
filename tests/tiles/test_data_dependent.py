"""Masks that read tensors: tiles are told by summaries, in both orientations; none with pairs is lost, few are visited
for nothing, and results are those of the dense meaning."""

import math

import numpy as np
import pytest
import torch

import attnc
from attnc.codegen.cpp.blocks import choose_blocks
from attnc.codegen.cpp.names import Names
from attnc.codegen.statements import RunPass
from attnc.ir.host import encode, evaluate

from .test_visits import visits_of

B, H, G, M, N, D = 2, 4, 2, 700, 900, 16


def integers(low, high, *shape, seed=0):
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def documents(length):
    """Consecutive documents of many lengths, in order."""
    return (torch.rand(B, length, generator=torch.Generator().manual_seed(1)) < 0.02).long().cumsum(-1)


def numbers(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def some(share, *shape, seed=0):
    return numbers(*shape, seed=seed) < share


# declarations, the condition, tensors, how many tiles may be visited for one that holds pairs
MASKS = {
    "documents": ("d[B, M]: int, e[B, N]: int", "d[i] == e[j]", {"d": documents(M), "e": documents(N)}, 1.1),
    "documents and causal": (
        "d[B, M]: int, e[B, N]: int",
        "d[i] == e[j] and j <= i",
        {"d": documents(M), "e": documents(N)},
        1.1,
    ),
    "documents in a window": (
        "d[B, M]: int, e[B, N]: int",
        "d[i] == e[j] and abs(i - j) <= 60",
        {"d": documents(M), "e": documents(N)},
        1.3,
    ),
    "unsorted documents": (
        "d[B, M]: int, e[B, N]: int",
        "d[i] == e[j]",
        {"d": integers(0, 9, B, M), "e": integers(0, 9, B, N)},
        1.01,
    ),
    "lengths": ("n[B]: int", "j < n[b]", {"n": torch.tensor([130, 700])}, 1.0),
    "starts of rows": ("since[B, M]: int", "j >= since[i]", {"since": integers(0, N, B, M)}, 1.0),
    "ends of keys": ("until[B, N]: int", "i < until[j]", {"until": integers(0, M, B, N).sort(-1).values}, 1.05),
    "times": (
        "asked[B, M], made[B, N]",
        "made[j] <= asked[i]",
        {"asked": numbers(B, M).sort(-1).values, "made": numbers(B, N, seed=1).sort(-1).values},
        1.05,
    ),
    "times the other way": (
        "asked[B, M], made[B, N]",
        "not made[j] <= asked[i]",
        {"asked": numbers(B, M).sort(-1).values, "made": numbers(B, N, seed=1).sort(-1).values},
        1.05,
    ),
    "valid keys": ("valid[B, N]: bool", "valid[j]", {"valid": some(0.5, B, N) & (torch.arange(N) < 300)}, 1.0),
    "queries that see nothing": (
        "valid[B, M]: bool",
        "valid[i] and j <= i",
        {"valid": some(0.5, B, M) & (torch.arange(M) > 300)},
        1.0,
    ),
    "windows of heads": ("w[H]: int", "abs(i - j) <= w[h]", {"w": torch.tensor([3, 50, 200, 900])}, 1.0),
    "chosen blocks": (
        "chosen[B, H, 11, 15]: bool",
        "chosen[i // 64, j // 64]",
        {"chosen": some(0.1, B, H, 11, 15)},
        1.0,
    ),
    "lists of blocks": (
        "there[B, H, 11, 3]: int",
        "j // 64 in there[i // 64]",
        {"there": integers(0, 15, B, H, 11, 3)},
        1.5,
    ),
    "two segments": (
        "a[B, M]: int, c[B, N]: int",
        "a[i] == 0 and c[j] == 0 or a[i] == 1 and c[j] == 1",
        {
            "a": (torch.arange(M) > 300).long().repeat(B, 1),
            "c": (torch.arange(N) > 500).long().repeat(B, 1),
        },
        1.05,
    ),
    "sinks and documents": (
        "d[B, M]: int, e[B, N]: int",
        "d[i] == e[j] or j < 4",
        {"d": documents(M), "e": documents(N)},
        1.1,
    ),
}


def build(declared, condition):
    return attnc.loads(f"attention a\ninput {declared}\nmask {condition}")


def pairs(condition, given, b, h):
    """The mask of one head, by numpy."""
    i, j = np.meshgrid(np.arange(M), np.arange(N), indexing="ij")
    local = {}
    for name, tensor in given.items():
        table = tensor.numpy()
        is_of_batch = (table.shape[0] == B and table.ndim > 1) or name == "n"
        table = table[b] if is_of_batch else table
        local[name] = table[h] if table.ndim and table.shape[0] == H else table
    if condition == "j // 64 in there[i // 64]":
        return (local["there"][i // 64] == (j // 64)[..., None]).any(-1)
    text = {"j < n[b]": "j < n", "abs(i - j) <= w[h]": "abs(i - j) <= w"}.get(condition, condition)
    for word, sign in ((" and ", ") & ("), (" or ", ") | ("), ("not ", "~(")):
        text = text.replace(word, sign)
    text = f"({text})" + (")" if "~(" in text else "")
    if " or " in condition and " and " in condition:
        left, right = condition.split(" or ")
        text = " | ".join("((" + part.replace(" and ", ") & (") + "))" for part in (left, right))
    found = eval(text, {"__builtins__": {}, "abs": abs}, {**local, "i": i, "j": j})
    return np.broadcast_to(found, i.shape)


def tensors():
    random = torch.Generator().manual_seed(3)
    shapes = [(B, H, M, D), (B, G, N, D), (B, G, N, D)]
    return [torch.randn(shape, generator=random).requires_grad_() for shape in shapes]


def visits(spec, inputs, given):
    """(plan, tiles counted) forward and backward."""
    return visits_of(
        spec, tuple(given.get(item.name, inputs["qkv".find(item.name)]) for item in spec.card().inputs), {}
    )


def tiles(spec, plan, condition, given):
    """(tiles with pairs, tiles with all pairs) of the plan's passes."""
    total = []
    for run in (stage for stage in spec.derivation().statements(plan).stages if isinstance(stage, RunPass)):
        blocks = choose_blocks(Names("float", {"D": D, "E": D}, {}, {}), run)
        with_pairs = full = 0
        for b in range(B):
            for h in range(H):
                mask = pairs(condition, given, b, h)
                mask = mask if run.loop.size.attribute == "N" else mask.T
                for first_row in range(0, mask.shape[0], blocks.rows):
                    for first in range(0, mask.shape[1], blocks.columns):
                        tile = mask[first_row : first_row + blocks.rows, first : first + blocks.columns]
                        with_pairs += tile.any()
                        full += tile.all() and tile.shape[1] == blocks.columns
        total.append((with_pairs, full))
    return total


@pytest.mark.parametrize("name", MASKS)
def test_results_and_visits(name):
    declared, condition, given, slack = MASKS[name]
    spec = build(declared, condition)
    q, k, v = tensors()
    found = spec(q, k, v, **given)
    mask = torch.stack(
        [torch.stack([torch.from_numpy(pairs(condition, given, b, h).copy()) for h in range(H)]) for b in range(B)]
    )
    s = (q @ k.repeat_interleave(H // G, 1).mT) / D**0.5
    weights = torch.softmax(s.masked_fill(~mask, -1e30), -1) * mask
    wanted = weights @ v.repeat_interleave(H // G, 1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    cotangent = torch.randn(found.shape, generator=torch.Generator().manual_seed(4))
    for ours, theirs in zip(
        torch.autograd.grad(found, (q, k, v), cotangent), torch.autograd.grad(wanted, (q, k, v), cotangent)
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    for plan, counts in visits(spec, (q, k, v), given):
        told = [(full + partial, full) for full, partial in counts if full + partial]
        for (visited, full), (with_pairs, whole) in zip(told, tiles(spec, plan, condition, given), strict=True):
            assert with_pairs <= visited <= slack * with_pairs and full <= whole


def test_not_a_number_leaves_tiles_partial():
    """A time that is no number is before and after none, in both forms of the comparison."""
    given = {"asked": numbers(B, M), "made": numbers(B, N, seed=1)}
    given["made"][:, ::7] = float("nan")
    q, k, v = (tensor.detach() for tensor in tensors())
    for condition in ("made[j] <= asked[i]", "not made[j] <= asked[i]", "made[j] < asked[i]", "not made[j] < asked[i]"):
        declared = MASKS["times"][0]
        spec = build(declared, condition)
        torch.testing.assert_close(spec(q, k, v, **given), spec.reference(q, k, v, **given), rtol=1e-4, atol=1e-5)


def test_nothing_is_made_again_when_a_mask_changes():
    """Other documents, lengths and windows: no kernel is built and no spec is analysed."""
    declared, condition, given, _ = MASKS["documents"]
    spec = build(declared, condition)
    q, k, v = (tensor.detach() for tensor in tensors())
    spec(q, k, v, **given)
    kernels = dict(spec.__dict__["_caller"].kernels)
    others = {"d": integers(0, 5, B, M - 3), "e": integers(0, 5, B, N - 5)}
    found = spec(q[:, :, 3:], k[:, :, 5:], v[:, :, 5:], **others)
    assert spec.__dict__["_caller"].kernels == kernels
    torch.testing.assert_close(
        found, spec.reference(q[:, :, 3:], k[:, :, 5:], v[:, :, 5:], **others), rtol=1e-4, atol=1e-5
    )


def test_summaries_grow_with_the_length_alone():
    derivation = build(*MASKS["documents"][:2]).derivation()
    plan = derivation.plan_forward(())
    summaries = [axes for tensor, axes in plan.temporaries if tensor.origin == "summary"]
    assert len(summaries) == 6  # least and largest: of queries, of keys, and of runs of tiles
    long = {"B": 1, "M": 1 << 20, "N": 1 << 20}
    entries = [math.prod(evaluate(encode(axis.size), long) for axis in axes) for axes in summaries]
    assert 8 * sum(entries) < 2 << 20  # bytes
