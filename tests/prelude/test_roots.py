"""`root`: what it solves, how it is differentiated, and what it refuses."""

import pytest
import torch

import attnc


def roots(f, low="-9.0", high="9.0", more=""):
    """A spec whose result is the root for each row."""
    return attnc.loads(
        f"attention a {more} axis i, j: N score s = q[i] @ k[j] output t = root[t: {low} <= t <= {high}]({f})"
    )


def draw(B=2, N=33, D=4, dtype=torch.float64):
    torch.manual_seed(0)
    return [torch.randn(B, 2, N, D, dtype=dtype).requires_grad_() for _ in range(2)]


SOLVED = {
    "sum[j](tanh(t - s))": lambda t, s: torch.tanh(t[..., None] - s).sum(-1),
    "5.0 - sum[j](sigmoid(t - s))": lambda t, s: 5.0 - torch.sigmoid(t[..., None] - s).sum(-1),
    "sum[j](exp(t - s)) - 2": lambda t, s: torch.exp(t[..., None] - s).sum(-1) - 2,
    "sum[j](relu(t - s) ** 3) - 0.5": lambda t, s: (torch.relu(t[..., None] - s) ** 3).sum(-1) - 0.5,
}


@pytest.mark.parametrize("f", SOLVED)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_solved(f, dtype):
    """To the last digits, whatever the shape of f; its derivative is that of the implicit function theorem."""
    attention, (q, k) = roots(f, "-60.0", "60.0"), draw(dtype=dtype)
    t = attention(q, k)
    s = (q @ k.mT).detach().double()
    exact = t.detach().double().requires_grad_()
    value = SOLVED[f](exact, s)
    (slope,) = torch.autograd.grad(value.sum(), exact)
    unit = torch.finfo(dtype).eps
    assert torch.all((value / slope).abs() <= 60 * unit * (1 + exact.abs()))
    attnc.verify(attention, q, k)


def test_second_derivatives():
    q, k = draw(B=1, N=4, D=2)
    assert torch.autograd.gradgradcheck(roots("sum[j](tanh(t - s))"), (q, k), check_fwd_over_rev=True)


def test_outside_of_the_bounds_the_nearer_bound():
    q, k = (t.detach() for t in draw())
    assert torch.allclose(roots("sum[j](sigmoid(t - s)) - 100")(q, k), torch.tensor(9.0).double(), rtol=1e-12)
    assert torch.all(roots("sum[j](sigmoid(t - s)) + 1")(q, k) == -9)


def test_rows_without_keys():
    """The bound, and no NaN in anything."""
    spec = "attention a axis i, j: N mask j < i normalize p = sparsemax[j](s)"
    given = [t.requires_grad_() for t in torch.randn(3, 1, 2, 9, 4).unbind()]
    out = attnc.loads(spec)(*given)
    out.sum().backward()
    assert torch.all(out[:, :, 0] == 0) and all(torch.all(torch.isfinite(t.grad)) for t in given)


NESTED = {
    "a statistic beside the unknown": "let w[i] = sum[j](exp(s)) output t = root[t: -9.0 <= t <= 9.0]"
    "(t * w[i] + sum[j](tanh(t - s)) - 1)",
    "roots of roots, of one name": "normalize p = sparsemax[j](3 * sparsemax[j](s))",
}


@pytest.mark.parametrize("clauses", NESTED.values(), ids=list(NESTED))
def test_statistics_beside_roots(clauses):
    attention = attnc.loads(f"attention a axis i, j: N {clauses}")
    given = [*draw(B=1, N=13), torch.randn(1, 2, 13, 3, dtype=torch.float64, requires_grad=True)]
    attnc.verify(attention, *given[: len(attention.card().inputs)])


def test_a_root_in_sums_of_weights():
    """By hand: the unknown is bracketed again and again where a plain sum of e^s multiplies it."""
    attention = attnc.loads(f"attention a axis i, j: N {NESTED['a statistic beside the unknown']}")
    q, k = draw(B=1, N=13)
    t, s = attention(q, k), q @ k.mT / 2
    left = t * s.exp().sum(-1) + torch.tanh(t[..., None] - s).sum(-1) - 1
    assert torch.all(left.abs() < 1e-9)


def test_many_keys_are_not_kept():
    """Beyond what a worker keeps, scores are computed again at each step."""
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 1, 8, 4), torch.randn(1, 1, 120_000, 4), torch.randn(1, 1, 120_000, 4)
    attention = attnc.loads("attention a normalize p = sparsemax[j](s)")
    s = (q.double() @ k.double().mT / 2)[0, 0]
    ordered = s.sort(descending=True).values
    total, place = ordered.cumsum(-1) - 1, torch.arange(1, s.shape[1] + 1)
    count = (ordered * place > total).sum(-1, keepdim=True)
    weights = torch.relu(s - total.gather(1, count - 1) / count)
    assert torch.allclose(attention(q, k, v)[0, 0].double(), weights @ v[0, 0].double(), atol=1e-5)


@pytest.mark.parametrize("f", ["sum[j](sin(t - s))", "sum[j](t * s)", "sum[j]((t - s) ** 2)"])
def test_what_is_not_monotone_is_refused(f):
    with pytest.raises(attnc.AttnError, match="not-monotone"):
        roots(f)(*draw())


