"""Derivation -> loaded kernels, through both caches: (spec, dtypes, widths, layout, gradients) -> source -> binary.

A manifest says everything that a call needs, so a spec that was compiled before is not even parsed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attnc
from attnc.card import OutputCard
from attnc.codegen.names import Layout
from attnc.ir.host import Encoded, encode
from attnc.ir.node import COTANGENT
from attnc.pipeline import Derivation, Output
from attnc.planning.plan import Plan
from attnc.planning.printer import print_plan

from . import caches, pool, toolchain
from .cache import digest, forget, load, load_json, path_of, store_json
from .deriving import alone
from .mistakes import compiling

if TYPE_CHECKING:
    from attnc.codegen.cpp.program import Source


@dataclass(frozen=True)
class Request:
    """What a kernel is compiled for. `needs` are the inputs whose gradient is wanted (forward: whether to keep).
    `takes_parts`: for few rows of many keys, which several workers share. `is_reordered`: for sorted tokens."""

    statics: tuple[tuple[str, Any], ...]
    compute: str
    widths: tuple[tuple[str, int], ...]
    layouts: tuple[tuple[str, str, bool], ...]
    needs: tuple[str, ...]
    takes_parts: bool = False
    is_reordered: bool = False


@dataclass(frozen=True)
class KeptCard:
    """A forward value that the backward reads: an output of the spec (`result`), or one of its own."""

    name: str
    result: str | None


@dataclass(frozen=True)
class Kernel:
    """A loaded kernel. `run` takes the address of its words; the lists say what they are. `work`: for how many outer
    indices each pass goes over how many rows and columns, and how many rows are one block."""

    run: Callable[[int], int]
    sizes: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    tensors: tuple[tuple[str, int], ...]
    outputs: tuple[OutputCard, ...]
    kept: tuple[KeptCard, ...]
    missing: tuple[str, ...]
    stages: int
    binary: str
    owners: tuple[Encoded, ...]
    work: tuple[tuple[Encoded, Encoded, Encoded, int], ...]


@cache
def generator_digest() -> str:
    """Changes whenever attnc itself does; its contents count, since an installer may give all files one time."""
    parts: list[str | bytes] = []
    for folder, _, files in sorted(os.walk(attnc.__path__[0], followlinks=True)):
        if os.path.basename(folder) == "catalogue":
            continue  # specs, which make nothing
        for name in sorted(files):
            if name.endswith((".py", ".attn", ".lark", ".h", ".cpp")):
                parts += [name, Path(folder, name).read_bytes()]
    return digest(*parts)


def load_kernel(identity: str, derive: Callable[[], Derivation], request: Request, is_backward: bool) -> Kernel:
    """The kernel of a request. `identity` stands for the spec; `derive` is called only if nothing is cached. Where a
    forward that keeps values has to be compiled, its backward is compiled at the same time."""
    name = _name_of(identity, request, is_backward)
    _wait_for(name)
    known = _open_known(name)
    if known is not None:
        return known

    def build_backward() -> None:
        if request.needs and not is_backward and not request.takes_parts:
            _build_ahead(_name_of(identity, request, True), derive, request)

    manifest = _build(derive, request, is_backward, build_backward)
    store_json(name, manifest)
    return _open(manifest)


def _name_of(identity: str, request: Request, is_backward: bool) -> str:
    direction = "backward" if is_backward else "forward"
    made_for = str(caches.near_bytes()), *toolchain.machine()
    return digest(identity, repr(request), direction, generator_digest(), *made_for) + ".json"


_ahead: dict[str, threading.Thread] = {}
os.register_at_fork(after_in_child=_ahead.clear)  # a child has none of these threads


def _build_ahead(name: str, derive: Callable[[], Derivation], request: Request) -> None:
    """Makes a backward kernel while others work. Who needs it waits, and makes it, with its error, if this failed."""

    def build() -> None:
        with contextlib.suppress(Exception):
            if load_json(name) is None:
                store_json(name, _build(derive, request, True))

    if name not in _ahead:
        _ahead[name] = threading.Thread(target=build, name="attnc backward")
        _ahead[name].start()


def _wait_for(name: str) -> None:
    thread = _ahead.get(name)
    if thread is not None:
        thread.join()
        _ahead.pop(name, None)


def wait_for_all() -> None:
    """Until nothing is being compiled ahead."""
    for name in list(_ahead):
        _wait_for(name)


def _open_known(name: str) -> Kernel | None:
    """A kernel that is in the cache; what cannot be read or loaded after all is removed, to be made again."""
    manifest = load_json(name)
    try:
        return _open(manifest) if manifest is not None and load(manifest["binary"]) is not None else None
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        forget(name)
        with contextlib.suppress(KeyError, TypeError):
            forget(manifest["binary"])
        return None


def _open(manifest: Mapping[str, Any]) -> Kernel:
    library = ctypes.CDLL(str(path_of(manifest["binary"])))
    entry = library.attnc_run
    entry.argtypes, entry.restype = [ctypes.c_void_p], ctypes.c_int64
    return Kernel(
        entry,
        tuple(manifest["sizes"]),
        tuple((name, type) for name, type in manifest["parameters"]),
        tuple((name, rank) for name, rank in manifest["tensors"]),
        tuple(OutputCard(**item) for item in manifest["outputs"]),
        tuple(KeptCard(**item) for item in manifest["kept"]),
        tuple(manifest["missing"]),
        manifest["stages"],
        manifest["binary"],
        tuple(manifest["owners"]),
        tuple((outer, rows, columns, block) for outer, rows, columns, block in manifest["work"]),
    )


def _build(
    derive: Callable[[], Derivation], request: Request, is_backward: bool, meanwhile: Callable[[], None] | None = None
) -> dict[str, Any]:
    """What a manifest says of a kernel that is compiled now; `meanwhile` is called when its source is there."""
    with alone():
        derivation = derive()
        with compiling(derivation.meaning.name):
            source, outputs, kept, missing = generate(derivation, request, is_backward)
    if meanwhile is not None:
        meanwhile()
    with ThreadPoolExecutor(1) as other:  # a first call has to wait for both
        other.submit(pool.library)
        binary = toolchain.build(source.text)
    return {
        "binary": binary.name,
        "sizes": list(source.arguments.sizes),
        "parameters": [list(item) for item in source.arguments.parameters],
        "tensors": [list(item) for item in source.arguments.tensors],
        "outputs": [asdict(card) for card in outputs],
        "kept": [asdict(item) for item in kept],
        "missing": list(missing),
        "stages": source.stages,
        "owners": [encode(node) for node in source.arguments.owners],
        "work": [[*map(encode, sizes), block] for *sizes, block in source.work],
    }


@dataclass(frozen=True)
class Ordered:
    """What a request asks for, before any spelling: the plan, the tensors that it fills, what the backward keeps,
    inputs whose gradient is 0, the layout of every tensor, and what readers of the source want first."""

    plan: Plan
    outputs: list[OutputCard]
    kept: list[KeptCard]
    missing: tuple[str, ...]
    layouts: dict[str, Layout]
    header: str


def order(derivation: Derivation, request: Request, is_backward: bool, both: bool = True) -> Ordered:
    """The plan of a request. `both`: whether passes may sum along rows and columns at once."""
    gradient = derivation.gradient(request.needs) if request.needs else None
    kept = gradient.kept if gradient is not None else ()
    kept_cards = [KeptCard(saved.tensor.name, saved.result) for saved in kept]
    if is_backward:
        assert gradient is not None
        plan = derivation.plan_backward(gradient, both)
        outputs = [Output(tensor, axes, "like " + tensor.name[2:]) for tensor, axes in plan.outputs]
        missing = gradient.missing
    else:
        plan = derivation.plan_forward(kept, request.takes_parts)
        outputs = derivation.forward_outputs(kept)
        missing = ()
    layouts = _layouts(derivation, request, outputs, kept_cards)
    cards = [_output_card(output) for output in outputs]
    return Ordered(plan, cards, kept_cards, missing, layouts, _header(derivation, plan, is_backward))


def generate(
    derivation: Derivation, request: Request, is_backward: bool
) -> tuple[Source, list[OutputCard], list[KeptCard], tuple[str, ...]]:
    """The C++ of a kernel, the tensors that it fills, what the backward keeps, and gradients that are 0."""
    wanted = order(derivation, request, is_backward)
    widths, near = dict(request.widths), caches.near_bytes()
    source = derivation.source(wanted.plan, request.compute, widths, wanted.layouts, wanted.header, near)
    return source, wanted.outputs, wanted.kept, wanted.missing


def _output_card(output: Output) -> OutputCard:
    sizes: list[Encoded] = [encode(size) for size in output.tensor.sizes]
    return OutputCard(output.tensor.name, sizes, output.dtype)


def _layouts(
    derivation: Derivation, request: Request, outputs: Sequence[Output], kept: Sequence[KeptCard]
) -> dict[str, Layout]:
    """Inputs and cotangents as they come; what we allocate is contiguous."""
    layouts = {name: Layout(dtype, unit) for name, dtype, unit in request.layouts}
    wide = "float64" if request.compute == "double" else "float32"
    result = next(dtype for name, dtype, _ in request.layouts if name == "#result")
    results = {output.tensor.name: output for output in derivation.forward_outputs(())}

    def dtype_of(output: Output) -> str:
        if output.dtype.startswith("like "):
            return layouts[output.dtype[5:]].dtype
        return {"result": result, "sum": wide, "int": "int64", "bool": "bool"}[output.dtype]

    for output in outputs:
        layouts[output.tensor.name] = Layout(dtype_of(output), True)
    for item in kept:
        saved = dtype_of(results[item.result]) if item.result is not None else wide
        layouts.setdefault(item.name, Layout(saved, True))
    for name, output in results.items():
        layouts.setdefault(COTANGENT + name, Layout(dtype_of(output), True))
    for item in kept:
        if item.result is None and item.name not in {o.tensor.name for o in outputs}:
            layouts[item.name] = Layout(_kept_dtype(derivation, request, item.name, wide), True)
    return layouts


def _kept_dtype(derivation: Derivation, request: Request, name: str, wide: str) -> str:
    saved = next(s for s in derivation.gradient(request.needs).kept if s.tensor.name == name)
    return {"float": wide, "int": "int64", "bool": "bool"}[saved.node.type]


def _header(derivation: Derivation, plan: Plan, is_backward: bool) -> str:
    """What a reader of the source wants first: the spec, and what the compiler made of it."""
    title = f"{'Backward' if is_backward else 'Forward'} of the attention {derivation.meaning.name}, made by attnc."
    return "\n\n".join((title, derivation.text.strip(), print_plan(plan).strip()))


__all__ = ["Kernel", "Ordered", "Request", "generate", "generator_digest", "load_kernel", "order", "wait_for_all"]
