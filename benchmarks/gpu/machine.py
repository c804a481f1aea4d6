"""What the numbers were measured on: the chip, its driver and all versions, and nothing that names the machine."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Sequence
from typing import Any

import torch

import attnc

from .outcomes import ROOT

UNKNOWN = "unknown"
Machine = dict[str, Any]


def describe(device: str) -> Machine:
    return {**(_chip() if device == "cuda" else {"chip": "none: CPU kernels"}), **_versions()}


def _chip() -> Machine:
    properties = torch.cuda.get_device_properties(0)
    return {
        "chip": properties.name,
        "architecture": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory GiB": round(properties.total_memory / 2**30, 1),
        "power limit": _ask_driver("power.limit"),
        "driver": _ask_driver("driver_version"),
        "CUDA": torch.version.cuda or UNKNOWN,
        "cuDNN": str(torch.backends.cudnn.version() or UNKNOWN),  # type: ignore[no-untyped-call]
    }


def _versions() -> Machine:
    return {
        "host cores": cores(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "triton": _triton(),
        "attnc": attnc.__version__,
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
    }


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _triton() -> str:
    try:
        import triton
    except ImportError:
        return "not installed"
    return str(triton.__version__)


def commit() -> str:
    """The commit of this clone, and whether files differ from it."""
    found = _output(["git", "rev-parse", "HEAD"]) if (ROOT / ".git").exists() else None
    if found is None:
        return UNKNOWN
    return found + (" with changes" if _output(["git", "status", "--porcelain"]) else "")


def _ask_driver(field: str) -> str:
    return _output(["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader", "--id=0"]) or UNKNOWN


def _output(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
