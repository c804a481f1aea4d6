"""Draws whose scores lie where a careless formula loses them, for every normalization."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import pytest
import torch

from .judge import Trial
from .specs import call_of, dense, draw

DRAWS = range(3)
PARTS = ("result", "gradient")
SHIFTED = ("softmax", "softmax2", "log_softmax", "clipped_softmax", "weighted_softmax", "standardize", "subtractive")
SOLVED = ("sparsemax", "entmax15", "entmax")
INVARIANT = SHIFTED + SOLVED  # in a number added to all scores of a row

LOGARITHMIC = (
    *("softmax", "softmax1", "sink_softmax", "log_softmax", "clipped_softmax", "weighted_softmax", "signed_softmax"),
    "softmax2",
)
UNCLEAR = "left out"  # a fault that another test shows beyond doubt, and here just about as large as is allowed


@dataclass(frozen=True)
class Case:
    """How inputs are changed. Scores that are not `exact` are rounded in every dtype, and so may the kernels'."""

    change: Callable
    exact: bool = True
    temperature: float = 1.0


def scaled(name, inputs, factor):
    inputs["bias"] *= factor


def shifted(name, inputs, most, by):
    """Adds the same to all scores; no more than `most` where weights themselves would become subnormal."""
    inputs["bias"] += by if name in INVARIANT else max(-most, min(most, by))


def multiplied(name, inputs, factor):
    inputs["q"] = torch.randn(inputs["q"].shape, generator=torch.Generator().manual_seed(7)) * factor


def tempered(name, inputs, tau):
    inputs["tau"].fill_(tau)


def inputs_of(name, case, seed, **sizes):
    inputs = draw(name, seed, **sizes)
    case.change(name, inputs)
    return inputs


def trials_of(name, case):
    """The kernels' results in a case. They are the same for all parts that are judged."""
    return _trials(name, case.change, case.exact, case.temperature)


@cache
def _trials(name, change, exact, temperature):
    case = Case(change, exact, temperature)
    call, formula = call_of(name, temperature), dense(name, temperature, exact)
    return [Trial(call, formula, inputs_of(name, case, seed)) for seed in DRAWS]


def pairs(cases, names, known):
    """Parameters of a test: case, name, part; where a fault is known, the test is expected to fail.

    `known` gives the reason for (case, name, part), or None; or UNCLEAR, where it is left out.
    """
    for name in names:
        for case in cases:
            for part in PARTS:
                reason = known(case, name, part)
                if reason == UNCLEAR:
                    continue
                marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
                yield pytest.param(case, name, part, marks=marks, id=f"{case}-{name}-{part}")


def change(function, *args):
    return partial(function, **dict(zip(function.__code__.co_varnames[2:], args)))
