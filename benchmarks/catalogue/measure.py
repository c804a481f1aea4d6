"""One row in a process of its own: is it right, what did the compiler choose, how long does it take beside eager code.

A process may use so much memory and no more, since the dense computation of a row may hold every pair many times.
"""

from __future__ import annotations

import multiprocessing
import queue
import resource
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from attnc.planning.plan import Repeat
from tests.catalogue.rows import Row, rows
from tests.catalogue.test_rows import as_tuple, interpreted, test_dense
from tests.triton.workers import run

from ..timing import Effort, compare, measure
from .stages import where_time_goes

THREADS = 1  # rows are measured side by side
LENGTH, SHORTER = 2048, (512, 128)
SLOW = 2.0  # how many times faster than eager code is the goal
LARGE = {"B": 1, "H": 4, "G": 4, "M": LENGTH, "N": LENGTH, "D": 64, "E": 64}
_SIDES = ("rows", "cols", "Y", "X")  # of grids, which are shorter where lengths are
_MEMORY = 14 * 2**30
_SECONDS, _MOST_SECONDS = 40.0, 100.0
_EFFORT = Effort(least=1, most=3, seconds=0.4)
Record = dict[str, Any]


def isolated(step: Callable[[str], Record], name: str, seconds: float = _SECONDS) -> Record:
    """A step's record, or why there is none."""
    context = multiprocessing.get_context("fork")
    results: Any = context.SimpleQueue()
    process = context.Process(target=_child, args=(step, name, results), daemon=True)
    process.start()
    end = time.monotonic() + seconds
    while process.is_alive() and results.empty() and time.monotonic() < end:
        time.sleep(0.05)
    try:
        if not results.empty():
            return dict(results.get())
        return {"reason": "it took too long" if process.is_alive() else "it ran out of memory"}
    except queue.Empty:
        return {"reason": "it ended"}
    finally:
        process.kill()
        process.join()


def _child(step: Callable[[str], Record], name: str, results: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    torch.set_num_threads(THREADS)
    try:
        results.put(step(name))
    except (MemoryError, RuntimeError) as error:
        is_memory = isinstance(error, MemoryError) or "allocate" in str(error)
        results.put({"reason": "it needs too much memory" if is_memory else str(error).split("\n")[0]})
    except Exception as error:  # a fault of one row must not end the others
        results.put({"reason": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"})


# --- steps ------------------------------------------------------------------------------------------------------------


def verified(name: str) -> Record:
    """Results and every gradient against the dense computation in float64; what the compiler chose."""
    test_dense(name)
    return {"dense": True} | chosen(rows()[name])


def in_interpreter(name: str) -> Record:
    wrong = [error for error in run("interpreter", interpreted, name) if not error[1]]
    return {"interpreted": not wrong} | ({"reason": str(wrong[0])} if wrong else {})


def chosen(row: Row) -> Record:
    """Passes forward and backward, and how they go."""
    derivation = row.load().derivation()
    inputs = tuple(item.name for item in row.load().card().inputs if item.type == "float")
    gradient = derivation.gradient(inputs) if inputs else None
    plans = [derivation.plan_forward(gradient.kept if gradient else ())]
    if gradient is not None:
        plans.append(derivation.plan_backward(gradient))
    words = []
    if any(stage.solve is not None and not stage.solve.is_search for plan in plans for stage in plan.passes):
        words.append("roots")
    if any(stage.solve is not None and stage.solve.is_search for plan in plans for stage in plan.passes):
        words.append("searches")
    if any(isinstance(stage, Repeat) for plan in plans for stage in plan.stages):
        words.append("steps")
    if any(not p.domain.is_const(True) and not p.classes.may.is_const(True) for p in plans[0].passes):
        words.append("tiles left out")
    return {"passes": [len(plan.passes) for plan in plans], "words": words}


def timed(name: str, length: int = LENGTH) -> Record:
    """Forward and backward at a length of about 2048, beside the dense computation, in float32."""
    row, sizes, acts = _acts(name, length)
    times = measure(acts, _EFFORT)
    ratio = compare(times["eager"], times["attnc"])
    return {
        "sizes": {k: sizes[k] for k in sorted(sizes) if k in row.large or k in ("M", "N")},
        "milliseconds": {k: round(1e3 * sorted(t)[len(t) // 2], 2) for k, t in times.items()},
        "ratio": round(ratio.median, 2),
    }


def timed_alone(name: str, length: int) -> Record:
    """The kernels' time, where the dense computation ends no more."""
    row, sizes, acts = _acts(name, length)
    times = measure({"attnc": acts["attnc"]}, _EFFORT)["attnc"]
    return {
        "sizes": {k: sizes[k] for k in sorted(sizes) if k in row.large or k in ("M", "N")},
        "milliseconds": {"attnc": round(1e3 * sorted(times)[len(times) // 2], 2)},
    }


def located(name: str, length: int) -> Record:
    """What takes most of the time of the kernels; in a process that has not called them before."""
    row, _, acts = _acts(name, length)
    return {"where": where_time_goes(row.load().derivation(), acts["attnc"])}


def timed_somehow(name: str) -> Record:
    """At the full length; where that ends not in time, at shorter ones, and where the dense computation never does, the
    kernels alone. Of what is slow, where its time goes."""
    length = LENGTH
    found = isolated(timed, name)
    if "reason" in found:
        at_full = found["reason"]
        for length in SHORTER:
            found = isolated(partial(timed, length=length), name, _MOST_SECONDS)
            if "reason" not in found:
                break
        else:
            length = SHORTER[0]
            found = {"dense": found["reason"]} | isolated(partial(timed_alone, length=length), name, _MOST_SECONDS)
        found["at_full_length"] = at_full
    if found.get("ratio", 0.0) < SLOW and "milliseconds" in found:
        found |= isolated(partial(located, length=length), name, _MOST_SECONDS)
    return found


def _acts(name: str, length: int) -> tuple[Row, dict[str, int], dict[str, Callable[[], object]]]:
    row = rows()[name]
    attention = row.load()
    known = LARGE | {"M": length, "N": length} | {k: n for k, n in row.sizes.items() if k not in ("M", "N")}
    large = {k: n // 2 if length < LENGTH and k in _SIDES else n for k, n in row.large.items()}
    known |= large
    defaults = row.given(attention)
    parameters = defaults | {k: n for k, n in large.items() if k in defaults}
    inputs = row.draw(attention, torch.float32, **known)
    leaves = [x for x in inputs.values() if x.requires_grad]

    def differentiated(call: Callable[..., Any], arguments: Mapping[str, Any]) -> Callable[[], object]:
        def act() -> object:
            results = [r for r in as_tuple(call(**inputs, **arguments)) if r.requires_grad]
            if not results or not leaves:
                return results
            return torch.autograd.grad(results, leaves, [torch.ones_like(r) for r in results], allow_unused=True)

        return act

    acts = {"attnc": differentiated(attention, parameters), "eager": differentiated(row.dense, parameters)}
    return row, known, acts
