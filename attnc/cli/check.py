"""`attnc check FILE…`: names, axes and types, without torch."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..diagnostics.diagnostic import AttnError


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> None:
    """Check specs: names, axes, types, and whether this version can compute them."""
    is_good = True
    for path in files:
        try:
            for line in _check(path):
                click.echo(line)
        except AttnError as error:
            click.echo(error.render(), err=True)
            is_good = False
    if not is_good:
        sys.exit(1)


def _check(path: Path) -> list[str]:
    from attnc.grammar.parser import parse

    from ..definitions import gather
    from ..loading import read_file
    from ..lowering import lower
    from ..pipeline import Derivation

    file = parse(read_file(path), str(path))
    definitions = gather(file, path.parent)
    errors = []
    lines = []
    for item in file.attentions:
        try:
            derivation = Derivation(lower(item, definitions))
        except AttnError as error:
            errors += list(error.diagnostics)
            continue
        lines.append(f"{path}: {item.name} is well-formed")
        if derivation.unsupported is not None:
            lines.append(f"{path}: note: {derivation.unsupported.construct} is checked but cannot be compiled yet")
    if errors:
        raise AttnError(errors)
    if not file.attentions:
        lines.append(f"{path}: {len(file.defines)} definitions parse")
    return lines
