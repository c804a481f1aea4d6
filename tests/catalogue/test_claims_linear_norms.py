"""What linear attention and edited weights claim: sums of rows, ranks, limits, invariances, what does not matter."""

import re

import torch

import attnc

from .claims import differ, drawn, near

CAUSAL = attnc.loads("attention causal axis i, j: N mask j <= i")
FULL = attnc.loads("attention full axis i, j: N")


def identity(like):
    """Values whose weighted sums are the weights."""
    B, G, N = like.shape[:3]
    return torch.eye(N, dtype=like.dtype).expand(B, G, N, N).contiguous()


def qkv(given):
    return given["q"], given["k"], given["v"]


# --- weights that are no softmax --------------------------------------------------------------------------------------


def test_a_threshold_of_minus_infinity_is_the_softmax():
    spec, given, _ = drawn("top_theta_attention")
    free = {"theta": torch.full_like(given["theta"], -torch.inf), "gamma": torch.zeros_like(given["gamma"])}
    near(spec(**given | free), CAUSAL(*qkv(given)))


def test_the_true_mass_left_out_gives_the_softmax_of_what_is_kept():
    spec, given, _ = drawn("top_theta_attention")
    given["v"] = identity(given["v"])
    s = given["q"] @ given["k"].repeat_interleave(2, 1).mT / given["q"].shape[-1] ** 0.5
    seen = torch.ones_like(s).tril() > 0
    kept = seen & (s >= given["theta"][:, :, None])
    top = s.masked_fill(~kept, -torch.inf).amax(-1, keepdim=True)
    some = top > -torch.inf
    given["gamma"] = (torch.exp(s - torch.where(some, top, 0)) * (seen & ~kept)).sum(-1)
    p = s.masked_fill(~seen, -torch.inf).softmax(-1) * kept
    mean = seen.double() / seen.sum(-1, keepdim=True)
    near(spec(**given), p + (1 - p.sum(-1, keepdim=True)) * mean)
    assert (seen & ~kept).any() and not some.all()


def test_fastmax_factors_into_monomials_with_positive_weights():
    spec, given, _ = drawn("fast_fastmax")
    q, k, v = qkv(given)

    def monomials(x):
        x = (x - x.mean(-1, keepdim=True)) / x.std(-1, correction=0, keepdim=True)
        return torch.cat((torch.ones_like(x[..., :1]), x, (x[..., :, None] * x[..., None, :]).flatten(-2) / 2**0.5), -1)

    x, y, z = monomials(q), monomials(k).repeat_interleave(2, 1), v.repeat_interleave(2, 1)
    state = (y[..., :, None] * z[..., None, :]).cumsum(2)
    wanted = (x[..., None, :] @ state)[..., 0, :] / (x * y.cumsum(2)).sum(-1, keepdim=True)
    near(spec(q, k, v, causal=True), wanted)
    p = spec(q, k, identity(k))
    assert (p > 0).all()
    near(p.sum(-1), torch.ones_like(p[..., 0]))


def test_focused_weights_have_low_rank_and_the_convolution_restores_it():
    spec, given, parameters = drawn("flatten_focused_linear_attention")
    given["v"], N = identity(given["v"]), given["v"].shape[2]
    kernel = torch.zeros(4, 5, 5, N, dtype=torch.float64)
    p = spec(**given | {"w": kernel}, **parameters)
    assert torch.linalg.matrix_rank(p).max() <= given["q"].shape[-1] < N
    kernel[:, 2, 2] = 1
    assert torch.linalg.matrix_rank(spec(**given | {"w": kernel}, **parameters)).min() == N


def test_hedgehog_loss_is_least_for_the_softmax_itself():
    spec, given, _ = drawn("hedgehog")
    p = CAUSAL(given["q"], given["k"], identity(given["k"]))
    excess = spec(**given).loss + torch.xlogy(p, p).sum(-1)
    assert (excess > -1e-10).all() and (excess > 1e-2).any()
    flat = given | {"q": 0 * given["q"], "c": 0 * given["c"]}
    visible = torch.arange(1.0, 1 + p.shape[-1], dtype=p.dtype)
    assert (spec(**flat).loss >= visible.log() - 1e-10).all()


def test_norm_aware_features_know_the_norm_of_queries_but_not_of_keys():
    spec, given, _ = drawn("nalaformer_norm_aware_linear_attention")
    out = spec(**given)
    near(spec(**given | {"k": 3 * given["k"]}), out)
    differ(spec(**given | {"q": 3 * given["q"]}), out)


