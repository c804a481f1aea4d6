"""Axes, sizes and subscripts: leading axes left out, groups of heads, positions, slices, reads outside."""

import pytest
import torch
from torch.nn.functional import pad

from .conftest import B, D, E, G, H, M, N, heads, same, scores

I = torch.arange(M)[:, None]  # noqa: E741
J = torch.arange(N)[None, :]


def attend(s, v):
    return torch.softmax(s, -1) @ heads(v)


# --- leading axes ----------------------------------------------------------------------------------------------------


def test_all_defaults(meaning, qkv):
    q, k, v = qkv
    same(meaning("attention plain", q, k, v), attend(scores(q, k), v))


@pytest.mark.parametrize("read", ["slope", "slope[h]"])
def test_a_head_axis_may_be_left_out(meaning, qkv, make, read):
    q, k, v = qkv
    slope = make(H)
    text = f"attention a input slope[H] score s = q[i] @ k[j] / sqrt(D) - {read} * (i - j)"
    same(meaning(text, q, k, v, slope), attend(scores(q, k) - slope[:, None, None] * (I - J), v))


@pytest.mark.parametrize("read", ["bias[i, j]", "bias[h, i, j]", "bias[b, h, i, j]"])
def test_batch_and_heads_may_be_left_out(meaning, qkv, make, read):
    _, _, v = qkv
    bias = make(B, H, M, N)
    same(meaning(f"attention a input bias[B, H, M, N] score s = {read}", bias=bias, v=v), attend(bias, v))


def test_an_index_over_heads_fills_the_head_axis(meaning, make):
    w = make(H, H)
    same(meaning("attention a input w[H, H] axis f: H output x[f] = w[h, f], y = w[0, h]", w).x, w)


def test_a_number_on_a_tensor_without_its_head_axis(meaning, make):
    """One entry for `[H, N]`: the head is left out, the entry is the position."""
    table = make(H, N)
    same(meaning("attention a input table[H, N] output x = table[2]", table), table[:, 2])


def test_enough_entries_fill_all_axes(meaning, make):
    table = make(B, H, N)
    same(meaning("attention a input table[B, H, N] output x = table[1, 2, 3]", table), table[1, 2, 3].expand(B))


def test_an_index_over_heads_on_a_group_axis_reads_its_group(meaning, make):
    q, k = make(B, H, M, D), make(B, G, N, D)
    text = "attention a axis f: H output s[f, i, j] = q[f, i] @ k[f, j]"
    same(meaning(text, q, k), q @ heads(k).transpose(-1, -2))


def test_an_index_over_groups_reads_the_group_itself(meaning, make):
    k = make(B, G, N, D)
    same(meaning("attention a axis g: G output x[g, j] = k[g, j]", k), k)


def test_a_batch_index_may_be_written(meaning, make):
    x = make(B, N)
    same(meaning("attention a input x[B, N] axis c: B output y[c, j] = x[c, j] - x[b, j]", x)[0, 1], x[1] - x[0])


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_one_sequence(meaning, one):
    q, k, v = one
    n = torch.arange(N)
    s = scores(q, k).masked_fill(n[None, :] > n[:, None], -torch.inf)
    same(meaning("attention a axis i, j: N mask j <= i", q, k, v), attend(s, v))


def test_sizes_are_what_is_declared_not_what_is_in_capitals(meaning, make):
    x = make(3, 4)
    text = "attention a input x[rows, cols] axis y: rows, x_: cols output total = sum[y, x_](x[y, x_] * (y + rows))"
    same(meaning(text, x), (x * (torch.arange(3)[:, None] + 3)).sum())


def test_computed_sizes(meaning, make):
    x, table = make(B, N, D), make(2 * 3 + 1)
    text = """
    attention a(reach: int = 3)
    input     x[B, N, D], table[2 * reach + 1]
    axis      c: ceildiv(N, 2), i, j: N
    let       half[c] = sum[j: j // 2 == c](x[j])
    output    half, near[i, j] = table[clamp(j - i + reach, 0, 2 * reach)]
    """
    found = meaning(text, x, table)
    padded = pad(x, (0, 0, 0, 1))
    same(found.half, padded[:, 0::2] + padded[:, 1::2])
    n = torch.arange(N)
    same(found.near[0], table[(n[None, :] - n[:, None] + 3).clamp(0, 6)])


