"""Scores that are no matrix products: sums over features of a function of both sides, to second order and in tiles."""

import pytest
import torch

import attnc

SPECS = {
    "L1": "attention a score s = -sum[d](abs(q[i, d] - k[j, d])) / sqrt(D)",
    "additive": "attention a input a[D] score s = sum[d](a[d] * tanh(q[i, d] + k[j, d]))",
    "distance": "attention a axis i, j: N score s = -norm(q[i] - k[j]) mask j <= i and i - j < 50",
    "squared distance": "attention a score s = -sum[d]((q[i, d] - k[j, d]) ** 2) / 8",
    "not a softmax": "attention a score s = sum[d](tanh(q[i, d] * k[j, d])) normalize w = s * s",
    "values": "attention a require E == D aggregate out[i] = sum[j](p * tanh(v[j] + q[i]))",
}


def inputs(name, N, D, dtype, B=1, H=1):
    random = torch.Generator().manual_seed(4)
    given = [torch.randn(B, H, N, D, generator=random, dtype=torch.float64) for _ in range(3)]
    if name == "additive":
        given.append(torch.randn(D, generator=random, dtype=torch.float64))
    return [t.to(dtype).requires_grad_() for t in given]


@pytest.mark.parametrize("name", SPECS)
def test_second_order(name):
    """A factor outside of a sum must not be taken in where the sum binds its axes: gradients of keys hold both."""
    attention, given = attnc.loads(SPECS[name]), inputs(name, 5, 3, torch.float64)
    assert torch.autograd.gradcheck(attention, given)
    assert torch.autograd.gradgradcheck(attention, given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", SPECS)
def test_tiles(name, dtype):
    """Several blocks of rows and columns, with borders."""
    attnc.verify(attnc.loads(SPECS[name]), *inputs(name, 300, 9, dtype, H=2))


@pytest.mark.parametrize("name", ["L1", "additive"])
def test_a_pair_is_computed_once(name):
    """Not once more for each feature of its gradient: sums over features are never nested."""
    deepest, depth, loops = 0, 0, []
    source = attnc.loads(SPECS[name]).source(backward=True)
    for line in source[source.index("static void stage0") : source.index("static void nest")].split("\n"):
        depth += line.count("{") - line.count("}")
        loops = [at for at in loops if at <= depth]
        if "for (int64_t i_" in line:
            loops.append(depth)
        deepest = max(deepest, len(loops))
    assert deepest == 1
