"""`attnc check FILE…`: names, axes and types, without torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics.diagnostic import AttnError
from .colours import painted, remark
from .options import files_argument, spec_files

if TYPE_CHECKING:
    from ..lowering.meaning import Meaning, ParameterDeclaration


@click.command(short_help="Are specs well-formed? Needs no torch.")
@files_argument
def check(files: tuple[Path, ...]) -> None:
    """Check specs: names, axes, types, and whether this version can compute them.

    A folder stands for every .attn file in it and below it.
    """
    paths = spec_files(files)
    wrong = 0
    for path in paths:
        try:
            for line in _check(path):
                click.echo(remark(line, "yellow") if ": note: " in line else line)
        except AttnError as error:
            click.echo(painted(error.render()), err=True)
            wrong += 1
    if len(paths) > 1:
        click.echo(f"{len(paths)} files, {wrong or 'none'} with mistakes", err=bool(wrong))
    if wrong:
        sys.exit(1)


def _check(path: Path) -> list[str]:
    """What is to be said of a file that is right; AttnError with every mistake of one that is not."""
    from attnc.grammar.parser import parse

    from ..loading import make_attentions, read_file

    file = parse(read_file(path), str(path))
    try:
        found = make_attentions(file, path.parent)
    except AttnError as error:
        if error.code != "no-attention":
            raise
        count = len(file.defines)
        return [f"{path}: {count} definition{'s are' if count > 1 else ' is'} well-formed"]
    lines = []
    for attention in found.values():
        derivation = attention.derivation()
        lines.append(f"{path}: {_signature(attention.name, derivation.meaning)} is well-formed")
        if derivation.unsupported is not None:
            lines.append(f"{path}: note: {derivation.unsupported.construct} is checked but cannot be compiled yet")
    return lines


def _signature(name: str, meaning: Meaning) -> str:
    """How the attention is called."""
    inputs = [declared.name for declared in meaning.inputs]
    return f"{name}({', '.join([*inputs, *map(_parameter, meaning.parameters)])})"


def _parameter(parameter: ParameterDeclaration) -> str:
    default = parameter.default
    if default is None and parameter.modes:
        default = parameter.modes[0]
    return parameter.name if default is None else f"{parameter.name}={default!r}"
