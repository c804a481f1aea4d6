"""What several commands share: options, the specs that arguments name, and a sign of life during long work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..diagnostics import Diagnostic
from ..diagnostics.diagnostic import AttnError

if TYPE_CHECKING:
    from ..spec import Attention

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

name_option: Decorator = click.option("--name", help="Which attention, in a file that holds several.")
dtype_option: Decorator = click.option(
    "--dtype",
    type=click.Choice(["float32", "float64", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="What the inputs hold.",
)
file_argument: Decorator = click.argument("file", type=click.Path(path_type=Path))
files_argument: Decorator = click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True)
)


def spec_files(paths: tuple[Path, ...]) -> list[Path]:
    """The files that arguments name: a folder stands for every spec in it and below it."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.rglob("*.attn")) if path.is_dir() else [path]
        if not inside:
            raise AttnError([Diagnostic("no-specs", f"there is no .attn file in '{path}' or below it")])
        found |= dict.fromkeys(inside)
    return list(found)


def pick(path: Path, name: str | None) -> Attention:
    """The attention in a file, or the named one of several."""
    found = pick_all(path, name)
    if len(found) > 1:
        known = ", ".join(attention.name for attention in found)
        title = f"'{path}' holds several attentions"
        raise AttnError([Diagnostic("which-attention", title, (), None, (f"choose one with '--name': {known}",))])
    return found[0]


def pick_all(path: Path, name: str | None) -> list[Attention]:
    """Every attention in a file, or the named one alone."""
    from ..loading import Attentions, load

    found = load(path)
    known = found if isinstance(found, Attentions) else Attentions({found.name: found})
    return [known[name]] if name is not None else list(known.values())


def pairs(text: str, what: str) -> dict[str, str]:
    """`A=1,B=2` as a mapping."""
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, sign, value = part.partition("=")
        if not sign or not key.strip() or not value.strip():
            title = f"'{part}' in {what} is not of the form NAME=VALUE"
            raise AttnError([Diagnostic("bad-option", title)])
        found[key.strip()] = value.strip()
    return found


@contextmanager
def working(what: str) -> Iterator[None]:
    """Says what takes a while, on a terminal and only as long as it takes."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
