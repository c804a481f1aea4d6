"""The most memory that training takes with one attention, measured in a process that does nothing else.

`python -m demo.memory EXAMPLE|sdpa LAYERS HEADS BATCH LENGTH THREADS` prints bytes: the most that was resident during
three training steps, less what was resident before the first (model made, kernels compiled and loaded).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.memory import forget_peak, resident

from .model import Shape

_STEPS = 3
_ROOT = Path(__file__).resolve().parent.parent


def measure(names: Sequence[str], shape: Shape, threads: int) -> dict[str, int]:
    """Bytes by which training with each of these attentions grows a fresh process; the processes run side by side."""
    numbers = [str(number) for number in (shape.layers, shape.heads, shape.batch, shape.length, threads)]
    running = {}
    for name in names:
        command = [sys.executable, "-m", "demo.memory", name, *numbers]
        running[name] = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    found = {}
    for name, process in running.items():
        output, _ = process.communicate()
        if process.returncode != 0:
            raise click.ClickException(f"the process that measures the memory of '{name}' failed")
        found[name] = int(output)
    return found


def _main(name: str, numbers: list[int]) -> int:
    import torch

    from .text import draw, read_corpus
    from .training import load_example, sdpa, start_run

    *sizes, threads = numbers
    torch.set_num_threads(threads)
    shape = Shape(*sizes)
    attend = sdpa if name == "sdpa" else load_example(name)
    text = read_corpus(100_000).train
    tiny = torch.zeros(1, shape.heads, 8, shape.head_width, requires_grad=True)
    attend(tiny, tiny, tiny).sum().backward()
    run = start_run(name, shape, attend)
    batches = [draw(text, shape.batch, shape.length, torch.Generator().manual_seed(n)) for n in range(_STEPS)]
    forget_peak()
    before, _ = resident()
    for batch in batches:
        run.step(batch, 1e-3)
    return resident()[1] - before


if __name__ == "__main__":
    try:
        print(_main(sys.argv[1], [int(number) for number in sys.argv[2:]]))
    except KeyboardInterrupt:
        sys.exit(130)
