"""What theory says of attention, shown with specs: probabilities, sinks, limits of selection, capacity."""

import math

import pytest
import torch

import attnc

from .dense.theory_probability import deceiving, frames
from .rows import FOLDER


def load(id, attention=None):
    found = attnc.load(FOLDER / f"{id}.attn")
    return found if attention is None else found[attention]


def draw(*shapes, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]


def qkv(B=2, H=3, M=7, N=9, D=4, E=5, seed=0):
    return draw((B, H, M, D), (B, H, N, D), (B, H, N, E), seed=seed)


def near(found, wanted, by=1e-10):
    torch.testing.assert_close(found, wanted, rtol=by, atol=by)


# --- probabilities ----------------------------------------------------------------------------------------------------


def test_weights_are_the_gradient_of_the_evidence():
    """In the logarithm of the prior, which is added to scores: prior * d evidence / d prior."""
    q, k, v = qkv(B=1)
    prior = (0.5 + torch.rand(3, 7, 9, dtype=torch.float64)).requires_grad_()
    found = load("attention_as_marginalisation_over_latent", "posterior")(q, k, v, prior)
    slope = torch.autograd.grad(found.evidence.sum(), prior)[0]
    near((prior * slope)[None], found.p)


def test_a_prior_multiplies_the_odds():
    q, k, v = qkv()
    spec = load("attention_as_marginalisation_over_latent", "posterior")
    prior = torch.ones(3, 7, 9, dtype=torch.float64)
    plain = spec(q, k, v, prior).p
    near(plain, (q @ k.mT / 2).softmax(-1))
    prior[..., 4] = 3.0
    found = spec(q, k, v, prior).p
    near(found[..., 4] / found[..., 5], 3 * plain[..., 4] / plain[..., 5])
    near(found.sum(-1), torch.ones_like(found[..., 0]))


def test_slots_divide_keys_among_queries():
    """Each slot's weights sum to 1; with one slot all keys count alike, whatever the scores."""
    q, k, v = qkv()
    spec = load("attention_as_marginalisation_over_latent", "slots")
    p = spec(q, k, v).p
    near(p.sum(-1), torch.ones_like(p[..., 0]))
    near(spec(q[:, :, :1], k, v).out[:, :, 0], v.mean(2))


def test_patterns_in_both_balls_fall_with_the_distance():
    """Nearly exponentially: the logarithm of a weight is close to a line in the Hamming distance, and so is that of the
    softmax of cosines of the same bits as signs."""
    C, radius = 64, 20
    y = (torch.arange(C) < torch.arange(17)[:, None]).long()[None, None]
    x = torch.zeros(1, 1, 1, C, dtype=torch.long)
    v = torch.zeros(1, 1, 17, 1, dtype=torch.float64)
    p = load("attention_sparse_distributed_memory", "hamming_balls")(v, x, y, radius=radius).p[0, 0, 0]
    assert (p.diff() <= 1e-12).all() and p[0] > 10 * p[-1]
    m = torch.arange(17, dtype=torch.float64)
    line = torch.stack((torch.ones_like(m), m), -1)
    fit = torch.linalg.lstsq(line, p.log()[:, None]).solution
    assert ((line @ fit)[:, 0] - p.log()).abs().max() < 0.25
    beta = -float(fit[1]) * C / 2  # a bit of distance takes 2 / C from the cosine
    signs = [1.0 - 2.0 * bits.double() for bits in (x, y)]
    w = load("attention_sparse_distributed_memory", "continuous")(*signs, v, beta=beta).p[0, 0, 0]
    assert (w - p).abs().max() < 0.2 * p.max()


# --- sinks ------------------------------------------------------------------------------------------------------------


