"""Masks: what they govern, what is 0 where they exclude, and rows without keys."""

import torch

from .conftest import B, D, E, G, H, N, heads, same, scores

LOWER = torch.ones(N, N, dtype=torch.bool).tril()
INF = torch.inf


def masked(s, mask):
    p = torch.softmax(s.masked_fill(~mask, -INF), -1)
    return p.nan_to_num(0.0)


def test_a_mask_governs_the_clauses_below_it_only(meaning, make):
    x = make(B, N)
    text = """
    attention a
    input     x[B, N]
    axis      i, j: N
    let       above[i] = sum[j](x[j] * (i + 1))
    mask      j <= i
    let       below[i] = sum[j](x[j] * (i + 1))
    output    above, below
    """
    found = meaning(text, x)
    n = torch.arange(N) + 1
    same(found.above, x.sum(-1, keepdim=True) * n)
    same(found.below, x.cumsum(-1) * n)


def test_it_governs_where_the_other_indices_are_free(meaning, make):
    """`total` has no `i` on its left, so `mask j <= i` does not govern it; `mask valid[j]` governs every sum over j."""
    x, valid = make(B, N), torch.arange(N).expand(B, N) % 3 != 1
    text = """
    attention a
    input     x[B, N], valid[B, N]: bool
    axis      i, j: N
    mask      j <= i
    mask      valid[j]
    let       total = sum[j](x[j])
    output    total, upto[i] = sum[j](x[j])
    """
    found = meaning(text, x, valid)
    same(found.total, (x * valid).sum(-1))
    same(found.upto, (x * valid).cumsum(-1))


def test_it_governs_by_indices_of_enclosing_reductions(meaning, make):
    x = make(B, N)
    text = """
    attention a
    input     x[B, N]
    axis      i, j: N
    mask      j <= i
    output    y = sum[i](x[i] * sum[j](x[j])), z = sum[i, j](x[i] * x[j])
    """
    found = meaning(text, x)
    wanted = (x * x.cumsum(-1)).sum(-1)
    same(found.y, wanted), same(found.z, wanted)


def test_masks_are_anded_and_a_bracket_adds_in_place(meaning, one):
    q, k, v = one
    n = torch.arange(N)
    text = """
    attention a
    axis      i, j: N
    mask      j <= i
    mask      i - j < 3
    aggregate out[i] = sum[j: j % 2 == 0](p * v[j])
    """
    p = masked(scores(q, k), LOWER & (n[:, None] - n[None] < 3))
    same(meaning(text, q, k, v), (p * (n % 2 == 0)) @ heads(v))


def test_a_mask_may_read_tensors_and_differ_by_head(meaning, one):
    q, k, v = one
    doc = torch.tensor([[0, 0, 1, 1, 1, 2, 2], [0, 1, 1, 1, 1, 1, 3]])
    far = torch.tensor([1, 2, 4, 7])
    text = """
    attention documents
    input     doc[B, N]: int, far[H]: int
    axis      i, j: N
    mask      doc[i] == doc[j] and abs(i - j) < far[h]
    """
    n = torch.arange(N)
    mask = (doc[:, None, :, None] == doc[:, None, None, :]) & ((n[:, None] - n).abs() < far[:, None, None])
    same(meaning(text, q, k, v, doc, far), masked(scores(q, k), mask) @ heads(v))


def test_a_mask_of_a_score_and_of_blocks(meaning, one, make):
    q, k, v = one
    tau = make(B, H, N)
    chosen = torch.arange(16).reshape(4, 4) % 3 == 0
    text = """
    attention a
    input     tau[B, H, N], chosen[4, 4]: bool
    axis      i, j: N
    score     s = q[i] @ k[j] / sqrt(D)
    mask      s > tau[i] and chosen[i // 2, j // 2]
    """
    s, n = scores(q, k), torch.arange(N) // 2
    same(meaning(text, q, k, v, tau, chosen), masked(s, (s > tau[..., None]) & chosen[n[:, None], n[None]]) @ heads(v))


def test_rows_without_keys_are_zero(meaning, one):
    q, k, v = one
    found = meaning("attention a axis i, j: N mask j < i - 2 output out, p, lse = logsumexp[j](s)", q, k, v)
    assert not found.out[:, :, :3].any() and not found.p[:, :, :3].any()
    same(found.lse[:, :, :3], torch.full((B, H, 3), -INF, dtype=torch.float64))
    assert found.out.isfinite().all() and found.p.isfinite().all()


def test_rows_of_minus_infinity_have_weights_zero(meaning, qkv):
    q, k, v = qkv
    text = "attention a score s = q[i] @ k[j] if i > 1 else -inf output out, p"
    found = meaning(text, q, k, v)
    assert not found.p[:, :, :2].any() and not found.out[:, :, :2].any()
    same(found.p[:, :, 2:], torch.softmax(scores(q, k) * D**0.5, -1)[:, :, 2:])


def test_a_normalization_of_the_user_is_zero_there_too(meaning, one):
    q, k, _ = one
    text = """
    define    mine[j](s) = e / sum[j](e) with m = max[j](s), e = exp2(s - m)
    attention a
    axis      i, j: N
    mask      j < i
    normalize p = mine[j](s)
    output    p
    """
    p = meaning(text, q, k)
    assert p.isfinite().all() and not p[:, :, 0].any()


