"""The command line: one file for each command; `commands` gathers them and shows mistakes.

Exit status: 0 where all is well, 1 for a mistake in a spec or a call, 2 for a command that is not understood.
"""

from __future__ import annotations

from typing import IO, Any

import click

from ..diagnostics import Diagnostic
from ..diagnostics.diagnostic import AttnError
from .build import build
from .catalogue import show_catalogue
from .check import check
from .colours import painted
from .explain import explain
from .fmt import fmt
from .mask import mask
from .new import new
from .show import show
from .verify import verify

_EPILOG = """\b
attnc new sliding            a spec to start from, and a test of it
attnc check sliding.attn     is it well-formed?
attnc verify sliding.attn    do its kernels compute what it says?
attnc explain sliding.attn   what runs, and why?
attnc mask sliding.attn      which pairs exist, and in which tiles?
attnc catalogue              attentions of the literature, as specs

Exit status: 0 all is well, 1 a mistake in a spec or a call, 2 a command that is not understood.
"""


class Refusal(click.ClickException):
    """Mistakes in a spec or a call, as the command line tells them: on standard error, with exit status 1."""

    def __init__(self, error: AttnError) -> None:
        super().__init__(error.render())

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(painted(self.message), err=True)


class Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AttnError as error:
            raise Refusal(error) from None
        except BrokenPipeError:  # whoever read the output has enough of it
            raise
        except OSError as error:
            title = f"'{error.filename or 'a file'}': {error.strerror or error}"
            raise Refusal(AttnError([Diagnostic("system", title)])) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(package_name="attnc", message="attnc %(version)s")
def commands() -> None:
    """A compiler for attention: write what it is, get fast, differentiable, verified kernels."""


for _command in (build, show_catalogue, check, explain, fmt, mask, new, show, verify):
    commands.add_command(_command)


def main() -> None:
    """Runs the command that the process was started with."""
    commands()
