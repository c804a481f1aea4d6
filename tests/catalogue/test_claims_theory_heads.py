"""What theory says of attention, shown with specs: heads, their ranks and gates, and forms that are one another's."""

import math

import pytest
import torch

from .dense.theory_forms import distributed, learned, products
from .test_claims_theory import draw, load, near, qkv

# --- heads ------------------------------------------------------------------------------------------------------------


def test_the_closed_form_is_the_gradient():
    arguments = draw((3, 4), (3, 4, 5), (3, 6, 5), (3, 6), (2, 7, 5))
    x = arguments[-1].requires_grad_()
    f = load("attention_vs_post_hoc_explanations", "classifier")(*arguments).f
    near(load("attention_vs_post_hoc_explanations", "explanation")(*arguments), torch.autograd.grad(f.sum(), x)[0])


def test_a_masked_retrieval_head_raises_the_loss():
    """Two heads: one copies what follows an earlier key, the other looks at all alike and is none the worse."""
    spec = load("attentioninfluence")
    N = 8
    code = math.sqrt(N) * 10 * torch.eye(N, dtype=torch.float64)
    q = torch.stack((code[[0, 0, 1, 2, 3, 4, 5, 6]], torch.zeros_like(code)))[None]
    k = torch.stack((code, code))[None] / 10
    v = torch.eye(N, dtype=torch.float64).expand(1, 2, N, N)
    wanted = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6])

    def score(*masked):
        found = spec(q, k, v, torch.tensor(masked))
        before, after = (
            torch.nn.functional.nll_loss((out[0].mean(0) + 1e-9).log(), wanted) for out in (found.out, found.without)
        )
        return (after - before) / before

    assert score(True, False) > 0.5
    near(score(False, True), torch.tensor(0.0, dtype=torch.float64))


def test_gates_take_heads_out_and_tell_their_importance():
    q, k, v = qkv()
    wo, g, xi = draw((3, 6, 5), (2, 7, 6), (3,), seed=1)
    spec = load("head_masking_head_pruning")
    xi.requires_grad_()
    slopes = []
    for b in range(2):
        out = spec(q[b : b + 1], k[b : b + 1], v[b : b + 1], xi, wo, g[b : b + 1]).out
        slopes.append(torch.autograd.grad((out * g[b : b + 1]).sum(), xi)[0].abs())
    near(spec(q, k, v, xi, wo, g).importance, torch.stack(slopes).mean(0).expand(2, 3))
    gates = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    without = spec(q[:, ::2], k[:, ::2], v[:, ::2], torch.ones(2, dtype=torch.float64), wo[::2], g).out
    near(spec(q, k, v, gates, wo, g).out, without)


def test_ablation_leaves_weights_and_takes_parts():
    """What a head adds is what is lost without it."""
    q, k, v = qkv(M=9)
    spec = load("survey")
    whole = spec(q, k, v, torch.ones(3, dtype=torch.float64))
    alone = []
    for gates in torch.eye(3, dtype=torch.float64):
        one, rest = spec(q, k, v, gates), spec(q, k, v, 1 - gates)
        near(one.y + rest.y, whole.y)
        near(one.p, whole.p)
        alone.append(one.y)
    near(sum(alone), whole.y)
    assert min(y.abs().max() for y in alone) > 0.1


def test_heads_of_full_width_make_any_weights():
    """Tokens of full rank: queries that are solved for make any positive weights, where heads are as wide as the
    sequence is long. A narrower head cannot: the logarithms of its weights have a rank of its width plus 1."""
    spec = load("low_rank_bottleneck_fixed_head_size_mult")
    N = C = 7
    x = draw((1, N, C))[0]
    target = draw((1, N, N), seed=1)[0].softmax(-1)
    wv, wo = draw((1, N, C), (1, C, N), seed=2)
    solved = torch.linalg.solve(x[0], torch.linalg.solve(x[0], target[0].log() * math.sqrt(N)).T).T
    eye = torch.eye(N, dtype=torch.float64)[None]
    near(spec(x, solved.T[None], eye, wv, wo).p[0], target, by=1e-7)
    P = 2
    narrow = draw((1, P, C), (1, P, C), seed=3)
    p = spec(x, *narrow, wv[:, :P], wo[:, :, :P]).p[0, 0]
    assert torch.linalg.matrix_rank(p.log(), rtol=1e-9) == P + 1
    assert torch.linalg.matrix_rank(target[0].log(), rtol=1e-9) == N