def test_a_required_equality_makes_two_sizes_one(meaning, make):
    x, y = make(B, N), make(B, N)
    text = "attention a input x[B, N], y[B, L] require L == N output z[j] = x[j] * y[j]"
    same(meaning(text, x, y), x * y)


def test_a_size_told_by_a_requirement_alone(meaning, make):
    k = make(B, G, N, D)
    text = "attention a require M == N, H == G output total[i] = sum[j: j <= i](k[j, 0])"
    same(meaning(text, k), k[..., 0].cumsum(-1))


def test_a_zero_dimensional_input(meaning, qkv, make):
    q, k, v = qkv
    scale = make()
    same(meaning("attention a input scale: float score s = scale * (q[i] @ k[j])", q, k, v, scale),
         attend(scale * scores(q, k) * D**0.5, v))  # fmt: skip


def test_a_standard_name_taken_over_by_a_parameter_is_that_size(meaning, make):
    x = make(4, 3)
    same(meaning("attention a(D: int = 3) input x[4, D] axis t: 4 output y[t] = x[t] / D", x), x / 3)


def test_a_standard_name_taken_over_by_something_else(meaning, qkv):
    q, k, v = qkv
    text = "attention a(D: float = 0.5) let N = q[i] @ k[j] score s = N * D"
    same(meaning(text, q, k, v), attend(scores(q, k) * D**0.5 * 0.5, v))


# --- default inputs --------------------------------------------------------------------------------------------------


def test_an_input_replaces_the_default(meaning, qkv, make):
    _, k, v = qkv
    q = make(H, D)
    s = (q[None, :, None] * heads(k)).sum(-1) / D**0.5
    text = "attention pooled input q[H, D] score s = q @ k[j] / sqrt(D) aggregate out = sum[j](p * v[j])"
    same(meaning(text, q=q, k=k, v=v), (torch.softmax(s, -1).unsqueeze(-1) * heads(v)).sum(-2))


def test_a_let_replaces_the_default(meaning, qkv, make):
    _, k, v = qkv
    x, w = make(B, M, 4), make(H, D, 4)
    text = "attention projected input x[B, M, C], w[H, D, C] let q[i] = w[h] @ x[i]"
    same(meaning(text, x=x, w=w, k=k, v=v), attend(scores(torch.einsum("hdc,bmc->bhmd", w, x), k), v))


def test_unused_defaults_are_not_inputs(meaning, qkv):
    _, _, v = qkv
    text = "attention mean_of_values require H == G aggregate out = sum[j](v[j]) / sum[j](1)"
    same(meaning(text, v), v.mean(-2))


# --- positions -------------------------------------------------------------------------------------------------------


def test_a_position_may_be_any_integer_expression(meaning, qkv, make):
    q, k, v = qkv
    table = make(H, 2 * 4 + 1)
    text = """
    attention relative
    input     table[H, 9]
    score     s = q[i] @ k[j] / sqrt(D) + table[h, clamp(j - i + 4, 0, 8)]
    """
    same(meaning(text, q, k, v, table), attend(scores(q, k) + table[:, (J - I + 4).clamp(0, 8)], v))


def test_a_read_outside_gives_zero_on_both_sides(meaning, make):
    x = make(B, N)
    text = "attention a input x[B, N] axis j: N output back[j] = x[j - 2], on[j] = x[j + 3]"
    found = meaning(text, x)
    same(found.back, pad(x, (2, 0))[:, :N])
    same(found.on, pad(x, (0, 3))[:, 3:])


def test_a_read_outside_gives_false(meaning):
    x = torch.ones(B, N, dtype=torch.bool)
    found = meaning("attention a input x[B, N]: bool axis j: N output y[j] = x[j + 1]", x)
    assert found.dtype == torch.bool and found.tolist() == [[True] * (N - 1) + [False]] * B


def test_a_head_in_the_position_of_another_read_does_not_fill_the_head_axis(meaning, make):
    k = make(B, G, N, D)
    at = torch.arange(H * N).reshape(H, N) % N
    found = meaning("attention a input at[H, N]: int output x[j] = k[at[h, j]]", k, at)
    same(found, torch.stack([heads(k)[:, h, at[h]] for h in range(H)], 1))


def test_positions_from_a_tensor_never_count_from_the_end(meaning, make):
    x = make(B, N, D)
    at = torch.tensor([[0, -1, 6, 7], [3, -7, 100, 2]])
    found = meaning("attention a input x[B, N, D], at[B, L]: int axis l: L output y[l] = x[at[l]]", x, at)
    wanted = x.new_zeros(B, 4, D)
    wanted[0, 0], wanted[0, 2], wanted[1, 0], wanted[1, 3] = x[0, 0], x[0, 6], x[1, 3], x[1, 2]
    same(found, wanted)


