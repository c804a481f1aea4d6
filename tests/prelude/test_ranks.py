"""The rank of every pair of a row as a number, and the entries of a row in order: against sorting."""

import subprocess
import sys

import pytest
import torch

import attnc
from attnc.diagnostics import AttnError

HEAD = "attention a axis i, j: N score s = q[i] @ k[j] / sqrt(D)"


def draw(N=45, dtype=torch.float64, B=2, D=6):
    torch.manual_seed(0)
    return [torch.randn(B, 2, N, D, dtype=dtype).requires_grad_() for _ in range(3)]


def ranks(x):
    """The places of entries in descending order, the first of equals first."""
    return x.sort(dim=-1, descending=True, stable=True).indices.argsort(-1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("N", [1, 45, 300])
def test_weights_that_decay_by_rank(dtype, N):
    """Gradients are those of fixed ranks."""
    q, k, v = draw(N, dtype)
    out = attnc.loads(f"{HEAD} normalize p = softmax[j](s - 0.3 * rank[j](s))")(q, k, v)
    s = q.double() @ k.double().mT / 6**0.5
    expected = torch.softmax(s - 0.3 * ranks(s.detach()).double(), -1) @ v.double()
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    assert torch.allclose(out.double(), expected, atol=tolerance)
    wanted = torch.autograd.grad(expected.square().sum(), (q, k, v))
    found = torch.autograd.grad(out.square().sum(), (q, k, v))
    assert all(torch.allclose(a, b, atol=20 * tolerance) for a, b in zip(found, wanted))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ties_go_to_the_lower_index(dtype):
    """Both zeros are one number; infinities have their place."""
    random = torch.Generator().manual_seed(1)
    x = torch.randint(-3, 3, (1, 1, 37, 70), generator=random).to(dtype)
    x[..., ::7] = -0.0
    x[..., 3], x[..., 5] = float("inf"), -float("inf")
    spec = attnc.loads("attention a input x[B, H, M, N] axis i: M axis j: N output r = rank[j](x[i, j])")
    assert torch.equal(spec(x), ranks(x))


def test_only_the_domain_counts():
    """Also for entries outside of it, which have a place among those inside."""
    q, k, _ = (t.detach() for t in draw())
    s = q @ k.mT / 6**0.5
    i, j = torch.arange(45)[:, None], torch.arange(45)
    inside = (j <= i) & (j % 3 > 0)
    found = attnc.loads(f"{HEAD} output r = rank[j: j <= i and j % 3 > 0](s)")(q, k)
    before = (s[..., None, :] > s[..., :, None]) & inside[:, None, :]
    assert torch.equal(found, before.sum(-1))


def test_under_a_mask():
    q, k, v = (t.detach() for t in draw(70))
    s = q @ k.mT / 6**0.5
    s = s.masked_fill(torch.ones(70, 70).tril() == 0, -torch.inf)
    expected = torch.softmax(s - 0.5 * ranks(s).double(), -1) @ v
    out = attnc.loads(f"{HEAD} mask j <= i normalize p = softmax[j](s - 0.5 * rank[j](s))")(q, k, v)
    assert torch.allclose(out, expected)


CASES = {
    "two": "normalize p = softmax[j](s - 0.3 * rank[j](s) + 0.1 * rank[j](-s * k[j, 0]))",
    "a rank of a rank": "normalize p = softmax[j](s - 0.3 * rank[j](s - 0.7 * rank[j](s * k[j, 1])))",
    "of a scan": "let c = cumsum[j](sigmoid(s)) normalize p = softmax[j](s - 0.3 * rank[j](s * c))",
    "of weights": "mask j <= i let w = softmax[j](s) normalize p = w * exp(-0.1 * rank[j](w))",
    "beside a root": "normalize p = sparsemax[j](s - 0.1 * rank[j](s))",
    "by columns": "normalize p = softmax[i](s - 0.3 * rank[i](s))",
    "summed along columns": "let r = sum[i](exp(-0.1 * rank[j](s)) * s) normalize p = softmax[j](s + r)",
    "shared keys": "normalize p = softmax[j](s - 0.3 * rank[j](s))",
}


@pytest.mark.parametrize("case", CASES)
def test_forms(case):
    q, k, v = draw()
    k, v = (k[:, :1], v[:, :1]) if case == "shared keys" else (k, v)
    k, v = (t.detach().clone().requires_grad_() for t in (k, v))
    attnc.verify(attnc.loads(f"{HEAD} {CASES[case]}"), q, k, v)


@pytest.mark.parametrize("count", ["40", "N"])
def test_all_entries_in_order(count):
    q, k, _ = (t.detach() for t in draw())
    found = attnc.loads(f"{HEAD} axis r: {count} output best[i, r] = order[j](s, r)")(q, k)
    order = (q @ k.mT).sort(dim=-1, descending=True, stable=True).indices
    assert torch.equal(found, order[..., : found.shape[-1]])


def test_past_the_end_of_a_row():
    q, k, _ = (t.detach() for t in draw(7))
    found = attnc.loads(f"{HEAD} axis r: 20 output best[i, r] = order[j: j <= i](s, r)")(q, k)
    s = (q @ k.mT).masked_fill(torch.ones(7, 7).tril() == 0, -torch.inf)
    order = torch.nn.functional.pad(s.sort(dim=-1, descending=True, stable=True).indices, (0, 13), value=-1)
    exists = torch.arange(20) <= torch.arange(7)[:, None]
    assert torch.equal(found, torch.where(exists, order, -1))


REFUSED = {
    "read at another index": ("let r[i, j] = rank[j](s) output o[i] = r[i, 0]", "at another index"),
    "over a joined axis": (
        "axis n: N axis u: n | j let z = join[u](q[i] @ k[n], s) output o[i] = sum[u](1.0 * rank[u](z))",
        "'rank' over a joined axis",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    text, words = REFUSED[case]
    with pytest.raises(AttnError, match=words):
        attnc.loads(f"{HEAD} {text}").source()


def test_sorted_scores():
    """Forward; the gradient, which looks up a third length, is refused."""
    q, k, _ = draw()
    found = attnc.loads(f"{HEAD} axis r: N output o[i, r] = sum[j: rank[j](s) == r](s)")(q, k)
    assert torch.allclose(found, (q @ k.mT / 6**0.5).sort(dim=-1, descending=True).values)
    with pytest.raises(AttnError, match="along a third length"):
        found.sum().backward()


def test_refused_on_a_gpu():
    with pytest.raises(AttnError, match="on a GPU, the rank of a pair as a number"):
        attnc.loads(f"{HEAD} normalize p = softmax[j](s - rank[j](s))").source("triton")


def test_partial_results_need_all_keys():
    with pytest.raises(AttnError, match="needs all of them"):
        spec = attnc.loads("attention a normalize p = softmax[j](s - rank[j](s))")
        spec.partial(*(t.detach() for t in draw()))


LACKING = """
import resource, torch, attnc
spec = attnc.loads("attention a score s = q[i] @ k[j] normalize p = sigmoid(s - rank[j](s))")
few, many = ([torch.randn(1, 1, n, 1) for n in sizes] for sizes in ((3, 20, 20), (96, 8_000_000, 8_000_000)))
spec(*few)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_500_000_000,) * 2)
try:
    spec(*many)
except attnc.AttnError as error:
    print(error.code)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much memory is used")
def test_rows_that_no_memory_holds():
    """96 rows of eight million columns: a worker would keep 3 GiB of them."""
    done = subprocess.run([sys.executable, "-c", LACKING], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "out-of-memory", done.stderr[-2000:]
