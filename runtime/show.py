"""Every form that a spec takes on its way to a kernel, as text."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from attnc.diagnostics import Diagnostic
from attnc.diagnostics.diagnostic import AttnError
from attnc.pipeline import Derivation

from .kernels import Request, generate
from .mistakes import compiling

if TYPE_CHECKING:
    from attnc.codegen.cpp.program import Source
    from attnc.spec import Attention

STAGES = ("tree", "graph", "gradient", "answers", "plan", "statements", "cpp", "triton", "kernel")
TARGETS = ("cpp", "triton")


def show(attention: Attention, stage: str, *, backward: bool = False, dtype: str = "float32", width: int = 64) -> str:
    """One form of a spec as text. `backward` asks for the gradient's plan, statements, source or kernel; `width` is
    the size of every feature axis and `dtype` that of every input where these matter."""
    if stage not in _FORMS:
        raise AttnError(
            [Diagnostic("unknown-stage", f"there is no stage '{stage}'", (), f"one of {', '.join(STAGES)}")]
        )
    with compiling(attention.name):
        return _FORMS[stage](attention, backward, dtype, width)


def source_text(attention: Attention, target: str, backward: bool, dtype: str, width: int) -> str:
    if target not in TARGETS:
        note = f"there are {' and '.join(TARGETS)}"
        raise AttnError([Diagnostic("unknown-target", f"there is no spelling for '{target}'", (), note)])
    with compiling(attention.name):
        return _FORMS[target](attention, backward, dtype, width)


def _tree(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    from attnc.grammar.dump import dump

    return dump(attention.tree)


def _graph(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    from attnc.ir.printer import print_graph

    return print_graph({result.name: result.node for result in attention.derivation().meaning.results})


def _gradient(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    from attnc.ir.printer import print_graph

    targets = attention.derivation().gradient(wanted(attention.derivation())).targets
    return print_graph({f"{t.tensor.label} [{', '.join(a.name for a in t.axes)}]": t.node for t in targets})


def _answers(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    from attnc.analysis.answers import print_answers

    return print_answers(attention.derivation())


def _plan(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    from attnc.planning.printer import print_plan

    derivation = attention.derivation()
    gradient = derivation.gradient(wanted(derivation))
    if backward:
        return print_plan(derivation.plan_backward(gradient))
    return print_plan(derivation.plan_forward(gradient.kept))


def _statements(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    from attnc.codegen.printer import print_program

    derivation = attention.derivation()
    gradient = derivation.gradient(wanted(derivation))
    plan = derivation.plan_backward(gradient) if backward else derivation.plan_forward(gradient.kept)
    return print_program(derivation.statements(plan))


def _cpp(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    return _source(attention, backward, dtype, width).text


def _triton(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    from .triton.kernels import triton_source

    derivation = attention.derivation()
    needs = wanted(derivation) if backward else ()
    request = sample_request(derivation, dtype, width, needs)
    return triton_source(derivation, request, backward, splits_widths=True)[0].text


def _source(attention: Attention, backward: bool, dtype: str, width: int) -> Source:
    derivation = attention.derivation()
    needs = wanted(derivation) if backward else ()
    source, _, _, _ = generate(derivation, sample_request(derivation, dtype, width, needs), backward)
    return source


def _kernel(attention: Attention, backward: bool, dtype: str, width: int) -> str:
    """What the compiler made: size, functions, and how many instructions work on vectors of which width."""
    from .toolchain import build, compiler

    path = build(_source(attention, backward, dtype, width).text)
    lines = [f"{path.stat().st_size} bytes, built by {compiler().version} with {' '.join(compiler().flags)}"]
    tool = shutil.which("objdump")
    if tool is None:
        return "\n".join([*lines, "install binutils to see the instructions"]) + "\n"
    code = subprocess.run([tool, "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True).stdout
    for register, bits in (("%zmm", 512), ("%ymm", 256), ("%xmm", 128)):
        count = sum(register in line for line in code.split("\n"))
        lines.append(f"{count} instructions on {bits}-bit registers")
    fused = sum("fmadd" in line for line in code.split("\n"))
    return "\n".join([*lines, f"{fused} fused multiply-adds", "", code])


def wanted(derivation: Derivation) -> tuple[str, ...]:
    """Every input that can have a gradient."""
    return tuple(d.name for d in derivation.meaning.inputs if d.tensor.type == "float")


def sample_request(derivation: Derivation, dtype: str, width: int, needs: tuple[str, ...]) -> Request:
    """A request for one dtype and one width everywhere, contiguous inputs and default parameters."""
    meaning = derivation.meaning
    widths = []
    for name in derivation.width_sizes():
        parameter = next((p for p in meaning.parameters if "parameter " + p.name == name), None)
        default = parameter.default if parameter is not None else width
        widths.append((name, int(default) if isinstance(default, int) else width))
    layouts = []
    for declared in meaning.inputs:
        kind = {"float": dtype, "int": "int64", "bool": "bool"}[declared.tensor.type]
        layouts.append((declared.name, kind, True))
    layouts.append(("#result", dtype, True))
    compute = "double" if dtype == "float64" else "float"
    return Request((), compute, tuple(widths), tuple(layouts), needs)


_FORMS: dict[str, Callable[[Attention, bool, str, int], str]] = {
    "tree": _tree,
    "graph": _graph,
    "gradient": _gradient,
    "answers": _answers,
    "plan": _plan,
    "statements": _statements,
    "cpp": _cpp,
    "triton": _triton,
    "kernel": _kernel,
}
