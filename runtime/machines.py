"""Where a call runs, by the device of its tensors: C++ on the CPU, Triton on GPUs."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import torch

from .mistakes import NoTriton

if TYPE_CHECKING:
    from .triton.prepared import Machine


def machine_for(device: torch.device, attention: str) -> Machine | None:
    """What runs Triton kernels for a device; None where kernels are C++. ATTNC_CPU_TARGET=interpreter has Triton's
    interpreter run calls on the CPU. AttnError on a GPU without Triton."""
    if device.type != "cpu":
        try:
            return _gpu(device)
        except ImportError as error:
            raise NoTriton(attention, str(error)).error() from None
    return _interpreter() if os.environ.get("ATTNC_CPU_TARGET") == "interpreter" else None


@cache
def _interpreter() -> Machine:
    from .triton.interpreted import Interpreter

    return Interpreter()


@cache
def _gpu(device: torch.device) -> Machine:
    from .triton.devices import Gpu

    return Gpu(device)
