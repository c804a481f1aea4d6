"""Derivation -> Triton kernels, through the cache: a manifest says what to launch, the module is stored beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from attnc.card import OutputCard
from attnc.codegen.triton.names import Argument
from attnc.codegen.triton.program import Buffer, Launch, TritonSource
from attnc.pipeline import Derivation

from ..cache import digest, forget, load, load_json, store_json
from ..deriving import alone
from ..kernels import KeptCard, Request, generator_digest, order
from ..mistakes import compiling
from .modules import store_module


@dataclass(frozen=True)
class TritonKernel:
    """What a call launches, and the tensors that it fills, keeps and leaves out."""

    module: str
    launches: tuple[Launch, ...]
    buffers: tuple[Buffer, ...]
    tensors: tuple[str, ...]
    dtypes: Mapping[str, str]
    outputs: tuple[OutputCard, ...]
    kept: tuple[KeptCard, ...]
    missing: tuple[str, ...]
    repeats: tuple[Mapping[str, Any], ...] = ()


def load_triton_kernel(
    identity: str, derive: Callable[[], Derivation], request: Request, is_backward: bool, splits_widths: bool
) -> TritonKernel:
    """The kernels of a request. `identity` stands for the spec; `derive` is called only if nothing is cached."""
    direction = "backward" if is_backward else "forward"
    name = digest("triton", identity, repr(request), direction, repr(splits_widths), generator_digest()) + ".json"
    manifest = load_json(name)
    try:
        if manifest is not None and load(manifest["module"]) is not None:
            return _open(manifest)
    except (KeyError, TypeError):
        forget(name)
    manifest = _make(derive, request, is_backward, splits_widths)
    store_json(name, manifest)
    return _open(manifest)


def triton_source(
    derivation: Derivation, request: Request, is_backward: bool, splits_widths: bool
) -> tuple[TritonSource, list[OutputCard], list[KeptCard], tuple[str, ...]]:
    """The kernels' text and launches, the tensors that they fill, what the backward keeps, gradients that are 0."""
    wanted = order(derivation, request, is_backward, both=False)
    widths = dict(request.widths)
    source = derivation.triton_source(
        wanted.plan, request.compute, widths, wanted.layouts, wanted.header, splits_widths
    )
    return source, wanted.outputs, wanted.kept, wanted.missing


def _make(derive: Callable[[], Derivation], request: Request, is_backward: bool, splits_widths: bool) -> dict[str, Any]:
    with alone():
        derivation = derive()
        with compiling(derivation.meaning.name):
            source, outputs, kept, missing = triton_source(derivation, request, is_backward, splits_widths)
    return {
        "module": store_module(source.text),
        "launches": [asdict(launch) for launch in source.launches],
        "buffers": [asdict(buffer) for buffer in source.buffers],
        "tensors": list(source.tensors),
        "dtypes": source.dtypes,
        "outputs": [asdict(card) for card in outputs],
        "kept": [asdict(item) for item in kept],
        "missing": list(missing),
        "repeats": [asdict(repeated) for repeated in source.repeats],
    }


def _open(manifest: Mapping[str, Any]) -> TritonKernel:
    return TritonKernel(
        manifest["module"],
        tuple(_launch(item) for item in manifest["launches"]),
        tuple(Buffer(**{**item, "sizes": tuple(item["sizes"])}) for item in manifest["buffers"]),
        tuple(manifest["tensors"]),
        manifest["dtypes"],
        tuple(OutputCard(**item) for item in manifest["outputs"]),
        tuple(KeptCard(**item) for item in manifest["kept"]),
        tuple(manifest["missing"]),
        tuple(manifest["repeats"]),
    )


def _launch(item: Mapping[str, Any]) -> Launch:
    arguments = tuple(Argument(**argument) for argument in item["arguments"])
    return Launch(
        **{**item, "arguments": arguments, "outer": tuple(item["outer"]), "features": tuple(item["features"])}
    )
