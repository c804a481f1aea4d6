"""Generated Triton kernels in Triton's interpreter: every example, forward and backward, and the whole corpus."""

import pytest

from ..corpus import NAMES
from .interpreting import measured
from .workers import run

ODD = {"B": 1, "H": 2, "G": 1, "M": 21, "N": 37}
EXAMPLES = [name for name in NAMES if name.startswith("examples/")]
OTHERS = [name for name in NAMES if not name.startswith("examples/")]


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
