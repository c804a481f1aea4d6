"""`python -m benchmarks --out FOLDER`: measures everything and writes cpu.md and cpu.json."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import flex, frontend, machine, memory, overhead, report, sparse, startup, twice, variants
from .agreement import Disagreement
from .cases import Sizes, cases
from .compare import EAGER, FLEX, OURS, SDPA, Compile, Row, run_case
from .report import Findings
from .timing import Effort

_PARTS = 12


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="benchmarks/results", show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Threads of torch and kernels; all physical cores otherwise.")
@click.option("--quick", is_flag=True, help="Tiny sizes: tries every part, measures nothing of worth.")
@click.option("--no-flex", is_flag=True, help="Leave out compiled FlexAttention, which takes a minute to compile.")
def main(out: Path, threads: int | None, quick: bool, no_flex: bool) -> None:
    """Compare attnc with torch's SDPA, FlexAttention and eager code on this machine's CPU."""
    threads = threads or machine.physical_cores()
    torch.set_num_threads(threads)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 130
    compile: Compile = flex.uncompiled if quick else "left out by --no-flex" if no_flex else flex.compiled
    start = time.perf_counter()
    try:
        findings = Run(console, threads, quick).everything(compile)
    except Disagreement as error:
        console.print(f"[bold red]wrong results, so nothing is compared:[/] {error}")
        sys.exit(1)
    for path in report.write(findings, out):
        console.print(f"wrote {path}")
    console.print(f"{time.perf_counter() - start:.0f} s in all")


class Run:
    """The parts of the benchmark, in order; each is shown as soon as it is measured."""

    def __init__(self, console: Console, threads: int, quick: bool) -> None:
        self.console = console
        self.threads = threads
        self.quick = quick
        self.effort = Effort(2, 3, 0.1) if quick else Effort(3, 15, 2.0)

    def everything(self, compile: Compile) -> Findings:
        todo = cases(self.quick)
        columns = (TextColumn("{task.description:45}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as progress:
            task = progress.add_task("machine", total=len(todo) + _PARTS)

            def begin(what: str) -> None:
                progress.update(task, description=what, advance=1)

            findings = Findings(machine.describe(self.threads), self.quick)
            self.alone(findings, begin, compile)
            for case in todo:
                begin(f"{case.mechanism.name}, N={case.sizes.N}, {str(case.dtype)[6:]}")
                rows = run_case(case, self.effort, compile)
                findings.add(rows)
                for row in rows:
                    self.console.print(_line(row), soft_wrap=True)
            begin("done")
        self.console.print(_goals(findings))
        return findings

    def alone(self, findings: Findings, begin: Callable[[str], None], compile: Compile) -> None:
        """What needs no table of peers."""
        n = 256 if self.quick else 2048
        begin("overhead of a call")
        findings.overhead = overhead.measure(5 if self.quick else 50)
        begin("from text to plan")
        findings.frontend = frontend.measure(1, ["causal"]) if self.quick else frontend.measure(3)
        begin("first calls, with and without a cache")
        findings.startup = startup.measure(1, ["causal"]) if self.quick else startup.measure(4)
        begin("soft cap and ALiBi beside causal")
        findings.variants += variants.measure_costs(Sizes(1, 8, n, 64), self.effort)
        begin("normalizations beside softmax")
        findings.variants += variants.measure_normalizations(Sizes(1, 8, 2 * n, 64), self.effort)
        begin("one query over many keys")
        findings.variants += variants.measure_decoding(Sizes(1, 8, 32 * n, 128), self.effort)
        begin("a window beside causal")
        long = Effort(1, 1, 0) if self.quick else Effort(3, 5, 8)
        findings.variants += variants.measure_window(Sizes(1, 8, 4 * n, 64), 256, long)
        begin("what a pair costs where few exist")
        findings.variants += sparse.measure_pairs(Sizes(1, 4, 4 * n, 64), long)
        begin("finding tiles")
        findings.variants += sparse.measure_tiles(512 * n, 512 if self.quick else 16 * n, long)
        if not isinstance(compile, str):
            begin("few pairs beside FlexAttention")
            side, length = (24, 512) if self.quick else (64, 8 * n)
            findings.variants += sparse.measure_beside_flex(side, length, long, compile is flex.compiled)
        begin("memory")
        findings.memory = memory.measure(Sizes(1, 8, 512 if self.quick else 16384, 64), self.threads)
        begin("derivatives of second order")
        findings.twice = twice.measure(Sizes(1, 8, 2 * n, 64), self.threads)


def _line(row: Row) -> str:
    peers = [f"{name} {row.ratios.get(name) or row.reasons.get(name)}" for name in (SDPA, FLEX, EAGER)]
    ours = f"{row.mechanism}, N={row.sizes['N']}, {row.dtype}, {row.direction}: {row.milliseconds[OURS]:.1f} ms"
    return f"{ours}; times longer: {'; '.join(peers)}"


def _goals(findings: Findings) -> Table:
    table = Table(title="Goals", title_justify="left", title_style="bold")
    for name in ("what", "measured", "goal", "met"):
        table.add_column(name)
    for goal in findings.goals():
        name, value, limit, *_ = goal.cells()
        table.add_row(name, value, limit, "yes" if goal.is_met else "[bold red]no[/]")
    return table


if __name__ == "__main__":
    main()
