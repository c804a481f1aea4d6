"""A call in a program that torch.compile or torch.export records: one operation, see operators.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch._dynamo

from .operators import traced

if TYPE_CHECKING:
    from attnc.spec import Attention


def call_in_graph(attention: Attention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The call as it is recorded: this function itself is traced."""
    return _recorded(attention.key, args, kwargs)


@torch._dynamo.allow_in_graph  # type: ignore[untyped-decorator]
def _recorded(key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return traced(key, args, kwargs)
