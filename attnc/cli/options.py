"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
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
)


def pick(path: Path, name: str | None) -> Attention:
    """The attention in a file, or the named one of several."""
    from ..loading import load
    from ..spec import Attention

    found = load(path)
    if isinstance(found, Attention):
        return found
    if name is None:
        known = ", ".join(found)
        title = f"'{path}' holds several attentions"
        raise AttnError([Diagnostic("which-attention", title, (), None, (f"choose one with '--name': {known}",))])
    return found[name]


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
