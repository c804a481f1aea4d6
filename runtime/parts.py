"""Few rows of many keys: into how many parts the keys are taken, so that every core, or every unit of a GPU, has some.

The number depends on the sizes and the machine alone, so that equal calls add up in the same order.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from attnc.ir.host import evaluate

from .kernels import Kernel

_LEAST_ON_CORES, _LEAST_ON_UNITS = 2048, 512  # keys of a part: below, merging costs more than it brings
_BLOCK = 256  # parts begin where blocks of keys do


def cores() -> int:
    return os.cpu_count() or 1


def parts_on_cores(kernel: Kernel, known: Mapping[str, Any]) -> tuple[int, int]:
    """How many parts, and how many keys each has; (1, 0) where blocks of rows are enough for all cores."""
    if kernel.work is None:
        return 1, 0
    outer, rows, columns = (int(evaluate(size, known)) for size in kernel.work[:3])
    return _parts(columns, outer * -(-rows // kernel.work[3]), cores(), _LEAST_ON_CORES)


def parts_on_units(launches: Any, known: Mapping[str, Any], units: int) -> tuple[int, int]:
    """Likewise for the first kernel that goes through keys, of blocks of at least 64 rows, two for each unit."""
    first = next((one for one in launches if one.streams and one.columns is not None), None)
    if first is None or first.shares:
        return 1, 0
    outer = math.prod(int(evaluate(size, known)) for size in first.outer)
    rows = 1 if first.rows is None else -(-int(evaluate(first.rows, known)) // 64)
    return _parts(int(evaluate(first.columns, known)), outer * rows, 2 * units, _LEAST_ON_UNITS)


def _parts(columns: int, tasks: int, workers: int, least: int) -> tuple[int, int]:
    wanted = min(-(-workers // max(tasks, 1)), columns // least)
    if tasks >= workers or wanted < 2:
        return 1, 0
    length = -(-columns // (wanted * _BLOCK)) * _BLOCK
    return -(-columns // length), length
