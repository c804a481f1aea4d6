"""Tiles that kernels really visit, counted by the kernels, against every pair of the mask."""

import ctypes

import numpy as np
import pytest
import torch

import attnc
from attnc.codegen.cpp.blocks import choose_blocks
from attnc.codegen.cpp.names import Names
from attnc.codegen.statements import RunPass
from attnc.runtime import token_orders

SIZES = {"B": 2, "H": 4, "G": 2, "M": 700, "N": 900, "D": 16, "E": 16}
MASKS = {
    "causal": ("j <= i", {}),
    "causal, aligned at the end": ("j - N <= i - M", {}),
    "window": ("j <= i and i - j < w", {"w": 130}),
    "window on both sides": ("abs(i - j) <= w", {"w": 100}),
    "offset": ("j <= i + w", {"w": 300}),
    "dilated": ("j <= i and (i - j) % 2 == 0 and i - j < w", {"w": 200}),
    "not causal": ("not j <= i", {}),
    "prefix": ("j <= i or j < prefix", {"prefix": torch.tensor([0, 310])}),
    "middle": ("j >= first and j < last", {"first": 200, "last": 650}),
}
DECLARED = {
    "w": "(w: int = 1)",
    "first": "(first: int = 0, last: int = 1)",
    "prefix": "",
}


@pytest.fixture(autouse=True)
def as_they_come(monkeypatch):
    """Tokens in the order of the caller, as the masks above are told."""
    monkeypatch.setattr(token_orders, "LEAST_TOKENS", 1 << 30)


def build(condition, given):
    parameters = next((DECLARED[name] for name in given), "")
    inputs = "\ninput prefix[B]: int" if "prefix" in given else ""
    return attnc.loads(f"attention a{parameters}{inputs}\nmask {condition}")


def pairs(condition, given, batch):
    i, j = np.meshgrid(np.arange(SIZES["M"]), np.arange(SIZES["N"]), indexing="ij")
    known = {name: int(x[batch]) if isinstance(x, torch.Tensor) else x for name, x in given.items()}
    for word, sign in ((" and ", ") & ("), (" or ", ") | ("), ("not ", "~")):
        condition = condition.replace(word, sign)
    names = {"i": i, "j": j, "M": SIZES["M"], "N": SIZES["N"], "abs": np.abs, **known}
    text = f"({condition})" if not condition.startswith("~") else f"~({condition[1:]})"
    return np.broadcast_to(eval(text, {"__builtins__": {}}, names), i.shape)


def tensors(given):
    random = torch.Generator().manual_seed(0)
    sizes = SIZES
    q = torch.randn(sizes["B"], sizes["H"], sizes["M"], sizes["D"], generator=random)
    k = torch.randn(sizes["B"], sizes["G"], sizes["N"], sizes["D"], generator=random)
    v = torch.randn(sizes["B"], sizes["G"], sizes["N"], sizes["E"], generator=random)
    return [t.requires_grad_() for t in (q, k, v)] + [x for x in given.values() if isinstance(x, torch.Tensor)]


def counted(prepared, available):
    counters = (ctypes.c_int64 * (2 * prepared.kernel.stages))()
    filled = prepared.run(available, ctypes.addressof(counters))
    return filled, list(zip(counters[::2], counters[1::2]))


def visits(spec, given):
    """Full and partial tiles that the forward and the backward count for each stage, and their plans."""
    inputs = tensors(given)
    numbers = {name: x for name, x in given.items() if not isinstance(x, torch.Tensor)}
    spec(*[t.detach() for t in inputs], **numbers)
    parameters = {p.name: numbers[p.name] for p in spec.card().parameters}
    return visits_of(spec, tuple(inputs), parameters)


def visits_of(spec, inputs, parameters):
    """The same for inputs in the order of the card, once the spec was called with them."""
    situation = spec.__dict__["_caller"].situation(spec.card(), inputs, parameters)
    named = {name: t.detach() for name, t in zip(situation.names, inputs)}
    filled, forward = counted(situation.forward, named)
    available = {**named, "d out": torch.ones_like(filled["out"])}
    available |= {kept.name: filled[kept.result or kept.name] for kept in situation.forward.kernel.kept}
    _, backward = counted(situation.backward(available), available)
    derivation = spec.derivation()
    gradient = derivation.gradient(("q", "k", "v"))
    return [(derivation.plan_forward(gradient.kept), forward), (derivation.plan_backward(gradient), backward)]


def expected(derivation, plan, condition, given):
    """(tiles with pairs, tiles with all pairs) of the plan's passes, over all their grids."""
    program = derivation.statements(plan)
    total = []
    for run in (stage for stage in program.stages if isinstance(stage, RunPass)):
        names = Names("float", {"D": SIZES["D"], "E": SIZES["E"]}, {}, {})
        blocks = choose_blocks(names, run)
        some = full = 0
        for batch in range(SIZES["B"]):
            mask = pairs(condition, given, batch)
            mask = mask if run.loop.size.attribute == "N" else mask.T
            for first_row in range(0, mask.shape[0], blocks.rows):
                for first in range(0, mask.shape[1], blocks.columns):
                    tile = mask[first_row : first_row + blocks.rows, first : first + blocks.columns]
                    some += tile.any()
                    full += tile.all() and tile.shape[1] == blocks.columns
        total.append((SIZES["H"] * some, SIZES["H"] * full))
    return total


@pytest.mark.parametrize("name", list(MASKS))
def test_empty_tiles_are_not_visited_and_full_ones_have_no_mask(name):
    condition, given = MASKS[name]
    spec = build(condition, given)
    for plan, counts in visits(spec, given):
        wanted = expected(spec.derivation(), plan, condition, given)
        found = [(full + partial, full) for full, partial in counts if full + partial]
        assert found == wanted


def test_a_mask_read_from_a_tensor_visits_every_tile_and_explain_says_so():
    spec = attnc.loads("attention a\ninput seen[B, M, N]: bool\nmask seen[i, j]")
    q, k, v = (t.detach() for t in tensors({}))
    seen = torch.zeros(SIZES["B"], SIZES["M"], SIZES["N"], dtype=torch.bool)
    assert spec(q, k, v, seen).abs().max() == 0
    assert "nothing is known of 'seen[b, i, j]'" in spec.explain(q, k, v, seen)
