"""`attnc fmt FILE…`: the one canonical layout."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from ..diagnostics.diagnostic import AttnError
from .colours import difference, painted
from .options import files_argument, spec_files

_STANDARD_INPUT = Path("-")


@click.command(short_help="Lay specs out canonically.")
@files_argument
@click.option("--check", "only_check", is_flag=True, help="Change nothing, show what would change; exit with 1 if any.")
def fmt(files: tuple[Path, ...], only_check: bool) -> None:
    """Lay specs out canonically, in place ('-' reads standard input and prints).

    A folder stands for every .attn file in it and below it. Comments stay where they are.
    """
    wrong, changed = 0, 0
    for path in spec_files(files):
        try:
            changed += _lay_out(path, only_check)
        except AttnError as error:
            click.echo(painted(error.render()), err=True)
            wrong += 1
    if only_check and changed:
        click.echo(f"{changed} file{'s' * (changed > 1)} to lay out: 'attnc fmt' without --check does it", err=True)
    if wrong or (only_check and changed):
        sys.exit(1)


def _lay_out(path: Path, only_check: bool) -> bool:
    """Whether the file is not canonical; it is rewritten unless that is only to be found out."""
    from attnc.grammar.formatter import format_file
    from attnc.grammar.parser import parse

    from ..loading import read_file

    is_piped = path == _STANDARD_INPUT
    name = "<stdin>" if is_piped else str(path)
    data = sys.stdin.buffer.read() if is_piped else read_file(path)
    after = format_file(parse(data, name))
    is_changed = data != after.encode()
    if only_check and is_changed:
        before = data.decode("utf-8", errors="replace")
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, "canonical", lineterm="")
        click.echo("\n".join(map(difference, lines)))
    elif is_piped and not only_check:
        click.echo(after, nl=False)
    elif is_changed:
        path.write_bytes(after.encode())
        click.echo(f"{path}: laid out")
    return is_changed
