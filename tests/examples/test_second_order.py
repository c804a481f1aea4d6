"""Second derivatives and tangents of the examples, through kernels, against their oracles differentiated by torch.

Those most unlike each other; ATTNC_EVERY_EXAMPLE=1 takes all, which compiles for some minutes.
"""

import os

import pytest
import torch

from .cases import EXAMPLES, draw
from .kernels import load

SMALL = {"B": 1, "H": 4, "G": 2, "M": 6, "N": 7, "D": 6, "E": 4}
UNLIKE = ("alibi", "sequence_bias", "sigmoid", "sink", "shaw", "differential", "partial")
# the oracles of these have rows without keys, which torch's second derivatives make NaN
WITH_EMPTY_ROWS = ("prefix_lm", "documents")
CHOSEN = [
    example
    for example in EXAMPLES
    if example.name not in WITH_EMPTY_ROWS and (example.name in UNLIKE or os.environ.get("ATTNC_EVERY_EXAMPLE"))
]


def derivatives(call, example, inputs):
    """A tangent, gradients, and gradients of a function of these."""
    names = [name for name, tensor in inputs.items() if tensor.is_floating_point()]
    given = [inputs[name].detach().requires_grad_() for name in names]

    def function(*tensors):
        found = call(*(inputs | dict(zip(names, tensors))).values(), **example.parameters)
        return torch.cat([result.flatten() for result in (found if isinstance(found, tuple) else (found,))])

    first = torch.autograd.grad(function(*given).square().sum(), given, create_graph=True)
    second = torch.autograd.grad(sum(gradient.square().sum() for gradient in first), given)
    plain = tuple(tensor.detach() for tensor in given)
    _, tangent = torch.func.jvp(function, plain, tuple(tensor.cos() for tensor in plain))
    return [tangent, *first, *second]


@pytest.mark.parametrize("example", CHOSEN, ids=lambda example: example.name)
def test_against_the_oracle(example):
    inputs = draw(example, SMALL, torch.float64)
    found = derivatives(load(example.name), example, inputs)
    wanted = derivatives(example.oracle, example, inputs)
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-10 * float(b.detach().abs().max()) + 1e-13)
