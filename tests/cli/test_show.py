"""`attnc show`: every form."""

import shutil

import pytest

from attnc.runtime.show import STAGES

from .conftest import EXAMPLES

CAUSAL = EXAMPLES / "causal.attn"
HOLDS = {
    "tree": ("Attention 'causal'", "Compare"),
    "graph": ("read q[b, h, i, d']", "exp(", "out = %"),
    "gradient": ("read d_out[", "g_q [b, h, i, d'] = %", "g_v ["),
    "answers": ("axis i (size N) is streamed", "needs no derivative", "kept for the backward: the result 'out'"),
    "plan": ("pairs: j <= i", "top1 = max[j: j <= i]", "out[b, h, i, e']"),
    "statements": ("for tiles of j from 0 to", "rescale", "store out["),
    "cpp": ("Forward of the attention causal", '#include "attnc_kernel.h"'),
    "triton": ("Forward of the attention causal", "@triton.jit(", "tl.dot(rows0"),
    "kernel": ("bytes, built by", "instructions on 512-bit registers"),
}

SYSTEMS = """attention systems
input A[D, D], w[D]
axis c: D
let z[d] = solve[d, c](A[d, c], w[d])
score s = sum[d](q[i, d] * z[d] * k[j, d])
"""


def test_every_form_is_offered_and_tested(attnc):
    assert set(STAGES) == set(HOLDS)
    help = attnc("show", "--help").stdout
    for stage in STAGES:
        assert f"\n  {stage} " in help


@pytest.mark.parametrize("stage", STAGES)
def test_forms(attnc, stage):
    if stage == "kernel" and shutil.which("objdump") is None:
        pytest.skip("there is no objdump to look into a kernel with")
    found = attnc("show", CAUSAL, "--stage", stage)
    assert found.exit_code == 0 and not found.stderr
    for text in HOLDS[stage]:
        assert text in found.stdout
    assert found.stdout.endswith("\n")


def test_the_plan_is_the_default(attnc):
    assert attnc("show", CAUSAL).stdout == attnc("show", CAUSAL, "--stage", "plan").stdout


@pytest.mark.parametrize("stage", ["plan", "statements", "cpp"])
def test_backward(attnc, stage):
    forward, backward = (attnc("show", CAUSAL, "--stage", stage, *more).stdout for more in ((), ("--backward",)))
    assert "g_q" in backward and "g_q" not in forward


def test_widths_and_dtypes_are_compiled_in(attnc):
    usual, narrow, wide = (
        attnc("show", CAUSAL, "--stage", "cpp", *more).stdout
        for more in ((), ("--width", "32"), ("--dtype", "float64"))
    )
    assert len({usual, narrow, wide}) == 3
    assert "double" in wide


@pytest.mark.parametrize("width", ["0", "-4", "many"])
def test_widths_that_are_none(attnc, width):
    assert attnc("show", CAUSAL, "--width", width).exit_code == 2


def test_what_is_not_compiled_yet_still_has_a_tree_and_a_graph(attnc, folder):
    (folder / "systems.attn").write_text(SYSTEMS)
    for stage in ("tree", "graph"):
        assert attnc("show", "systems.attn", "--stage", stage).exit_code == 0
    found = attnc("show", "systems.attn", "--stage", "plan")
    assert found.exit_code == 1 and found.stderr.startswith("error[not-lowered]: 'solve' cannot be compiled yet\n")
