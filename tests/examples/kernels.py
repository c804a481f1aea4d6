"""The compiled examples."""

from functools import cache
from pathlib import Path

import torch

import attnc

from .cases import BY_NAME, trials
from .judge import differentiate, faults

FOLDER = Path(__file__).parents[2] / "examples"


@cache
def load(name):
    """The attention of an example."""
    example = BY_NAME[name]
    found = attnc.load(FOLDER / f"{example.file or name}.attn")
    return found[name] if example.file else found


def call(name, inputs, parameters, **options):
    """Results and gradients by name, as `differentiate` gives them; memory that kernels do not fill holds NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        return differentiate(load(name), inputs, parameters, **options)
    finally:
        torch.use_deterministic_algorithms(before)


def check_example(example, sizes, dtype=torch.float32, draws=4, **parameters):
    """Kernels against the oracle. A largest error is a matter of luck: what fails is judged anew, with more draws."""
    for count in (draws, 4 * draws):
        drawn = trials(example, sizes, dtype, range(count), **parameters)
        bad = faults([call(example.name, trial.inputs, trial.parameters) for trial in drawn], drawn)
        if not bad:
            return
    raise AssertionError("; ".join(bad))
