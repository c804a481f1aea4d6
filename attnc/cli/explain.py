"""`attnc explain FILE --shape …`: what would run for tensors of these sizes, and why."""

from __future__ import annotations

from pathlib import Path

import click

from .arguments import parameters_of, sizes_of, tensors_of
from .colours import heading
from .options import dtype_option, file_argument, name_option, pairs, pick, working


@click.command(short_help="What runs for given sizes, and why?")
@file_argument
@click.option("--shape", default="", help="Sizes by name: B=1,H=8,M=4096,N=4096,D=64 (usual ones otherwise).")
@click.option("--set", "settings", default="", help="Parameters by name: window=512,cap=30.")
@click.option("--device", type=click.Choice(["cpu"]), default="cpu", show_default=True, help="Where it would run.")
@dtype_option
@name_option
def explain(file: Path, shape: str, settings: str, device: str, dtype: str, name: str | None) -> None:
    """Explain what runs for given sizes: passes, tiles, sparsity, work and memory."""
    attention = pick(file, name)
    with working(f"explaining {attention.name}"):
        import torch

        card = attention.card()
        parameters = parameters_of(card, settings)
        sizes = sizes_of(card, pairs(shape, "--shape"), parameters)
        tensors = tensors_of(card, sizes, parameters, getattr(torch, dtype))
        text = attention.explain(*tensors, **parameters)
    for line in text.rstrip("\n").split("\n"):
        click.echo(line if line.startswith(" ") else heading(line))
