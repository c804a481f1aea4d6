"""`python -m benchmarks.gpu --out FOLDER`: is attnc right and fast on this GPU? Writes gpu.md and gpu.json."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import torch

from . import machine, report
from .children import Crew, Tell
from .findings import Findings, PartFindings
from .goals import goals
from .outcomes import FAILED, OUT_OF_TIME, Deadline, Outcome, attempt, first_line
from .parts import SECONDS, Part, parts

NO_GPU = "make gpu needs a GPU and torch finds none here; `--device cpu` tries every part at tiny sizes"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="benchmarks/results", show_default=True)
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", help="cpu: tiny sizes, to try all parts.")
@click.option("--seconds", type=float, default=SECONDS, show_default=True, help="What the run may take at most.")
@click.option("--only", multiple=True, help="An example or attention; may be repeated. Others are left out.")
def main(out: Path, device: str, seconds: float, only: Sequence[str]) -> None:
    """Check and measure attnc on this machine's GPU, in less than ten minutes."""
    if device == "cuda" and not torch.cuda.is_available():
        click.echo(NO_GPU)
        sys.exit(2)
    findings = Run(out, device, seconds).everything(only)
    click.echo(report.table(("what", "measured", "goal", "met", ""), [goal.cells() for goal in goals(findings)]))
    for problem in findings.problems():
        click.echo(f"wrong: {problem}")
    click.echo(f"wrote {out / 'gpu.md'} and {out / 'gpu.json'}")
    sys.exit(1 if findings.problems() else 0)


class Run:
    """The parts in order. The report is written after each, so that it holds whatever was found before an end."""

    def __init__(self, out: Path, device: str, seconds: float) -> None:
        self.out, self.device, self.seconds = out, device, seconds
        self.start = time.perf_counter()

    def everything(self, only: Sequence[str]) -> Findings:
        findings = Findings(self.device, only)
        self._describe(findings)
        for part in parts(self.device, findings.machine, only):
            self._part(part, findings)
            report.write(findings, self.out)
        return findings

    def _describe(self, findings: Findings) -> None:
        try:
            findings.machine = machine.describe(self.device)
        except Exception as error:  # a report without its machine is better than none
            findings.parts.append(PartFindings("machine", "Machine", failure=FAILED + first_line(error)))
        click.echo("; ".join(f"{name} {value}" for name, value in findings.machine.items()))

    def _part(self, part: Part, findings: Findings) -> None:
        """Whatever a part raises is its failure, and the next one has its turn."""
        found = PartFindings(part.name, part.title)
        findings.parts.append(found)
        start = time.perf_counter()
        try:
            found.faults = part.module.faults
            found.outcomes = self._outcomes(part)
        except Exception as error:
            found.failure = FAILED + first_line(error)
            self._say(f"{part.title}: {found.failure}")
        found.seconds = time.perf_counter() - start

    def _outcomes(self, part: Part) -> list[Outcome]:
        deadline = Deadline(self.start + part.end * self.seconds)
        tell = self._teller(part)
        if self.device == "cpu":
            return in_this_process(part, deadline, tell)
        with ExitStack() as stack:
            environment = dict(part.environment)
            if part.is_fresh:
                environment |= fresh_caches(stack.enter_context(tempfile.TemporaryDirectory()))
            return Crew.of_part(part.name, self.device, part.workers, environment).run(part.tasks, deadline, tell)

    def _teller(self, part: Part) -> Tell:
        count = 0

        def tell(outcome: Outcome) -> None:
            nonlocal count
            count += 1
            text = part.module.summary(outcome.found) if outcome.is_done else outcome.state
            self._say(f"{part.title} {count}/{len(part.tasks)}: {outcome.label}: {text}")

        return tell

    def _say(self, text: str) -> None:
        click.echo(f"[{time.perf_counter() - self.start:4.0f} s] {text}")


def in_this_process(part: Part, deadline: Deadline, tell: Tell) -> list[Outcome]:
    """A CPU has no faults and no caches to be kept apart."""
    found = []
    for task in part.tasks:
        over = Outcome(task, OUT_OF_TIME)
        found.append(over if deadline.is_over else attempt(part.module.work, task, "cpu"))
        tell(found[-1])
    return found


def fresh_caches(folder: str) -> dict[str, str]:
    places = {"ATTNC_CACHE_DIR": "attnc", "TRITON_CACHE_DIR": "triton"}
    for name in places.values():
        (Path(folder) / name).mkdir(mode=0o700)
    return {variable: str(Path(folder) / name) for variable, name in places.items()}


if __name__ == "__main__":
    main()
