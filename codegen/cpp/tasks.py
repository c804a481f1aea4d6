"""Which blocks of rows a task of a pass goes through, and for which outer indices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from attnc.analysis.tiles import corners
from attnc.ir.node import walk

from ..statements import RunPass
from .blocks import Blocks
from .emitter import Emitter


@contextmanager
def task_blocks(em: Emitter, run: RunPass, blocks: Blocks, alone: str) -> Iterator[None]:
    """Loops over the blocks of a task: one, or all that a worker owns; or all of them where the flag `alone` holds.

    Tasks are grid-major, so that neighbouring ones share what was packed; blocks with most tiles come first.
    """
    em.line("int64_t rest = task;")
    count = _count(em, run, blocks)
    first, stop, step = "0", count, "1"
    if not run.owns_rows and run.row is not None:
        em.line(f"const int64_t blocks = {f'{alone} ? 1 : ' if alone else ''}{count};")
        em.line("int64_t own_block = rest % blocks; rest /= blocks;")
        if is_heavier_later(em, run):
            em.line("own_block = blocks - 1 - own_block;")
        first, stop = "own_block", f"{alone} ? {count} : own_block + 1" if alone else "own_block + 1"
    workers = (run.split,) if run.split is not None else ()
    for axis in reversed((*run.grid, *workers)):
        name = em.fresh("g")
        size = em.size(axis.size)
        em.line(f"const int64_t {name} = rest % {size}; rest /= {size};")
        em.fix(axis, name)
    if run.owns_rows and run.split is not None:
        first, step = em.coordinate(run.split), em.size(run.split.size)
    with em.scope(f"for (int64_t block = {first}; block < ({stop}); block += {step})", {}):
        yield


def task_count(em: Emitter, run: RunPass, blocks: Blocks, alone: str) -> str:
    """How many tasks the stage has, spelt by an emitter of the entry."""
    workers = (run.split,) if run.split is not None else ()
    parts = [em.size(axis.size) for axis in (*run.grid, *workers)]
    if not run.owns_rows and run.row is not None:
        count = _count(em, run, blocks)
        parts.append(f"({alone} ? 1 : {count})" if alone else count)
    return " * ".join(parts) or "1"


def _count(em: Emitter, run: RunPass, blocks: Blocks) -> str:
    """How many blocks of rows there are."""
    return f"block_count({em.size(run.row.size)}, {blocks.rows})" if run.row is not None else "1"


def is_heavier_later(em: Emitter, run: RunPass) -> bool:
    """Whether later rows have more columns."""
    at, classes = corners(em.graph), run.tiles.classes
    rows = {at.first_row, at.last_row}
    return any(n in rows for n in walk(classes.high)) and not any(n in rows for n in walk(classes.low))