def test_what_a_sink_takes_mixes_less():
    """A larger sink: each token's result changes less when another token's value does."""
    spec = load("attention_sink_as_anti_over_mixing", "explicit_sink")
    q, k, v = qkv(B=1, M=9)
    doc = torch.zeros(1, 9, dtype=torch.long)
    v.requires_grad_()
    slopes, taken = [], []
    for sink in (-2.0, 0.0, 2.0, 4.0):
        found = spec(q, k, v, torch.full((3,), sink, dtype=torch.float64), doc)
        slopes.append(torch.autograd.grad(found.out[:, :, -1].sum(), v)[0].abs().sum().item())
        taken.append(found.taken[:, :, -1].mean().item())
    assert sorted(slopes, reverse=True) == slopes and sorted(taken) == taken
    assert slopes[-1] == pytest.approx(15 * (1 - taken[-1]))


def test_a_first_token_with_a_large_score_is_found():
    spec = load("attention_sink_as_anti_over_mixing", "first_token")
    q, k, v = qkv(B=1, M=12, N=12)
    doc = torch.tensor([[0] * 5 + [1] * 7])
    q[:, :2, :, 0] += 4.0
    k[:, :2, [0, 5], 0] = 9.0
    found = spec(q, k, v, doc, eps=0.8)
    assert (found.share[0, :2] > 0.9).all() and found.share[0, 2] < 0.8
    near(found.rate, torch.tensor([2 / 3], dtype=torch.float64))


def test_received_weight_sums_to_one():
    """A key that receives more than its share takes it from others: the simplex."""
    spec = load("attention_sink_reference_frame_types")
    q, k, v = qkv(M=9)
    table = draw((9, 4), seed=1)[0]
    for positions in ("rotary", "scaled", "absolute"):
        found = spec(q, k, v, table, positions=positions, tau=0.12)
        near(found.received.sum(-1), torch.ones(2, dtype=torch.float64))
        near(found.out, frames(q, k, v, table, 0.12, positions, 8.0)[0])
        assert torch.equal(found.sink.bool(), found.received >= 0.12) and found.sink.any() and not found.sink.all()
    one = spec(q, k, v, table, positions="scaled", factor=1.0)
    near(one.out, spec(q, k, v, table).out)


def test_a_sink_rescales_the_rest():
    q, k, v = qkv(M=9)
    sink = torch.tensor([-1.0, 0.5, 3.0], dtype=torch.float64)
    found = load("outlier_driven_rescaling", "learned_sink")(q, k, v, sink)
    plain = load("outlier_driven_rescaling", "learned_sink")(q, k, v, sink - 60.0)
    near(found.out, found.alpha[..., None] * plain.out)
    near(plain.alpha, torch.ones_like(plain.alpha))
    assert (found.alpha.mean((0, 2)).diff() < 0).all()


def test_gates_rescale_as_well():
    q, k, v = qkv(M=9)
    x = draw((2, 9, 3), seed=1)[0]
    spec = load("outlier_driven_rescaling", "gated")
    plain = load("outlier_driven_rescaling", "learned_sink")(q, k, v, torch.full((3,), -60.0, dtype=torch.float64)).out
    near(spec(q, k, v, x, torch.zeros(3, 5, 3, dtype=torch.float64)), plain / 2)
    n, down, up = x, torch.zeros(2, 3, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64)
    found = load("outlier_driven_rescaling", "gated_norm")(n, down, up)
    near(found.square().mean(-1), torch.full((2, 9), 0.25, dtype=torch.float64), by=1e-4)


def test_odds_of_visual_tokens_change_by_the_factors():
    spec = load("visual_attention_score_training_free_att")
    q, k, v = qkv(M=9)
    kind = torch.tensor([[0, 0, 1, 1, 1, 0, 2, 2, 2]]).expand(2, -1)
    more, less = 0.6, 0.3
    changed, plain = spec(q, k, v, kind, more=more, less=less), spec(q, k, v, kind, more=0.0, less=0.0)
    near(changed.ratio, plain.ratio * (1 + more) / (1 - less))
    near(changed.vas, plain.vas * (1 + more) / (1 - less))
    near(plain.vas, plain.ratio[:, :, 6:].mean((1, 2)))
    assert (plain.vas > 0).all()