def test_combined_attention_shrinks_with_the_distance_and_subtracts():
    spec, given, _ = drawn("comateformer_combined_attention")
    q, k, v = qkv(given)
    assert spec(q, k + 50, v).abs().max() < 1e-10
    p = spec(q, k, identity(k))
    assert (p < 0).any() and (p > 0).any() and (p.abs() < 0.5).all()
    near(spec(q, q, identity(q)).diagonal(dim1=-2, dim2=-1), torch.tanh((q * q).sum(-1) / q.shape[-1] ** 0.5) / 2)


def test_binary_attention_knows_signs_alone():
    spec, given, _ = drawn("bibert_bi_attention")
    q, k, v = qkv(given)
    out = spec(q, k, v)
    near(spec(5 * q, 0.3 * k, 7 * v), out)
    near(out, out.round())


def test_signed_weights_have_sizes_that_sum_to_1():
    spec, given, _ = drawn("cog_attention")
    p = spec(given["q"], given["k"], identity(given["k"]))
    near(p.abs().sum(-1), torch.ones_like(p[..., 0]))
    assert (p < 0).any()


def test_a_filter_knows_differences_of_times_and_without_robustness_no_queries():
    spec, given, _ = drawn("afa")
    out = spec(**given)
    near(spec(**given | {"t": given["t"] + 3}), out)
    differ(spec(**given | {"q": 2 * given["q"]}), out)
    blind = given | {"nu": torch.full_like(given["nu"], torch.inf)}
    near(spec(**blind | {"q": 2 * given["q"]}), spec(**blind))


# --- edits after the softmax ------------------------------------------------------------------------------------------


def test_affine_weights_sum_to_scale_and_shift():
    spec, given, _ = drawn("affine_scaled_attention")
    x, N = given["x"], given["x"].shape[1]
    found = spec(**given | {"v": torch.ones_like(given["v"])})[..., 0]
    shift = (x @ given["shift"].T).mT * torch.arange(1, N + 1)
    near(found, (x @ given["scale"].T).mT.sigmoid() + shift)


def test_a_softmax_clipped_at_0_and_1_is_one_and_a_stretched_one_has_zeros():
    spec, given, parameters = drawn("clipped_softmax_gated_attention:clipped_softmax")
    near(spec(**given, low=0.0, high=1.0), FULL(*qkv(given)))
    p = spec(given["q"], given["k"], identity(given["k"]), **parameters)
    assert (p == 0).any() and (p == 1).any()


def test_an_open_gate_is_plain_attention_and_a_closed_one_does_nothing():
    spec, given, _ = drawn("clipped_softmax_gated_attention:gated")
    near(spec(**given | {"c": given["c"] + 1e3}), FULL(*qkv(given)))
    assert spec(**given | {"c": given["c"] - 1e3}).abs().max() < 1e-100


def test_calibrated_weights_keep_their_sum_and_a_document_like_the_dummy_has_an_equal_share():
    spec, given, _ = drawn("found_in_the_middle_attention_calibratio")
    given["v"], own = identity(given["v"]), given["own"]
    p = spec(**given)
    near(p.sum(-1), torch.ones_like(p[..., 0]))
    mass = spec(**given | {"dummy": given["k"]}) @ own[:, None]
    there = (own.cumsum(1) > 0)[:, None].expand_as(mass)
    share = mass.sum(-1, keepdim=True) / there.sum(-1, keepdim=True).clamp(min=1)
    near(mass, there * share)


def test_raised_visual_weights_still_sum_to_1():
    spec, given, _ = drawn("imbalanced_attention_fix")
    near(spec(**given, keep=3, gain=0.0), CAUSAL(*qkv(given)))
    q, k, weights = given["q"], given["k"], identity(given["v"])
    p, plain = spec(**given | {"v": weights}), CAUSAL(q, k, weights)
    near(p.sum(-1), torch.ones_like(p[..., 0]))
    visual = given["visual"][:, None, None]
    assert ((p - plain) * visual).sum(-1).min() > -1e-12 and ((p - plain) * visual).sum(-1).max() > 1e-2


def test_fixed_patterns_are_means_and_free_heads_plain_attention():
    spec, given, _ = drawn("injected_attention_patterns:fixed")
    p = spec(**given | {"v": identity(given["v"])})
    near(p.sum(-1).round(), p.sum(-1))
    assert (p[:, 2].sum(-1) == 0).any()  # nothing is before the first token
    spec, given, parameters = drawn("injected_attention_patterns:masked")
    near(spec(**given, **parameters)[:, 3], FULL(*qkv(given))[:, 3])


