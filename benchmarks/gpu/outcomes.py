"""A task of a part, what became of it, and how much time is left. Tasks and what is found are plain data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DONE, FAILED, OUT_OF_TIME = "done", "failed: ", "not run: out of time"
_LONGEST = 200

Task = dict[str, Any]
Found = dict[str, Any]
Work = Callable[[Task, str], Found]
"""(task, device) -> what was found."""


@dataclass(frozen=True)
class Outcome:
    """`state` is DONE, OUT_OF_TIME, or FAILED with a reason; only what is done has something `found`."""

    task: Task
    state: str
    found: Found = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return self.state == DONE

    @property
    def has_failed(self) -> bool:
        return self.state.startswith(FAILED)

    @property
    def label(self) -> str:
        """The task in words: its names, then its sizes where these tell it from others."""
        names = [str(self.task[key]) for key in _NAMES if key in self.task]
        return ", ".join(names + [f"{key}={self.task[key]}" for key in "BHND" if key in self.task])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


_NAMES = ("example", "attention", "who", "dtype")


@dataclass(frozen=True)
class Deadline:
    """A moment of `time.perf_counter`."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.perf_counter() + seconds)

    @property
    def left(self) -> float:
        return self.at - time.perf_counter()

    @property
    def is_over(self) -> bool:
        return self.left <= 0


def first_line(error: BaseException) -> str:
    """What an error says, in one line without the paths of this machine."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = ": ".join([type(error).__name__, *lines[:1]])
    return without_paths(text)[:_LONGEST]


def without_paths(text: str) -> str:
    return text.replace(str(ROOT), ".").replace(str(Path.home()), "~")


def attempt(work: Work, task: Task, device: str) -> Outcome:
    """Does one task; whatever it raises is its outcome."""
    try:
        return Outcome(task, DONE, work(task, device))
    except Exception as error:
        return Outcome(task, FAILED + first_line(error))
