"""Sorted tokens: tensors are sorted before a kernel runs and results put back after it, invisibly to the caller."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnc.card import Card
from attnc.ir.node import COTANGENT, GRADIENT
from attnc.reordering import TABLE

from .token_orders import Sorted, choose_orders

if TYPE_CHECKING:
    from .calls import AnyPrepared
    from .kernels import KeptCard, Kernel
    from .triton.kernels import TritonKernel

Moves = tuple[tuple[int, Sorted], ...]
"""Dimensions of a tensor, and how each is sorted."""


@dataclass(frozen=True)
class Reordering:
    """How the tensors of a call are sorted: `moves` by the name of an input or result, `tables` by the name of what the
    kernel reads of it."""

    moves: Mapping[str, Moves]
    tables: Mapping[str, torch.Tensor]

    def of(self, name: str, kept: Sequence[KeptCard] = ()) -> Moves:
        """Of an input or result, of its gradient or cotangent, or of what is kept of a result."""
        name = next((item.result for item in kept if item.name == name and item.result is not None), name)
        plain = next((name.removeprefix(one) for one in (GRADIENT, COTANGENT) if name.startswith(one)), name)
        return self.moves.get(name) or self.moves.get(plain, ())

    def layouts(self, given: Sequence[tuple[str, str, bool]]) -> tuple[tuple[str, str, bool], ...]:
        """What the kernel is compiled for: what is sorted is laid out anew."""
        sorted_ones = [(name, dtype, is_unit or name in self.moves) for name, dtype, is_unit in given]
        return (*sorted_ones, *((name, "int32", True) for name in self.tables))

    def shapes(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Tensors laid out as the kernel gets them, with nothing in those that are sorted."""
        plain = torch.contiguous_format
        given = {n: torch.empty_like(t, memory_format=plain) if self.of(n) else t for n, t in tensors.items()}
        return {**given, **self.tables}


def find_reordering(card: Card, known: Mapping[str, Any], device: torch.device) -> Reordering | None:
    """How tokens are sorted in a call; None where they stay as they are."""
    found = choose_orders(card, known, device)
    if found is None:
        return None
    moves: dict[str, Moves] = {}
    tables: dict[str, torch.Tensor] = {}
    for number, (order, one) in enumerate(zip(card.orders, found)):
        for name, dim in (*order.moved, *order.results):
            moves[name] = (*moves.get(name, ()), (dim, one))
        tables[f"{TABLE}{number}"] = one.table
        tables |= {f"{TABLE}{number} {n}": value for n, value in enumerate(one.coordinates)}
    return Reordering(moves, tables)


def sort_tensor(tensor: torch.Tensor, moves: Moves) -> torch.Tensor:
    for dim, how in moves:
        tensor = _select(tensor, dim, how.places)
    return tensor


def put_back(tensor: torch.Tensor, moves: Moves) -> torch.Tensor:
    for dim, how in moves:
        tensor = _select(tensor, dim, how.back)
    return tensor


def _select(tensor: torch.Tensor, dim: int, places: torch.Tensor) -> torch.Tensor:
    """As torch's index_select, which is slower for a dimension that is not the first."""
    shape = tensor.shape
    before, count = math.prod(shape[:dim]), shape[dim]
    if before == 1 or tensor.numel() == 0:
        return tensor.index_select(dim, places)
    rows = torch.arange(before, device=tensor.device).mul_(count).unsqueeze(1) + places
    flat = tensor.reshape(before * count, math.prod(shape[dim + 1 :]))
    out = torch.empty_like(flat, memory_format=torch.contiguous_format)
    return torch.index_select(flat, 0, rows.flatten(), out=out).view(shape)


@dataclass(frozen=True)
class Reordered:
    """A prepared kernel for sorted tokens: takes and gives tensors in the caller's order, but for what it keeps for
    itself."""

    inner: AnyPrepared
    how: Reordering

    @property
    def kernel(self) -> Kernel | TritonKernel:
        return self.inner.kernel

    def run(self, tensors: Mapping[str, torch.Tensor], counters: int = 0) -> dict[str, torch.Tensor]:
        kept = self.kernel.kept
        given = {name: sort_tensor(tensor, self.how.of(name, kept)) for name, tensor in tensors.items()}
        filled = self.inner.run({**given, **self.how.tables}, counters)
        return {name: put_back(tensor, self.how.of(name, kept)) for name, tensor in filled.items()}
