"""`attnc fmt FILE…`: the one canonical layout."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 if a file is not canonical.")
def fmt(files: tuple[Path, ...], only_check: bool) -> None:
    """Lay specs out canonically, in place ('-' reads standard input and prints)."""
    from attnc.grammar.formatter import format_file
    from attnc.grammar.parser import parse

    from ..loading import read_file

    changed = 0
    for path in files:
        if str(path) == "-":
            text = sys.stdin.buffer.read()
            click.echo(format_file(parse(text, "<stdin>")), nl=False)
            continue
        before = read_file(path).decode("utf-8", errors="replace")
        after = format_file(parse(read_file(path), str(path)))
        if before == after:
            continue
        changed += 1
        if only_check:
            lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), str(path), "formatted")
            click.echo("".join(lines), nl=False)
        else:
            path.write_text(after, encoding="utf-8")
            click.echo(f"{path}: laid out")
    if only_check and changed:
        sys.exit(1)
