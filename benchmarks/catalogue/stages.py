"""Where the time of a call goes: seconds of each stage of its CPU kernels, and what these stages do.

Kernels run each stage through one function that they are given; here it is one that looks at the clock as well.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

from attnc.codegen.statements import RunPass, with_packs
from attnc.codegen.statements import flat as flat_statements
from attnc.pipeline import Derivation
from attnc.planning.plan import LOOPED, SCATTER, Pass, Plan, flat
from attnc.runtime import pool

_RUN = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_LEAST = 0.15  # of the whole, for a stage to be told of


class _Where(ctypes.Structure):
    """What the dynamic linker knows of an address."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("start", ctypes.c_void_p),
    )


@contextmanager
def clocked() -> Iterator[dict[int, float]]:
    """Seconds of each stage, by the address of its function; for calls that are prepared within."""
    run, scratch = pool.entry_points()
    real = _RUN(run)
    seconds: dict[int, float] = {}

    def act(tasks: int, threads: int, body: int, context: int) -> None:
        start = time.perf_counter()
        real(tasks, threads, body, context)
        seconds[body] = seconds.get(body, 0.0) + time.perf_counter() - start

    own = _RUN(act)
    address = ctypes.cast(own, ctypes.c_void_p).value
    with patch.object(pool, "entry_points", lambda: (address, scratch)):
        yield seconds


def where_time_goes(derivation: Derivation, act: Callable[[], object]) -> list[str]:
    """The stages that take most of a call, forward and backward, as "62 % in …"; most first. Nothing may have called
    these kernels before in this process."""
    with clocked() as seconds:
        act()  # prepares
        seconds.clear()
        start = time.perf_counter()
        act()
        whole = time.perf_counter() - start
    files = list(dict.fromkeys(_function(address)[0] for address in seconds))
    gradient = derivation.gradient(tuple(d.name for d in derivation.meaning.inputs if d.tensor.type == "float"))
    plans = [derivation.plan_forward(gradient.kept), derivation.plan_backward(gradient, both=True)]
    found: dict[str, float] = {}
    for address, taken in seconds.items():
        file, function = _function(address)
        place = files.index(file)
        what = _told(derivation, plans[place], function, ("forward", "backward")[place]) if place < 2 else "elsewhere"
        found[what] = found.get(what, 0.0) + taken
    found["calls and memory around the kernels"] = whole - sum(seconds.values())
    most = sorted(found.items(), key=lambda item: -item[1])
    return [f"{100 * taken / whole:.0f} % in {what}" for what, taken in most if taken >= _LEAST * whole][:3]


def _function(address: int) -> tuple[str, str]:
    """The file of a function and its name there."""
    where = _Where()
    find = ctypes.CDLL(None).dladdr
    find.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Where)]
    if not find(address, ctypes.byref(where)):
        raise LookupError("a stage in no file")
    file = where.file.decode()
    return file, _names(file)[address - where.base]


@cache
def _names(file: str) -> dict[int, str]:
    listed = subprocess.run(["nm", "-C", file], capture_output=True, text=True, check=True).stdout
    parts = (line.split(None, 2) for line in listed.splitlines())
    return {int(part[0], 16): part[2].split("(")[0].split("::")[-1] for part in parts if len(part) == 3}


def _told(derivation: Derivation, plan: Plan, function: str, direction: str) -> str:
    """What a function does: a stage, or an operand made ready for one."""
    stages = list(flat(plan.stages))
    made = re.fullmatch(r"(?:stage|nest)(\d+)(?:_\d+)?", function)
    if made is not None:
        return f"the {direction}'s {describe(stages[int(made[1])])}"
    operand = function.removeprefix("pack_")
    runs = [(stage, packs) for stage, packs in _with_packs(derivation, plan)]
    number = next(n for n, (_, packs) in enumerate(runs) if operand in packs)
    return f"operands of the {direction}'s {describe(stages[number])}"


def _with_packs(derivation: Derivation, plan: Plan) -> Iterator[tuple[bool, list[str]]]:
    statements = list(flat_statements(derivation.statements(plan).stages))
    for stage, packs in with_packs(statements):
        yield isinstance(stage, RunPass), [one.name for pack in packs for one in pack.packed]


def describe(stage: object) -> str:
    """A stage in few words: over what it goes, and what in it is no product of matrices."""
    if not isinstance(stage, Pass):
        return "values computed point by point"
    rows = stage.row.name if stage.row is not None else "a single row"
    forms = {term.form for accumulator in stage.accumulators for term in accumulator.terms}
    words = [f"pass over {rows} by {stage.loop.name}"]
    if stage.solve is not None:
        words.append("repeated until its number is found")
    if LOOPED in forms:
        words.append("sums of pairs feature by feature")
    if SCATTER in forms:
        words.append("numbers added one by one where positions say")
    if any(axis is not None and axis.size.is_const() for axis in (stage.row, stage.loop)):
        words.append("one side of a few places only")
    return ", ".join(words)
