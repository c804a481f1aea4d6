"""Parameters that stand before positions are outer, as heads are."""

import pytest
import torch

import attnc
from attnc.planning.printer import print_plan

LAYERS = """attention stacked(layers: int = 3)
input     x[B, H, layers, M, D], y[B, H, layers, N, D], z[B, H, layers, N, E]
axis      l: layers
output    out[l, i] = sum[j](softmax[j](x[l, i] @ y[l, j] / sqrt(D)) * z[l, j])
"""
MEANT = LAYERS.replace("out[l, i] = sum", "out[i] = mean[l](sum").replace("* z[l, j])", "* z[l, j]))")


@pytest.mark.parametrize("layers", [1, 4])
@pytest.mark.parametrize("text", [LAYERS, MEANT])
def test_each_has_scores_of_its_own(text, layers):
    random = torch.Generator().manual_seed(0)
    shapes = [(2, 3, layers, 7, 5), (2, 3, layers, 9, 5), (2, 3, layers, 9, 6)]
    x, y, z = (torch.randn(shape, generator=random, dtype=torch.float64, requires_grad=True) for shape in shapes)
    wanted = torch.nn.functional.scaled_dot_product_attention(x, y, z)
    wanted = wanted if text is LAYERS else wanted.mean(2)
    found = attnc.loads(text)(x=x, y=y, z=z, layers=layers)
    found = found.reshape(wanted.shape)
    cotangent = torch.randn(wanted.shape, generator=random, dtype=torch.float64)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found, (x, y, z), cotangent), torch.autograd.grad(wanted, (x, y, z), cotangent)
    )


def test_a_pass_has_one_product_for_the_scores_of_a_layer():
    derivation = attnc.loads(LAYERS).derivation()
    plan = derivation.plan_forward(())
    assert len(plan.passes) == 1 and "for each l, b, h in parallel" in print_plan(plan)


def test_places_that_a_result_keeps_are_positions():
    """Of every other row and column of a grid; the gradient goes through each place once."""
    text = """attention strided(rows: int = 6, cols: int = 4)
axis      i, j: {y: rows, x: cols}, m: {y: rows // 2, x: cols // 2}
let       seen[i] = sum[j](softmax[j](s) * v[j])
output    out[m] = seen[i(m.y * 2, m.x * 2)]
"""
    attention = attnc.loads(text)
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 24, 5, generator=random, dtype=torch.float64, requires_grad=True) for _ in range(3))
    dense = torch.nn.functional.scaled_dot_product_attention(q, k, v).unflatten(2, (6, 4))[:, :, ::2, ::2].flatten(2, 3)
    found = attention(q, k, v)
    torch.testing.assert_close(found, dense)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), (q, k, v)), torch.autograd.grad(dense.square().sum(), (q, k, v))
    )
    derivation = attention.derivation()
    assert "scattered to i" in print_plan(derivation.plan_backward(derivation.gradient(("q", "k", "v"))))
