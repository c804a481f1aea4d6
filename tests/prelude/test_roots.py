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
