"""A program -> one Triton module: a kernel for each stage, and what to launch them with.

The module needs torch and Triton alone. Block sizes are constants that whoever compiles a kernel chooses; all else
that changes from call to call is an argument.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from attnc.analysis.support import NotLowered
from attnc.ir import Axis, Graph, Node, Tensor
from attnc.ir.host import Encoded, encode
from attnc.ir.node import BOOL, FLOAT, INT
from attnc.ir.roles import Roles
from attnc.ir.scans import LATEST, TILL_NEXT
from attnc.planning.plan import Store

from ..contractions import DTYPES
from ..names import Layout
from ..statements import Pack, Packed, Program, RunPass, RunSteps, StageStatement, with_packs
from .emitter import Emitter
from .names import Argument, make_names
from .nests import NestWriter
from .passes import PassWriter, sums_columns


@dataclass(frozen=True)
class Launch:
    """A kernel and its grid: so many blocks of rows (of `rows` in all; None: one) for each index of `outer`.

    `features` are the sizes of its feature blocks, `products` the matrix products of a tile, `operand` their dtype:
    what a choice of block sizes depends on. `streams` says that it goes through blocks of columns. `shares`: as many
    programs as there are shares of a sum; where it `takes_turns` there are few, and it is launched until all blocks of
    rows had theirs.
    """

    kernel: str
    arguments: tuple[Argument, ...]
    outer: tuple[Encoded, ...]
    rows: Encoded | None
    features: tuple[int, ...]
    products: int
    operand: str
    streams: bool
    shares: bool = False
    columns: Encoded | None = None
    takes_turns: bool = False

    @property
    def pair_tensors(self) -> frozenset[str]:
        """Tensors that are read by tiles of two lengths: how far their rows lie apart depends on a length."""
        return frozenset(a.of for a in self.arguments if a.type == "long" and a.in_tile and self.streams)


@dataclass(frozen=True)
class Buffer:
    """Memory between kernels."""

    name: str
    dtype: str
    sizes: tuple[Encoded, ...]
    is_zeroed: bool


@dataclass(frozen=True)
class Repeated:
    """Launches from `first` up to `last` are made for each index of an axis of this size, which the parameter `step`
    holds. `states` are tensors of one step, with those of all steps; `zeroed` are filled with 0 before each. Where
    `until` names a tensor, they end once it holds nothing but false."""

    first: int
    last: int
    step: str
    size: Encoded
    is_reverse: bool
    states: tuple[tuple[str, str], ...]
    zeroed: tuple[str, ...]
    until: str = ""


@dataclass(frozen=True)
class TritonSource:
    """Generated kernels, in the order of their launches. `tensors` are those of the caller, `dtypes` of all."""

    text: str
    launches: tuple[Launch, ...]
    buffers: tuple[Buffer, ...]
    tensors: tuple[str, ...]
    dtypes: dict[str, str] = field(default_factory=dict)
    repeats: tuple[Repeated, ...] = ()


def write_module(
    graph: Graph,
    program: Program,
    roles: Roles,
    compute: str,
    widths: Mapping[str, int],
    layouts: Mapping[str, Layout],
    header: str,
    splits_widths: bool = False,
) -> TritonSource:
    """The kernels of a program. `compute` is "float" or "double"; `header` becomes comments at the top."""
    return _ModuleWriter(graph, program, roles, compute, widths, layouts, header, splits_widths).write()


class _ModuleWriter:
    def __init__(
        self,
        graph: Graph,
        program: Program,
        roles: Roles,
        compute: str,
        widths: Mapping[str, int],
        layouts: Mapping[str, Layout],
        header: str,
        splits_widths: bool,
    ) -> None:
        self.graph = graph
        self.program = program
        self.roles = roles
        self.header = header
        temporaries = {tensor.name: len(axes) for tensor, axes in program.temporaries}
        temporaries |= {now.name: len(axes) for steps in program.repeats for now, axes, _ in steps.states}
        self.names = make_names(compute, widths, dict(layouts), temporaries, splits_widths)
        self.kernels: list[list[str]] = []
        self.launches: list[Launch] = []
        self.buffers: list[Buffer] = []
        self.repeats: list[Repeated] = []
        self.number = 0
        self.takes_turns = any(sums_columns(run) for run in program.passes)

    def write(self) -> TritonSource:
        for run in self.program.passes:
            refused = [scan.tile.node for scan in run.tiles.scans if scan.is_kept or _is_held(scan.tile.node)]
            if refused:
                first = next((node for node in refused if _is_held(node)), refused[0])
                raise NotLowered(first.span, _refused(first)).error()
        zeroed = {t.name for run in self.program.passes for t, _ in run.zeroed}
        for tensor, axes in self.program.temporaries:
            self._buffer(tensor, axes, tensor.name in zeroed)
        self._stages(self.program.stages)
        text = "\n".join([*_comment(self.header), *_IMPORTS, *self._functions(), *self._kernels()]) + "\n"
        tensors = tuple(tensor.name for tensor in self.program.tensors)
        dtypes = {tensor.name: self.names.dtype(tensor) for tensor in self.program.tensors}
        dtypes |= {buffer.name: buffer.dtype for buffer in self.buffers}
        dtypes |= {now: dtypes[whole] for repeated in self.repeats for now, whole in repeated.states}
        return TritonSource(text, tuple(self.launches), tuple(self.buffers), tensors, dtypes, tuple(self.repeats))

    # --- memory ------------------------------------------------------------------------------------------------

    def _buffer(self, tensor: Tensor, axes: tuple[Axis, ...], is_zeroed: bool) -> None:
        sizes = tuple(self._encoded(axis.size) for axis in axes)
        self.buffers.append(Buffer(tensor.name, self.names.dtype(tensor), sizes, is_zeroed))

    def _encoded(self, size: Node) -> Encoded:
        known = self.names.constant(size)
        return known if known is not None else encode(size)

    # --- stages ------------------------------------------------------------------------------------------------

    def _stages(self, stages: Sequence[StageStatement]) -> None:
        for stage, packs in with_packs(stages):
            if isinstance(stage, RunSteps):
                self._steps(stage)
                continue
            if isinstance(stage, RunPass):
                self._pass(stage, self.number, packs)
            else:
                for place, store in enumerate(stage.stores):
                    self._nest(store, f"nest{self.number}_{place}")
            self.number += 1

    def _steps(self, run: RunSteps) -> None:
        first = len(self.launches)
        self._stages(run.stages)
        states = tuple((now.name, whole.name) for now, _, whole in run.states)
        zeroed = tuple(tensor.name for tensor in run.zeroed)
        size = self._encoded(run.axis.size)
        step = run.step.attribute
        until = run.until.name if run.until is not None else ""
        self.repeats.append(Repeated(first, len(self.launches), step, size, run.is_reverse, states, zeroed, until))

    def _pass(self, run: RunPass, number: int, packs: list[Pack]) -> None:
        packed = [one for pack in packs for one in pack.packed]
        buffers: dict[str, Tensor] = {}
        for one in packed:
            if _is_computed(one):
                buffers[one.name] = self._pack(one, run.loop)
        em = self._emitter()
        takes_turns = run.split is not None and run.row is not None and self.takes_turns
        writer = PassWriter(em, run, packed, buffers, takes_turns)
        body = writer.write(f"def stage{number}({{}}):")
        rows = self._encoded(run.row.size) if run.row is not None else None
        widths = {axis for local in run.accumulators for axis in local.widths}
        widths |= {axis for p in (*run.prepares, *run.inner_prepares) for axis in p.local.widths}
        features = tuple(sorted(sum(part.size for part in self.names.parts(axis)) for axis in widths))
        dtypes = [*writer.tile.operand_dtypes.values()]
        dtypes += [writer.tile.common(None, one) for one in packed if one.width is not None]
        products = writer.tile.products()
        operand = max(dtypes, key=DTYPES.index) if dtypes else "float32"
        outer = tuple(self._encoded(axis.size) for axis in run.grid)
        self._kernel(f"stage{number}", body, outer, rows, features, products, operand, True, run.split is not None)
        columns = self._encoded(run.loop.size)
        self.launches[-1] = replace(self.launches[-1], columns=columns, takes_turns=takes_turns)

    def _pack(self, packed: Packed, loop: Axis) -> Tensor:
        """An operand made by a kernel of its own, in the dtype that matrix products take."""
        width = (packed.width,) if packed.width is not None else ()
        axes = (*packed.outer, loop, *width)
        tensor = Tensor(packed.name, tuple(axis.size for axis in axes), packed.node.type, "temporary")
        wide = "float64" if self.names.compute == "double" else "float32"
        dtype = {FLOAT: self.names.result if width else wide, INT: "int64", BOOL: "bool"}[packed.node.type]
        self.names.layouts = {**self.names.layouts, tensor.name: Layout(dtype, True)}
        self._buffer(tensor, axes, is_zeroed=False)
        self._nest(Store(tensor, axes, packed.node), f"pack_{packed.name}")
        return tensor

    def _nest(self, store: Store, name: str) -> None:
        em = self._emitter()
        writer = NestWriter(em, store, self.roles)
        body = writer.write(f"def {name}({{}}):")
        rows = self._encoded(writer.row.size) if writer.row is not None else None
        features = tuple(part.size for part in self.names.parts(writer.width)) if writer.width is not None else ()
        outer = tuple(self._encoded(axis.size) for axis in writer.leading)
        self._kernel(name, body, outer, rows, features, 0, "float32", False)

    def _emitter(self) -> Emitter:
        self.names = replace(self.names, arguments={}, spelt=dict(self.names.spelt))
        return Emitter(self.graph, self.names)

    def _kernel(
        self,
        name: str,
        body: list[str],
        outer: tuple[Encoded, ...],
        rows: Encoded | None,
        features: tuple[int, ...],
        products: int,
        operand: str,
        streams: bool,
        shares: bool = False,
    ) -> None:
        kinds = ("tensor", "stride", "size", "parameter", "constant")
        arguments = tuple(sorted(self.names.arguments.values(), key=lambda one: kinds.index(one.kind)))
        spelt = [f"{one.name}: tl.constexpr" if one.kind == "constant" else one.name for one in arguments]
        varying = [one.name for one in arguments if one.kind in ("size", "parameter")]
        body[0] = body[0].format(", ".join(spelt))
        self.kernels.append([f"@triton.jit(do_not_specialize={varying!r})", *body, ""])
        self.launches.append(Launch(name, arguments, outer, rows, features, products, operand, streams, shares))

    # --- the module --------------------------------------------------------------------------------------------

    def _functions(self) -> list[str]:
        """The functions that kernels call, and those that these call."""
        text = "\n".join(line for kernel in self.kernels for line in kernel)
        sources = _function_sources()
        wanted: set[str] = set()
        waiting = [name for name in sources if re.search(rf"\b{name}\b(?=\(|\))", text)]
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                waiting += [other for other in sources if re.search(rf"\b{other}\(", sources[name]) and other != name]
        return [line for name in sources if name in wanted for line in ("", "", *sources[name].split("\n"))]

    def _kernels(self) -> list[str]:
        return [line for kernel in self.kernels for line in ("", "", *kernel[:-1])]


def _refused(scan: Node) -> str:
    if scan.is_rank:
        return "on a GPU, the rank of a pair as a number,"
    what = "the derivative of a cummax of pairs" if _is_held(scan) else "scans of maxima of opposite order"
    return f"on a GPU, {what}"


def _is_held(scan: Node) -> bool:
    return scan.op in (LATEST, TILL_NEXT)


def _is_computed(packed: Packed) -> bool:
    """Whether an operand is worth a kernel of its own: features that are no bare read, or sums over features."""
    from attnc.ir.node import walk

    node = packed.node
    if packed.width is None:
        return any(part.kind == "reduce" for part in walk(node))
    return node.kind != "read"


@cache
def _function_sources() -> dict[str, str]:
    """The functions beside this file, as text."""
    text = Path(__file__).with_name("functions.py").read_text()
    lines = text.split("\n")
    out = {}
    for item in ast.parse(text).body:
        if isinstance(item, ast.FunctionDef):
            first = min(decorator.lineno for decorator in item.decorator_list)
            out[item.name] = "\n".join(lines[first - 1 : item.end_lineno])
    return out


def _comment(text: str) -> list[str]:
    """Line comments that nothing in the text can end."""
    out = []
    for line in text.split("\n"):
        safe = "".join(ch if ch.isprintable() and ord(ch) < 127 else f"<{ord(ch):x}>" for ch in line)
        out.append(f"# {safe}".rstrip())
    return [*out, ""]


_IMPORTS = ["import triton", "import triton.language as tl"]

__all__ = ["Buffer", "Launch", "TritonSource", "write_module"]
