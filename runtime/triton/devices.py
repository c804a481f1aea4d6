"""Kernels on a GPU: block sizes chosen by compiling and kept in the cache, one binary for each variant, launches.

A variant is a kernel, its block sizes, whether pointers and rows are aligned, and whether rows lie very far apart:
nothing that changes with a length, a batch, a number of heads or a parameter.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, replace
from typing import Any

import torch

from attnc.codegen.triton.program import Launch

from ..cache import digest, load_json, store_json
from .building import Built, build, search
from .choices import Choice
from .kernels import TritonKernel
from .limits import Architecture, architecture_of
from .prepared import Runner

_FAR = 1 << 23


class Gpu:
    """One device."""

    def __init__(self, device: torch.device) -> None:
        import triton

        self.device = device
        self.version = triton.__version__
        self.target = triton.runtime.driver.active.get_current_target()
        self.architecture = _architecture(self.target)
        self.splits_widths = self.architecture.splits_widths
        known = torch.cuda.is_available()  # not where another driver stands for a GPU
        self.units = torch.cuda.get_device_properties(device).multi_processor_count if known else 1
        self.choices: dict[tuple[str, str, str, bool], Choice] = {}
        self.built: dict[tuple[Any, ...], Built] = {}

    @property
    def precision(self) -> str:
        """How float32 is multiplied: as torch's own matrix products are asked to."""
        if torch.get_float32_matmul_precision() == "highest" or not self.architecture.is_nvidia:
            return "ieee"
        return "tf32"

    # --- choosing ----------------------------------------------------------------------------------------------

    def choose(self, kernel: TritonKernel, launch: Launch, is_even: bool) -> Choice:
        key = (kernel.module, launch.kernel, self.precision, is_even)
        if key not in self.choices:
            self.choices[key] = self._known_choice(*key) or self._search(kernel, launch, is_even)
        return self.choices[key]

    def _name(self, module: str, kernel: str, precision: str, is_even: bool) -> str:
        parts = (module, kernel, precision, repr(is_even), self.architecture.name, repr(self.target), self.version)
        return digest("choice", *parts) + ".json"

    def _known_choice(self, module: str, kernel: str, precision: str, is_even: bool) -> Choice | None:
        found = load_json(self._name(module, kernel, precision, is_even))
        try:
            return Choice(**found) if found else None
        except TypeError:
            return None

    def _search(self, kernel: TritonKernel, launch: Launch, is_even: bool) -> Choice:
        """The first candidate without faults; else the one that spills least, with a warning."""
        tried: list[Built] = []
        job = (kernel.module, launch, dict(kernel.dtypes), self.architecture)
        for built, faults in search(*job, self.precision, is_even):
            if not faults:
                tried = [built]
                break
            if built.shared <= self.architecture.shared and built.tensor_memory <= 512:
                tried.append(built)
        assert tried, f"{launch.kernel} fits no candidate on {self.architecture.name}"
        best = min(tried, key=lambda one: one.spilled)
        if best.spilled:
            text = f"{launch.kernel} spills {best.spilled} bytes of registers on {self.architecture.name}: it is slow"
            warnings.warn(text, stacklevel=2)
        self.built[kernel.module, launch.kernel, best.choice, True, False, is_even] = best
        store_json(self._name(kernel.module, launch.kernel, self.precision, is_even), asdict(best.choice))
        return best.choice

    # --- running -----------------------------------------------------------------------------------------------

    def bind(
        self,
        kernel: TritonKernel,
        launch: Launch,
        choice: Choice,
        values: list[Any],
        is_aligned: bool,
        is_even: bool,
    ) -> Runner:
        is_far = any(a.in_tile and value >= _FAR for a, value in zip(launch.arguments, values) if a.kind == "stride")
        key = (kernel.module, launch.kernel, choice, is_aligned, is_far, is_even)
        if key not in self.built:
            job = (kernel.module, launch, dict(kernel.dtypes), choice, self.architecture)
            self.built[key] = build(*job, is_aligned, is_far, is_even)
        handle = self.built[key].handle
        constants = choice.constants()
        count = sum(argument.kind == "tensor" for argument in launch.arguments)
        rest = [constants[a.of] if a.kind == "constant" else v for a, v in zip(launch.arguments, values)][count:]
        device = self.device

        def run(grid: int, tensors: list[torch.Tensor]) -> None:
            if device.index is None or torch.cuda.current_device() == device.index:
                handle[(grid, 1, 1)](*tensors, *rest)
                return
            with torch.cuda.device(device):
                handle[(grid, 1, 1)](*tensors, *rest)

        return run


def _architecture(target: Any) -> Architecture:
    """The limits of a device, compiled for exactly what it is."""
    nearest = architecture_of(target.arch)
    return replace(nearest, arch=target.arch, warp=target.warp_size)
