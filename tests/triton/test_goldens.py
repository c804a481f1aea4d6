"""The kernels of one attention as text: what a change of the generator does to them is seen as a difference."""

import os
from pathlib import Path

import pytest

import attnc
from attnc.spec import Attention

from ..corpus import attentions

HERE = Path(__file__).parent / "goldens"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name, file", [("causal", "causal"), ("t5_decoder", "t5")])
@pytest.mark.parametrize("backward", [False, True])
def test_source(name, file, backward):
    loaded = attnc.loads((EXAMPLES / f"{file}.attn").read_text(), file)  # anew: what was asked before counts
    attention = loaded if isinstance(loaded, Attention) else dict(loaded)[name]
    text = attention.source("triton", backward=backward, dtype="bfloat16")
    path = HERE / f"{name}{'.backward' if backward else ''}.py.txt"
    if os.environ.get("ATTNC_UPDATE_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_rules_hold_for_every_kernel_of_the_corpus():
    """No atomics, no library functions, no block pointers, no default precision, nothing chosen by timing."""
    for attention in attentions().values():
        for backward in (False, True):
            text = attention.source("triton", backward=backward, dtype="bfloat16")
            for wrong in ("atomic", "libdevice", "make_block_ptr", "autotune", "warp_specialize", "tl.exp("):
                assert wrong not in text.split("@triton.jit(do_not_specialize", 1)[-1], (attention.name, wrong)
            for line in text.split("\n"):
                assert "tl.dot(" not in line or "input_precision=PRECISION" in line
                assert "tl.dot(" not in line or "tl.trans(scores" not in line
