"""The compiled examples."""

from functools import cache
from pathlib import Path

import torch

import attnc

from .cases import BY_NAME
from .judge import check, differentiate

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


def check_trials(name, trials):
    """Kernels against the oracle."""
    check([call(name, trial.inputs, trial.parameters) for trial in trials], trials)