def test_a_copy_that_is_not_flipped_is_the_negative_prompt_itself():
    spec, given, _ = drawn("value_sign_flip")
    sizes = {"image": 7, "negative": 5}
    found, plain = spec(**given, **sizes, scale=-1.0, bias=0.0), FULL(*qkv(given))
    near(found[:, :, :7], plain[:, :, :7])
    short = FULL(*(x[:, :, :12] for x in qkv(given)))
    near(spec(**given, **sizes, scale=2.0, bias=1e4)[:, :, :12], short)
    differ(spec(**given, **sizes, scale=2.0, bias=0.0)[:, :, :7], short[:, :, :7])
    near(found[:, :, 12:], FULL(*(x[:, :, 12:] for x in qkv(given))))


# --- weights that are not of the input --------------------------------------------------------------------------------


def test_a_fixed_sequence_mixes_all_inputs_alike():
    spec, given, _ = drawn("deconstructed_attention_variants:fixed_sequence")
    v = given["v"]
    near(spec(**given | {"v": 2 * v + v.flip(0)}), 2 * spec(**given) + spec(**given | {"v": v.flip(0)}))
    p = spec(**given | {"v": identity(v)})
    near(p[0], p[1])


def test_features_have_a_state_of_constant_size():
    spec, given, _ = drawn("deconstructed_attention_variants:approximate")
    q, k, v = qkv(given)
    q, k = (torch.nn.functional.elu(x) + 1 for x in (q, k))
    k, v, found = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), spec(**given)
    state, total = 0, 0
    for t in range(q.shape[2]):
        state, total = state + k[:, :, t, :, None] * v[:, :, t, None], total + k[:, :, t]
        near(found[:, :, t], (q[:, :, t, None] @ state)[:, :, 0] / (q[:, :, t] * total).sum(-1, keepdim=True))


def test_mixing_by_a_matrix_or_by_atoms_is_linear_and_as_far_as_it_says():
    spec, given, _ = drawn("masked_mixers")
    v, bias = given["v"], spec(**given | {"v": 0 * given["v"]})
    near(spec(**given | {"v": 3 * v}) - bias, 3 * (spec(**given) - bias))
    spec, given, _ = drawn("spectral_dictionary_token_mixing")
    other = given["x"].clone()
    other[:, 5] += 1
    changed = (spec(**given | {"x": other}) != spec(**given)).any(-1)
    assert changed[:, 5].all() and changed.sum() == len(other)


def test_normalized_keys_and_values_forget_shift_and_scale():
    spec, given, _ = drawn("hiif_multi_head_linear_attention")
    near(spec(**given | {"k": 3 * given["k"] + 1, "v": 2 * given["v"] - 5}), spec(**given))


# --- encoders, decoders and documents ---------------------------------------------------------------------------------


def test_luong_forms_and_windows_agree_in_their_limits():
    spec, given, _ = drawn("luong_attention:global_attention")
    given["W"] = torch.eye(8, dtype=torch.float64)
    near(spec(**given, form="general"), spec(**given, form="dot"))
    local, given, _ = drawn("luong_attention:local_m")
    shared = given | {name: torch.zeros(3, 8, dtype=torch.float64) for name in ("Wa", "Ua")}
    shared["a"] = torch.zeros(3, dtype=torch.float64)
    near(local(**given, radius=100), spec(**shared, form="general"))
    local, given, _ = drawn("luong_attention:local_p")
    rest = {name: given[name] for name in shared.keys() & given.keys()}
    near(local(**given, radius=1e9), spec(**shared | rest, form="general"))


def test_a_source_given_twice_counts_once():
    spec, given, _ = drawn("flat_hierarchical_multi_source_attention:flat", P=9, Y=5)
    twice = given | {"y": given["x"], "Uy": given["Ux"], "Vy": given["Vx"]}
    first = twice | {"y": given["x"][:, :1]}
    s = torch.tanh((given["q"] @ given["W"].T)[:, :, None] + (given["x"] @ given["Ux"].T)[:, None]) @ given["a"]
    near(spec(**twice), s.softmax(-1) @ given["x"] @ given["Vx"].T)
    differ(spec(**first), spec(**twice))


def test_the_first_pass_reads_no_regulators():
    spec, given, _ = drawn("rcar")
    other = given | {"a": given["a"] + 1, "W": -given["W"]}
    near(spec(**other, passes=1), spec(**given, passes=1))
    differ(spec(**other, passes=2), spec(**given, passes=2))


