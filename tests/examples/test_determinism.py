"""Results and gradients are the same bits on any number of threads and in every run."""

import pytest
import torch

from .cases import EXAMPLES, draw
from .kernels import call

LONG = {"B": 2, "H": 4, "G": 2, "M": 210, "N": 333, "D": 12, "E": 10}


@pytest.mark.parametrize("dtype", [torch.float32], ids=str)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_bits_depend_on_inputs_only(example, dtype):
    inputs = draw(example, LONG, dtype)
    first = call(example.name, inputs, example.parameters)
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        again = call(example.name, inputs, example.parameters)
        for name in first:
            assert torch.equal(first[name], again[name]), (name, threads)
