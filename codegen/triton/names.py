"""Names and constants in generated Triton, and the arguments that a kernel turns out to need.

Three kinds of names, told apart by their form, so that no spec can make two meet: arguments (`q_ptr`, `q_ptr_stride0`,
`n_N`, `p_slope`) never end in an underscore and digits; what an emitter makes up always does (`exp_28`); the names of
the statements (`sum0`, `first_row`) are neither.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from attnc.ir import Axis, Tensor
from attnc.ir.node import BOOL, INT
from attnc.planning.plan import SHARES

from ..names import CompiledFor, Layout, identifier

TURN = "#turn"  # the number of a launch of which each has its own blocks of rows
ELEMENTS = {
    "float32": "tl.float32",
    "float64": "tl.float64",
    "bfloat16": "tl.bfloat16",
    "float16": "tl.float16",
    "int8": "tl.int8",
    "int16": "tl.int16",
    "int32": "tl.int32",
    "int64": "tl.int64",
    "uint8": "tl.uint8",
    "bool": "tl.int1",
}
_MADE_UP = re.compile(r"_\d+$|_stride\d+$")


@dataclass(frozen=True)
class Argument:
    """What a kernel takes: `kind` is tensor, stride, size, parameter or constant; `of` the tensor's, size's or
    parameter's name, `dim` the stride's dimension, `type` a parameter's type; of a stride, "wide" where rows are whole
    vectors of features and "long" where they go along a length; `in_tile` whether a stride is multiplied by indices
    within a block, in 32 bits."""

    name: str
    kind: str
    of: str
    dim: int = 0
    type: str = ""
    in_tile: bool = False


@dataclass(frozen=True)
class Part:
    """A block of a width: `size` is a power of two, of which the first `count` indices exist."""

    start: int
    size: int
    count: int

    @property
    def is_whole(self) -> bool:
        return self.size == self.count


@dataclass
class Names(CompiledFor):
    """Spells tensors, sizes and parameters; `arguments` are those that the current kernel uses."""

    splits_widths: bool = False
    result: str = "float32"
    arguments: dict[str, Argument] = field(default_factory=dict)
    spelt: dict[str, str] = field(default_factory=dict)

    def tensor(self, tensor: Tensor) -> str:
        name = self._spell("tensor " + tensor.name, tensor.name, "_ptr")
        return self._use(Argument(name, "tensor", tensor.name))

    def stride(self, tensor: Tensor, dim: int, in_tile: bool = False) -> str:
        """The stride of a dimension; "1" where it is known to be."""
        is_last = dim == len(tensor.sizes) - 1
        if is_last and self.is_unit_last(tensor):
            return "1"
        last = self.constant(tensor.sizes[-1])
        is_wide = last is not None and last % 16 == 0 and self.is_unit_last(tensor)
        name = f"{self.tensor(tensor).removesuffix('_ptr')}_stride{dim}"
        known = self.arguments.get(name)
        in_tile = in_tile or (known is not None and known.in_tile)
        kind = "wide" if is_wide else "long" if last is None and self.is_unit_last(tensor) else ""
        self.arguments[name] = Argument(name, "stride", tensor.name, dim, kind, in_tile)
        return name

    def size(self, name: str) -> str:
        spelt = self._spell("size " + name, "n_" + name.replace("#", "k_"), keep=True)
        return self._use(Argument(spelt, "size", name))

    def parameter(self, name: str, type: str) -> str:
        spelt = self._spell("parameter " + name, "p_" + name)
        return self._use(Argument(spelt, "parameter", name, type=type))

    def block(self, name: str) -> str:
        """A block size: a constant of the kernel that whoever compiles it chooses."""
        return self._use(Argument(name, "constant", name))

    def _use(self, argument: Argument) -> str:
        self.arguments.setdefault(argument.name, argument)
        return argument.name

    def _spell(self, key: str, text: str, ending: str = "", keep: bool = False) -> str:
        if key not in self.spelt:
            base = text if keep and text.isidentifier() and text.isascii() else identifier(text)
            base = f"t_{base}" if not base or base[0].isdigit() else base
            taken, number = set(self.spelt.values()), 2
            name = base + ending
            while name in taken or _MADE_UP.search(name):
                name, number = f"{base}_{number}{ending or 'th'}", number + 1
            self.spelt[key] = name
        return self.spelt[key]

    # --- dtypes ------------------------------------------------------------------------------------------------

    def dtype(self, tensor: Tensor) -> str:
        """The dtype of a tensor's elements."""
        if tensor.name in self.temporaries and tensor.name not in self.layouts:
            if tensor.type != "float":
                return "int64"
            return "float64" if tensor.origin == SHARES or self.compute == "double" else "float32"
        return self.layouts[tensor.name].dtype

    @property
    def float(self) -> str:
        """The dtype that kernels compute in."""
        return ELEMENTS["float64" if self.compute == "double" else "float32"]

    # --- widths ------------------------------------------------------------------------------------------------

    def parts(self, axis: Axis) -> list[Part]:
        """A width as blocks of powers of two: one, or (where that wastes a quarter or more) several."""
        width = self.width(axis)
        whole = max(16, 1 << max(width - 1, 0).bit_length())
        if self.splits_widths and width > 32 and width % 16 == 0 and whole * 3 >= width * 4:
            parts, start = [], 0
            while start < width:
                size = 1 << (width - start).bit_length() - 1
                parts.append(Part(start, size, size))
                start += size
            return parts
        return [Part(0, whole, width)]

    def width(self, axis: Axis) -> int:
        known = self.constant(axis.size)
        assert known is not None, f"the width {axis.name} is not known"
        return known


def make_names(
    compute: str,
    widths: Mapping[str, int],
    layouts: Mapping[str, Layout],
    temporaries: Mapping[str, int],
    splits_widths: bool,
) -> Names:
    """Names for one module of kernels."""
    return Names(compute, widths, layouts, temporaries, splits_widths=splits_widths, result=layouts["#result"].dtype)


def literal(value: float | int | bool, type: str) -> str:
    """A constant of the given element type."""
    if type == BOOL:
        return "True" if value else "False"
    if type == INT:
        return str(int(value))
    if math.isinf(value) or math.isnan(value):
        return f'float("{float(value)!r}")'
    return repr(float(value))
