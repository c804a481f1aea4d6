"""`top`, `rank` and `order` against torch's sorting: values, ties, masks, gradients."""

import pytest
import torch

import attnc
from attnc.diagnostics import AttnError

N, D = 37, 8
LOWER = torch.ones(N, N, dtype=torch.bool).tril()


@pytest.fixture
def qkv():
    random = torch.Generator().manual_seed(3)
    return [torch.randn(2, 2, N, D, generator=random, dtype=torch.float64).requires_grad_() for _ in range(3)]


def scores(q, k):
    return q @ k.mT / D**0.5


def ranks(x, exists=None):
    """The rank of each entry, ties to the lower index; what does not exist comes last."""
    x = x if exists is None else x.masked_fill(~exists, -torch.inf)
    order = x.sort(dim=-1, descending=True, stable=True).indices
    return order.argsort(-1)


def weighted(x, kept, v):
    return x.masked_fill(~kept, -torch.inf).softmax(-1).nan_to_num(0.0) @ v


def check(text, qkv, wanted, dtype=torch.float64, **given):
    """Results, and gradients, of kernels."""
    found = attnc.loads(f"attention a axis i, j: N {text}")(*(t.to(dtype) for t in qkv), **given)
    within = {"rtol": 1e-9, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(found, wanted, check_dtype=False, **within)
    some = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mine, theirs = (torch.autograd.grad((out * some).sum(), qkv, retain_graph=True) for out in (found, wanted))
    torch.testing.assert_close(mine, theirs, **within)


@pytest.mark.parametrize("keep", [1, 5, N - 1, N, 1000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_topk(qkv, keep, dtype):
    q, k, v = qkv
    s = scores(q, k)
    check("mask topk[j](s, 5)".replace("5", str(keep)), qkv, weighted(s, ranks(s) < keep, v), dtype)


def test_nothing_is_kept(qkv):
    check("mask topk[j](s, 0)", qkv, 0 * sum(t.sum() for t in qkv) + torch.zeros(2, 2, N, D, dtype=torch.float64))


@pytest.mark.parametrize("text", ["mask j <= i and topk[j](s, 5)", "mask j <= i mask topk[j](s, 5)"])
def test_above_and_beside_a_mask(qkv, text):
    """A mask above leaves entries out before they are put in order; one beside, after."""
    q, k, v = qkv
    s = scores(q, k)
    kept = LOWER & ((ranks(s) if " and " in text else ranks(s, LOWER)) < 5)
    check(text, qkv, weighted(s, kept, v))


def test_counts_by_row_and_parameters(qkv):
    q, k, v = qkv
    s = scores(q, k)
    kept = ranks(s) < torch.arange(N)[:, None] // 3
    check("mask topk[j](s, i // 3)", qkv, weighted(s, kept, v))


@pytest.mark.parametrize("keep", [3, 9, 17, 30])
def test_ties(qkv, keep):
    """Many equal scores: the lower indices are kept, in kernels of every dtype."""
    q, k, v = qkv
    rough = (2 * scores(q, k)).round().detach()
    text = f"let r = round(2 * s) mask topk[j](r, {keep})"
    s = scores(q, k)
    kept = ranks(rough) < keep
    check(text, qkv, weighted(s, kept, v))
    many = attnc.loads(f"attention a axis i, j: N {text} output many[h, i] = sum[j](1)")(*qkv[:2])
    assert torch.all(many == keep)


def test_infinite_scores(qkv):
    q, k, v = qkv
    bias = torch.where(torch.rand(N, N, generator=torch.Generator().manual_seed(0)) < 0.8, -torch.inf, 0.0).double()
    s = scores(q, k) + bias
    text = "attention a input bias[M, N] score s = q[i] @ k[j] / sqrt(D) + bias[i, j] mask topk[j](s, 9)"
    found = attnc.loads(text)(q, k, v, bias)
    torch.testing.assert_close(found, weighted(s, ranks(s) < 9, v))


def test_nucleus(qkv):
    """Weights from the largest on, until those before sum to the share."""
    q, k, v = qkv
    p = scores(q, k).softmax(-1)
    ordered = p.sort(dim=-1, descending=True)
    kept = torch.zeros_like(p, dtype=torch.bool).scatter(
        -1, ordered.indices, ordered.values.cumsum(-1) - ordered.values < 0.6
    )
    check("let w = softmax[j](s) mask top[j](w, 0.6, by=w)", qkv, weighted(scores(q, k), kept, v))


def test_kth_value(qkv):
    """Its gradient goes to the entry that it is."""
    q, k, v = qkv
    s = scores(q, k)
    t = s.topk(4, -1).values[..., -1:]
    check("let t = kth[j](s, 3) normalize p = relu(s - t)", qkv, torch.relu(s - t) @ v)


@pytest.mark.parametrize("operator", ["<", "<=", "==", "!=", ">", ">="])
def test_ranks_compared(qkv, operator):
    q, k, v = qkv
    s = scores(q, k)
    kept = eval(f"ranks(s) {operator} 6")
    check(f"normalize p = s if rank[j](s) {operator} 6 else 0.0", qkv, s * kept @ v)
    check(f"normalize p = s if not (6 {operator} rank[j](s)) else 0.0", qkv, s * ~eval(f"6 {operator} ranks(s)") @ v)


def test_order(qkv):
    q, k, _ = qkv
    s = scores(q, k).detach()
    text = "attention a(r: int) axis i, j: N mask j <= i output first[i] = argmax[j](s), other[i] = order[j](s, r)"
    found = attnc.loads(text)(q.detach(), k.detach(), r=3)
    hidden = s.masked_fill(~LOWER, -torch.inf)
    order = hidden.sort(dim=-1, descending=True, stable=True).indices
    assert torch.equal(found.first, order[..., 0])
    assert torch.equal(found.other, torch.where(torch.arange(N) >= 3, order[..., 3], -1))


def test_several_ranks(qkv):
    """Indices of ranks along an axis of a few; what they are of is read there, with its gradient."""
    q, k, v = qkv
    text = """attention a axis i, j: N axis r: 3
    let best[i, r] = order[j](s, r)
    output best, odd[i, r] = order[j](s, 2 * r + 1), out[i] = sum[r](v[best[i, r]])"""
    found = attnc.loads(text)(q, k, v)
    order = scores(q, k).sort(dim=-1, descending=True, stable=True).indices
    assert torch.equal(found.best, order[..., :3]) and torch.equal(found.odd, order[..., 1:6:2])
    picked = v.repeat_interleave(q.shape[1] // v.shape[1], 1)[:, :, None].expand(-1, -1, q.shape[2], -1, -1)
    wanted = picked.gather(3, order[..., :3, None].expand(*order.shape[:3], 3, v.shape[-1])).sum(3)
    torch.testing.assert_close(found.out, wanted)


def test_columns(qkv):
    """Each key takes its best queries."""
    q, k, v = qkv
    s = scores(q, k)
    check("mask topk[i](s, 7)", qkv, weighted(s, ranks(s.mT).mT < 7, v))


def test_of_keys_alone(qkv):
    q, k, v = qkv
    length = k.norm(dim=-1)
    s = scores(q, k)
    check("let n[j] = norm(k[j]) mask top[j](n[j], 7)", qkv, weighted(s, (ranks(length) < 7)[:, :, None], v))
    check("let n[j] = norm(k[j]) normalize p = s * rank[j](n[j])", qkv, s * ranks(length)[:, :, None] @ v)


def test_features(qkv):
    """Over a width nothing is searched for: experts of a query, by its own features."""
    _, _, v = qkv
    random = torch.Generator().manual_seed(5)
    w = torch.randn(2, D, 6, generator=random, dtype=torch.float64).requires_grad_()
    text = """attention a input w[H, E, R] axis i: N, f: R let gate[i, f] = sum[e](v[i, e] * w[h, e, f])
    aggregate out[i] = sum[f: topk[f](gate[i, f], 2)](softmax[f](gate[i, f]) * v[i])"""
    found = attnc.loads(text)(v, w)
    gate = v @ w
    wanted = (gate.softmax(-1) * (ranks(gate) < 2)).sum(-1, keepdim=True) * v
    torch.testing.assert_close(found, wanted)
    mine, theirs = (torch.autograd.grad(out.square().sum(), (v, w)) for out in (found, wanted))
    torch.testing.assert_close(mine, theirs)


def test_second_order():
    random = torch.Generator().manual_seed(3)
    qkv = [torch.randn(1, 1, 5, 2, generator=random, dtype=torch.float64).requires_grad_() for _ in range(3)]
    attention = attnc.loads("attention a mask topk[j](s, 3)")
    assert torch.autograd.gradgradcheck(attention, qkv, check_fwd_over_rev=True)


def test_long_rows():
    """Beyond what a worker keeps, scores are computed again at each step."""
    random = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(1, 1, n, 4, generator=random) for n in (5, 120_000, 120_000))
    found = attnc.loads("attention a mask topk[j](s, 100)")(q, k, v)
    s = q.double() @ k.double().mT / 2
    torch.testing.assert_close(found, weighted(s, ranks(s) < 100, v.double()).float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "text, words",
    [
        (
            "axis n: N axis u: n | j let z = join[u](q[i] @ k[n], s) let r = rank[u](z) normalize p = s + r[j]",
            "a joined axis",
        ),
        (
            "axis n: N axis u: n | j let z = join[u](q[i] @ k[n], s) axis r: 40 let t[i, r] = order[u](z, r) output t",
            "several",
        ),
        ("axis x, y: 4 input f[4, 4] output t[x, y] = f[x, y] if top[x, y](f[x, y], 3) else 0.0", "several axes"),
    ],
)
def test_refused(text, words):
    with pytest.raises(AttnError, match=words):
        attnc.loads(f"attention a {text}").card()
