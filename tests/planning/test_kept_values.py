"""Sums within nests and operands are computed once, where loops around them would compute them again."""

import pytest
import torch

import attnc
from attnc.ir.node import walk
from attnc.planning.plan import Nest, Pass, flat

FINE = """attention a(size: int = 5)
input x[B, M, C], window[B, M, size, size, C]
axis t: size * size, f: 3
let s[i, t] = x[i] @ window[i, t // size, t % size]
let best[i] = argmax[t](s[i, t])
let p = softmax[f](s[i, clamp(best[i] + f - 1, 0, size * size - 1)])
output at[i] = sum[f](p * f)"""


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sums(node):
    return [part for part in walk(node) if part.kind == "reduce"]


def plan_of(text):
    return attnc.loads(text).derivation().plan_forward(())


def test_a_sum_within_loops_over_others():
    """25 scores are compared with 25 others, and three are read; each is a sum over features."""
    stages = plan_of(FINE).stages
    assert all(isinstance(stage, Nest) for stage in stages)
    nodes = [node for stage in stages for store in stage.stores for node in sums(store.node)]
    dots = [node for node in nodes if any(axis.size.attribute == "C" for axis in node.attribute)]
    assert len(dots) == 2


def test_results_and_gradients():
    x, window = numbers(2, 7, 6).requires_grad_(), numbers(2, 7, 5, 5, 6, seed=1).requires_grad_()
    found = attnc.loads(FINE)(x=x, window=window)
    s = torch.einsum("bic,bitc->bit", x, window.flatten(2, 3))
    places = (s.argmax(-1, keepdim=True) + torch.arange(3) - 1).clamp(0, 24)
    wanted = (s.gather(-1, places).softmax(-1) * torch.arange(3)).sum(-1)
    torch.testing.assert_close(found, wanted)
    gradients = [torch.autograd.grad(y.sum(), (x, window)) for y in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_streamed_passes_stay_as_they_are():
    """What a pass has of one side is made once for each row or key as it is: no nest comes before."""
    several = "attention a output out, lse = logsumexp[j](s), entropy = -sum[j](xlogy(p, p))"
    for text in ("attention a axis i, j: N mask j <= i", "attention a score s = cosine(q[i], k[j])", several):
        derivation = attnc.loads(text).derivation()
        gradient = derivation.gradient(("q", "k", "v"))
        assert all(isinstance(stage, Pass) for stage in derivation.plan_forward(gradient.kept).stages)


def test_values_alike_but_for_names_are_kept_once():
    text = """attention a
    input x[B, N, C], w[T, C]
    axis t, u: T, c: C
    let far[j, t] = sum[c](abs(x[j, c] - w[t, c]))
    output out[j] = sum[t, u](relu(far[j, t] - far[j, u]))"""
    plan = plan_of(text)
    stores = [store for stage in flat(plan.stages) if isinstance(stage, Nest) for store in stage.stores]
    assert [store.tensor.origin for store in stores] == ["temporary", "result"]
    x, w = numbers(1, 9, 4), numbers(3, 4, seed=1)
    far = (x[:, :, None] - w).abs().sum(-1)
    wanted = (far[..., :, None] - far[..., None, :]).relu().sum((-1, -2))
    torch.testing.assert_close(attnc.loads(text)(x=x, w=w), wanted)


@pytest.mark.parametrize("heads, groups", [(4, 2), (2, 2)])
def test_sums_over_the_heads_of_a_group(heads, groups):
    """Heads of other groups are left out of a nest's sum, and what it sums up is computed once for all features."""
    q, k = numbers(2, heads, 5).requires_grad_(), numbers(2, groups, 12, 5, seed=1).requires_grad_()
    text = "attention a input q[B, H, D] output a[j] = sum[h](softmax[j](q @ k[j]))"
    found = attnc.loads(text)(q=q, k=k)
    wanted = torch.einsum("bhd,bhjd->bhj", q, k.repeat_interleave(heads // groups, 1)).softmax(-1).sum(1)
    torch.testing.assert_close(found, wanted)
    weights = numbers(*wanted.shape, seed=3)
    gradients = [torch.autograd.grad((y * weights).sum(), (q, k)) for y in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
