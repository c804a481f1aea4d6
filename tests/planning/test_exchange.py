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
    "exp(q[i]) @ exp(k[j])": (0, 0),
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


FORMS = {
    "three axes": "input w[B, N, F] axis i, j: N axis f: F let m[d, e, f] = sum[j](k[j, d] * v[j, e] * w[j, f]) "
    "aggregate out[i, e] = sum[d](sum[f](q[i, d] * m[d, e, f] * w[i, f]))",
    "a chain": "axis i, j, l: N let p = softmax[j](q[i] @ k[j]) let r[l, j] = sigmoid(k[l] @ k[j]) "
    "aggregate out[i] = sum[l](sum[j](p * r[l, j]) * v[l])",
    "masks of rows and of keys": "input valid[B, N]: bool axis i, j: N mask valid[j] and i != 3 "
    "normalize p = l1[j](relu(q[i]) @ relu(k[j]))",
    "a softmax of a matrix": "axis i, j: N axis c: D let g[d, c] = softmax[c](sum[j](k[j, d] * k[j, c])) "
    "aggregate out[i, e] = sum[d](q[i, d] * sum[c](g[d, c] * sum[j](k[j, c] * v[j, e])))",
    "a quadratic form": "axis i, j: N axis c: D let g[d, c] = sum[j](k[j, d] * k[j, c]) "
    "aggregate out[i] = sum[d](sum[c](q[i, d] * g[d, c] * q[i, c])) * v[i]",
    "largest": "axis i, j: N let g[d, e] = max[j](k[j, d] * v[j, e]) aggregate out[i, e] = sum[d](q[i, d] * g[d, e])",
    "sums along the other axis": "axis i, j: N score s = q[i] @ k[j] aggregate out[j] = sum[i](s * v[i])",
    "counts": "input n[B, N, F]: int axis i, j: N axis f: F let c[i] = sum[j](sum[f](n[i, f] * n[j, f])) "
    "aggregate out[i] = sum[j](softmax[j](q[i] @ k[j]) * v[j]) + c[i]",
}


@pytest.mark.parametrize("form", FORMS)
def test_matrices(form):
    """Against torch's own derivative of the dense meaning; 2 key heads for 4 of queries."""
    attention = attnc.loads(f"attention a {FORMS[form]}")
    random = torch.Generator().manual_seed(0)
    sizes = {"B": 2, "H": 4, "G": 2, "N": 9, "D": 5, "E": 4, "F": 3}
    given = {}
    for item in attention.card().inputs:
        shape = [sizes[size] for size in item.sizes]
        if item.type == "float":
            given[item.name] = torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_()
        else:
            drawn = torch.randint(0, 5, shape, generator=random)
            given[item.name] = drawn if item.type == "int" else drawn > 1
    found, wanted = attention(**given), attention.reference(**given)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    learned = [tensor for tensor in given.values() if tensor.requires_grad]
    ours, theirs = (
        torch.autograd.grad(out.sin().sum(), learned, allow_unused=True, materialize_grads=True)
        for out in (found, wanted)
    )
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_whole_numbers():
    """Exactly, over pairs, and for matrices."""
    text = """attention a input n[B, N, F]: int, m[B, N, C]: int axis i, j: N axis f: F axis c: C
    output both[i] = sum[j](sum[f](n[i, f] * n[j, f]) * m[j, 0]), table[f, c] = sum[j](n[j, f] * m[j, c])"""
    random = torch.Generator().manual_seed(0)
    n, m = (torch.randint(-5, 5, (2, 300, width), generator=random) for width in (3, 2))
    found = attnc.loads(text)(n, m)
    assert torch.equal(found.both, (n @ n.mT * m[..., 0][:, None]).sum(-1))
    assert torch.equal(found.table, n.mT @ m)
