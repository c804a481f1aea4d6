"""Rows of the catalogue that are specs: the dense computation of each, and what it is given.

A module in `dense/` writes each row's formula in plain torch, from the paper and not from the spec, and names the row
with `@row`. `test_rows.py` runs all of them.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

import attnc
from attnc.ir.host import evaluate
from attnc.spec import Attention

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples" / "catalogue"
SIZES = {"B": 2, "H": 4, "G": 2, "M": 13, "N": 19, "D": 8, "E": 6}
Draw = Callable[[torch.Generator, tuple[int, ...]], torch.Tensor]


@dataclass(frozen=True)
class Row:
    """A spec and its dense computation. `sizes` are of its axes, `large` of those that a benchmark makes longer;
    `draws` says how inputs are drawn that are not normally distributed."""

    id: str
    dense: Callable[..., Any]
    attention: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    draws: Mapping[str, Draw] = field(default_factory=dict)
    large: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.id if self.attention is None else f"{self.id}:{self.attention}"

    def load(self) -> Attention:
        found = attnc.load(FOLDER / f"{self.id}.attn")
        if isinstance(found, Attention):
            assert self.attention is None, f"{self.id}.attn holds one attention, which needs no name"
            return found
        assert self.attention is not None, f"{self.id}.attn holds several: name one"
        return found[self.attention]

    def draw(self, attention, dtype=torch.float64, seed=0, learns=True, **sizes):
        """Inputs by name. Whatever the dtype, they are numbers that float32 holds."""
        random = torch.Generator().manual_seed(seed)
        card = attention.card()
        defaults = {p.name: p.default for p in card.parameters if p.default is not None}
        known = SIZES | defaults | dict(self.parameters) | dict(self.sizes) | sizes
        tensors = {}
        for item in card.inputs:
            shape = tuple(int(evaluate(size, known)) for size in item.sizes)
            if item.name in self.draws:
                drawn = self.draws[item.name](random, shape)
            elif item.type == "bool":
                drawn = torch.rand(shape, generator=random) > 0.4
            else:
                assert item.type == "float", f"say how '{item.name}' of {self.name} is drawn: it holds integers"
                drawn = torch.randn(shape, generator=random)
            tensors[item.name] = drawn.to(dtype).requires_grad_(learns) if item.type == "float" else drawn
        return tensors

    def given(self, attention) -> dict[str, Any]:
        """All parameters by name."""
        defaults = {p.name: p.default for p in attention.card().parameters if p.default is not None}
        return defaults | dict(self.parameters)


_rows: dict[str, Row] = {}


def row(id, attention=None, **options):
    """The decorated function computes this row densely: it takes inputs and parameters by name and gives the result, or
    a tuple of results in the spec's order."""

    def register(dense):
        made = Row(id, dense, attention, **options)
        assert made.name not in _rows, f"{made.name} is there twice"
        _rows[made.name] = made
        return dense

    return register


@cache
def rows() -> dict[str, Row]:
    from . import dense

    for module in pkgutil.iter_modules(dense.__path__):
        importlib.import_module(f"{dense.__name__}.{module.name}")
    return dict(sorted(_rows.items()))


# --- how inputs are drawn ---------------------------------------------------------------------------------------------


def positive(random, shape):
    return 0.5 + torch.rand(shape, generator=random)


def fraction(random, shape):
    """Numbers within (0, 1)."""
    return 0.05 + 0.9 * torch.rand(shape, generator=random)


def small(random, shape):
    return 0.3 * torch.randn(shape, generator=random)


def below(count, first=0):
    """Integers from `first` up to, not including, `count`."""
    return lambda random, shape: torch.randint(first, count, shape, generator=random)


def documents(random, shape):
    """Three documents one behind the other along the last axis, then padding, which is -1."""
    ends = torch.rand((*shape[:-1], 1, 3), generator=random).sort(-1).values * shape[-1]
    numbers = (torch.arange(shape[-1])[:, None] >= ends).sum(-1)
    return torch.where(numbers == 3, -1, numbers)