def test_one_full_head_finds_the_nearest_and_a_narrow_one_does_not():
    spec = load("full_rank_head_rule", "full_rank")
    D, N, M = 6, 9, 60
    q, x = (t / t.norm(dim=-1, keepdim=True) for t in draw((1, 1, M, D), (1, 1, N, D)))
    eye = torch.eye(D, dtype=torch.float64)[None]
    found = spec(q, x, eye, beta=3000.0)
    assert ((found.out - found.target).norm(dim=-1) < 1e-3).double().mean() > 0.9
    narrow = load("full_rank_head_rule", "low_rank")
    wrong = []
    for rank in (1, 3, 6):
        A = eye[:, :rank]
        out = narrow(q[:, 0], x[:, 0], A, A, eye, beta=3000.0)
        wrong.append(((out - found.target[:, 0]).norm(dim=-1) > 1e-3).double().mean().item())
    assert wrong[0] > wrong[1] > 0.25 and wrong[2] < 0.1


def test_copying_heads_score_one():
    spec = load("retrieval_heads")
    N, M = 10, 4
    code = 20 * torch.eye(N, dtype=torch.float64)
    at = torch.tensor([2, 3, 4, 5])
    q = torch.stack((code[at], code[[0, 0, 0, 0]]))[None]
    k, v = torch.stack((code, code))[None], torch.ones(1, 2, N, 1, dtype=torch.float64)
    token = torch.arange(N)[None]
    needle = (torch.arange(N)[None] >= 2) & (torch.arange(N)[None] < 6)
    gates = torch.tensor([0.0, 1.0], dtype=torch.float64)
    found = spec(q, k, v, gates, token, token[:, at], needle)
    near(found.retrieved, torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    near(found.out[:, 1], torch.ones(1, M, 1, dtype=torch.float64))
    assert not found.out[:, 0].any()
    other = spec(q, k, v, gates, token, (token[:, at] + 1) % N, needle)
    assert not other.retrieved.any()


def test_two_layers_retrieve_what_followed_and_one_does_not():
    """Features: the token, the token before (which the first layer copies by positions), the answer, positions."""
    tokens = torch.tensor([3, 1, 4, 0, 2, 1])  # the last was there before, and 4 followed it
    V, N = 5, 6
    x = torch.zeros(1, N, 3 * V + 2 * N, dtype=torch.float64)
    n = torch.arange(N)
    x[0, n, tokens], x[0, n, 3 * V + n], x[0, n[1:], 3 * V + N + n[1:] - 1] = 1, 1, 1
    C = x.shape[-1]
    wq, wk, wv = (torch.zeros(2, size, C, dtype=torch.float64) for size in (N, N, C))
    for c in range(N):
        wq[0, c, 3 * V + N + c], wk[0, c, 3 * V + c] = 200, 1
    for c in range(V):
        wv[0, V + c, c] = 1
        wq[1, c, c], wk[1, c, V + c] = 200, 1
        wv[1, 2 * V + c, c] = 1
    spec = load("stacked_heads_on_the_retrieval_problem")
    answer = spec(x, wq, wk, wv)[0, -1, 2 * V : 3 * V]
    near(answer, torch.nn.functional.one_hot(torch.tensor(4), V).double(), by=1e-6)
    wv[0] = 0  # the second layer alone
    assert spec(x, wq, wk, wv)[0, -1, 2 * V : 3 * V].max() < 0.5


def test_words_of_a_topic_attend_to_one_another():
    """With embeddings whose products are larger within topics; without, both means are alike. Rows sum to 1."""
    spec = load("topic_structure_in_self_attention")
    topic = torch.arange(24)[None] % 3
    noise = 0.3 * draw((1, 1, 24, 6))[0]
    x = noise + 1.5 * torch.eye(6, dtype=torch.float64)[topic][:, None]
    found = spec(x, x, x, topic)
    assert (found.same > 3 * found.other).all()
    pairs = found.pairs.reshape(3, 3)
    near(8 * pairs.sum(-1), torch.ones(3, dtype=torch.float64))
    assert (pairs.diag() > 3 * (pairs - pairs.diag().diag()).amax(-1)).all()
    flat = spec(0 * x, x, x, topic)
    near(flat.same, flat.other)


def test_a_task_vector_is_linear_in_its_weights():
    q, k, v = draw((1, 6, 7, 4), (1, 6, 7, 4), (1, 6, 7, 5))
    phi, x = draw((6,), (1, 4, 5), seed=1)
    spec = load("learnable_task_vector")
    found = spec(q=q, k=k, v=v, phi=phi, x=x)
    parts = [spec(q=q, k=k, v=v, phi=phi * unit, x=x).t for unit in torch.eye(6, dtype=torch.float64)]
    near(sum(parts), found.t)
    near(found.hidden - x, found.t[:, None].expand(1, 4, 5))
    near(spec(q=q, k=k, v=torch.ones_like(v), phi=phi, x=x).t, phi.sum() * torch.ones(1, 5, dtype=torch.float64))


def test_a_probe_can_read_one_map_either_way():
    """A weight on one map alone makes its columns, or its rows, the logits of the dependency."""
    a = torch.rand(1, 4, 6, 6, dtype=torch.float64)
    zero, one = torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)[2]
    spec = load("attention_only_probe", "attention_only")
    near(spec(a, 9 * one, zero), (9 * a[:, 2]).softmax(1))
    near(spec(a, zero, 9 * one), (9 * a[:, 2].mT).softmax(1))
    near(spec(a, zero, zero), torch.full((1, 6, 6), 1 / 6, dtype=torch.float64))


