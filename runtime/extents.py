"""Sizes that tensors hold: how many indices a ragged axis has where it has the most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from attnc.card import Card


def measure(
    card: Card, tensors: Sequence[torch.Tensor], sizes: Mapping[str, int], parameters: Mapping[str, Any]
) -> dict[str, int]:
    """The most that each of these sizes is, over all sequences, heads and positions; at least 0."""
    from .reference import Evaluator

    assert card.measured is not None
    named = dict(zip((item.name for item in card.inputs), (tensor.detach() for tensor in tensors)))
    numbers = {name: value for name, value in parameters.items() if not isinstance(value, (str, bool))}
    evaluator = Evaluator(sizes, numbers, named, torch.float64)
    found = {}
    for name, node in card.measured().items():
        value = evaluator(node)
        found[name] = max(int(value.max()), 0) if value.numel() else 0
    return found
