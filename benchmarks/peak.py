"""The most multiply-adds that this machine does in a second, measured with the driver of the C++ tests."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_TOOL = Path(__file__).resolve().parent.parent / "tests" / "cpp" / "measure.py"
_TRIES = 5


def multiply_add_peak(threads: int) -> float | None:
    """Single-precision operations a second of all threads at once; None where the tool is not there or not built."""
    spec = importlib.util.spec_from_file_location("measure", _TOOL) if _TOOL.exists() else None
    if spec is None or spec.loader is None:
        return None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measure.so"
        try:
            tool.compile_driver([tool.HERE / "drivers" / "measure.cpp", tool.HEADERS / "pool.cpp"], "native", path)
        except (OSError, subprocess.CalledProcessError):
            return None
        library = ctypes.CDLL(str(path))
        library.peak_f.restype = ctypes.c_double
        with ThreadPoolExecutor(threads) as pool:  # ctypes lets go of the interpreter's lock
            peaks = [sum(pool.map(lambda _: library.peak_f(), range(threads))) for _ in range(_TRIES)]
            return float(max(peaks))