def test_the_penalty_is_the_mass_of_what_is_forbidden():
    spec = load("attention_mass_penalty")
    q, k, v = qkv()
    bad = torch.zeros(2, 9, dtype=torch.bool)
    near(spec(q, k, v, bad).penalty, torch.zeros(2, dtype=torch.float64))
    bad[:, 2:4] = True
    mean, most = (spec(q, k, v, bad, over=over).penalty for over in ("mean", "max"))
    assert (mean < most).all() and (mean > 0).all()
    near(most, deceiving(q, k, v, bad, 1.0, "max")[1])
    k.requires_grad_()  # a step down the penalty's slope takes weight from these keys
    before = spec(q, k, v, bad).penalty.sum()
    step = k - 0.05 * torch.autograd.grad(before, k)[0]
    assert spec(q, step.detach(), v, bad).penalty.sum() < before


# --- limits of selection ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("T", [0.1, 1.0, 3.0])
def test_the_softmax_jacobian_is_bounded(T):
    """By 1 / (2 T), which is reached where two keys share all weight."""
    spec = load("softmax_selection_limits")
    N = 6
    k = math.sqrt(N) * torch.eye(N, dtype=torch.float64)[None, None]
    v = torch.zeros(1, 1, N, 2, dtype=torch.float64)

    def p(s):
        return spec(s[None, None, None], k, v, T=T, n=2).p[0, 0, 0]

    even = torch.tensor([0.0, 0.0] + [-90.0 * T] * (N - 2), dtype=torch.float64)
    for s in [*draw((N,), (N,), (N,)), even]:
        jacobian = torch.autograd.functional.jacobian(p, s)
        weights = p(s)
        near(jacobian, (weights.diag() - torch.outer(weights, weights)) / T)
        assert torch.linalg.matrix_norm(jacobian, 2) <= 1 / (2 * T) + 1e-12
    near(torch.linalg.matrix_norm(jacobian, 2), torch.tensor(1 / (2 * T), dtype=torch.float64))


def test_weights_of_long_sequences_are_even():
    """With scores between -a and a no weight is above e ** (2 a) / N, so the largest falls as keys are added."""
    spec = load("softmax_selection_limits")
    for N in (16, 64, 256):
        q, k, v = qkv(N=N)
        q, k = torch.tanh(q), torch.tanh(k)  # products of four are within 4, scores within 2
        found = spec(q, k, v, n=3)
        assert found.p.max() < math.exp(4) / N
        assert found.distance.max() <= (v.norm(dim=-1).amax() * (1 - 3 * found.p.amin(-1))).max()


def test_all_selected_leaves_nothing():
    q, k, v = qkv()
    spec = load("softmax_selection_limits")
    near(spec(q, k, v, n=9, r=0.1).distance, torch.zeros(2, 3, 7, dtype=torch.float64))
    far = [spec(q, k, v, n=n).distance.mean() for n in (2, 4, 8)]
    assert far[0] > far[1] > far[2]


def test_a_softmax_concentrates_where_linear_weights_cannot():
    """One key along the query among many across it: as both grow, the softmax's weight on it goes to 1, that of linear
    attention stays below a bound that is far from it."""
    spec = load("softmax_vs_linear_attention_gap")
    N, D = 33, 4
    k = torch.zeros(1, 1, N, D, dtype=torch.float64)
    k[..., 0, 0], k[..., 1:, 1] = 1.0, 1.0
    q = torch.zeros(1, 1, 1, D, dtype=torch.float64)
    q[..., 0] = 1.0
    v = torch.eye(N, dtype=torch.float64)[None, None]
    peaks, linear = [], []
    for size in (1.0, 3.0, 6.0):
        found = spec(size * q, size * k, v)
        peaks.append(found.peak.item())
        linear.append(found.linear_peak.item())
        assert found.linear[..., 0] <= found.linear_peak + 1e-12
    assert peaks[0] < 0.1 and peaks[-1] > 0.999
    assert max(linear) < 0.25


