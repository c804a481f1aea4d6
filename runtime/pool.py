"""The thread pool that kernels run on: built once, shared by all of them. See codegen/cpp/pool.cpp."""

from __future__ import annotations

import contextlib
import ctypes
from functools import cache
from pathlib import Path

from . import toolchain
from .cache import digest, forget, load, load_json, path_of, store_json

_SOURCE = Path(__file__).resolve().parent.parent / "codegen" / "cpp" / "pool.cpp"


@cache
def library() -> ctypes.CDLL:
    """The loaded pool; no compiler is asked for where it is in the cache."""
    pool = _load()
    with contextlib.suppress(AttributeError):  # a torch that has no OpenMP, or keeps it to itself
        openmp = ctypes.cast(ctypes.CDLL(None).GOMP_parallel, ctypes.c_void_p)
        pool.attnc_pool_openmp(openmp)
    return pool


def _load() -> ctypes.CDLL:
    text = _SOURCE.read_text(encoding="utf-8")
    name = digest("pool", text, *toolchain.machine()) + ".json"
    known = load_json(name)
    if isinstance(known, str) and load(known) is not None:
        try:
            return ctypes.CDLL(str(path_of(known)))
        except OSError:
            forget(known)
    built = toolchain.build(text, ("-pthread",))
    store_json(name, built.name)
    return ctypes.CDLL(str(built))


@cache
def entry_points() -> tuple[int, int]:
    """Addresses of attnc_parallel and attnc_scratch, which kernels take as arguments."""
    pool = library()
    found = [ctypes.cast(getattr(pool, name), ctypes.c_void_p).value for name in ("attnc_parallel", "attnc_scratch")]
    assert found[0] is not None and found[1] is not None
    return found[0], found[1]
