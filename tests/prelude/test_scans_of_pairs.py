"""Scans of pairs, carried along a pass: against the papers' formulas, across tiles, in every order and orientation."""

import pytest
import torch
from torch.nn.functional import logsigmoid, softplus

import attnc
from attnc.diagnostics import AttnError
from attnc.planning.plan import Pass

from ..triton.interpreting import measured_random, scan_errors
from ..triton.workers import run

HEADER = "attention a axis i, j: N mask j <= i score s = q[i] @ k[j] / sqrt(D)\n"
STICK_BREAKING = f"""{HEADER}
let left = cumsum[j, reverse, exclusive](-softplus(s))
normalize p = sigmoid(s) * exp(left)"""
COPE = f"""{HEADER}
axis n: P
input e[P, D]
let place = min(cumsum[j, reverse](sigmoid(s)), P - 1)
let z[i, n] = q[i] @ e[n]
let low = floor(place)
normalize p = softmax[j](s + (low + 1 - place) * z[i, low] + (place - low) * z[i, min(low + 1, P - 1)])"""
THRESHOLD = f"""{HEADER}
input gate[B, H, N]
let kept = s > 0 or i == j
mask kept
let distance = cumsum[j, reverse, exclusive](kept)
normalize p = softmax[j](s + log_sigmoid(gate[i]) * distance)"""
BOTH_WAYS = """attention a axis i, j: N score s = q[i] @ k[j] / sqrt(D)
let before = cumsum[j](tanh(s)) let after = cumsum[j, reverse, exclusive](sigmoid(s))
normalize p = softmax[j](s + 0.1 * before - 0.1 * after)"""
NESTED = """attention a axis i, j: N score s = q[i] @ k[j] / sqrt(D)
let inner = cumsum[j](tanh(s)) let outer = cumsum[j, exclusive](sigmoid(inner) * s)
normalize p = tanh(outer)"""
OF_WEIGHTS = f"{HEADER} let w = softmax[j](s) normalize p = w * (1 - cumsum[j](w))"
ALONG_QUERIES = f"{HEADER} normalize p = sigmoid(s) * exp(-0.1 * cumsum[i, exclusive](sigmoid(s)))"
SEVERAL_RESULTS = f"""{HEADER}
let left = cumsum[j, reverse, exclusive](-softplus(s))
normalize p = sigmoid(s) * exp(left)
output out[i] = sum[j](p * v[j]), w[i, j] = p, rest[i] = 1 - sum[j](p), seen[j] = sum[i](p)"""

LARGEST = f"{HEADER} normalize p = sigmoid(s - 0.5 * cummax[j](s))"
LARGEST_BEFORE = f"{HEADER} normalize p = tanh(s * max(cummax[j, reverse, exclusive](s), -3.0))"
BOTH_LARGEST = f"""{HEADER} let before = cummax[j](s) let after = cummax[j, reverse](s * v[j, 0])
let c = cumsum[j, reverse](tanh(s)) normalize p = softmax[j](s - 0.3 * before + 0.2 * after + 0.1 * c)"""
LARGEST_OF_QUERIES = f"{HEADER} normalize p = sigmoid(s) * tanh(cummax[i](s))"
LARGEST_OF_SCANS = f"{HEADER} let c = cumsum[j, reverse](tanh(s)) normalize p = sigmoid(s - cummax[j](c * s))"


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def given(length, dtype=torch.float64, heads=2, groups=1):
    shapes = {"q": (1, heads, length, 8), "k": (1, groups, length, 8), "v": (1, groups, length, 6)}
    return {name: numbers(*shape, seed=n, dtype=dtype) for n, (name, shape) in enumerate(shapes.items())}


