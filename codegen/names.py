"""What a kernel is compiled for, the same for every spelling: widths are numbers, tensors have dtypes and layouts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from attnc.ir import Node, Tensor
from attnc.ir.node import INT


def identifier(text: str) -> str:
    """A spec name as part of an identifier: lower-case letters, digits and underscores."""
    return re.sub(r"[^a-z0-9_]", "_", text.lower())


@dataclass(frozen=True)
class Layout:
    """How a tensor of the caller lies in memory: its dtype, and whether its last stride is 1."""

    dtype: str
    unit_last: bool


@dataclass
class CompiledFor:
    """The compute type, widths by size name, the layout of each tensor, and the ranks of the kernel's own tensors."""

    compute: str
    widths: Mapping[str, int]
    layouts: Mapping[str, Layout]
    temporaries: Mapping[str, int]
    slots: dict[str, int] = field(default_factory=dict)

    def is_unit_last(self, tensor: Tensor) -> bool:
        return tensor.name in self.temporaries or self.layouts[tensor.name].unit_last

    def constant(self, size: Node) -> int | None:
        """The value of a size made of widths and numbers; None for one that is known at the call only."""
        if size.kind == "const":
            return int(size.attribute)
        if size.kind == "size":
            return self.widths.get(size.attribute)
        if size.kind == "param":
            return self.widths.get("parameter " + size.attribute)
        if size.kind != "map" or size.type != INT:
            return None
        args = [self.constant(arg) for arg in size.args]
        if any(arg is None for arg in args):
            return None
        return _evaluate(size, [arg for arg in args if arg is not None])


def _evaluate(size: Node, args: list[int]) -> int | None:
    if size.is_sum:
        coefficients, constant = size.attribute
        return int(constant + sum(c * a for c, a in zip(coefficients, args)))
    if size.is_product:
        return int(math.prod(a**e for a, e in zip(args, size.attribute)))
    if size.op in ("floordiv", "mod"):
        a, b = args
        return 0 if b == 0 else a // b if size.op == "floordiv" else a % b
    if size.op in ("max", "min"):
        return max(args) if size.op == "max" else min(args)
    return None
