"""The most that this machine multiplies and adds, and reads, in a second; the former by the driver of the C++ tests."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

_TOOL = Path(__file__).resolve().parent.parent / "tests" / "cpp" / "measure.py"
_TRIES = 5
_READ = 512 << 20


def multiply_add_peaks(threads: int) -> dict[str, float]:
    """Operations a second of all threads at once, by what is multiplied: float32, and bfloat16 where the machine has
    products of pairs of them. Nothing where the tool is not there or not built."""
    spec = importlib.util.spec_from_file_location("measure", _TOOL) if _TOOL.exists() else None
    if spec is None or spec.loader is None:
        return {}
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measure.so"
        try:
            tool.compile_driver([tool.HERE / "drivers" / "measure.cpp", tool.HEADERS / "pool.cpp"], "native", path)
        except (OSError, subprocess.CalledProcessError):
            return {}
        library = ctypes.CDLL(str(path))
        found = {}
        for dtype, function in (("float32", library.peak_f), ("bfloat16", library.peak_pairs)):
            function.restype = ctypes.c_double
            with ThreadPoolExecutor(threads) as pool:  # ctypes lets go of the interpreter's lock
                peaks = [sum(pool.map(lambda _, run=function: run(), range(threads))) for _ in range(_TRIES)]
            if max(peaks) > 0:
                found[dtype] = float(max(peaks))
        return found


def read_bandwidth(threads: int) -> float:
    """Bytes a second that sums of far more than the caches hold are read at."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        words = torch.ones(_READ // 8, dtype=torch.int64)
        seconds = []
        for _ in range(_TRIES):
            start = time.perf_counter()
            words.sum()
            seconds.append(time.perf_counter() - start)
        return _READ / min(seconds)
    finally:
        torch.set_num_threads(before)
