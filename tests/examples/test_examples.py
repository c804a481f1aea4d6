"""Every example, forward and all gradients, against its oracle."""

import pytest
import torch

from .cases import EXAMPLES, ODD
from .kernels import check_example

SHAPES = {
    "odd": ODD,
    "own heads": {**ODD, "H": 3, "G": 3, "M": 61, "N": 7},
    "one head": {**ODD, "B": 3, "H": 1, "G": 1, "M": 9, "N": 16},
    "one row": {**ODD, "H": 2, "M": 1, "N": 31},
    "one key": {**ODD, "M": 21, "N": 1},
    "one pair": {**ODD, "H": 2, "M": 1, "N": 1},
    "tiles": {**ODD, "B": 1, "H": 2, "M": 150, "N": 290},
    "one owner": {**ODD, "B": 1, "H": 2, "G": 1, "M": 130, "N": 259},
    "no rows": {**ODD, "M": 0},
    "no keys": {**ODD, "N": 0},
    "no batch": {**ODD, "B": 0},
}
_DRAWS = {"no rows": 1, "no keys": 1, "no batch": 1}
_CASES = [(e, shape) for e in EXAMPLES for shape in SHAPES if e.has_own_queries or shape not in ("no rows", "one row")]


@pytest.mark.parametrize("example, shape", _CASES, ids=[f"{e.name}-{shape}" for e, shape in _CASES])
def test_float64(example, shape):
    check_example(example, SHAPES[shape], torch.float64, _DRAWS.get(shape, 4))


_HALVES = [(e, (torch.bfloat16, torch.float16)[n % 2]) for n, e in enumerate(EXAMPLES)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_float32(example):
    check_example(example, ODD)


@pytest.mark.parametrize("example, dtype", _HALVES, ids=[f"{e.name}-{str(dtype)[6:]}" for e, dtype in _HALVES])
def test_half(example, dtype):
    """Each in one of the two, by turns."""
    check_example(example, ODD, dtype)
