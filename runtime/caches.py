"""How large this machine's caches are, which sizes of tiles follow from."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

from attnc.codegen.cpp.names import USUAL_CACHE

_LEAST, _MOST = 1 << 17, 1 << 26  # what is told outside of these is no size of a second-level cache


@cache
def near_bytes() -> int:
    """Bytes of second-level cache that a core has to itself: as the system tells it, or a usual size where it tells
    nothing (in a container or an emulator, say)."""
    found = _apple() if sys.platform == "darwin" else _linux()
    return found if found is not None and _LEAST <= found <= _MOST else USUAL_CACHE


def _linux(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int | None:
    """From sysfs, where cores that share a cache are told too; else from the C library."""
    for index in sorted(folder.glob("index*")):
        try:
            if (index / "level").read_text().strip() == "2" and (index / "type").read_text().strip() != "Instruction":
                text = (index / "size").read_text().strip()
                size = int(text[:-1]) << {"K": 10, "M": 20}[text[-1]]
                return size // _cores((index / "shared_cpu_list").read_text(), folder.parent.parent)
        except (KeyError, OSError, ValueError):
            continue
    try:
        return os.sysconf("SC_LEVEL2_CACHE_SIZE")
    except (OSError, ValueError):
        return None


def _cores(processors: str, folder: Path) -> int:
    """How many cores a list such as "0-3,8" of hardware threads stands for."""
    numbers: list[int] = []
    for part in processors.strip().split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    cores = set()
    for number in numbers:
        siblings = folder / f"cpu{number}" / "topology" / "thread_siblings_list"
        cores.add(siblings.read_text() if siblings.exists() else str(number))
    return max(len(cores), 1)


def _apple() -> int | None:
    """Of the faster kind of cores, each of which has its part of a cluster's cache."""
    size, cores = _sysctl("hw.perflevel0.l2cachesize"), _sysctl("hw.perflevel0.cpusperl2")
    return size // cores if size is not None and cores else _sysctl("hw.l2cachesize")


def _sysctl(name: str) -> int | None:
    value, length = ctypes.c_int64(0), ctypes.c_size_t(8)
    try:
        ask = ctypes.CDLL(None).sysctlbyname
    except AttributeError:
        return None
    failed = ask(name.encode(), ctypes.byref(value), ctypes.byref(length), None, ctypes.c_size_t(0))
    return value.value if failed == 0 and value.value > 0 else None
