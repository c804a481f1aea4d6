"""Sorted tokens: the same results in the caller's order, and fewer tiles; none where the order of tokens matters."""

import functools
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

import attnc
from attnc.ir.primitives import PRIMITIVES
from attnc.runtime import token_orders
from tests.examples import test_masks

GRID = "attention a(rows: int = 9, cols: int = 11, r: int = 2) axis i, j: {y: rows, x: cols}"
NEAR = f"{GRID} mask abs(i.y - j.y) <= r and abs(i.x - j.x) <= r"
ROWS, COLS = 9, 11
N = ROWS * COLS
Y, X = torch.arange(N) // COLS, torch.arange(N) % COLS
SEEN = ((Y[:, None] - Y).abs() <= 2) & ((X[:, None] - X).abs() <= 2)
CPU = torch.device("cpu")


@pytest.fixture
def always(monkeypatch):
    """Sorts however few tokens there are, and whatever it brings."""
    monkeypatch.setattr(token_orders, "LEAST_TOKENS", 1)
    monkeypatch.setattr(token_orders, "_GAIN", float("inf"))
    monkeypatch.setattr(token_orders, "_found", {})


def tensors(n=N, dtype=torch.float64, **options):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(2, 2, n, 8, dtype=dtype, generator=generator, requires_grad=True) for _ in "qkv"]


def is_sorted(spec, inputs, **parameters):
    caller = spec.__dict__["_caller"]
    card = spec.card()
    parameters = {p.name: parameters.get(p.name, p.default) for p in card.parameters}
    situation = caller.situation(card, tuple(inputs), parameters)
    return type(situation.forward).__name__ == "Reordered"


def gradients(result, inputs):
    torch.manual_seed(0)
    return torch.autograd.grad(result, inputs, torch.randn_like(result))


def dense(q, k, v, seen=SEEN):
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)


# --- masks for many tokens at once -----------------------------------------------------------------------------------


def test_every_operation_has_a_form_for_many():
    """But sums and products, which the evaluation writes itself."""
    assert set(PRIMITIVES) - set(token_orders._OF_MANY) == {"mul", "add"}


def test_random_masks_of_grids():
    """Numbers that are drawn for each pair, as the mask is tried for orders of tokens."""
    spec = attnc.loads(
        "attention a(rows: int = 32, cols: int = 32) axis i, j: {y: rows, x: cols}"
        " mask uniform[i, j](3) < 0.7 and abs(i.y - j.y) <= 3 and abs(i.x - j.x) <= 3"
    )
    attnc.verify(spec, *tensors(1024, torch.float32))


# --- the same results ------------------------------------------------------------------------------------------------

SORTED_MASKS = [
    "axial_columns",
    "concentric_causal",
    "dilated",
    "directed_views",
    "grid_maxvit",
    "longnet",
    "neighborhood_1d",
    "neighborhood_2d",
    "neighborhood_3d",
    "radial",
    "shifted_windowed",
    "sliding_tile",
    "strided",
    "tiled_neighborhood",
    "windowed",
]


def test_which_masks_are_sorted():
    named = [path.stem for path in sorted(test_masks.MASKS.glob("*.attn")) if attnc.load(path).card().orders]
    assert named == SORTED_MASKS


@pytest.mark.parametrize("name", SORTED_MASKS)
def test_masks_of_the_library(always, name):
    for number in range(len(test_masks.CASES[name])):
        test_masks.test_mask(name, number)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_neighbourhood(always, dtype):
    inputs = tensors(dtype=dtype)
    spec = attnc.loads(NEAR)
    found, wanted = spec(*inputs), dense(*inputs)
    assert is_sorted(spec, inputs)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradients(found, inputs), gradients(wanted, inputs))


def test_strides(always):
    """Inputs, and cotangents, that lie in memory as they please."""
    q, k, v = (t.detach().mT.contiguous().mT.requires_grad_() for t in tensors())
    found, wanted = attnc.loads(NEAR)(q, k, v), dense(q, k, v)
    cotangent = torch.randn(2, 2, 8, N, dtype=torch.float64).mT
    mine, theirs = (torch.autograd.grad(one, (q, k, v), cotangent) for one in (found, wanted))
    torch.testing.assert_close(mine, theirs)


def test_several_results(always):
    """Weights are put back along both axes, row statistics along one; a gradient through each."""
    inputs = tensors()
    spec = attnc.loads(f"{NEAR} output out, p, lse = logsumexp[j](s), received[j] = sum[i](p)")
    found = spec(*inputs)
    q, k, v = inputs
    s = (q @ k.mT / 8**0.5).masked_fill(~SEEN, -torch.inf)
    p = s.softmax(-1)
    wanted = (p @ v, p, s.logsumexp(-1), p.sum(-2))
    assert is_sorted(spec, inputs)
    for mine, theirs in zip(found, wanted):
        torch.testing.assert_close(mine, theirs)
        torch.testing.assert_close(
            torch.autograd.grad(mine.sin().sum(), (q, k), retain_graph=True),
            torch.autograd.grad(theirs.sin().sum(), (q, k), retain_graph=True),
        )


