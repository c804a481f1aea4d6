"""Generated Triton kernels in Triton's interpreter: every example, forward and backward, and half of the rest of the
corpus; ATTNC_EVERY_EXAMPLE=1 takes all of it."""

import os

import pytest
import torch

from ..corpus import NAMES
from .interpreting import measured, measured_sorted, searched_without_asking, second_derivatives
from .workers import run

ODD = {"B": 1, "H": 2, "G": 1, "M": 21, "N": 37}
EXAMPLES = [name for name in NAMES if name.startswith("examples/")]
OTHERS = [name for name in NAMES if not name.startswith("examples/")]
OTHERS = OTHERS if os.environ.get("ATTNC_EVERY_EXAMPLE") else OTHERS[::2]


def check(name, dtype, sizes=ODD):
    wrong = [error for error in run("interpreter", measured, name, dtype, sizes) if not error[1]]
    assert not wrong, wrong


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name, dtype):
    check(name, dtype)


@pytest.mark.parametrize("name", OTHERS)
def test_corpus(name):
    check(name, "float32")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["neighbours", "every_other"])
def test_sorted_tokens(name, dtype):
    wrong = [error for error in run("interpreter", measured_sorted, f"specs/{name}", dtype) if not error[1]]
    assert not wrong, wrong


@pytest.mark.parametrize("normalize", ["softmax[j](s)", "sparsemax[j](s)"])
def test_derivatives_of_second_order(normalize):
    text = f"attention a axis i, j: N mask j <= i normalize p = {normalize}"
    errors = run("interpreter", second_derivatives, text)
    assert len(errors) == 7 and all(error < 1e-5 for error in errors), errors


def test_searches_of_a_captured_graph():
    """They may not ask whether anything moves, and take all of their steps: the later ones change nothing."""
    text = """attention a axis i, j: N axis m: N axis u: m | j
    score z = join[u](2 * (q[i] @ k[m]), q[i] @ k[j])
    output t[i] = root[t: -9.0 <= t <= 9.0](sum[u](tanh(t - z)) - 1)"""
    found, unasked, steps = run("interpreter", searched_without_asking, text, [(1, 1, 5, 16)] * 2)
    assert found == unasked and steps == 128


def test_a_stream_that_captures_is_not_asked(monkeypatch):
    from attnc.runtime.triton.prepared import is_still

    class Moving:
        is_cuda = True

        def any(self):
            raise AssertionError("asked")

    monkeypatch.setattr("torch.cuda.is_current_stream_capturing", lambda: True)
    assert not is_still(Moving())
    assert is_still(torch.zeros(3, dtype=torch.bool)) and not is_still(torch.tensor([False, True]))
