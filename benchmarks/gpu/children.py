"""Does tasks in child processes: a fault in a kernel, a hang or a crash costs one task, and deadlines hold.

A child is asked one task at a time, as a line of JSON, and answers with a line; it is started again when it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .outcomes import FAILED, OUT_OF_TIME, ROOT, Deadline, Outcome, Task, without_paths

MARK = "@outcome "
Tell = Callable[[Outcome], None]


@dataclass(frozen=True)
class Crew:
    """How children are started, how many work at once, and how many seconds one task may take."""

    command: Sequence[str]
    workers: int = 1
    patience: float = 120.0
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_part(cls, part: str, device: str, workers: int, environment: Mapping[str, str]) -> Crew:
        return cls([sys.executable, "-m", "benchmarks.gpu.child", part, device], workers, environment=environment)

    def run(self, tasks: Sequence[Task], deadline: Deadline, tell: Tell) -> list[Outcome]:
        """One outcome for each task, in their order; `tell` hears of each as it comes, from several threads."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(tasks)):
            waiting.put(number)
        found: dict[int, Outcome] = {}
        one_speaks = threading.Lock()

        def worker(_: int) -> None:
            with _Place(self) as place:
                while (number := _next(waiting)) is not None:
                    found[number] = place.ask(tasks[number], deadline)
                    with one_speaks:
                        tell(found[number])

        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(worker, range(self.workers)))
        return [found[number] for number in range(len(tasks))]


def _next(waiting: queue.SimpleQueue[int]) -> int | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


class _Place:
    """Where one child works at a time."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.child: _Child | None = None

    def __enter__(self) -> _Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    def ask(self, task: Task, deadline: Deadline) -> Outcome:
        if deadline.is_over:
            return Outcome(task, OUT_OF_TIME)
        if self.child is None:
            self.child = _Child(self.crew)
        answer = self.child.ask(task, min(deadline.left, self.crew.patience))
        if answer is None:
            return Outcome(task, self._reason(deadline))
        if answer["spoilt"]:
            self.dismiss()
        return Outcome(task, answer["state"], answer["found"])

    def _reason(self, deadline: Deadline) -> str:
        """Why there is no answer, once the child is gone."""
        assert self.child is not None
        has_ended, last = self.child.has_ended, self.child.dismiss()
        self.child = None
        if has_ended:
            return f"{FAILED}its process ended: {last}"
        return OUT_OF_TIME if deadline.is_over else f"{FAILED}no answer in {self.crew.patience:.0f} s"

    def dismiss(self) -> None:
        if self.child is not None:
            self.child.dismiss()
        self.child = None


class _Child:
    """A process that answers tasks. What it writes to stderr is kept for the case that it dies."""

    def __init__(self, crew: Crew) -> None:
        self.errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed by `dismiss`)
        self.process = subprocess.Popen(
            crew.command,
            cwd=ROOT,
            env={**os.environ, **crew.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.has_ended = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(MARK):
                self.answers.put(line.removeprefix(MARK))
        self.answers.put(None)

    def ask(self, task: Task, seconds: float) -> dict[str, Any] | None:
        """Its answer; None where it has ended or takes longer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(task) + "\n")
            self.process.stdin.flush()
            line = self.answers.get(timeout=seconds)
        except OSError:
            line = None
        except queue.Empty:
            return None
        self.has_ended = line is None
        return None if line is None else dict(json.loads(line))

    def dismiss(self) -> str:
        """Ends it, and gives the last thing that it wrote to stderr."""
        assert self.process.stdin is not None
        self.process.kill()
        status = self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        self.errors.close()
        return without_paths(lines[-1])[:200] if lines else f"status {status}"
