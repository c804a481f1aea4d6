"""`attnc show FILE --stage …`: every form of a spec on its way to a kernel."""

from __future__ import annotations

from pathlib import Path

import click

from .options import dtype_option, name_option, pick


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--stage",
    type=click.Choice(["tree", "graph", "gradient", "answers", "plan", "statements", "cpp", "kernel"]),
    default="plan",
    show_default=True,
)
@click.option("--backward", is_flag=True, help="The gradient's plan, statements, source or kernel.")
@click.option("--width", default=64, show_default=True, help="Size of every feature axis, where it is compiled in.")
@dtype_option
@name_option
def show(file: Path, stage: str, backward: bool, width: int, dtype: str, name: str | None) -> None:
    """Print one form of a spec: syntax tree, graph, answers, plan, statements, source, kernel."""
    from attnc.runtime.show import show as form

    click.echo(form(pick(file, name), stage, backward=backward, dtype=dtype, width=width), nl=False)