def test_other_reads_of_tokens(always):
    """Per-token inputs, the index itself and the seeds of random numbers are those of the token."""
    q, k, v = tensors()
    gate = torch.rand(N, dtype=torch.float64, requires_grad=True)
    doc = torch.arange(N) // 40
    text = f"""
        {GRID.replace("(", "(seed: int = 4, ", 1)}
        input gate[N], doc[N]: int
        mask i.x // 3 == j.x // 3 and doc[i] == doc[j] and j <= i
        score s = q[i] @ k[j] / sqrt(D) + 0.01 * (i - j) * gate[j]
        normalize p = softmax[j](s) * (uniform[b, h, i, j](seed) < 0.8)
    """.replace("gate[N], doc[N]", "gate[rows * cols], doc[rows * cols]")
    spec = attnc.loads(text)
    found = spec(q, k, v, gate, doc)
    assert is_sorted(spec, (q, k, v, gate, doc))
    wanted = spec.reference(q, k, v, gate, doc)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradients(found, (q, k, v, gate)), gradients(wanted, (q, k, v, gate)))


def test_queries_of_another_length(always):
    """Queries and keys that are not one sequence are sorted each by its own coordinates."""
    q = tensors(40)[0]
    _, k, v = tensors()
    text = "attention a(w: int = 11, offset: int = 7) mask abs((i + offset) % w - j % w) <= 1"
    spec = attnc.loads(text)
    seen = ((torch.arange(40)[:, None] + 7) % 11 - torch.arange(N) % 11).abs() <= 1
    found, wanted = spec(q, k, v), dense(q, k, v, seen)
    assert is_sorted(spec, (q, k, v)) and len(spec.card().orders) == 2
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradients(found, (q, k, v)), gradients(wanted, (q, k, v)))


def test_higher_derivatives(always):
    inputs = tensors()
    spec = attnc.loads(NEAR)
    torch.manual_seed(1)
    tangents = [torch.randn_like(t) for t in inputs]
    mine, theirs = (torch.func.jvp(f, tuple(inputs), tuple(tangents)) for f in (spec, manual))
    torch.testing.assert_close(mine, theirs)
    found = []
    for f in (spec, manual):
        first = torch.autograd.grad(f(*inputs).sin().sum(), inputs, create_graph=True)
        found.append(torch.autograd.grad(sum(g.cos().sum() for g in first), inputs))
    torch.testing.assert_close(*found)


def manual(q, k, v):
    return (q @ k.mT / 8**0.5).masked_fill(~SEEN, -torch.inf).softmax(-1) @ v


def test_vmap_and_recorded_programs(always):
    q, k, v = tensors()
    spec = attnc.loads(NEAR)
    mapped = torch.vmap(lambda a, b: spec(a, b, v), in_dims=(0, 0))(torch.stack((q, k)), torch.stack((k, q)))
    torch.testing.assert_close(mapped, torch.stack((dense(q, k, v), dense(k, q, v))))
    compiled = torch.compile(spec, fullgraph=True, backend="eager")
    found, wanted = compiled(q, k, v), dense(q, k, v)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradients(found, (q, k, v)), gradients(wanted, (q, k, v)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves(always, dtype):
    inputs = [t.detach().to(dtype).requires_grad_() for t in tensors()]
    found, wanted = attnc.loads(NEAR)(*inputs), dense(*(t.double() for t in inputs))
    assert found.dtype == dtype and (found - wanted).abs().max() < 0.02
    mine, theirs = (torch.autograd.grad(one.double().sin().sum(), inputs) for one in (found, wanted))
    assert all((a - b).abs().max() < 0.05 for a, b in zip(mine, theirs))


def test_no_sequences_and_no_data(always):
    q, k, v = (t.detach()[:0] for t in tensors())
    assert attnc.loads(NEAR)(q, k, v).shape == q.shape
    with FakeTensorMode(), pytest.raises(attnc.AttnError) as caught:
        attnc.loads(NEAR)(*(torch.ones(1, 1, N, 8) for _ in "qkv"))
    assert caught.value.code == "no-data"


def test_several_threads(always):
    """The first calls of many, at once, and with other radii."""
    inputs = [t.detach() for t in tensors()]
    spec = attnc.loads(NEAR)

    def call(r):
        seen = ((Y[:, None] - Y).abs() <= r) & ((X[:, None] - X).abs() <= r)
        return (spec(*inputs, r=r) - dense(*inputs, seen)).abs().max()

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(call, [1, 2, 3, 4] * 8)) < 1e-12


