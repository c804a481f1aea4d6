"""The tests of derivatives can fail: each finds a sign flipped in the table of primitives."""

import dataclasses

import pytest
import torch

import attnc
from attnc.ir.primitives import PRIMITIVES
from attnc.runtime import cache
from attnc.runtime.verify import measure

from ..corpus import draw
from ..ir.test_primitives import derivative_error
from .checks import worst_error

SPECS = {
    "exp": "attention a",
    "tanh": "attention a\nscore s = softcap(q[i] @ k[j], 3.0)",
    "sigmoid": "attention a\nnormalize p = sigmoid(s)",
}
SIZES = {"B": 1, "H": 2, "G": 1, "M": 5, "N": 6, "D": 4, "E": 3}


@pytest.fixture(params=list(SPECS))
def flipped(request, monkeypatch, tmp_path):
    """The name of a primitive whose derivative has the wrong sign; wrong kernels stay out of the usual cache."""
    row = PRIMITIVES[request.param]
    (partial,) = row.partials
    wrong = dataclasses.replace(row, partials=(lambda graph, node, args: graph.neg(partial(graph, node, args)),))
    monkeypatch.setitem(PRIMITIVES, request.param, wrong)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    return request.param


def test_sympy_notices(flipped):
    assert derivative_error(flipped) > 0.1


def test_autograd_notices(flipped):
    assert worst_error(attnc.loads(SPECS[flipped]), SIZES) > 1e-3


def test_the_oracle_of_kernels_notices(flipped):
    """Kernels against torch's derivative of the dense meaning, which the table has no part in."""
    attention = attnc.loads(SPECS[flipped])
    tensors = draw(attention, SIZES, torch.float64)
    (truth,) = torch.autograd.grad(attention.reference(*tensors).sum(), tensors[:1])
    (found,) = torch.autograd.grad(attention(*tensors).sum(), tensors[:1])
    assert (found - truth).abs().max() > 1e-3


def test_verification_notices(flipped):
    attention = attnc.loads(SPECS[flipped])
    errors = measure(attention, draw(attention, SIZES), {})
    assert not all(error.is_good for error in errors)