PARTS = "axis i, j: N axis l: N axis m: N axis u: m | j let z = join[u](2 * (q[i] @ k[m]), q[i] @ k[j])"
IN_STEPS = {
    "over two parts": f"{PARTS} output t[i] = root[t: -90.0 <= t <= 90.0](sum[u](tanh(t - z)) - 1)",
    "falling, over two parts": f"{PARTS} output t[i] = root[t: -90.0 <= t <= 90.0](2.0 - sum[u](exp(t - z)))",
    "sums that read sums": "axis i, j: N axis l: N score s = q[i] @ k[j] output t[i] = root[t: -90.0 <= t <= 90.0]"
    "(sum[j](exp(t - s)) + sum[j](relu(t + sum[l](relu(t - q[i] @ k[l])) - s)) - 3)",
    "no sum": "axis i: N output t[i] = root[t: -9.0 <= t <= 9.0](t ** 3 + t - q[i, 0] * k[i, 1])",
    "features alone": "axis i: N output t[i] = root[t: -9.0 <= t <= 9.0](sum[d](tanh(t - q[i, d] * k[i, d])))",
    "one for all pairs": "axis i, j: N score s = q[i] @ k[j] "
    "let t = root[t: -9.0 <= t <= 9.0](sum[i, j](tanh(t - s))) output o[i] = t * sum[j](s)",
    "heads": "axis i, j: N axis f: H score s = q[i] @ k[j] "
    "let t[i] = root[t: -9.0 <= t <= 9.0](sum[f](tanh(t - q[f, i, 0]))) output o[i] = t[i] * sum[j](s)",
    "one for each feature": "axis i, j: N output t[i, d] = root[t: -9.0 <= t <= 9.0]"
    "(sum[j](tanh(t - q[i, d] * k[j, d])))",
    "in rounds": "axis i, j: N axis r: 3 score s = q[i] @ k[j] let x[r, i] = root[t: -90.0 <= t <= 90.0]"
    "(sum[j](tanh(t - s - x[r - 1, i]))) output o[i] = x[2, i]",
    "over two parts, in rounds": f"{PARTS} axis r: 3 let x[r, i] = root[t: -90.0 <= t <= 90.0]"
    "(sum[u](tanh(t - z - x[r - 1, i]))) output o[i] = x[2, i]",
}


@pytest.mark.parametrize("clauses", IN_STEPS.values(), ids=list(IN_STEPS))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_what_one_pass_does_not_solve(clauses, dtype):
    attnc.verify(attnc.loads(f"attention a {clauses}"), *draw(N=19, dtype=dtype))


def test_sparsemax_over_two_parts_is_that_of_both():
    """Peters, Niculae and Martins: by sorting, over all keys at once."""
    spec = (
        f"attention a {PARTS} normalize p[i, u] = sparsemax[u](z) output first[i, m] = p[i, m], second[i, j] = p[i, j]"
    )
    q, k = (t.detach() for t in draw(N=21))
    found = torch.cat(attnc.loads(spec)(q, k), -1)
    z = torch.cat([2 * q @ k.mT, q @ k.mT], -1)
    ordered, count = z.sort(-1, descending=True).values, torch.arange(1, z.shape[-1] + 1)
    total = ordered.cumsum(-1)
    size = (1 + count * ordered > total).sum(-1, keepdim=True)
    expected = torch.relu(z - (total.gather(-1, size - 1) - 1) / size)
    assert torch.allclose(found, expected, atol=1e-12)


def test_selection_over_two_parts_breaks_ties_by_position():
    spec = f"""attention a {PARTS}
    let c = join[u](floor(q[i, 0] + k[m, 1]) + 0.0, floor(q[i, 1] + k[j, 0]) + 0.0)
    output n[i] = order[u](c, 6), far[i] = order[u](c, 50), kept[i] = sum[u](u if topk[u](c, 9) else 0)"""
    q, k = (t.detach() for t in draw(N=21))
    n, far, kept = attnc.loads(spec)(q, k)
    floors = [torch.floor(q[..., :, None, a] + k[..., None, :, b]) for a, b in ((0, 1), (1, 0))]
    places = torch.cat(floors, -1).sort(dim=-1, descending=True, stable=True).indices
    assert torch.equal(n, places[..., 6]) and torch.all(far == -1)
    assert torch.equal(kept, places[..., :9].sum(-1))


def test_a_root_for_every_pair_is_refused():
    with pytest.raises(attnc.AttnError, match="a root for every pair"):
        attnc.loads("attention a axis i, j: N score s = root[t: -9.0 <= t <= 9.0](t ** 3 + t - q[i] @ k[j])").source()


def test_roots_in_rounds_with_one_name_have_their_own_derivatives():
    """By torch, through a step of Newton's from each solution."""
    q, k = draw(B=1, N=5)
    text = IN_STEPS["in rounds"]
    found = torch.autograd.grad(attnc.loads(f"attention a {text}")(q, k).square().sum(), (q, k))
    x = torch.zeros(q.shape[:-1], dtype=torch.float64)
    for _ in range(3):
        shifted = q @ k.mT + x[..., None]
        low, high = torch.full_like(x, -90.0), torch.full_like(x, 90.0)
        for _ in range(100):
            middle = ((low + high) / 2).detach()
            above = torch.tanh(middle[..., None] - shifted).sum(-1) > 0
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        slack = torch.tanh(high[..., None] - shifted)
        x = high - slack.sum(-1) / (1 - slack**2).sum(-1).detach()
    expected = torch.autograd.grad(x.square().sum(), (q, k))
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(found, expected))
