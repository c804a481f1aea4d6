"""`attnc verify FILE… --examples N`: kernels against the dense meaning in float64, on drawn calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import name_option, pick

if TYPE_CHECKING:
    from attnc.runtime.verify import Error

    from ..spec import Attention
    from ..testing import Call


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--examples", default=40, show_default=True, help="How many calls to draw for each spec.")
@name_option
def verify(files: tuple[Path, ...], examples: int, name: str | None) -> None:
    """Compare outputs and every gradient of the kernels with the dense meaning; print the worst error of each."""
    is_good = True
    for path in files:
        is_good = _verify(pick(path, name), path, examples) and is_good
    if not is_good:
        sys.exit(1)


def _verify(attention: Attention, path: Path, examples: int) -> bool:
    from rich.console import Console
    from rich.progress import Progress

    from ..testing import assert_matches_reference

    console = Console(stderr=True)
    worst: dict[str, tuple[float, Error, Call]] = {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"{path}: {attention.name}", total=examples)

        def seen(call: Call, errors: list[Error]) -> None:
            progress.advance(task)
            for error in errors:
                share = _share(error)
                if error.name not in worst or share > worst[error.name][0]:
                    worst[error.name] = (share, error, call)

        failure = None
        try:
            assert_matches_reference(attention, examples, seen=seen)
        except AssertionError as error:
            failure = str(error)
    _table(attention, path, worst)
    if failure is not None:
        click.echo(failure, err=True)
    return failure is None


def _share(error: Error) -> float:
    """How much of what is allowed an error uses."""
    shares = [e / a for e, a in ((error.worst, error.allowed), (error.mean, error.mean_allowed)) if e]
    return max(shares, default=0.0) if not error.note else float("inf")


def _table(attention: Attention, path: Path, worst: dict[str, tuple[float, Error, Call]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{path}: {attention.name}", title_justify="left")
    for heading in ("result", "worst error", "allowed", "share", "at"):
        table.add_column(heading, justify="right" if heading not in ("result", "at") else "left")
    for name, (share, error, call) in worst.items():
        table.add_row(name, f"{error.worst:.2e}", f"{error.allowed:.2e}", f"{share:.2f}", call.words)
    Console().print(table)