def test_a_let_outside_gives_zero_too(meaning, make):
    x = make(B, N)
    text = "attention a input x[B, N] axis j: N let y[j] = x[j] + 1 output z[j] = y[j - 1]"
    same(meaning(text, x), pad(x + 1, (1, 0))[:, :N])


def test_a_statistic_outside_gives_zero_too(meaning, make):
    x = make(B, N, N)
    text = """
    attention a
    input     x[B, N, N]
    axis      i, j: N
    let       total[i] = sum[j](exp(x[i, j]))
    output    before[i] = total[i - 1]
    """
    same(meaning(text, x), pad(x.exp().sum(-1), (1, 0))[:, :N])


# --- vectors and slices ----------------------------------------------------------------------------------------------


def test_trailing_axes_left_out_make_a_vector(meaning, make):
    table = make(5, D)
    low = torch.tensor([4, 0, 2])
    found = meaning("attention a input table[5, D], low[L]: int axis l: L output x[l] = 2 * table[low[l]]", table, low)
    same(found, 2 * table[low])


def test_two_trailing_axes(meaning, make):
    w, x = make(H, 3, D), make(B, N, D)
    found = meaning("attention a input w[H, 3, D], x[B, N, D] axis j: N output y[j] = w @ x[j]", w, x)
    same(found, torch.einsum("hcd,bnd->bhnc", w, x))


def test_slices(meaning, qkv):
    q, k, v = qkv
    text = "attention parts(R: int) score s = q[i, :R] @ k[j, :R] - q[i, R:] @ k[j, R:] + q[i, 1:3] @ k[j, R:R + 2]"
    s = q[..., :4] @ heads(k)[..., :4].mT - q[..., 4:] @ heads(k)[..., 4:].mT + q[..., 1:3] @ heads(k)[..., 4:6].mT
    same(meaning(text, q, k, v, R=4), attend(s, v))


def test_a_slice_past_the_end_reads_zeros(meaning, make):
    x = make(B, N, D)
    found = meaning("attention a input x[B, N, D] axis j: N output y[j] = x[j, 4:9]", x)
    same(found, pad(x[..., 4:], (0, 3)))


def test_vectors_of_equal_size_by_requirement(meaning, make):
    q, v = make(B, H, M, D), make(B, G, M, D)
    text = "attention a require D == E axis i, j: M output y[i] = q[i] + v[i]"
    same(meaning(text, q, v), q + heads(v))


def test_cat(meaning, make):
    x, y = make(B, N, D), make(B, N, E)
    found = meaning("attention a input x[B, N, D], y[B, N, E] axis j: N output z[j] = cat(x[j], y[j], x[j, :1])", x, y)
    same(found, torch.cat([x, y, x[..., :1]], -1))


def test_size(meaning, make):
    x = make(B, N, D)
    text = "attention a input x[B, N, D] axis j: N output z[j] = sum(x[j]) * size(j) / size(x[j])"
    same(meaning(text, x), x.sum(-1) * N / D)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("q[i] @ k[j]", "bhid,bhjd->bhij"),
        ("q[i] @ W @ k[j]", "bhid,bhjc,dc->bhij"),
        ("(W @ k[j]) @ q[i]", "bhid,bhjc,dc->bhij"),
    ],
)
def test_matrix_products(meaning, make, text, wanted):
    q, k, w = make(B, H, M, D), make(B, G, N, D), make(D, D)
    found = meaning(f"attention a input W[D, D] output s[i, j] = {text} + 0 * W[0, 0]", q, k, w)
    operands = (q, heads(k)) if wanted.count(",") == 1 else (q, heads(k), w)
    same(found, torch.einsum(wanted, *operands))


def test_explicit_indices_say_the_same_as_vectors(meaning, make):
    q, k = make(B, H, M, D), make(B, G, N, D)
    found = meaning("attention a output s[i, j] = sum[d](q[i, d] * k[j, d]) - q[i] @ k[j]", q, k)
    same(found, torch.zeros(B, H, M, N, dtype=torch.float64))


def test_widths_of_values(meaning, qkv):
    _, _, v = qkv
    text = "attention a require H == G output out[e] = sum[j](v[j, e]) * size(e)"
    same(meaning(text, v), v.sum(-2) * E)