def test_matches_are_among_the_nearest_patches():
    spec, given, _ = drawn("2d3d_matr_coarse_transformer_with_multi:matching")
    found = spec(**given, keep=1)
    near(found.near, torch.nn.functional.one_hot(found.best, found.near.shape[-1]).to(found.near.dtype))
    assert (spec(**given, keep=4).near.sum(-1) == 4).all()


def test_rings_do_not_know_which_side_is_up():
    spec, given, parameters = drawn("cca")
    turned = torch.cat((torch.arange(15).flip(0), torch.arange(15, given["q"].shape[2])))
    q, k, v = (x[:, :, turned] for x in qkv(given))
    near(spec(q, k, v, **parameters), spec(**given, **parameters)[:, :, turned])


def test_arc_probabilities_sum_to_1_and_do_not_know_a_prior_of_dependents():
    spec, given, _ = drawn("deep_biaffine_attention")
    p = spec(**given).p
    near(p.sum(-1), torch.ones_like(p[..., 0]))
    shifted = given["y"] + 2.0  # adds to each row of scores the same
    near(spec(**given | {"y": shifted}).p, p)


def test_documents_meet_in_their_first_tokens():
    spec, given, _ = drawn("fit5_global_attention")
    first, other = given["first"][0], given["v"].clone()
    other[:, :, first[2] :] += torch.randn(1, generator=torch.Generator().manual_seed(0))
    changed = ((spec(**given | {"v": other}) - spec(**given)).abs() > 1e-9).any(-1)[:, :, : first[2]]
    assert changed[:, :, first[:2]].all() and changed.sum() == changed[:, :, first[:2]].numel()


def test_focus_of_no_length_is_plain_and_shares_are_of_1():
    spec, given, _ = drawn("focus_directions")
    near(spec(**given, a=0.0).out, CAUSAL(*qkv(given)))
    near(spec(**given | {"relevant": torch.ones_like(given["relevant"])}).contextual, torch.ones(2, 4).double())


def test_dropping_no_head_keeps_all():
    spec, given, _ = drawn("headmask:important_heads")
    every, plain, _ = drawn("headmask:random_heads")
    shared = {name: given[name] for name in ("q", "k", "v", "w")}
    kept = torch.ones_like(plain["kept"])
    near(spec(**given, drop=0), every(**shared, kept=kept))
    weakest = given["gradient"].clone()
    weakest[:, 1] = 0
    near(spec(**given | {"gradient": weakest}, drop=3), every(**shared, kept=torch.arange(4) == 1))


def test_a_document_knows_earlier_ones_alone_and_the_query_is_like_itself():
    spec, given, _ = drawn("last_but_not_late_interaction")
    N = given["q"].shape[2]
    given["last"] = torch.tensor([[4, 10, N - 1]]).expand(2, 3).contiguous()
    given["q"][:, :, -1] = 1000 * given["k"].repeat_interleave(2, 1)[:, :, -1]  # the query sees itself only
    before = spec(**given)
    near(before[:, 2], torch.ones(2).double())
    for place, changed in ((2, 2), (7, 1), (13, 0)):
        other = given["v"].clone()
        other[:, :, place] += 3
        after = spec(**given | {"v": other})
        assert ((after - before).abs() > 1e-6).sum(-1).tolist() == [changed] * 2


# --- a benchmark ------------------------------------------------------------------------------------------------------


def cost(spec, length):
    """Tiles visited, of 10,000 pairs each."""
    given = [torch.zeros(1, 1, length, 8) for _ in range(3)]
    tiles, left_out = re.search(r"([\d,]+) tiles for each head: ([\d.]+) % left out", spec.explain(*given)).groups()
    return int(tiles.replace(",", "")) * (1 - float(left_out) / 100)


def test_patterns_meet_where_sequences_are_the_same_and_a_window_has_an_efficiency_length():
    alone, given, _ = drawn("cab_benchmark:self_pattern")
    cross, _, _ = drawn("cab_benchmark:cross_pattern")
    for causal in (False, True):
        near(alone(**given, causal=causal), cross(**given, causal=causal))
    window = attnc.loads("attention window axis i, j: N mask j <= i and i - j < 512")
    wins = [length for length in (128, 256, 512, 1024, 2048, 4096) if cost(window, length) < cost(CAUSAL, length)]
    assert wins and min(wins) > 512 and wins[-1] == 4096
