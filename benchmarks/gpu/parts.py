"""The parts of a run in their order: what each does at which sizes, by how many processes, and when it must have ended.

An end is a share of the run's seconds, counted from its start: what one part does not need, the next ones have.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from ..specs import EXAMPLES
from .machine import Machine, cores
from .mechanisms import MECHANISMS
from .outcomes import Found, Task
from .ways import FLEX, OURS

SECONDS = 560.0
DTYPES = ("bfloat16", "float16", "float32")
DETERMINISTIC = ("causal", "grouped", "t5_encoder", "t5_decoder", "sliding")
LENGTHS = (4096, 16384, 1024, 8192, 2048)
WIDTHS = (128, 64)
_TOKENS, _HEADS = 16384, 16
_MOST_WORKERS, _GIB_FOR_ONE = 12, 12
_SIDE_BY_SIDE = {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}

_REAL: Mapping[str, Mapping[str, int]] = {
    "bfloat16": {"B": 2, "H": 8, "G": 2, "M": 1024, "N": 1024, "D": 128, "E": 128, "R": 64},
    "float16": {"B": 1, "H": 6, "G": 3, "M": 777, "N": 1000, "D": 64, "E": 64, "R": 32},
    "float32": {"B": 1, "H": 4, "G": 4, "M": 1024, "N": 1024, "D": 64, "E": 64, "R": 32},
}
_TINY = {"B": 2, "H": 6, "G": 2, "M": 37, "N": 53, "D": 12, "E": 10, "R": 6}


class Module(Protocol):
    """What every part's module gives."""

    def work(self, task: Task, device: str) -> Found: ...

    def summary(self, found: Found) -> str: ...

    def faults(self, found: Found) -> list[str]: ...


@dataclass(frozen=True)
class Part:
    """`is_fresh` asks for empty caches on disk."""

    name: str
    title: str
    tasks: Sequence[Task]
    end: float
    workers: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    is_fresh: bool = False

    @property
    def module(self) -> Module:
        return cast(Module, importlib.import_module(f"benchmarks.gpu.{self.name}"))


def parts(device: str, machine: Machine, only: Collection[str] = ()) -> list[Part]:
    """`only` restricts them to examples and attentions of these names."""
    workers = _workers(machine) if device == "cuda" else 1
    tasks = _real_tasks() if device == "cuda" else _tiny_tasks()
    kept = {name: [task for task in some if _is_wanted(task, only)] for name, some in tasks.items()}
    return [
        Part("correctness", "Correctness", kept["correctness"], 0.38, workers, _SIDE_BY_SIDE),
        Part("determinism", "Determinism", kept["determinism"], 0.43),
        Part("ahead", "Kernels made ahead of the timings", kept["ahead"], 0.58, workers, _SIDE_BY_SIDE),
        Part("speed", "Speed", kept["speed"], 0.86, environment=_SIDE_BY_SIDE),
        Part("overhead", "Overhead of a call", kept["overhead"], 0.89),
        Part("first_call", "First calls", kept["first_call"], 1.0, is_fresh=True),
    ]


def _workers(machine: Machine) -> int:
    return max(1, min(cores() - 1, int(machine.get("memory GiB", 0)) // _GIB_FOR_ONE, _MOST_WORKERS))


def _is_wanted(task: Task, only: Collection[str]) -> bool:
    return not only or task.get("example", task.get("attention")) in only


def _real_tasks() -> dict[str, list[Task]]:
    speed = [_sized(name, n, d) for n in LENGTHS for d in WIDTHS for name in MECHANISMS]
    ours = [{**_sized(name, min(LENGTHS), d), "who": OURS} for d in WIDTHS for name in MECHANISMS]
    flex = [{**task, "who": FLEX} for task in speed if not isinstance(MECHANISMS[task["attention"]].flex, str)]
    return {
        "correctness": _examples(_REAL),
        "determinism": _repeated({**_REAL["bfloat16"], "M": 4096, "N": 4096}),
        "ahead": ours + flex,
        "speed": [{**task, "effort": [5, 20, 0.5]} for task in speed],
        "overhead": [{**_tiny(name, 16, 64), "rounds": 30} for name in ("causal", "alibi")],
        "first_call": [_sized(name, 4096, 128) for name in MECHANISMS],
    }


def _tiny_tasks() -> dict[str, list[Task]]:
    """The same on a CPU, to try every path; these times mean nothing."""
    some = [_tiny(name, 64, 16) for name in MECHANISMS]
    return {
        "correctness": _examples(dict.fromkeys(DTYPES, _TINY)),
        "determinism": _repeated(_TINY),
        "ahead": [{**task, "who": OURS} for task in some],
        "speed": [{**task, "effort": [1, 1, 0.0]} for task in some],
        "overhead": [{**_tiny(name, 16, 16), "rounds": 2} for name in ("causal", "alibi")],
        "first_call": some,
    }


def _examples(sizes: Mapping[str, Mapping[str, int]]) -> list[Task]:
    """Slow ones first would be better balanced; which they are is not known."""
    return [{"example": name, "dtype": dtype, "sizes": dict(sizes[dtype])} for dtype in DTYPES for name in _names()]


def _names() -> list[str]:
    """Where the tests are not beside this package, each example fails by name for lack of its oracle."""
    try:
        from tests.examples.cases import BY_NAME
    except ImportError:
        return sorted(path.stem for path in EXAMPLES.glob("*.attn"))
    return list(BY_NAME)


def _repeated(sizes: Mapping[str, int]) -> list[Task]:
    return [{"example": name, "dtype": "bfloat16", "sizes": dict(sizes), "times": 5} for name in DETERMINISTIC]


def _sized(attention: str, n: int, d: int) -> dict[str, Any]:
    return {"attention": attention, "B": _TOKENS // n, "H": _HEADS, "N": n, "D": d, "dtype": "bfloat16"}


def _tiny(attention: str, n: int, d: int) -> dict[str, Any]:
    return {"attention": attention, "B": 1, "H": 2, "N": n, "D": d, "dtype": "bfloat16"}
