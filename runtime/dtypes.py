"""torch's dtypes and the compiler's names for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

NAMES = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.bfloat16: "bfloat16",
    torch.float16: "float16",
    torch.int8: "int8",
    torch.int16: "int16",
    torch.int32: "int32",
    torch.int64: "int64",
    torch.uint8: "uint8",
    torch.bool: "bool",
}
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
KINDS = {"float": FLOATS, "int": INTEGERS, "bool": (torch.bool,)}


def promoted(dtypes: Sequence[torch.dtype]) -> torch.dtype:
    """torch's promotion of several dtypes; float32 of none."""
    if not dtypes:
        return torch.float32
    result = dtypes[0]
    for dtype in dtypes[1:]:
        result = torch.promote_types(result, dtype)
    return result


def summed(dtype: torch.dtype) -> torch.dtype:
    """What results of a dtype are accumulated in."""
    return torch.float64 if dtype == torch.float64 else torch.float32
