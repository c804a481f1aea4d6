"""Kernels -> binaries by Triton, for any architecture and without a GPU; what the compiler made of each is looked at.

Compiling ahead of time checks nothing by itself: that a kernel spills nothing, fits its memory and multiplies with
matrix instructions is read from the binary.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnc.codegen.triton.program import Launch

from .choices import Choice, Shape, candidates
from .limits import Architecture
from .modules import import_module

_TYPES = {
    "float32": "fp32",
    "float64": "fp64",
    "bfloat16": "bf16",
    "float16": "fp16",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "bool": "i1",
}
_MUCH = 128
_NVIDIA = re.compile(
    r"\b(wgmma\.mma_async\.sync\.aligned\.m64n\d+k\d+|mma\.sync\.aligned\.m\d+n\d+k\d+|tcgen05\.mma\.cta_group::\d\.kind::\w+)"
)


@dataclass(frozen=True)
class Built:
    """A compiled kernel and what it takes. `spilled` bytes of stack mean that registers did not suffice."""

    kernel: str
    architecture: str
    choice: Choice
    registers: int
    spilled: int
    shared: int
    tensor_memory: int
    matrix: tuple[str, ...]
    has_copies: bool
    binary: bytes
    name: str
    handle: Any = None

    def faults(self, architecture: Architecture, products: int, operand: str) -> list[str]:
        """Why this choice is not good; empty if it is."""
        out = []
        if self.spilled:
            out.append(f"spills {self.spilled} bytes")
        if self.shared > architecture.shared:
            out.append(f"takes {self.shared} bytes of shared memory, of {architecture.shared}")
        if self.tensor_memory > 512:
            out.append(f"takes {self.tensor_memory} columns of tensor memory, of 512")
        if architecture.is_nvidia and self.registers < 16:
            out.append(f"uses {self.registers} registers: no kernel was made")
        if products and operand in ("bfloat16", "float16") and not self.matrix:
            out.append("has no matrix instruction")
        if products and architecture.copies and self.choice.stages > 1 and not self.has_copies:
            out.append("loads nothing ahead")
        return out


def build(
    module: str,
    launch: Launch,
    dtypes: dict[str, str],
    choice: Choice,
    architecture: Architecture,
    is_aligned: bool = True,
    is_far: bool = False,
    is_even: bool = True,
) -> Built:
    """One kernel compiled with one choice. `is_aligned`: pointers and rows of features begin at multiples of 16 bytes;
    `is_even`: so do rows of pair tensors; `is_far`: strides within a tile need 64 bits."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = getattr(import_module(module), launch.kernel)
    names = list(function.arg_names)
    constants = choice.constants()
    signature, values, attributes = {}, {}, {}
    for place, argument in enumerate(launch.arguments):
        assert names[place] == argument.name
        if argument.kind == "constant":
            signature[argument.name] = "constexpr"
            values[(place,)] = constants[argument.of]
            continue
        signature[argument.name] = _type(argument, dtypes, is_far)
        even = is_even and argument.kind == "stride" and argument.of in launch.pair_tensors
        if is_aligned and (argument.kind == "tensor" or argument.type == "wide" or even):
            attributes[(place,)] = [["tt.divisibility", 16]]
    target = GPUTarget(architecture.backend, architecture.arch, architecture.warp)
    options = {"num_warps": choice.warps, "num_stages": choice.stages, "enable_fp_fusion": False}
    source = ASTSource(fn=function, signature=signature, constexprs=values, attrs=attributes)
    compiled = triton.compile(source, target=target, options=options)
    return _inspect(launch.kernel, compiled, architecture, choice)


def _type(argument: Any, dtypes: dict[str, str], is_far: bool) -> str:
    if argument.kind == "tensor":
        return "*" + _TYPES[dtypes[argument.of]]
    if argument.kind == "stride":
        return "i32" if argument.in_tile and not is_far else "i64"
    if argument.kind == "size":
        return "i32"
    return "fp32" if argument.type == "float" else "i64"


def _inspect(kernel: str, compiled: Any, architecture: Architecture, choice: Choice) -> Built:
    metadata, text = compiled.metadata, compiled.asm
    if architecture.is_nvidia:
        registers, spilled = _usage(text["cubin"])
        matrix = tuple(sorted(set(_NVIDIA.findall(text["ptx"]))))
        has_copies = "cp.async" in text["ptx"]
        binary = text["cubin"]
    else:
        assembly = text["amdgcn"]
        registers, spilled = _number(assembly, "vgpr_count"), _number(assembly, "private_segment_fixed_size")
        matrix = tuple(sorted(set(re.findall(r"v_mfma_\w+", assembly))))
        has_copies = True
        binary = text["hsaco"]
    tensor_memory = getattr(metadata, "tmem_size", 0) or 0
    return Built(
        kernel,
        architecture.name,
        choice,
        registers,
        spilled,
        metadata.shared,
        tensor_memory,
        matrix,
        has_copies,
        binary,
        metadata.name,
        compiled,
    )


def _number(assembly: str, name: str) -> int:
    found = re.search(rf"\.{name}:\s+(\d+)", assembly)
    assert found is not None, f"no {name} in the assembly"
    return int(found[1])


def _usage(cubin: bytes) -> tuple[int, int]:
    """(registers, bytes of stack) of a cubin."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    handle, path = tempfile.mkstemp(suffix=".cubin")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(cubin)
        found = subprocess.run([str(tool), "--dump-resource-usage", path], capture_output=True, text=True, check=True)
    finally:
        os.unlink(path)
    match = re.search(r"REG:(\d+) STACK:(\d+)", found.stdout)
    assert match is not None, found.stdout
    return int(match[1]), int(match[2])


def shape_of(launch: Launch) -> Shape:
    return Shape(launch.features, launch.products, launch.operand, launch.streams, launch.rows is not None)


def search(
    module: str,
    launch: Launch,
    dtypes: dict[str, str],
    architecture: Architecture,
    precision: str = "ieee",
    is_even: bool = True,
) -> Iterator[tuple[Built, list[str]]]:
    """Candidates compiled one after another, with their faults, up to the first that has none. A tile that spills
    much does so with fewer stages too, and is not tried with these."""
    hopeless: set[tuple[int, int, int]] = set()
    for choice in candidates(shape_of(launch), architecture, precision):
        tile = (choice.rows, choice.columns, choice.warps)
        if tile in hopeless:
            continue
        built = build(module, launch, dtypes, choice, architecture, is_even=is_even)
        faults = built.faults(architecture, launch.products, launch.operand)
        yield built, faults
        if not faults:
            return
        if built.spilled > _MUCH:
            hopeless.add(tile)
