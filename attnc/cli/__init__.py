"""The command line: one file for each command; `main` gathers them and shows mistakes."""

from __future__ import annotations

import sys

import click

from ..diagnostics.diagnostic import AttnError
from .check import check
from .explain import explain
from .fmt import fmt
from .new import new
from .show import show
from .verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="attnc", message="attnc %(version)s")
def commands() -> None:
    """A compiler for attention: write what it is, get fast, differentiable, verified kernels."""


for _command in (check, fmt, new, show, explain, verify):
    commands.add_command(_command)


def main() -> None:
    """Runs a command; a mistake in a spec or a call is printed and gives exit status 1."""
    try:
        commands(standalone_mode=False)
    except AttnError as error:
        click.echo(error.render(), err=True)
        sys.exit(1)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