def scores(q, k):
    return q @ k.repeat_interleave(q.shape[1] // k.shape[1], 1).mT / q.shape[-1] ** 0.5


def up_to(x, reverse=False, exclusive=False, dim=-1):
    """The sums of a dense table, written out as products with a triangle of ones."""
    order = torch.ones(x.shape[dim], x.shape[dim], dtype=x.dtype).tril(-1 if exclusive else 0)
    order = order.mT if reverse else order
    return (order @ x.movedim(dim, -2)).movedim(-2, dim) if dim != -1 else x @ order.mT


def causal(s):
    return torch.ones(s.shape[-2:], dtype=torch.bool).tril()


def stick_breaking(q, k, v):
    s = scores(q, k)
    left = up_to(torch.where(causal(s), -softplus(s), 0), True, True)
    return torch.where(causal(s), torch.sigmoid(s) * left.exp(), 0) @ v


def cope(q, k, v, e):
    s = scores(q, k)
    place = up_to(torch.where(causal(s), torch.sigmoid(s), 0), True).clamp(max=e.shape[0] - 1)
    z, low = q @ e.mT, place.floor().long()
    part = place - low
    near, far = (z.gather(-1, at.clamp(max=e.shape[0] - 1)) for at in (low, low + 1))
    return torch.softmax((s + (1 - part) * near + part * far).masked_fill(~causal(s), -torch.inf), -1) @ v


def threshold(q, k, v, gate):
    s = scores(q, k)
    kept = causal(s) & ((s > 0) | torch.eye(s.shape[-1], dtype=torch.bool))
    s = s + logsigmoid(gate)[..., None] * up_to(kept.to(s.dtype), True, True)
    return torch.softmax(s.masked_fill(~kept, -torch.inf), -1) @ v


def both_ways(q, k, v):
    s = scores(q, k)
    return torch.softmax(s + 0.1 * up_to(s.tanh()) - 0.1 * up_to(s.sigmoid(), True, True), -1) @ v


def nested(q, k, v):
    s = scores(q, k)
    return up_to(up_to(s.tanh()).sigmoid() * s, exclusive=True).tanh() @ v


def of_weights(q, k, v):
    s = scores(q, k)
    w = torch.softmax(s.masked_fill(~causal(s), -torch.inf), -1)
    return (w * (1 - up_to(w))) @ v


def along_queries(q, k, v):
    s = scores(q, k)
    seen = torch.where(causal(s), s.sigmoid(), 0)
    return (seen * (-0.1 * up_to(seen, exclusive=True, dim=-2)).exp()) @ v


def largest_so_far(x, reverse=False, dim=-1):
    """Of a causal table."""
    x = torch.where(causal(x), x, -torch.inf)
    return x.flip(dim).cummax(dim).values.flip(dim) if reverse else x.cummax(dim).values


def largest(q, k, v):
    s = scores(q, k)
    return torch.where(causal(s), (s - 0.5 * largest_so_far(s)).sigmoid(), 0) @ v


def largest_before(q, k, v):
    s = scores(q, k)
    before = torch.nn.functional.pad(largest_so_far(s, True)[..., 1:], (0, 1), value=-torch.inf)
    return torch.where(causal(s), (s * before.clamp(min=-3)).tanh(), 0) @ v


def both_largest(q, k, v):
    s = scores(q, k)
    before, after = largest_so_far(s), largest_so_far(s * v[..., 0].unsqueeze(-2), True)
    left = up_to(torch.where(causal(s), s.tanh(), 0), True)
    s = torch.where(causal(s), s - 0.3 * before + 0.2 * after + 0.1 * left, -torch.inf)
    return torch.softmax(s, -1) @ v


def largest_of_queries(q, k, v):
    s = scores(q, k)
    so_far = torch.where(causal(s), largest_so_far(s, dim=-2), 0)
    return torch.where(causal(s), s.sigmoid() * so_far.tanh(), 0) @ v


def largest_of_scans(q, k, v):
    s = scores(q, k)
    left = up_to(torch.where(causal(s), s.tanh(), 0), True)
    return torch.where(causal(s), (s - largest_so_far(left * s)).sigmoid(), 0) @ v


def several_results(q, k, v):
    s = scores(q, k)
    left = up_to(torch.where(causal(s), -softplus(s), 0), True, True)
    w = torch.where(causal(s), torch.sigmoid(s) * left.exp(), 0)
    return w @ v, w, 1 - w.sum(-1), w.sum(-2)


CASES = {
    "stick breaking": (STICK_BREAKING, stick_breaking),
    "contextual positions": (COPE, cope),
    "threshold": (THRESHOLD, threshold),
    "both ways": (BOTH_WAYS, both_ways),
    "nested": (NESTED, nested),
    "of weights": (OF_WEIGHTS, of_weights),
    "along queries": (ALONG_QUERIES, along_queries),
    "several results": (SEVERAL_RESULTS, several_results),
    "largest": (LARGEST, largest),
    "largest before": (LARGEST_BEFORE, largest_before),
    "largest both ways": (BOTH_LARGEST, both_largest),
    "largest of queries": (LARGEST_OF_QUERIES, largest_of_queries),
    "largest of scans": (LARGEST_OF_SCANS, largest_of_scans),
}


def tensors(name, length, heads=2):
    found = given(length, heads=heads)
    if name == "contextual positions":
        found["e"] = numbers(5, 8, seed=7)
    if name == "threshold":
        found["gate"] = numbers(1, heads, length, seed=8)
    return {name: tensor.requires_grad_() for name, tensor in found.items()}


def together(found):
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("length", [1, 7, 300])
@pytest.mark.parametrize("name", CASES)
def test_formula_and_gradients(name, length):
    text, formula = CASES[name]
    inputs = tensors(name, length)
    found, wanted = together(attnc.loads(text)(**inputs)), together(formula(**inputs))
    weights = [numbers(*x.shape, seed=9) for x in wanted]
    gradients = [
        torch.autograd.grad(sum((x * w).sum() for x, w in zip(results, weights)), list(inputs.values()))
        for results in (found, wanted)
    ]
    for ours, theirs in zip((*found, *gradients[0]), (*wanted, *gradients[1]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_second_order(name):
    inputs = tensors(name, 4, heads=1)
    attention = attnc.loads(CASES[name][0])

    def call(*values):
        return attention(**dict(zip(inputs, values)))

    assert torch.autograd.gradcheck(call, tuple(inputs.values()), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(call, tuple(inputs.values()))


def test_sums_of_opposite_order_cancel():
    """What is left of a row's total, far from where its weight lies, is no larger than it should be."""
    inputs = {name: tensor.requires_grad_() for name, tensor in given(700, torch.float32).items()}
    exact = {name: tensor.detach().double().requires_grad_() for name, tensor in inputs.items()}
    attention = attnc.loads(STICK_BREAKING)
    found = torch.autograd.grad(attention(**inputs).sum(), list(inputs.values()))
    wanted = torch.autograd.grad(stick_breaking(**exact).sum(), list(exact.values()))
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).abs().max() < 3e-6 * theirs.abs().max()


def test_largest_so_far():
    text = f"{HEADER} normalize p = sigmoid(s - cummax[j](s))"
    inputs = given(300)
    s = scores(inputs["q"], inputs["k"])
    largest = s.masked_fill(~causal(s), -torch.inf).cummax(-1).values
    wanted = torch.where(causal(s), (s - largest).sigmoid(), 0) @ inputs["v"]
    torch.testing.assert_close(attnc.loads(text)(**inputs), wanted)


def test_the_first_of_the_largest_from_the_last_tile_on():
    text = """attention a axis i, j: N score s = q[i] @ k[j]
    let after = cumsum[j, reverse](0.0 if s > -1000 else 1.0)
    output place[i] = argmax[j](after + (1.0 if j in {5, 290, 299} else 0.0)), out[i] = sum[j](after * v[j])"""
    text = text.replace("j in {5, 290, 299}", "j == 5 or j == 290 or j == 299")
    assert (attnc.loads(text)(**given(300)).place == 5).all()


def test_passes():
    """Forward one pass, from the last key on; backward two: totals of rows first."""
    derivation = attnc.loads(STICK_BREAKING).derivation(())
    forward = [stage for stage in derivation.plan_forward(()).stages if isinstance(stage, Pass)]
    assert [stage.is_reverse for stage in forward] == [True]
    gradient = derivation.gradient(("q", "k", "v"))
    assert not gradient.kept
    backward = [stage for stage in derivation.plan_backward(gradient).stages if isinstance(stage, Pass)]
    assert [stage.is_reverse for stage in backward] == [True, True]


def test_keys_of_few_queries_stay_whole():
    inputs = given(4000, heads=4)
    text = STICK_BREAKING.replace("axis i, j: N mask j <= i", "")
    q = inputs["q"][:, :, :1]
    s = scores(q, inputs["k"])
    wanted = (s.sigmoid() * up_to(-softplus(s), True, True).exp()) @ inputs["v"]
    torch.testing.assert_close(attnc.loads(text)(q, inputs["k"], inputs["v"]), wanted)


REFUSED = {
    "a max along the other axis than a scan of pairs": f"{HEADER} normalize p = softmax[j](s - cumsum[i](sigmoid(s)))",
    "a scan of pairs read at another index": f"{HEADER} let c[i, j] = cumsum[j](s) normalize p = sigmoid(c[i, j + 1])",
    "a scan of pairs beside a scan": f"{HEADER} normalize p = cumsum[j](s) - cumsum[i](s)",
    "along three lengths": "attention a axis i, j, t: N score s = q[i] @ k[j] "
    "let c[i, j, t] = cumsum[t](s * (v[t] @ v[t])) normalize p = sum[t](c[i, j, t])",
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words):
    inputs = {name: tensor.requires_grad_() for name, tensor in given(5).items()}
    with pytest.raises(AttnError) as caught:
        attnc.loads(REFUSED[words])(**inputs).sum().backward()
    assert caught.value.code == "not-lowered" and words in str(caught.value)


def test_parts_are_refused():
    q, k, v = given(6).values()
    text = STICK_BREAKING.replace("axis i, j: N mask j <= i", "")
    with pytest.raises(AttnError, match="needs all of them at once"):
        attnc.loads(text).partial(q, k, v)


@pytest.mark.parametrize("name", ["stick breaking", "contextual positions", "threshold", "both ways", "nested"])
def test_in_triton(name):
    extra = {"contextual positions": {"e": (5, 16)}, "threshold": {"gate": (1, 2, 75)}}.get(name, {})
    assert run("interpreter", scan_errors, CASES[name][0], extra) < 2e-5


@pytest.mark.parametrize("name", [name for name in CASES if "largest" not in name and name != "several results"])
def test_gradients_in_triton(name):
    """Two of them with more blocks of rows than workers, each of which takes two turns at its sums of columns."""
    length = 150 if name in ("stick breaking", "along queries") else 40
    extra = {"contextual positions": {"e": (5, 16)}, "threshold": {"gate": (1, 2, length)}}.get(name, {})
    assert run("interpreter", scan_errors, CASES[name][0], extra, length, True) < 2e-5


def test_passes_with_fewer_blocks_than_workers_in_triton():
    """One pass has 10 blocks of rows for 8 workers, the other 2: of three heads."""
    text = """attention a score s = q[i] @ k[j] / sqrt(D)
    let c = cumsum[j](tanh(s)) let e = cumsum[i](sigmoid(s))
    output out[i] = sum[j](c * v[j]), seen[j] = sum[i](e * q[i, 0])"""
    errors = run("interpreter", measured_random, text, {"B": 1, "H": 3, "G": 3, "N": 150, "M": 20, "D": 16, "E": 16})
    assert len(errors) == 5 and all(error[1] for error in errors), errors


ON_GPUS = {
    "the derivative of a cummax of pairs": (LARGEST, True),
    "scans of maxima of opposite order": (f"{HEADER} normalize p = cummax[j](s) - cummax[j, reverse](s)", False),
}


@pytest.mark.parametrize("words", ON_GPUS)
def test_refused_on_gpus(words):
    text, learns = ON_GPUS[words]
    with pytest.raises(AttnError, match=f"on a GPU, {words}"):
        run("interpreter", scan_errors, text, {}, 20, learns)


# --- what these found --------------------------------------------------------------------------------------------


def test_a_sum_that_follows_two_statistics_of_which_one_follows_the_other():
    text = """attention a score s = q[i] @ k[j] / sqrt(D)
    normalize p = softmax[j](0.5 * s - 0.1 * sum[j](sigmoid(s)))"""
    inputs = given(300)
    s = scores(inputs["q"], inputs["k"])
    wanted = torch.softmax(0.5 * s, -1) @ inputs["v"]
    torch.testing.assert_close(attnc.loads(text)(**inputs), wanted)


def test_integers_and_conditions_of_pairs_as_results():
    text = f"""{HEADER} let kept = s > 0
    output many[i, j] = cumsum[j](kept), here[i, j] = kept, apart[i, j] = i - j"""
    inputs = given(37)
    found = attnc.loads(text)(inputs["q"], inputs["k"])
    s = scores(inputs["q"], inputs["k"])
    places = torch.arange(37)
    assert torch.equal(found.here, s > 0)
    assert torch.equal(found.many, torch.where(causal(s), up_to(((s > 0) & causal(s)).double()).long(), 0))
    assert torch.equal(found.apart, (places[:, None] - places).expand(found.apart.shape))


@pytest.mark.parametrize("flags", ["", ", reverse", ", exclusive"])
def test_a_scan_of_queries_beside_sums_over_keys(flags):
    """Sums of one level over the same tiles: those that read the scan go along it, whatever the others do."""
    text = f"""attention a score s = q[i] @ k[j] / sqrt(D)
    let e = cumsum[i{flags}](sigmoid(s))
    output seen[j] = sum[i](e * q[i, 0])"""
    inputs = {name: tensor.requires_grad_() for name, tensor in given(130).items() if name != "v"}
    found = attnc.loads(text)(**inputs)
    e = up_to(scores(**inputs).sigmoid(), "reverse" in flags, "exclusive" in flags, dim=-2)
    wanted = (e * inputs["q"][..., :1]).sum(-2)
    torch.testing.assert_close(found, wanted)
    weights = numbers(*wanted.shape, seed=9)
    gradients = [torch.autograd.grad((x * weights).sum(), list(inputs.values())) for x in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)