def test_few_channels_explain_a_score_that_few_make():
    spec = load("sparse_attention_decomposition")
    x = draw((1, 6, 8))[0]
    left, _, right = torch.linalg.svd(draw((1, 8, 8), seed=1)[0])
    values = torch.tensor([[4.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.01]], dtype=torch.float64)
    U, V = left.mT.contiguous(), right.contiguous()
    s = torch.einsum("bic,hrc,hr,hrd,bjd->bhij", x, U, values, V, x)
    found = {share: spec(x, U, V, values, share=share) for share in (0.3, 0.9, 0.999)}
    near(found[0.3].p, s.masked_fill(~torch.ones(6, 6).tril().bool(), -math.inf).softmax(-1))
    parts = torch.einsum("bic,hrc,hr,hrd,bjd->bhijr", x, U, values, V, x).sort(-1, descending=True).values
    for share, one in found.items():
        many = one.many.long()[..., None]
        reached = torch.nn.functional.pad(parts.relu().cumsum(-1), (1, 0))
        assert (reached.gather(-1, many)[..., 0] >= share * s - 1e-9).all()
        fewer = reached.gather(-1, (many - 1).clamp(min=0))[..., 0]
        assert (fewer < share * s)[many[..., 0] > 0].all() and not many[..., 0][s <= 0].any()
    many = [one.many.double().mean() for one in found.values()]
    assert 0 < many[0] < many[1] <= many[2] < 8


# --- forms ------------------------------------------------------------------------------------------------------------


def test_small_heads_of_opposite_signs_are_a_step_of_descent():
    """The error falls with the square of the scale relative to the step, as two odd functions cancel even terms."""
    x, y, xq = draw((2, 20, 4), (2, 20), (2, 5, 4))
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    errors = []
    for scale in (0.1, 0.01):
        w, mu = scale * sign, 0.5 * sign / scale
        step = load("debiased_gradient_descent_predictor_of_s", "gradient_step")(x, y, xq, w, mu)
        guess = load("debiased_gradient_descent_predictor_of_s", "softmax_heads")(x, y, xq, w, mu)
        errors.append(float((guess - step).abs().max() / step.abs().max()))
    assert errors[0] < 0.2 and errors[1] < errors[0] / 50
    shifted = load("debiased_gradient_descent_predictor_of_s", "softmax_heads")(x, y + 7.0, xq, w, mu)
    near(shifted, guess, by=1e-6)


