"""Gradients of what is read at computed places, and of features under conditions, in slices and of both sides of a
pair: no pass over pairs of places, no sum feature by feature."""

import pytest
import torch

import attnc
from attnc.planning.plan import LOOPED, SCATTER, Pass, flat


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def backward(text):
    derivation = attnc.loads(text).derivation()
    gradient = derivation.gradient(tuple(d.name for d in derivation.meaning.inputs if d.tensor.type == "float"))
    return derivation.plan_backward(gradient, both=True)


def forms(plan):
    passes = [stage for stage in flat(plan.stages) if isinstance(stage, Pass)]
    return {term.form for stage in passes for accumulator in stage.accumulators for term in accumulator.terms}


def check(found, wanted, inputs):
    torch.testing.assert_close(found, wanted)
    weights = numbers(*wanted.shape, seed=9)
    gradients = [torch.autograd.grad((x * weights).sum(), inputs) for x in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


TAPS = {
    "read from a tensor": ("place[i] + t", lambda i, place: place),
    "around": ("(i + 5) % N + t", lambda i, place: (i + 5) % 60),
    "with a stride": ("min(i * step, N - 3) + t", lambda i, place: (i * 2).clamp(max=57)),
}


@pytest.mark.parametrize("name", TAPS)
def test_taps_at_computed_places(name):
    position, first = TAPS[name]
    text = f"""attention a(step: int = 2)
    input x[B, N, C], place[B, M]: int, w[taps, C]
    axis t: taps
    output out[i] = sum[t](w[t] * x[{position}])"""
    x, w = numbers(2, 60, 5).requires_grad_(), numbers(3, 5, seed=1).requires_grad_()
    place = torch.randint(-2, 59, (2, 40), generator=torch.Generator().manual_seed(2))
    at = first(torch.arange(40), place).expand(2, 40)[..., None] + torch.arange(3)
    inside = ((at >= 0) & (at < 60))[..., None]
    read = torch.stack([x[b, at[b].clamp(0, 59)] for b in range(2)]) * inside
    check(attnc.loads(text)(x=x, place=place, w=w), (w * read).sum(-2), [x, w])
    plan = backward(text)
    passes = [stage for stage in flat(plan.stages) if isinstance(stage, Pass) and stage.row is not None]
    assert SCATTER in forms(plan) and all(stage.row.streams or stage.loop.streams for stage in passes)


def test_pairs_are_summed_before_they_are_scattered():
    """Of scores against means of windows, what windows get is summed over queries first."""
    text = """attention a(size: int = 4)
    input place[B, M]: int, v[B, H, M, E]
    axis i: N, n: M, f: 3
    let mean_key[n] = sum[f](k[place[n] + f])
    output out[i] = sum[n](sigmoid(q[i] @ mean_key[n]) * v[n])"""
    q, k, v = numbers(1, 2, 50, 6), numbers(1, 2, 50, 6, seed=1), numbers(1, 2, 9, 4, seed=2)
    inputs = [x.requires_grad_() for x in (q, k, v)]
    place = torch.randint(0, 48, (1, 9), generator=torch.Generator().manual_seed(3))
    means = k[:, :, place[0][:, None] + torch.arange(3)].sum(-2)
    wanted = (q @ means.mT).sigmoid() @ v
    check(attnc.loads(text)(q=q, k=k, v=v, place=place), wanted, inputs)
    passes = [stage for stage in flat(backward(text).stages) if isinstance(stage, Pass)]
    scattering = [a for stage in passes for a in stage.accumulators if a.scattered]
    assert [{axis.name for axis in a.node.attribute} for a in scattering] == [{"n", "f", "h"}]


FEATURES = {
    "slices in a score": "score s = q[i, : D // 2] @ k[j, : D // 2] * cos(q[i, D // 2 :] @ k[j, D // 2 :])",
    "positions in a part": "let a[i] = cat(rope(q[i, : D // 2], i), q[i, D // 2 :]) "
    "let b[j] = cat(rope(k[j, : D // 2], j), k[j, D // 2 :]) score s = a[i] @ b[j]",
    "a norm of the result": "aggregate o[i] = sum[j](p * v[j]) output out[i] = o[i] / sqrt(o[i] @ o[i])",
    "parts of features, weighed": "input w[D] score s = (w * q[i]) @ k[j]",
}


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_matrix_products(name):
    assert LOOPED not in forms(backward(f"attention a {FEATURES[name]}"))


def test_weights_of_a_score():
    q, k, v = (numbers(2, 2, n, 6, seed=n).requires_grad_() for n in (30, 41, 41))
    w = numbers(6, seed=4).requires_grad_()
    wanted = ((w * q) @ k.mT).softmax(-1) @ v
    check(attnc.loads("attention a input w[D] score s = (w * q[i]) @ k[j]")(q, k, v, w=w), wanted, [q, k, v, w])


def test_rows_without_pairs_that_have_infinite_features():
    """What a row has stands outside of its sum, and is 0 where there is nothing to sum up."""
    text = """attention a
    input x[B, N, C], y[B, N, C]
    axis i, j: N
    mask j < i
    output out[i] = sum[j](tanh(x[i, 0] * y[j, 0]) * (exp(x[i]) * y[j] + y[j] ** 2))"""
    x, y = numbers(1, 20, 4), numbers(1, 20, 4, seed=1)
    x[0, 0] = 1e6  # its exponential is infinite, and no j is before it
    found = attnc.loads(text)(x=x, y=y)
    weights = (x[..., :1] * y[..., 0][:, None]).tanh().tril(-1)
    wanted = weights[:, 1:] @ y * x[:, 1:].exp() + weights[:, 1:] @ y**2
    assert (found[:, 0] == 0).all()
    torch.testing.assert_close(found[:, 1:], wanted)


def test_pairs_of_places_are_not_kept():
    """Where two lengths say the place, a sum over a third one first would hold a number for each pair."""
    text = """attention a
    input x[B, L, M], y[B, L, N], table[B, N, E]
    axis l: L
    output total = sum[l, i, j](tanh(x[l, i] * y[l, j]) * table[clamp(i - j + 3, 0, 6), 0])"""
    derivation = attnc.loads(text).derivation()
    gradient = derivation.gradient(("x", "y", "table"))
    plans = derivation.plan_forward(gradient.kept), derivation.plan_backward(gradient, both=True)
    kept = [{axis.name for axis in axes} for plan in plans for _, axes in plan.temporaries]
    assert any(SCATTER in forms(plan) for plan in plans) and not any({"i", "j"} <= names for names in kept)
    x, y, table = (
        numbers(*shape, seed=n).requires_grad_() for n, shape in enumerate([(2, 3, 8), (2, 3, 9), (2, 9, 2)])
    )
    places = (torch.arange(8)[:, None] - torch.arange(9) + 3).clamp(0, 6)
    wanted = ((x[..., :, None] * y[..., None, :]).tanh().sum(1) * table[:, places, 0]).sum((-1, -2))
    check(attnc.loads(text)(x=x, y=y, table=table), wanted, [x, y, table])
