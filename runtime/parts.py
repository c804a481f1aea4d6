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
    return _parts_of_longest(
        [(*(int(evaluate(size, known)) for size in sizes), block) for *sizes, block in kernel.work],
        cores(),
        _LEAST_ON_CORES,
    )


def _parts_of_longest(work: list[Any], workers: int, least: int) -> tuple[int, int]:
    """For the pass with the most columns, of `outer` times so many rows."""
    if not work:
        return 1, 0
    outer, rows, columns, block = max(work, key=lambda one: one[2])
    return _parts(columns, outer * -(-rows // block), workers, least)


def parts_on_units(launches: Any, known: Mapping[str, Any], units: int) -> tuple[int, int]:
    """Likewise for kernels of blocks of at least 64 rows, two for each unit."""
    work = []
    for one in launches:
        if one.streams and one.columns is not None:
            outer = math.prod(int(evaluate(size, known)) for size in one.outer)
            rows = 1 if one.rows is None else int(evaluate(one.rows, known))
            work.append((outer, rows, int(evaluate(one.columns, known)), 64))
    return _parts_of_longest(work, 2 * units, _LEAST_ON_UNITS)


def _parts(columns: int, tasks: int, workers: int, least: int) -> tuple[int, int]:
    wanted = min(-(-workers // max(tasks, 1)), columns // least)
    if tasks >= workers or wanted < 2:
        return 1, 0
    length = -(-columns // (wanted * _BLOCK)) * _BLOCK
    return -(-columns // length), length
