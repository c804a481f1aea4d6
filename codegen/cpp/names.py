"""Names and constants in generated C++: spec names are re-spelt, widths become numbers, tensors get strides."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from attnc.ir import Node, Tensor
from attnc.ir.node import BOOL, INT
from attnc.planning.plan import SHARES

ELEMENTS = {
    "float32": "float",
    "float64": "double",
    "bfloat16": "bf16",
    "float16": "f16",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "bool": "bool",
}


def identifier(text: str) -> str:
    """A spec name as part of an identifier: lower-case letters, digits and underscores."""
    return re.sub(r"[^a-z0-9_]", "_", text.lower())


def size_name(name: str) -> str:
    """The C++ name of a size: the user's, or one of the compiler's own (which start with #)."""
    return f"k_{name[1:]}" if name.startswith("#") else f"n_{name}"


@dataclass(frozen=True)
class Layout:
    """How a tensor of the caller lies in memory: its dtype, and whether its last stride is 1."""

    dtype: str
    unit_last: bool


@dataclass
class Names:
    """What a kernel is compiled for: the compute type, widths by size name, and the layout of each tensor."""

    compute: str
    widths: Mapping[str, int]
    layouts: Mapping[str, Layout]
    temporaries: Mapping[str, int]
    slots: dict[str, int] = field(default_factory=dict)

    def tensor(self, tensor: Tensor) -> str:
        """The C++ name of a tensor's pointer; numbered, so that two spellings never meet."""
        if tensor.name in self.temporaries:
            return f"x.{tensor.name}"
        number = self.slots.setdefault(tensor.name, len(self.slots))
        return f"x.t{number}_{identifier(tensor.name)}"

    def element(self, tensor: Tensor) -> str:
        if tensor.name in self.temporaries:
            floats = "double" if tensor.origin == SHARES else "T"
            return floats if tensor.type == "float" else "int64_t"
        return ELEMENTS[self.layouts[tensor.name].dtype]

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


def literal(value: float | int | bool, type: str) -> str:
    """A constant of the given element type."""
    if type == BOOL:
        return "true" if value else "false"
    if type == INT:
        return f"int64_t({value})" if abs(int(value)) < 1 << 62 else f"int64_t({value}ll)"
    if math.isinf(value):
        return "T(__builtin_inf())" if value > 0 else "T(-__builtin_inf())"
    if math.isnan(value):
        return 'T(__builtin_nan(""))'
    return f"T({float(value)!r})"
