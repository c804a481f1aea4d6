"""Few rows of many keys: heads that share keys are taken together, and the keys in parts, so that every core, or every
unit of a GPU, has some.

The number of parts depends on the sizes and the machine alone, so that equal calls add up in the same order.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attnc.ir.host import evaluate
from attnc.ir.roles import PART, PARTS, ROWS

from .kernels import Kernel

_LEAST_ON_CORES, _LEAST_ON_UNITS = 2048, 512  # keys of a part: below, merging costs more than it brings
_BLOCK = 256  # parts begin where blocks of keys do


def cores() -> int:
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Few:
    """How a call with few rows is run: the keys in parts, heads of a group as rows of one. `sizes` are what kernels for
    few rows ask for."""

    sizes: dict[str, int]
    is_few: bool


def few_on_cores(kernel: Kernel, known: Mapping[str, Any]) -> Few:
    """For the pass of a kernel with the most keys."""
    work = [(*(int(evaluate(size, known)) for size in sizes), block) for *sizes, block in kernel.work]
    return _few(work, known, cores(), _LEAST_ON_CORES)


def few_on_units(launches: Any, known: Mapping[str, Any], units: int) -> Few:
    """Likewise for kernels of blocks of at least 64 rows, two for each unit."""
    work = []
    for one in launches:
        if one.streams and one.columns is not None:
            outer = math.prod(int(evaluate(size, known)) for size in one.outer)
            rows = 1 if one.rows is None else int(evaluate(one.rows, known))
            work.append((outer, rows, int(evaluate(one.columns, known)), 64))
    return _few(work, known, 2 * units, _LEAST_ON_UNITS)


def _few(work: list[Any], known: Mapping[str, Any], workers: int, least: int) -> Few:
    heads, groups, queries = (known.get(name, 0) for name in ("H", "G", "M"))
    shared = heads // groups if groups and queries and heads % groups == 0 else 1
    rest = {PARTS: 1, PART: 1, ROWS: shared * queries}
    if not work:
        return Few(rest, False)
    outer, rows, columns, block = max(work, key=lambda one: one[2])
    rest[PART] = max(columns, 1)
    tasks = outer * -(-rows // block)
    if shared > 1 and rows == queries and columns >= least and outer % heads == 0:
        together = outer // shared * -(-shared * rows // block)
        is_less = together < tasks
        tasks = together if is_less else tasks
    else:
        is_less = False
    wanted = min(-(-workers // max(tasks, 1)), columns // least)
    if tasks < workers and wanted > 1:
        length = -(-columns // (wanted * _BLOCK)) * _BLOCK
        return Few({**rest, PARTS: -(-columns // length), PART: length}, True)
    return Few(rest, is_less)
