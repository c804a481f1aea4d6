"""Sums of plain products need no pair: means of scores, linear attention, and what their derivatives ask for."""

import pytest
import torch

import attnc
from attnc.planning.plan import Pass

PAIRS = {
    "standardize[j](s)": (1, 1),
    "s - mean[j](s)": (0, 0),
    "s": (0, 0),
    "softmax(q[i]) @ softmax[j](k[j])": (0, 0),
    "s / sum[j](abs(s))": (1, 1),
    "standardize[j](abs(s))": (2, 3),
}


def passes(plan):
    """Those over pairs; a sum of keys or queries alone has no rows, or rows of features."""
    found = [stage for stage in plan.stages if isinstance(stage, Pass) and stage.row is not None]
    return [stage for stage in found if not stage.row.streams and not stage.loop.streams]


@pytest.mark.parametrize("normalize", PAIRS)
def test_passes_over_pairs(normalize):
    derivation = attnc.loads(f"attention a normalize p = {normalize}").derivation()
    gradient = derivation.gradient(("q", "k", "v"))
    found = passes(derivation.plan_forward(gradient.kept)), passes(derivation.plan_backward(gradient))
    assert tuple(map(len, found)) == PAIRS[normalize]


def test_not_where_rows_see_other_keys():
    """A mean over the keys before a query is a sum for each query, and a count."""
    text = "attention a axis i, j: N mask j <= i normalize p = s - mean[j](s)"
    assert len(passes(attnc.loads(text).derivation().plan_forward(()))) == 3


@pytest.mark.parametrize("mask", ["", "mask valid[j]", "mask j <= i", "mask valid[i]"])
def test_values_and_derivatives(mask):
    text = f"attention a axis i, j: N input valid[B, N]: bool {mask} normalize p = standardize[j](s)"
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, h, 9, 4, generator=random, dtype=torch.float64).requires_grad_() for h in (4, 2, 2))
    given = {"valid": torch.rand(2, 9, generator=random) < 0.7} if "valid" in mask else {}
    if not given:
        text = text.replace("input valid[B, N]: bool ", "")
    attention = attnc.loads(text)
    torch.testing.assert_close(attention(q, k, v, **given), attention.reference(q, k, v, **given))
    if mask != "mask valid[i]":  # torch's own derivative is NaN at rows without keys
        assert torch.autograd.gradcheck(lambda *x: attention(*x, **given), (q, k, v))
        assert torch.autograd.gradgradcheck(lambda *x: attention(*x, **given), (q, k, v))