def test_large_scores_select_one_key():
    """The rest has at most (N - 1) exp(-c * gap) of the weight, where gap is between the two largest scores."""
    spec = load("memorization_capacity_of_mha")
    q, k, v = qkv()
    wo = draw((3, 5, 5), seed=1)[0]
    first, second = (q @ k.mT / 2).topk(2).values.unbind(-1)
    for c in (1.0, 8.0, 64.0):
        found = spec(q, k, v, wo, c=c)
        assert (1 - found.p.amax(-1) <= 8 * torch.exp(-c * (first - second)) + 1e-12).all()
    hard = torch.einsum("hce,bhie->bic", wo, spec(q, k, v, wo).hard)
    clear = (first - second).amin(1) > 0.05  # of all heads
    assert clear.sum() > 3
    near(spec(q, k, v, wo, c=2000.0).y[clear], hard[clear])
    near(spec(q, k, v, wo, c=0.0).p, torch.full((2, 3, 7, 9), 1 / 9, dtype=torch.float64))


def test_saturated_heads_hold_examples_by_their_number_and_their_tokens():
    """What H saturated heads give has rank H * (n - 1) + 1 over examples with n tokens of context (weights of a head
    sum to 1): one linear map fits that many labels."""
    H, n, T = 3, 5, 40
    q, k, v = qkv(B=1, H=H, M=T, N=n, E=n, seed=3)
    v = torch.eye(n, dtype=torch.float64).expand(1, H, n, n)
    p = load("memorization_capacity_of_mha")(q, k, v, torch.zeros(H, 1, n, dtype=torch.float64), c=200.0).p
    features = p[0].transpose(0, 1).reshape(T, H * n)
    assert torch.linalg.matrix_rank(features, rtol=1e-6) == H * (n - 1) + 1


def test_growing_weights_select_and_factors_are_the_same():
    x = draw((2, 8, 4))[0]
    K, Q = draw((3, 4, 4), (3, 4, 4), seed=1)
    direct, factored = load("transformers_as_svms", "direct"), load("transformers_as_svms", "factored")
    W = K @ Q.mT
    for one, other in zip(direct(x, W, scale=0.3), factored(x, K, Q, scale=0.3)):
        near(one, other)
    best = torch.einsum("bic,hcd,bjd->bhij", x, W, x).topk(2).values
    clear = best[..., 0] - best[..., 1] > 0.05
    assert clear.sum() > 40
    found = direct(x, W, scale=1000.0)
    near(found.out[clear], found.hard[clear])
    rest = [1 - direct(x, W, scale=scale).p.amax(-1).mean() for scale in (0.1, 1.0, 10.0)]
    assert rest[0] > rest[1] > rest[2]


def test_descent_goes_towards_a_separator():
    """Steps down the loss of one query: the best token's score comes to exceed all others, and the norm grows."""
    spec = load("transformers_as_svms", "direct")
    x = draw((1, 6, 8), seed=2)[0]
    target = x[0, 3] / x[0, 3].norm()
    W = torch.zeros(1, 8, 8, dtype=torch.float64, requires_grad=True)
    worth = x[0] @ target
    assert worth.argmax() == 3
    norms = []
    for _ in range(300):
        out = spec(x, W).out[0, 0, 0]
        W = (W + torch.autograd.grad(out @ target, W)[0]).detach().requires_grad_()
        norms.append(W.detach().norm().item())
    s = x[0, 0] @ W[0].detach() @ x[0].T
    assert s.argmax() == 3 and s.topk(2).values.diff() < -1
    assert norms[-1] > norms[100] > norms[10] and spec(x, W).p[0, 0, 0, 3] > 0.98
