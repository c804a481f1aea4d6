"""A program -> one C++ source: context, one function for each stage, and the entry that runs them in order.

The entry takes one array of 64-bit words: `Arguments` says what stands where, for this source and for the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from attnc.ir import Axis, Graph, Node, Tensor
from attnc.ir.node import FLOAT, walk
from attnc.ir.roles import PARTS

from ..names import Layout, identifier
from ..statements import (
    Pack,
    Program,
    RunNest,
    RunPass,
    RunSteps,
    StageStatement,
    flat,
    read_in_sweeps,
    with_packs,
)
from .blocks import Blocks, choose_blocks
from .emitter import Emitter
from .factors import Factors
from .names import USUAL_CACHE, Names, size_name, step_name
from .nests import NestWriter
from .packs import PackWriter, lies_ready, lies_side_by_side
from .passes import PassWriter
from .tasks import task_count

_TASKS_EACH = 2  # for each worker, so that none waits long for the last
FIXED = ("threads", "parallel", "scratch", "counters")


@dataclass(frozen=True)
class Arguments:
    """The words of the entry's argument, in order: fixed ones, sizes, parameters, then per tensor pointer and strides.

    `parameters` pairs names with types; `tensors` pairs names with ranks. `owners` are the numbers of workers that
    passes have where rows are not shared out: the size "#splits" says among how many they are.
    """

    sizes: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    tensors: tuple[tuple[str, int], ...]
    owners: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Source:
    """Generated C++, what to call it with, and how many stages count tiles (two counters each). `work`: for how many
    outer indices each pass goes over how many rows and columns, and how many rows are one block."""

    text: str
    arguments: Arguments
    stages: int
    work: tuple[tuple[Node, Node, Node, int], ...] = ()


def write_program(
    graph: Graph,
    program: Program,
    compute: str,
    widths: Mapping[str, int],
    layouts: Mapping[str, Layout],
    header: str,
    near_bytes: int = USUAL_CACHE,
) -> Source:
    """The C++ of a program. `compute` is "float" or "double"; `header` becomes comments at the top; tiles are of a size
    for cores with that many bytes of second-level cache."""
    return _ProgramWriter(graph, program, compute, widths, layouts, header, near_bytes).write()


class _ProgramWriter:
    def __init__(
        self,
        graph: Graph,
        program: Program,
        compute: str,
        widths: Mapping[str, int],
        layouts: Mapping[str, Layout],
        header: str,
        near_bytes: int,
    ) -> None:
        self.graph = graph
        self.program = program
        self.header = header
        temporaries = {tensor.name: len(axes) for tensor, axes in program.temporaries}
        temporaries |= {now.name: len(axes) for steps in program.repeats for now, axes, _ in steps.states}
        self.names = Names(compute, widths, layouts, temporaries, near_bytes=near_bytes)
        self.functions: list[str] = []
        self.steps: list[str] = []
        self.buffers: list[tuple[str, str, list[str]]] = []
        self.flags: list[str] = []
        self.passing: list[str] = []
        self.number = 0
        self.keeps_scans = any(run.tiles.walks for run in program.passes)

    def write(self) -> Source:
        self._temporaries()
        self._stages(self.program.stages)
        number = self.number
        arguments = self._arguments()
        text = "\n".join(
            [
                *_comment(self.header),
                '#include "attnc_ranks.h"' if self.keeps_scans else '#include "attnc_kernel.h"',
                "",
                # inside, so that C's own abs, exp and the like are never meant
                "namespace attnc { namespace kernel {",
                "",
                f"typedef {self.names.compute} T;",
                "",
                *self._context(arguments),
                "",
                *_SUPPORT,
                "",
                *self.functions,
                "",
                *self._entry(arguments, number),
                "",
                "}}",
                "",
            ]
        )
        return Source(text, arguments, number, self._work())

    def _work(self) -> tuple[tuple[Node, Node, Node, int], ...]:
        one = self.graph.const(1)
        found = []
        for run in self.program.passes:
            outer = self.graph.mul(one, *(axis.size for axis in run.grid))
            rows = run.row.size if run.row is not None else one
            found.append((outer, rows, run.loop.size, choose_blocks(self.names, run).rows))
        return tuple(dict.fromkeys(found))

    # --- stages ------------------------------------------------------------------------------------------------

    def _stages(self, stages: Sequence[StageStatement]) -> None:
        for stage, packs in with_packs(stages):
            if isinstance(stage, RunSteps):
                self._steps(stage)
                continue
            if isinstance(stage, RunPass):
                self._pass(stage, self.number, packs)
            else:
                self._nest(stage, self.number)
            self.number += 1

    def _steps(self, run: RunSteps) -> None:
        """Stages again and again, filling the states of one step after the other."""
        em, step = self._emitter(), step_name(run.step)
        before, self.steps = self.steps, []
        self._stages(run.stages)
        size = em.size(run.axis.size)
        with em.scope(f"for (int64_t step = 0; step < {size}; ++step)", {}):
            em.line(f"{step} = {f'{size} - 1 - step' if run.is_reverse else 'step'};")
            for now, axes, tensor in run.states:
                stride = f" * x.{tensor.name}_s0" if axes else ""
                em.line(f"x.{now.name} = x.{tensor.name} + {step}{stride};")
            own = dict(self.program.temporaries)
            for tensor in run.zeroed:
                count = f"({_elements(own[tensor], em)}) * (int64_t)sizeof({self.names.element(tensor)})"
                em.line(f"memset(x.{tensor.name}, 0, {count});")
            for line in self.steps:
                em.line(line)
            if run.until is not None:
                em.line(f"if (!any_of(x.{run.until.name}, {_elements(own[run.until], em)})) break;")
        self.steps = [*before, *em.function("")]

    def _emitter(self) -> Emitter:
        return Emitter(self.graph, self.names)

    def _pass(self, run: RunPass, number: int, packs: list[Pack]) -> None:
        blocks = choose_blocks(self.names, run)
        packed = [one for pack in packs for one in pack.packed]
        factors = Factors(self.names, run, packed)
        direct = {
            one.name for pack in packs for one in pack.packed if lies_ready(self.graph, self.names, pack.loop, one)
        }
        writers = [
            PackWriter(self._emitter(), pack, one, f"pack_{one.name}", blocks, factors)
            for pack in packs
            for one in pack.packed
            if one.name not in direct
        ]
        passing = self._passing(run, number, blocks, writers)
        for writer in writers:
            one = writer.packed
            self.functions += writer.write()
            self._buffer(one.name, factors.element_of(one), writer.workspace, is_zeroed=False, unless=passing)
            self._step(writer.tasks, f"pack_{one.name}", unless=passing)
        seen = read_in_sweeps(run.tiles, packed)  # few rows may be multiplied where an operand lies that no sweep reads
        alone = [w.packed for w in writers if passing and not run.owns_rows and w.packed.read_as not in seen]
        dots = {one.name for one in alone if lies_side_by_side(self.graph, self.names, run.loop, one)}
        pass_writer = PassWriter(self._emitter(), run, number, blocks, packed, factors, direct, passing, dots)
        self.functions += pass_writer.write()
        self.steps.append(f"x.stage = {number};")
        self._step(lambda em: task_count(em, run, blocks, passing), f"stage{number}")

    def _passing(self, run: RunPass, number: int, blocks: Blocks, writers: list[PackWriter]) -> str:
        """The flag of a pass of which each task has its operands for itself and prepares every block of them only once:
        few rows, or few columns and outer indices enough for all workers. Then it does so where it uses them, while
        they are in the cache. Empty where that is never so."""
        if not writers or run.solve is not None or any(w.needs_memory for w in writers):
            return ""
        em = self._emitter()
        # parts of the keys share no block, or only one at a border
        grid = " * ".join(em.size(a.size) for a in run.grid if a.size is not self.graph.size(PARTS)) or "1"
        one_tile = f"block_count({em.size(run.loop.size)}, {blocks.columns}) == 1"
        if run.owns_rows:
            tests = [one_tile] + ([f"{em.size(run.split.size)} == 1"] if run.split is not None else [])
        elif run.row is not None:
            few_rows = f"block_count({em.size(run.row.size)}, {blocks.rows}) == 1"
            tests = [f"({few_rows} || ({one_tile} && {grid} >= {_TASKS_EACH} * x.threads))"]
        else:
            tests = []
        for outer in dict.fromkeys(writer.packed.outer for writer in writers):
            tests.append(f"{' * '.join(em.size(axis.size) for axis in outer) or '1'} == {grid}")
        self.passing.append(f"passing{number}")
        em.line(f"x.passing{number} = {' && '.join(tests)};")
        self.flags += em.function("")
        return f"x.passing{number}"

    def _nest(self, nest: RunNest, number: int) -> None:
        for place, store in enumerate(nest.stores):
            writer = NestWriter(self._emitter(), store, f"nest{number}_{place}")
            self.functions += writer.write()
            self._step(writer.tasks, f"nest{number}_{place}")

    def _step(self, tasks: Callable[[Emitter], str], stage: str, unless: str = "") -> None:
        """Runs a stage; what its number of tasks needs is computed in a block of its own."""
        em = self._emitter()
        em.line(f"{f'if (!{unless}) ' if unless else ''}run(x, {tasks(em)}, {stage});")
        self.steps += em.function("")

    def _buffer(
        self, name: str, element: str, count: Callable[[Emitter], str], is_zeroed: bool, unless: str = ""
    ) -> None:
        em = self._emitter()
        call = "take_zeroed" if is_zeroed else "take"
        size = f"({count(em)}) * (int64_t)sizeof({element})"
        size = f"{unless} ? 1 : {size}" if unless else size
        em.line(f"x.{name} = ({element} *){call}(memory[{len(self.buffers)}], {size});")
        em.line(f"if (!x.{name}) {{ free_all(memory); return 1; }}")
        self.buffers.append((name, element, em.function("")))

    def _temporaries(self) -> None:
        zeroed = {t.name for run in self.program.passes for t, _ in run.zeroed}
        for tensor, axes in self.program.temporaries:
            self._buffer(tensor.name, self.names.element(tensor), partial(_elements, axes), tensor.name in zeroed)

    # --- context and entry -------------------------------------------------------------------------------------

    def _roots(self) -> list[Node]:
        from ..plan_to_statements import nodes_of

        roots = [node for stage in flat(self.program.stages) for node in nodes_of(stage)]
        sizes = [size for tensor in self.program.tensors for size in tensor.sizes]
        bound = [a.size for root in roots for n in walk(root) for a in (*n.axes, *n.bound)]
        outer = [a.size for _, axes in (*self.program.temporaries, *self.program.outputs) for a in axes]
        grid = [axis.size for run in self.program.passes for axis in (*run.grid, run.loop)]
        return [*roots, *sizes, *bound, *outer, *grid]

    def _arguments(self) -> Arguments:
        found: dict[Node, None] = {}
        for root in self._roots():
            for node in walk(root):
                if node.kind in ("size", "param"):
                    found[node] = None
        sizes = sorted(n.attribute for n in found if n.kind == "size" and self.names.constant(n) is None)
        parameters = sorted(
            (n.attribute, n.type)
            for n in found
            if n.kind == "param" and not n.attribute.startswith("#") and self.names.constant(n) is None
        )
        tensors = tuple((tensor.name, len(tensor.sizes)) for tensor in self.program.tensors)
        runs = [run for run in self.program.passes if run.split is not None]
        owners = tuple(self.graph.mul(*(axis.size for axis in run.grid), self.graph.const(1)) for run in runs)
        return Arguments(tuple(sizes), tuple(parameters), tensors, owners)

    def _context(self, arguments: Arguments) -> list[str]:
        lines = ["struct Context {", "  int64_t threads; parallel_function parallel; scratch_function scratch;"]
        lines.append("  int64_t *counters; int64_t stage;")
        lines += [f"  bool {flag};" for flag in (*self.passing, *(["lacks_memory"] if self.keeps_scans else []))]
        lines += [f"  int64_t {size_name(name)};" for name in arguments.sizes]
        lines += [
            f"  {'T' if type == FLOAT else 'int64_t'} p_{identifier(name)};" for name, type in arguments.parameters
        ]
        for tensor in self.program.tensors:
            name = self.names.tensor(tensor)[2:]
            lines.append(f"  {self.names.element(tensor)} *{name};")
            lines += [f"  int64_t {name}_s{dim};" for dim in range(len(tensor.sizes))]
        for name, element, _ in self.buffers:
            lines.append(f"  {element} *{name};")
        for steps in self.program.repeats:
            lines.append(f"  int64_t {step_name(steps.step)[2:]};")
            lines += [f"  {self.names.element(now)} *{now.name};" for now, _, _ in steps.states]
        for tensor, axes in self._own_tensors():
            lines += [f"  int64_t {tensor.name}_s{dim};" for dim in range(len(axes) - 1)]
        return [*lines, "};"]

    def _entry(self, arguments: Arguments, stages: int) -> list[str]:
        lines = ['extern "C" int64_t attnc_run(const int64_t *a) {', "  Context x;"]
        lines += [
            "  x.threads = *a++; x.parallel = (parallel_function)*a++; x.scratch = (scratch_function)*a++;",
            "  x.counters = (int64_t *)*a++; x.stage = 0;",
        ]
        lines += [f"  x.{size_name(name)} = *a++;" for name in arguments.sizes]
        for name, type in arguments.parameters:
            lines.append(f"  x.p_{identifier(name)} = {'T(as_double(*a++))' if type == FLOAT else '*a++'};")
        for tensor in self.program.tensors:
            name = self.names.tensor(tensor)
            lines.append(f"  {name} = ({self.names.element(tensor)} *)*a++;")
            lines += [f"  {name}_s{dim} = *a++;" for dim in range(len(tensor.sizes))]
        lines += ["  " + line for line in (*self.flags, *self._memory())]
        lines += ["  " + line for line in self.steps]
        if self.keeps_scans:
            lines.insert(2, "  x.lacks_memory = false;")
        result = "x.lacks_memory" if self.keeps_scans else "0"
        return [*lines, "  free_all(memory);", f"  return {result};", "}"]

    def _memory(self) -> list[str]:
        """Workspaces: one allocation each, all or none."""
        lines = [f"Memory memory[{len(self.buffers) + 1}] = {{}};"]
        for _, _, text in self.buffers:
            lines += text
        for tensor, axes in self._own_tensors():
            lines += self._strides(tensor, axes)
        return lines

    def _own_tensors(self) -> list[tuple[Tensor, tuple[Axis, ...]]]:
        states = [(now, axes) for steps in self.program.repeats for now, axes, _ in steps.states]
        return [*self.program.temporaries, *states]

    def _strides(self, tensor: Tensor, axes: tuple[Axis, ...]) -> list[str]:
        em = self._emitter()
        for dim in range(len(axes) - 2, -1, -1):
            after = f" * x.{tensor.name}_s{dim + 1}" if dim < len(axes) - 2 else ""
            em.line(f"x.{tensor.name}_s{dim} = {em.size(axes[dim + 1].size)}{after};")
        return em.function("")


def _elements(axes: tuple[Axis, ...], em: Emitter) -> str:
    return " * ".join(em.size(axis.size) for axis in axes) or "1"


def _comment(text: str) -> list[str]:
    """Line comments that nothing in the text can end: every line gets its own slashes, odd characters are escaped."""
    out = []
    for line in text.split("\n"):
        safe = "".join(ch if ch.isprintable() and ord(ch) < 127 else f"<{ord(ch):x}>" for ch in line)
        out.append("// " + safe.replace("\\", "/").replace("??", "? ?"))
    return [*out, ""]


_SUPPORT = [
    "static inline void run(Context &x, int64_t tasks, task_function stage) {",
    "  x.parallel(tasks, (int)x.threads, stage, &x);",
    "}",
    "static inline void count_tiles(const Context &x, int worker, int64_t full, int64_t partial) {",
    "  (void)worker;",
    "  if (x.counters) add_counts(x.counters + 2 * x.stage, full, partial);",
    "}",
]
