"""`attnc verify FILE… --examples N`: kernels against the dense meaning in float64, on drawn calls."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics import Diagnostic
from ..diagnostics.diagnostic import AttnError
from .colours import heading, painted
from .options import files_argument, name_option, pick_all, spec_files

if TYPE_CHECKING:
    from attnc.runtime.verify import Error

    from ..spec import Attention
    from ..testing import Call


@click.command(short_help="Do kernels compute what their specs say?")
@files_argument
@click.option("--examples", type=click.IntRange(1), default=40, show_default=True, help="How many calls to draw.")
@name_option
def verify(files: tuple[Path, ...], examples: int, name: str | None) -> None:
    """Compare outputs and every gradient of the kernels with the dense meaning; print the worst error of each.

    A folder stands for every .attn file in it and below it.
    """
    verify_files(spec_files(files), examples, name)


def verify_files(files: Sequence[Path], examples: int, name: str | None = None) -> None:
    """Prints what was found of each; ends the process with 1 if some differ."""
    is_good = True
    for path in files:
        try:
            for attention in pick_all(path, name):
                is_good = _verify(attention, path, examples) and is_good
        except AttnError as error:
            click.echo(painted(error.render()), err=True)
            is_good = False
    if not is_good:
        sys.exit(1)


class _Worst:
    """Of every result and gradient, the error that uses most of what is allowed, and the call that shows it."""

    def __init__(self) -> None:
        self.calls = 0
        self.found: dict[str, tuple[float, Error, Call]] = {}

    def see(self, call: Call, errors: list[Error]) -> None:
        self.calls += 1
        for error in errors:
            share = _share(error)
            if error.name not in self.found or share > self.found[error.name][0]:
                self.found[error.name] = (share, error, call)


def _verify(attention: Attention, path: Path, examples: int) -> bool:
    from rich.console import Console
    from rich.progress import Progress

    try:
        from ..testing import assert_matches_reference
    except ModuleNotFoundError as error:
        title = f"drawing calls needs '{error.name}', which is not installed"
        raise AttnError([Diagnostic("needs-testing", title, (), None, ("pip install 'attnc[testing]'",))]) from None
    console = Console(stderr=True)
    worst = _Worst()
    failure = None
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"{path}: {attention.name}", total=examples)

        def seen(call: Call, errors: list[Error]) -> None:
            progress.advance(task)
            worst.see(call, errors)

        try:
            assert_matches_reference(attention, examples, seen=seen)
        except AssertionError as error:
            failure = str(error)
    _print(attention, path, worst, failure)
    return failure is None


def _share(error: Error) -> float:
    """How much of what is allowed an error uses."""
    shares = [e / a if a else float("inf") for e, a in _judged(error) if e]
    return max(shares, default=0.0) if not error.note else float("inf")


def _judged(error: Error) -> tuple[tuple[float, float], ...]:
    return (error.worst, error.allowed), (error.mean, error.mean_allowed)


def _print(attention: Attention, path: Path, worst: _Worst, failure: str | None) -> None:
    calls = f"{worst.calls} call{'s' * (worst.calls != 1)}"
    verdict = f"agrees with its dense meaning in {calls}" if failure is None else "differs from its dense meaning"
    click.echo(heading(f"{path}: {attention.name} {verdict}"))
    _table(worst)
    if failure is not None:
        click.echo(painted(f"error[verification-failed]: {failure}"), err=True)


def _table(worst: _Worst) -> None:
    """A line for each result and gradient, then the calls that the lines refer to."""
    numbers: dict[str, int] = {}
    width = max(map(len, [*worst.found, "result"]))
    click.echo(f"  {'result':{width}}  worst error    allowed  of allowed  in call")
    for name, (share, error, call) in worst.found.items():
        number = numbers.setdefault(call.words, len(numbers) + 1)
        percent = f"{100 * share:.0f} %" if share < 100 else "over 9999 %"
        click.echo(f"  {name:{width}}  {error.worst:11.2e}  {error.allowed:9.2e}  {percent:>10}  {number:7}")
    for words, number in numbers.items():
        click.echo(f"  {number}: {words}")