def test_layers_and_positions_are_one_operator_with_axes_swapped():
    tensors = draw((2, 5, 9, 4), (2, 5, 9, 4), (2, 5, 9, 3))
    swapped = [x.transpose(1, 2).contiguous() for x in tensors]
    positions = load("depth_wise_residual_attention_shortswa_d", "over_positions")
    layers = load("depth_wise_residual_attention_shortswa_d", "over_layers")
    near(layers(*swapped, window=3), positions(*tensors, window=3).transpose(1, 2))
    assert (layers(*tensors, window=3) - positions(*tensors, window=3)).abs().max() > 0.1


def test_a_full_delta_step_writes_the_value():
    """With a key of length 1 and beta 1, what was under the key is replaced; keys across it keep what they had."""
    x, key, v = draw((1, 2, 4, 3), (1, 1, 2, 4), (1, 1, 2, 3))
    key = key / key.norm(dim=-1, keepdim=True)
    y = load("depth_wise_residual_attention_shortswa_d", "deep_delta")(key, v, x, torch.ones(1, 1, 2).double())
    near(torch.einsum("nd,nde->ne", key[0, 0], y[0]), v[0, 0])
    across = torch.eye(4, dtype=torch.float64) - torch.einsum("nc,nd->ncd", key[0, 0], key[0, 0])
    near(across @ y[0], across @ x[0])


def test_a_sharp_offset_head_is_a_shift():
    delta = torch.tensor([[0, 1], [1, 0], [-1, 2]])
    q, k, v = qkv(B=1, M=15, N=15)
    spec, shift = load("offset_local_attention_heads", "near_offset"), load("offset_local_attention_heads", "at_offset")
    found = spec(q, k, v, delta, rows=3, cols=5, sharp=200.0)
    image = v.reshape(3, 3, 5, 5)
    moved = shift(v, delta, rows=3, cols=5).reshape(3, 3, 5, 5)
    near(moved[0, :, :-1], image[0, :, 1:])
    near(moved[1, :-1], image[1, 1:])
    near(moved[2, 1:, :-2], image[2, :-1, 2:])
    assert not moved[0, :, -1].any() and not moved[1, -1].any()
    inside = found.there[0] > 0.5
    near(found.out[0][inside], moved.reshape(3, 15, 5)[inside])
    assert inside.sum(-1).tolist() == [12, 10, 6]


def test_scores_are_sums_over_frequencies():
    """All frequencies together are rotary attention; each contributes its part, and one let through leaves its own."""
    import attnc

    q, k, v = qkv(M=9)
    theta = torch.tensor([1.0, 0.01], dtype=torch.float64)
    ones = torch.ones(3, 2, dtype=torch.float64)
    spec = load("positional_heads_per_dimension_rope_cont")
    whole = spec(q, k, v, theta, ones)
    rotary = attnc.loads(
        """attention rotary(base: float) axis i, j: N mask j <= i
        score s = rope(q[i], i, base) @ rope(k[j], j, base) / sqrt(D)
        output out, total[i] = sum[j](p * s)"""
    )(q, k, v, base=10000.0)
    near(whole.out, rotary.out)
    near(whole.contribution.sum(-1), rotary.total)
    slow = spec(q, k, v, theta, ones * torch.tensor([0.0, 1.0]))
    assert not slow.contribution[..., 0].any() and slow.contribution[..., 1].abs().max() > 0.1
    assert (slow.out - whole.out).abs().max() > 0.1


def test_the_order_of_keys_does_not_matter():
    q, x, W, w = draw((2, 5, 4), (2, 9, 4), (6, 4, 4), (6, 4))
    spec = load("random_feature_attention_single_layer")
    f = spec(q, x, W, w)
    near(spec(q, x.flip(1), W, w), f)
    near(spec(q, torch.cat((x, x), 1), W, w), f)
    near(spec(3 * q, x, W, w), 3 * f)
    assert (spec(q, x.roll(1, 0), W, w) - f).abs().max() > 0.1


def test_pointers_are_the_weights_of_the_context():
    x, y, W, U, w = draw((2, 7, 3), (2, 9, 5), (4, 3), (4, 5), (4,))
    p = load("survey_naming_bahdanau_attention_and_poi", "pointer")(x, y, W, U, w)
    near(p.sum(-1), torch.ones(2, 7, dtype=torch.float64))
    near(p @ y, load("survey_naming_bahdanau_attention_and_poi", "bahdanau")(x, y, W, U, w))