# --- fewer tiles -----------------------------------------------------------------------------------------------------


def shares(text, **values):
    """The share of tiles visited as tokens come, and in the order that is chosen."""
    card = attnc.loads(text).card()
    known = {p.name: p.default for p in card.parameters} | values
    chosen = token_orders.choose_orders(card, known, CPU)
    return token_orders.visited(card, known, None, CPU), chosen and token_orders.visited(card, known, chosen, CPU)


def test_a_grid_in_cells():
    """A window of 13 on 64 by 64 tokens: within 10 points of the 3.9 % of pairs, with tiles of 64 by 64."""
    card = attnc.loads(NEAR).card()
    known = {"rows": 64, "cols": 64, "r": 6}
    (order,) = token_orders.choose_orders(card, known, CPU)
    y, x = order.places // 64, order.places % 64
    seen = ((y[:, None] - y).abs() <= 6) & ((x[:, None] - x).abs() <= 6)
    tiles = seen.view(64, 64, 64, 64).any(3).any(1).double().mean()
    assert tiles - seen.double().mean() < 0.1
    assert token_orders.visited(card, known, None, CPU) > 0.19


@pytest.mark.parametrize("rows", [40, 57])
def test_every_token_has_one_place(rows):
    (card,) = attnc.loads(NEAR).card().orders
    order, *_ = token_orders._candidates(card, {"rows": rows, "cols": 31, "r": 2}, CPU)
    assert sorted(order.places.tolist()) == list(range(rows * 31))
    assert order.places[order.back].tolist() == list(range(rows * 31))
    y, x = sorted((set(one.tolist()) for one in order.coordinates), key=len, reverse=True)
    assert (y, x) == (set(range(rows)), set(range(31)))


def test_what_pairs_share_comes_first():
    before, after = shares("attention a axis i, j: N mask i % 8 == j % 8", N=4096)
    assert before == 1 and after == 1 / 8


def test_an_order_that_brings_nothing_is_not_taken():
    assert shares("attention a axis i, j: N mask i % 8 <= j", N=4096)[1] is None
    assert shares("attention a axis i, j: N mask i % 4096 == j % 4096", N=4096)[1] is None
    few = token_orders.LEAST_TOKENS - 1
    assert shares("attention a axis i, j: N mask i % 8 == j % 8", N=few)[1] is None


def test_an_order_is_found_once(monkeypatch):
    monkeypatch.setattr(token_orders, "_found", {})
    made = []
    choose = token_orders._choose
    monkeypatch.setattr(token_orders, "_choose", lambda *given: made.append(1) or choose(*given))
    spec = attnc.loads(NEAR)
    q, k, v = tensors(24 * 24, torch.float32)
    for rows, cols, r in ((24, 24, 2), (24, 24, 3), (18, 32, 3), (24, 24, 2)):
        y, x = torch.arange(576) // cols, torch.arange(576) % cols
        seen = ((y[:, None] - y).abs() <= r) & ((x[:, None] - x).abs() <= r)
        torch.testing.assert_close(spec(q, k, v, rows=rows, cols=cols, r=r), dense(q, k, v, seen))
    assert len(made) == 3


def test_calls_that_differ_otherwise_share_an_order():
    card = attnc.loads(NEAR).card()
    one, other = (token_orders.choose_orders(card, {"rows": 64, "cols": 64, "r": r}, CPU) for r in (5, 6))
    assert one[0] is other[0]


# --- where the order of tokens matters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "clauses",
    [
        "normalize p = sigmoid(cumsum[j](q[i] @ k[j]))",
        "normalize p = softmax[j](s) * (argmax[j](s) == j)",
        "output out[i] = max[j](s)",
        "score s = q[i] @ k[j - 1]",
        "score s = q[i] @ k[j] + q[0] @ k[j]",
        "input bias[rows * cols, rows * cols] score s = q[i] @ k[j] + bias[i, j]",
        "aggregate out[i] = sum[j](softmax[j](s) * v[j(i.y, j.x)])",
    ],
)
def test_not_sorted(clauses):
    assert attnc.loads(NEAR).card().orders
    assert not attnc.loads(f"{NEAR} {clauses}").card().orders


def test_coordinates_of_one_side_alone_sort_nothing():
    sorts = functools.partial(lambda mask: bool(attnc.loads(f"attention a axis i, j: N mask {mask}").card().orders))
    assert not sorts("j % 2 == 0") and not sorts("j <= i - i % 8") and not sorts("j // 64 <= i // 64")
    assert sorts("j % 8 <= i % 8")
