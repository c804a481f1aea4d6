"""`attnc show FILE --stage …`: every form of a spec on its way to a kernel."""

from __future__ import annotations

from pathlib import Path

import click

from .options import dtype_option, file_argument, name_option, pick, working

_STAGES = ("tree", "graph", "gradient", "answers", "plan", "statements", "cpp", "triton", "kernel")


@click.command(short_help="One form of a spec: graph, plan, source, …")
@file_argument
@click.option("--stage", type=click.Choice(_STAGES), default="plan", show_default=True, help="Which form.")
@click.option("--backward", is_flag=True, help="The gradient's plan, statements, source or kernel.")
@click.option(
    "--width",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Size of every feature axis, where it is compiled in.",
)
@dtype_option
@name_option
def show(file: Path, stage: str, backward: bool, width: int, dtype: str, name: str | None) -> None:
    """Print one of the forms that a spec takes on its way to a kernel.

    \b
    tree        the spec as it was read
    graph       what it means: one operation a line, with axes and type
    gradient    the graph of its derivatives
    answers     what is known of it: kinds of axes, proofs, what is kept
    plan        passes over tiles, and what each accumulates
    statements  the loops, the same for every target
    cpp         the kernel's source for the CPU
    triton      the kernels' source for GPUs
    kernel      what the compiler made of it: instructions
    """
    from attnc.runtime.show import show as form

    attention = pick(file, name)
    with working(f"making the {stage} of {attention.name}"):
        text = form(attention, stage, backward=backward, dtype=dtype, width=width)
    click.echo(text, nl=False)
