"""`attnc build FILE --target …`: kernels for GPUs, compiled without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import file_argument, name_option, pick, working

if TYPE_CHECKING:
    from attnc.pipeline import Derivation
    from attnc.runtime.kernels import Request

_TARGETS = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120", "gfx942", "gfx950")


@click.command(short_help="Compile kernels for GPUs ahead of time")
@file_argument
@click.option("--target", "targets", type=click.Choice(_TARGETS), multiple=True, required=True, help="Architecture.")
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to fill.")
@click.option("--width", type=click.IntRange(1), default=64, show_default=True, help="Size of every feature axis.")
@click.option(
    "--dtype",
    type=click.Choice(["bfloat16", "float16", "float32"]),
    default="bfloat16",
    show_default=True,
    help="What the inputs hold.",
)
@name_option
def build(file: Path, targets: tuple[str, ...], out: Path, width: int, dtype: str, name: str | None) -> None:
    """Write a package of kernels: readable sources, binaries, a report of what they take, and a loader.

    The package needs torch and Triton, and no GPU is needed to make it. The exit status is 1 if a kernel spills
    registers or does not fit its architecture.
    """
    from attnc.runtime.show import sample_request
    from attnc.runtime.triton.ahead import build_package

    attention = pick(file, name)

    def request(derivation: Derivation, needs: tuple[str, ...]) -> Request:
        return sample_request(derivation, dtype, width, needs)

    with working(f"building {attention.name} for {', '.join(targets)}"):
        rows = build_package(attention, request, list(dict.fromkeys(targets)), out)
    click.echo((out / "report.md").read_text(), nl=False)
    if any(row["faults"] for row in rows):
        raise SystemExit(1)
