"""Derived gradients against torch's autograd through the dense meaning, in float64."""

import torch

from attnc.runtime.dense import dense_gradients
from attnc.runtime.entry import _arrange

from ..corpus import draw


def gradients(attention, tensors):
    """(derived, torch's) gradients of every floating input by name, for cotangents drawn at random."""
    card, tensors, parameters = _arrange(attention, tuple(tensors), {})
    names = [item.name for item in card.inputs if item.type == "float"]
    found = attention.reference(*tensors, **parameters)
    results = list(found) if len(card.results) > 1 else [found]
    random = torch.Generator().manual_seed(2)
    weights = [torch.randn(r.shape, generator=random, dtype=torch.float64).to(r.dtype) for r in results]
    pairs = [(r, w) for r, w in zip(results, weights) if r.requires_grad]
    wanted = [t for item, t in zip(card.inputs, tensors) if item.type == "float"]
    by_torch = torch.autograd.grad([r for r, _ in pairs], wanted, [w for _, w in pairs], allow_unused=True)
    derivation = attention.derivation(tuple((p.name, parameters[p.name]) for p in card.statics))
    derived = dense_gradients(derivation, card, tensors, parameters, tuple(names), tuple(weights))
    zeros = [torch.zeros_like(t) if g is None else g for g, t in zip(by_torch, wanted)]
    return {name: (derived[name], exact) for name, exact in zip(names, zeros)}


def worst_error(attention, sizes=None):
    """The largest difference, relative to the largest gradient of its input."""
    tensors = draw(attention, sizes, torch.float64)
    worst = 0.0
    for derived, exact in gradients(attention, tensors).values():
        gap = (derived - exact).abs().max().item()
        worst = max(worst, gap / max(exact.abs().max().item(), 1e-3))
    return worst
