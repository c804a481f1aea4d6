"""Every example, forward and all gradients, against its oracle."""

import pytest
import torch

from .cases import BY_NAME, call, differentiate, draw
from .judge import check, check_double, check_shapes

ODD = {"B": 2, "H": 6, "G": 2, "M": 37, "N": 53, "D": 16, "E": 10}
SHAPES = {
    "odd": ODD,
    "own heads": {**ODD, "H": 3, "G": 3, "M": 61, "N": 7},
    "one head": {**ODD, "B": 3, "H": 1, "G": 1, "M": 9, "N": 16},
    "one row": {**ODD, "H": 2, "M": 1, "N": 31},
    "one key": {**ODD, "M": 21, "N": 1},
    "one pair": {**ODD, "H": 2, "M": 1, "N": 1},
    "tiles": {**ODD, "B": 1, "H": 2, "M": 300, "N": 530},
    "one owner": {**ODD, "B": 1, "H": 2, "G": 1, "M": 130, "N": 259},
    "no rows": {**ODD, "M": 0},
    "no keys": {**ODD, "N": 0},
    "no batch": {**ODD, "B": 0},
}
names = pytest.mark.parametrize("name", list(BY_NAME))


@names
@pytest.mark.parametrize("shape", list(SHAPES))
def test_float64(name, shape):
    example = BY_NAME[name]
    inputs = draw(example, SHAPES[shape], torch.float64)
    truth = differentiate(example.oracle, inputs, example.parameters)
    eager = differentiate(example.oracle, inputs, example.parameters, torch.float32)
    check_double(call(name, inputs, example.parameters), eager, truth)


@names
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=lambda dtype: str(dtype)[6:])
def test_is_as_precise_as_eager_code(name, dtype):
    example = BY_NAME[name]
    draws = [draw(example, ODD, dtype, seed) for seed in range(4)]
    found = [call(name, inputs, example.parameters) for inputs in draws]
    eager = [differentiate(example.oracle, inputs, example.parameters) for inputs in draws]
    truth = [differentiate(example.oracle, inputs, example.parameters, torch.float64) for inputs in draws]
    check_shapes(found[0], truth[0])
    check(found, eager, truth)
