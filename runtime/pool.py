"""The thread pool that kernels run on: built once, shared by all of them. See codegen/cpp/pool.cpp."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from . import toolchain

_SOURCE = Path(__file__).resolve().parent.parent / "codegen" / "cpp" / "pool.cpp"


@cache
def library() -> ctypes.CDLL:
    """The loaded pool."""
    return ctypes.CDLL(str(toolchain.build(_SOURCE.read_text(), ("-pthread",))))


@cache
def entry_points() -> tuple[int, int]:
    """Addresses of attnc_parallel and attnc_scratch, which kernels take as arguments."""
    pool = library()
    found = [ctypes.cast(getattr(pool, name), ctypes.c_void_p).value for name in ("attnc_parallel", "attnc_scratch")]
    assert found[0] is not None and found[1] is not None
    return found[0], found[1]