def test_score_keeps_its_value_and_normalize_is_zero_at_excluded_tuples(meaning, one):
    q, k, _ = one
    text = """
    attention a
    axis      i, j: N
    mask      j <= i
    score     s[i, j] = q[i] @ k[j] / sqrt(D)
    normalize p[i, j] = exp(s)
    output    s, p, read[i, j] = p[j, i] + s[i, j]
    """
    found = meaning(text, q, k)
    s = scores(q, k)
    same(found.s, s), same(found.p, s.exp() * LOWER)
    same(found.read, (s.exp() * LOWER).mT + s)


def test_a_let_with_a_governed_reduction_is_zero_at_excluded_tuples(meaning, make):
    x = make(B, N, N)
    text = """
    attention a
    input     x[B, N, N]
    axis      i, j: N
    mask      j <= i
    let       share[i, j] = x[i, j] ** 2 / sum[j](x[i, j] ** 2)
    let       plain[i, j] = x[i, j] ** 2
    output    share, plain
    """
    found = meaning(text, x)
    squares = x**2
    same(found.plain, squares)
    same(found.share, squares / (squares * LOWER).sum(-1, keepdim=True) * LOWER)


def test_a_mask_never_adds_an_axis(meaning, make):
    x, keep = make(B, N), torch.arange(H * N).reshape(H, N) % 3 > 0
    text = "attention a input x[B, N], keep[H, N]: bool mask keep[h, j] output total = sum[j](x[j])"
    same(meaning(text, x, keep), x.sum(-1))


def test_a_mask_over_heads_governs_values_that_depend_on_heads(meaning, make):
    x, keep = make(B, H, N), torch.arange(H * N).reshape(H, N) % 3 > 0
    text = "attention a input x[B, H, N], keep[H, N]: bool mask keep[h, j] output total = sum[j](x[j])"
    same(meaning(text, x, keep), (x * keep).sum(-1))


def test_a_mask_below_the_score_governs_the_normalization(meaning, one):
    q, k, v = one
    text = "attention a axis i, j: N score s = q[i] @ k[j] / sqrt(D) mask j <= i"
    same(meaning(text, q, k, v), masked(scores(q, k), LOWER) @ heads(v))


def test_a_mask_has_no_gradient_but_its_tuples_do(meaning, one):
    q, k, v = (x.clone().requires_grad_() for x in one)
    meaning("attention a axis i, j: N mask s > 0", q, k, v).sum().backward()
    s = scores(one[0], one[1])
    assert q.grad.isfinite().all() and v.grad.isfinite().all()
    p = masked(s, s > 0)
    same(v.grad, p.sum(-2).reshape(B, 2, 2, N).sum(2)[..., None].expand(B, 2, N, E))


def test_ties_of_max_share_nothing_of_a_mask(meaning):
    x = torch.tensor([[1.0, 5.0, 5.0]], dtype=torch.float64)
    found = meaning("attention a input x[B, N] axis i, j: N mask j != i output y[i] = max[j](x[j])", x)
    same(found, torch.tensor([[5.0, 5.0, 5.0]], dtype=torch.float64))


def test_a_let_that_is_read_further_up(meaning, make):
    """It stands below the mask all the same, and obeys it; so does a default, which has no place of its own."""
    x, y, valid = make(B, N), make(B, N), torch.arange(N).expand(B, N) % 3 != 1
    text = """
    attention a
    input     x[B, N], y[B, N], valid[B, N]: bool
    axis      j: N
    let       loss = sum[j](w[j] * y[j])
    mask      valid[j]
    let       w[j] = softmax[j](x[j])
    output    loss, w, total = sum[j](w[j])
    """
    found = meaning(text, x, y, valid)
    p = masked(x, valid)
    same(found.w, p)
    same(found.total, p.sum(-1))
    same(found.loss, (p * y).sum(-1))


def test_a_default_above_a_mask_that_depends_on_it(meaning, make):
    q, k, v = make(B, H, N, D), make(B, G, N, D), make(B, G, N, E)
    text = """
    attention a
    axis      i, j: N
    let       received[j] = sum[i](p)
    mask      received[j] > 0.9
    output    received, out[i] = sum[j](softmax[j](s) * v[j])
    """
    found = meaning(text, q, k, v)
    received = scores(q, k).softmax(-1).sum(2)
    same(found.received, received)
    same(found.out, masked(scores(q, k), (received > 0.9)[:, :, None].expand(B, H, N, N)) @ heads(v))


def test_a_mask_of_pairs_does_not_govern_a_selection_among_features(meaning, make):
    a, c = make(B, N, 5), make(B, N, 5)
    text = """
    attention a
    input     a[B, N, R], c[B, N, R]
    axis      i, j: N, r: R
    mask      j <= i
    let       kept[i, j, r] = top[r](a[i, r] * c[j, r], 2)
    output    many[i, j] = count[r](kept[i, j, r])
    """
    assert (meaning(text, a, c) == 2).all()