PRODUCTS = ["cosine", "dot", "scaled", "kernel"]
LEARNED = ["additive", "concat", "general", "biased", "activated"]
DISTRIBUTIONS = ["sparsemax", "softmax", "sigmoid"]


@pytest.mark.parametrize("align", PRODUCTS + LEARNED)
def test_every_alignment(align):
    q, k, v = qkv()
    if align in PRODUCTS:
        spec, dense, more = load("attention_taxonomy", "products"), products, []
    else:
        spec, dense = load("attention_taxonomy", "learned"), learned
        more = draw((4, 4), (6, 4), (6, 4), (4,), (6,), (6,), (), seed=1)
    near(spec(q, k, v, *more, align=align), dense(q, k, v, *more, align))


@pytest.mark.parametrize("weights", DISTRIBUTIONS)
def test_every_distribution(weights):
    q, k, v = qkv()
    near(load("attention_taxonomy", "distributed")(q, k, v, weights=weights), distributed(q, k, v, weights))


def test_hard_attention_draws_with_the_weights_of_soft():
    M = 4000
    q, k, _ = qkv(B=1, H=1, M=1)
    u = torch.rand(1, 1, M, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = torch.eye(9, dtype=torch.float64)[None, None]
    drawn = load("attention_taxonomy", "hard")(q.expand(1, 1, M, 4), k, one, u)
    p = (q @ k.mT / 2).softmax(-1)[0, 0, 0]
    assert torch.equal(drawn.sum(-1), torch.ones(1, 1, M, dtype=torch.float64))
    assert ((drawn.mean(2)[0, 0] - p).abs() < 4 * (p * (1 - p) / M).sqrt() + 1e-9).all()


def test_a_wide_gaussian_is_global_attention():
    q, k, v = qkv()
    W, w = draw((4, 4), (4,), seed=1)
    spec, plain = load("attention_taxonomy", "local"), load("attention_taxonomy", "distributed")
    near(spec(q, k, v, W, w, deviation=1e9), plain(q, k, v, weights="softmax"))
    assert (spec(q, k, v, W, w, deviation=0.5).abs() < spec(q, k, v, W, w, deviation=5.0).abs()).double().mean() > 0.8


def test_a_query_chooses_its_window_where_the_bulk_is_light():
    """tau 0: always the window; above 1: always all keys. Far keys with even scores are predicted exactly."""
    spec = load("qada")
    q, k, v = qkv(M=9)
    never, always = spec(q, k, v, tau=1.1), spec(q, k, v, tau=0.0)
    assert always.local.all() and not never.local.any()
    moved = v.clone()
    moved[:, :, 3] += 100.0  # from position 7 on neither of the first two nor of the last four
    near(spec(q, k, moved, tau=0.0).out[:, :, 7:], always.out[:, :, 7:])
    assert (spec(q, k, moved, tau=1.1).out[:, :, 7:] - never.out[:, :, 7:]).abs().min() > 1e-6
    i = torch.arange(9)
    even = spec(0 * q, k, v, tau=0.8).local[0, 0].bool()
    assert torch.equal(even, (i + 1).clamp(max=6) / (i + 1) >= 0.8) and even.any() and not even.all()


def test_soft_permutations_find_the_one_between_two_graphs():
    y = torch.nn.functional.normalize(draw((1, 6, 8))[0], dim=-1)
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    x = y[:, order]
    spec, cross = (load("subgraph_matching_design_space", name) for name in ("soft_permutation", "cross_graph"))
    found = spec(x, y, rounds=60, tau=0.02)
    near(found.p, torch.eye(6, dtype=torch.float64)[order][None], by=1e-4)
    assert -1e-2 < found.fit.item() <= 0
    p = spec(*draw((1, 6, 8), (1, 6, 8), seed=1), rounds=200, tau=3.0).p
    for axis in (-1, -2):
        near(p.sum(axis), torch.ones(1, 6, dtype=torch.float64), by=1e-6)
    near(cross(40 * x, 40 * y).gathered, 40 * x, by=1e-4)
    assert spec(x.roll(1, -1), y, rounds=60, tau=0.02).fit < found.fit - 0.1
