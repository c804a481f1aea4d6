"""Names and constants in generated C++: spec names are re-spelt, widths become numbers, tensors get strides."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attnc.ir import Node, Tensor
from attnc.ir.node import BOOL, INT
from attnc.planning.plan import SHARES

from ..names import CompiledFor, identifier

USUAL_CACHE = 1 << 20  # bytes of second-level cache that a core has, where nothing else is known

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


def size_name(name: str) -> str:
    """The C++ name of a size: the user's, or one of the compiler's own (which start with #)."""
    return f"k_{name[1:]}" if name.startswith("#") else f"n_{name}"


def step_name(step: Node) -> str:
    """The index of the step that stages are repeated for."""
    return f"x.{step.attribute[1:]}"


@dataclass
class Names(CompiledFor):
    """Spells tensors and their elements. `near_bytes`: a core's second-level cache."""

    near_bytes: int = USUAL_CACHE

    def tensor(self, tensor: Tensor) -> str:
        """The C++ name of a tensor's pointer; numbered, so that two spellings never meet."""
        if tensor.name in self.temporaries:
            return f"x.{tensor.name}"
        number = self.slots.setdefault(tensor.name, len(self.slots))
        return f"x.t{number}_{identifier(tensor.name)}"

    def dtype(self, tensor: Tensor) -> str:
        """The dtype of a caller's tensor; the kernel's own are as wide as what is computed."""
        own = "float32" if self.compute == "float" else "float64"
        return own if tensor.name in self.temporaries else self.layouts[tensor.name].dtype

    def element(self, tensor: Tensor) -> str:
        if tensor.name in self.temporaries:
            floats = "double" if tensor.origin == SHARES else "T"
            return floats if tensor.type == "float" else "int64_t"
        return ELEMENTS[self.layouts[tensor.name].dtype]


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
