"""What a call allocates."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Memory:
    """A tensor to allocate: shape, dtype, and whether kernels add to it."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    is_zeroed: bool = False
