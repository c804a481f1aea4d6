"""The backward of every spec of the corpus is derived right: against torch, and against finite differences."""

import pytest
import torch

from ..corpus import NAMES, attentions, draw
from .checks import gradients, worst_error

SMALL = {"B": 2, "H": 4, "G": 2, "M": 6, "N": 9, "D": 4, "E": 3}


@pytest.mark.parametrize("name", NAMES)
def test_as_torch_differentiates_the_meaning(name):
    assert worst_error(attentions()[name], SMALL) < 1e-10


@pytest.mark.parametrize("name", ["specs/causal", "specs/sink", "specs/shaw", "specs/difference", "specs/dual"])
def test_as_finite_differences(name):
    attention = attentions()[name]
    tensors = draw(attention, {**SMALL, "B": 1, "M": 3, "N": 3}, torch.float64)
    random = torch.Generator().manual_seed(4)
    for number, (item, (derived, _)) in enumerate(
        zip([i for i in attention.card().inputs if i.type == "float"], gradients(attention, tensors).values())
    ):
        direction = torch.randn(tensors[number].shape, generator=random, dtype=torch.float64)
        slope = _difference(attention, tensors, number, direction)
        assert abs(slope - (derived * direction).sum().item()) < 1e-6 * max(1.0, abs(slope)), item.name


def _difference(attention, tensors, number, direction, step=1e-5):
    """A central difference of Σ cotangent · result, with the cotangents of `gradients`."""
    values = []
    for sign in (1, -1):
        moved = [t.detach() for t in tensors]
        moved[number] = moved[number] + sign * step * direction
        found = attention.reference(*moved)
        results = list(found) if isinstance(found, tuple) else [found]
        random = torch.Generator().manual_seed(2)
        weights = [torch.randn(r.shape, generator=random, dtype=torch.float64) for r in results]
        values.append(sum((r * w).sum().item() for r, w in zip(results, weights) if r.is_floating_point()))
    return (values[0] - values[1]) / (2 * step)


def test_rows_without_keys_have_gradient_zero():
    attention = attentions()["specs/key_length"]
    q, k, v, _ = draw(attention, SMALL, torch.float64)
    length = torch.tensor([0, 4])
    found = gradients(attention, [q, k, v, length])
    derived = {name: both[0] for name, both in found.items()}
    assert all(torch.isfinite(g).all() for g in derived.values())
    assert all(g[0].abs().max() == 0 for g in derived.values())
    assert derived["q"][1, :, 4:].abs().max() == 0
    assert derived["k"][1, :, :4].abs().min() > 0
