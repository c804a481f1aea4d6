"""What the numbers were measured on: the processor, the memory and the versions, and nothing that names the machine."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path
from typing import Any

import torch

import attnc

from .peak import multiply_add_peaks, read_bandwidth

_X86 = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16")
_FLAGS: tuple[str, ...] = (*_X86, "amx_tile", "amx_bf16", "asimd", "asimdhp", "bf16", "sve", "sve2")


def describe(threads: int) -> dict[str, Any]:
    """The machine as plain data. Peaks are of multiply-adds in registers, all threads at once, by what is
    multiplied."""
    from attnc.runtime.toolchain import compiler

    peaks = multiply_add_peaks(threads)
    processor = _processor()
    return {
        "processor": processor["model"],
        "cores": processor["cores"],
        "hardware threads": os.cpu_count(),
        "threads used": threads,
        "instruction sets": processor["flags"],
        "memory GiB": _memory(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        "compiler": compiler().version,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "attnc": attnc.__version__,
        "date": datetime.date.today().isoformat(),
        "multiply-add peak, GFLOP/s": {dtype: round(peak / 1e9, 1) for dtype, peak in peaks.items()},
        "read bandwidth, GB/s": round(read_bandwidth(threads) / 1e9, 1),
    }


def _processor() -> dict[str, Any]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {"model": platform.processor() or platform.machine(), "cores": os.cpu_count(), "flags": []}
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", text, re.MULTILINE)
    known = set(flags.group(1).split()) if flags else set()
    return {
        "model": model.group(1) if model else platform.machine(),
        "cores": physical_cores(),
        "flags": [flag for flag in _FLAGS if flag in known],
    }


def physical_cores() -> int:
    """Cores that this process may run on, each counted once however many hardware threads it has."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    found = set()
    for number in allowed:
        try:
            found.add(Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text())
        except OSError:
            found.add(str(number))
    return len(found)


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None
