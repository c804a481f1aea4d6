"""The property test that users get: it passes for right kernels, draws what it says, and fails for wrong ones."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings

import attnc
from attnc.ir.primitives import PRIMITIVES
from attnc.runtime import cache
from attnc.runtime.verify import measure
from attnc.testing import assert_matches_reference, calls

SLIDING = """
attention sliding(window: int = 8)
input   slope[H]
axis    i, j: N
require window > 0
mask    j <= i and i - j < window
score   s = q[i] @ k[j] / sqrt(D) - slope[h] * (i - j)
"""


@pytest.mark.parametrize("text", [SLIDING, "attention full\ninput seen[B, N]: bool\nmask seen[j]"])
def test_right_kernels_pass(text):
    told = []
    assert_matches_reference(attnc.loads(text), 12, seen=lambda call, errors: told.append((call, errors)))
    assert len(told) == 12
    assert any(error.name == "gradient of k" for _, errors in told for error in errors)


def test_calls_are_as_various_as_promised():
    seen = {"lengths": set(), "pairs": set(), "groups": set(), "dtypes": set(), "windows": set()}
    layouts = {"strided": False, "expanded": False}
    spec = attnc.loads("attention a(window: int = 8)\nrequire window > 0\nmask i - j < window")

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(calls(spec))
    def draw(call):
        q, k = call.tensors["q"], call.tensors["k"]
        seen["lengths"].add(k.shape[2])
        seen["pairs"].add(q.shape[2] == k.shape[2])
        seen["groups"].add(q.shape[1] // k.shape[1])
        seen["dtypes"].add(q.dtype)
        seen["windows"].add(call.parameters["window"])
        layouts["strided"] |= not q.is_contiguous()
        layouts["expanded"] |= 0 in q.stride()

    draw()
    assert {0, 1} <= seen["lengths"] and max(seen["lengths"]) > 256
    assert False in seen["pairs"] and len(seen["groups"]) > 1
    assert seen["dtypes"] == {torch.float32, torch.float64, torch.bfloat16, torch.float16}
    assert len(seen["windows"]) > 2 and min(seen["windows"]) > 0
    assert all(layouts.values())


@pytest.fixture
def wrong_tanh(monkeypatch, tmp_path):
    """tanh's derivative has the wrong sign; wrong kernels stay out of the usual cache."""
    row = PRIMITIVES["tanh"]
    (partial,) = row.partials
    wrong = dataclasses.replace(row, partials=(lambda graph, node, args: graph.neg(partial(graph, node, args)),))
    monkeypatch.setitem(PRIMITIVES, "tanh", wrong)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    return attnc.loads("attention capped\nscore s = tanh(q[i] @ k[j])")


def test_wrong_kernels_fail_with_a_small_call(wrong_tanh):
    with pytest.raises(AssertionError, match="the kernels differ from the dense meaning for capped") as caught:
        assert_matches_reference(wrong_tanh, 10)
    assert "gradient of" in str(caught.value) and "scale 1," in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_the_judge_is_strict_in_every_dtype(wrong_tanh, dtype):
    random = torch.Generator().manual_seed(1)
    inputs = [torch.randn(1, 2, 9, 8, generator=random).to(dtype).requires_grad_() for _ in range(3)]
    errors = {error.name: error for error in measure(wrong_tanh, inputs, {})}
    assert errors["out"].is_good
    assert not errors["gradient of q"].is_good and not errors["gradient of k"].is_good
