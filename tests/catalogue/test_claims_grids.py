"""What attentions on grids claim: which pairs matter, equalities in limits, and what a picture may be turned by."""

import torch

import attnc

from .rows import rows

FULL = attnc.loads("attention full axis i, j: N")
CAUSAL = attnc.loads("attention causal axis i, j: N mask j <= i")
PART = attnc.loads("attention part output out, lse = logsumexp[j](s)")


def given(name, learns=False, **sizes):
    """A row's spec, its inputs by name and its parameters."""
    row = rows()[name]
    spec = row.load()
    return spec, row.draw(spec, learns=learns, **sizes), dict(row.parameters)


def near(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def differ(found, wanted):
    assert (found - wanted).abs().max() > 1e-3


def identity(v):
    """Values whose weighted sums are the weights."""
    B, G, N = v.shape[:3]
    return torch.eye(N, dtype=v.dtype).expand(B, G, N, N).contiguous()


def weights(spec, inputs, parameters):
    return spec(**inputs | {"v": identity(inputs["v"])}, **parameters)


def alike(inputs):
    """Inputs with which all pairs that exist have one weight."""
    return inputs | {"q": torch.zeros_like(inputs["q"])}


def qkv(inputs):
    return inputs["q"], inputs["k"], inputs["v"]


# --- which pairs matter -----------------------------------------------------------------------------------------------


def test_heads_of_hepos_share_the_keys_out():
    spec, inputs, parameters = given("hepos", H=3, G=3)
    seen = weights(spec, inputs, parameters) > 0
    assert (seen.sum(1) == 1).all()


def test_axial_attention_reaches_all_tokens_in_two_steps():
    spec, inputs, parameters = given("axial_attention")
    p = [weights(spec, inputs, parameters | {"along": axis}) for axis in ("rows", "cols")]
    assert (p[0] == 0).any() and (p[0] @ p[1] > 0).all()


def test_block_and_grid_attention_reach_all_tokens():
    spec, inputs, _ = given("maxvit_max_sa", learns=True, side=2, rows=4, cols=4)
    out = spec(**inputs, rows=4, cols=4, side=2, cells=2)
    (g,) = torch.autograd.grad(out[:, :, 0].square().sum(), inputs["v"])
    assert (g.abs().amax((1, 3)) > 0).all()


def test_inward_windows_have_one_size():
    spec, inputs, parameters = given("freeswim_inward_sliding_window_cross_att:inward_window")
    p = weights(spec, alike(inputs), parameters)
    size = parameters["frames"] * parameters["window"] ** 2
    near(p.amax(-1), torch.full_like(p[..., 0], 1 / size))
    assert ((p > 0).sum(-1) == size).all()


def test_a_window_of_freeswim_within_the_borders_is_that_of_datr():
    spec, _, parameters = given("freeswim_inward_sliding_window_cross_att:inward_window")
    other, other_inputs, sizes = given("datr_distortion_aware_attention")
    assert parameters["rows"] == sizes["rows"] and parameters["window"] == 2 * sizes["radius"] + 1
    found = spec(*qkv(other_inputs), **parameters | {"frames": 1})
    wanted = other(**other_inputs | {"bias": torch.zeros_like(other_inputs["bias"])}, **sizes)
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    shape = sizes["rows"], sizes["cols"]
    near(found.unflatten(2, shape)[inner], wanted.unflatten(2, shape)[inner])
    differ(found, wanted)


def test_opposite_directions_see_one_another():
    spec, inputs, parameters = given("lookhere_directed_2_d_masks", half=True)
    there = weights(spec, alike(inputs), parameters) > 0
    back = weights(spec, alike(inputs | {"ahead": -inputs["ahead"]}), parameters) > 0
    assert torch.equal(there, back.mT) and not torch.equal(there, there.mT)


def test_only_the_scale_before_matters():
    spec, inputs, parameters = given("mvar_spatial_markov_attention")
    p = weights(spec, inputs, parameters)
    scale = inputs["scale"]
    assert (p[..., scale < scale[:, None] - 1] == 0).all()
    assert (p[..., scale == scale[:, None] - 1] > 0).any()
    near(p.sum(-1), torch.ones_like(p[..., 0]))


def test_rectangles_of_the_two_halves_of_heads_differ():
    spec, inputs, parameters = given("cat_rwin_sa")
    inputs = alike(inputs | {"table": torch.zeros_like(inputs["table"])})
    v = torch.zeros_like(inputs["v"])
    v[:, :, 0] = 1.0
    out = spec(**inputs | {"v": v, "w": torch.zeros_like(inputs["w"])}, **parameters)
    seen = (out[0, :, :, 0] > 0).unflatten(1, (parameters["rows"], parameters["cols"]))
    H = len(seen)
    assert seen[: H // 2].any(1).sum(-1).min() > seen[H // 2 :].any(1).sum(-1).max()
    assert seen[: H // 2].any(2).sum(-1).max() < seen[H // 2 :].any(2).sum(-1).min()


def test_a_switched_off_head_sees_no_image():
    spec, inputs, parameters = given("neighbor_aware_visual_attention")
    p = weights(spec, inputs, parameters)
    image = slice(parameters["first"], parameters["first"] + parameters["rows"] * parameters["cols"])
    among = p[:, :, image, image].sum((0, 2, 3))
    assert torch.equal(among > 0, inputs["active"])
    everything = {"active": torch.ones_like(inputs["active"])}
    near(spec(**inputs | everything, **parameters | {"radius": 99}), CAUSAL(*qkv(inputs)))


def test_each_step_of_boundary_attention_looks_one_radius_further():
    spec, inputs, parameters = given("boundary_attention", learns=True)
    near(spec(**inputs, **parameters | {"rounds": 0}), inputs["x"])
    for rounds in (1, 2):
        out = spec(**inputs, **parameters | {"rounds": rounds})
        (g,) = torch.autograd.grad(out[:, 0].square().sum(), inputs["x"])
        n = torch.arange(g.shape[1])
        far = torch.maximum(n // parameters["cols"], n % parameters["cols"])
        assert torch.equal((g.abs().sum((0, 2)) > 0), far <= rounds * parameters["radius"])


def test_a_band_holds_fewer_pairs_the_longer_the_video():
    spec = rows()["radial_attention"].load()
    shares = []
    for frames in (8, 32, 128):
        x = torch.zeros(1, 1, frames * 8, 4, dtype=torch.float64)
        v = identity(x)
        p = spec(x, x, v, frames=frames, area=8, block=1).out
        shares.append(float((p > 0).double().mean()))
    assert shares[0] > 2 * shares[1] > 4 * shares[2]


# --- equalities and limits --------------------------------------------------------------------------------------------


def test_lkca_is_its_toeplitz_matrix():
    spec, inputs, parameters = given("lkca:convolution")
    other = rows()["lkca:toeplitz"].load()
    near(spec(**inputs, **parameters), other(**inputs, **parameters))


def test_coatnet_without_a_table_is_softmax_attention():
    spec, inputs, parameters = given("coatnet_relative_attention")
    near(spec(**inputs | {"w": torch.zeros_like(inputs["w"])}, **parameters), FULL(*qkv(inputs)))
    differ(spec(**inputs, **parameters), FULL(*qkv(inputs)))


def test_a_window_over_the_whole_picture_is_coatnet():
    spec = rows()["datr_distortion_aware_attention"].load()
    other, inputs, _ = given("coatnet_relative_attention", rows=5, cols=5)
    table = inputs["w"]
    found = spec(*qkv(inputs), table, rows=5, cols=5, radius=4)
    near(found, other(*qkv(inputs), table.flip(1, 2), rows=5, cols=5))


def test_strided_queries_are_some_of_all_queries():
    spec, inputs, parameters = given("halonet_blocked_local_self_attention")
    every = spec(**inputs, **parameters | {"stride": 1}).unflatten(2, (parameters["rows"], parameters["cols"]))
    near(spec(**inputs, **parameters), every[:, :, ::2, ::2].flatten(2, 3))


def test_blocks_without_a_halo_and_vectors_are_windows():
    spec, inputs, _ = given("halonet_blocked_local_self_attention", halo=0)
    window = rows()["davit_dual_attention:window"].load()
    inputs |= {name: torch.zeros_like(inputs[name]) for name in ("down", "right")}
    q, k, v = qkv(inputs)
    found = spec(**inputs, rows=5, cols=7, block=3, halo=0, stride=1)
    near(found, window(q * q.shape[-1] ** 0.5, k, v, rows=5, cols=7, side=3))


def test_radial_attention_merges_with_text():
    spec, inputs, parameters = given("radial_attention")
    video = parameters["frames"] * parameters["area"]
    q, k, v = qkv(inputs)
    whole = spec(q, k, v, **parameters)
    one = spec(q[:, :, :video], k[:, :, :video], v[:, :, :video], **parameters)
    other = PART(q[:, :, :video], k[:, :, video:], v[:, :, video:])
    lse = torch.logaddexp(one.lse, other.lse)
    merged = sum(x.out * torch.exp(x.lse - lse)[..., None] for x in (one, other))
    near(merged, whole.out[:, :, :video])
    near(lse, whole.lse[:, :, :video])


def test_a_mixture_of_linvideo_ends_in_softmax_and_in_linear_attention():
    spec, inputs, _ = given("linvideo_linear_attention_transfer", M=19)
    one = torch.tensor(1.0, dtype=torch.float64)
    near(spec(**inputs | {"r": one}), FULL(*qkv(inputs)))
    ends = [weights(spec, inputs | {"r": r}, {}) for r in (0 * one, one)]
    for p in ends:
        near(p.sum(-1), torch.ones_like(p[..., 0]))
    assert torch.linalg.matrix_rank(ends[0]).max() <= 2 * inputs["w"].shape[1] < torch.linalg.matrix_rank(ends[1]).min()


def test_rows_of_l2vit_sum_to_the_temperature_until_the_floor():
    spec, inputs, parameters = given("l2vit:linear")
    p = weights(spec, inputs, parameters)
    share = p.sum(-1) / inputs["tau"][:, None]
    k = inputs["k"].relu().sum(2).repeat_interleave(2, 1)
    total = (inputs["q"].relu() * k[:, :, None]).sum(-1)
    near(share, (total / parameters["floor_of_sum"]).clamp(max=1))
    assert (share < 0.99).any() and (share > 0.99).any()


def test_weights_of_inline_sum_to_1_and_tell_queries_apart():
    spec, inputs, parameters = given("inline")
    inputs["w2"] = torch.zeros_like(inputs["w2"])
    p = weights(spec, inputs, parameters)
    near(p.sum(-1), torch.ones_like(p[..., 0]))
    assert (p < 0).any()
    linear = attnc.loads("attention linear let w = relu(q[i]) @ relu(k[j]) normalize p = w / sum[j](w)")
    q, k, v = qkv(inputs)
    near(linear(2 * q, k, v), linear(q, k, v))
    assert (p - weights(spec, inputs | {"q": 2 * q}, parameters)).abs().amax(-1).min() > 1e-4


def test_a_long_window_of_a_cache_forgets_nothing():
    spec, inputs, parameters = given("sliding_window_causal_attention_with_sin")
    q, k, v = qkv(inputs)
    ropes = attnc.loads(
        "attention chunks(chunk: int) axis i, j: N score s = rope(q[i], i) @ rope(k[j], j) / sqrt(D)"
        " mask j // chunk <= i // chunk"
    )
    chunk = parameters["chunk"]
    near(spec(q, k, v, **parameters | {"window": 99}), ropes(q, k, v, chunk=chunk))
    N, late = q.shape[2] // chunk * chunk, parameters["window"] * chunk
    q, k, v = q[:, :, :N], k[:, :, :N], v[:, :, :N]
    rolled = spec(q, k, v, **parameters | {"sinks": 0})[:, :, -chunk:]
    near(rolled, ropes(q[:, :, -late:], k[:, :, -late:], v[:, :, -late:], chunk=chunk)[:, :, -chunk:])
    differ(rolled, spec(q, k, v, **parameters)[:, :, -chunk:])


# --- what a picture may be turned by ----------------------------------------------------------------------------------


def test_a_panorama_may_be_turned():
    spec, inputs, parameters = given("circular_attention")
    shape = parameters["rows"], parameters["cols"]

    def turned(x, dim):
        return x.unflatten(dim, shape).roll(2, dim + 1).flatten(dim, dim + 1)

    found = spec(**inputs | {"f": turned(inputs["f"], 1)}, **parameters)
    near(found, turned(spec(**inputs, **parameters), 2))


def test_the_size_of_queries_does_not_matter_behind_their_norm():
    spec, inputs, parameters = given("3_d_full_attention_with_3_d_rope")
    near(spec(**inputs | {"q": 3 * inputs["q"]}, **parameters), spec(**inputs, **parameters))


def test_channels_may_stand_anywhere_and_see_one_another():
    spec, inputs, _ = given("davit_dual_attention:channel")
    order = torch.randperm(inputs["q"].shape[-1], generator=torch.Generator().manual_seed(0))
    near(spec(**{name: x[..., order] for name, x in inputs.items()}), spec(**inputs)[..., order])
    differ(spec(**inputs | {"k": inputs["k"][..., order]}), spec(**inputs))


def test_the_size_of_queries_of_mca_is_only_in_what_is_added():
    spec, inputs, _ = given("mca:cross_axis")
    more = spec(**inputs | {"fy": 3 * inputs["fy"]}) - spec(**inputs)
    near(more, 2 * inputs["fy"].unflatten(2, more.shape[2:]) @ inputs["wo"].T)


def test_mutual_control_is_symmetric():
    spec, inputs, _ = given("geniedrive_mutual_control_attention_norm:mutual_control")
    other = {name[0] + {"z": "c", "c": "z"}[name[1]]: x for name, x in inputs.items()}
    found, swapped = spec(**inputs), spec(**other)
    near(found.occupancy, swapped.control)
    near(found.control, swapped.occupancy)


def test_what_views_add_is_as_long_as_their_own():
    spec, inputs, parameters = given("geniedrive_mutual_control_attention_norm:views")
    more = spec(**inputs, **parameters) - inputs["x"]
    near(more.norm(dim=-1), inputs["x"].norm(dim=-1))


def test_flow_of_a_moved_picture_is_the_move():
    spec, _, parameters = given("gmflow_global_matching_flow_propagation:matching")
    rows_, cols = parameters["rows"], parameters["cols"]
    codes = 40 * torch.eye(rows_ * cols, dtype=torch.float64)[None]
    moved = codes.unflatten(1, (rows_, cols)).roll((1, 2), (1, 2)).flatten(1, 2)
    zeros = torch.zeros_like(codes)
    found = spec(zeros, zeros, codes, moved, **parameters)
    inner = found.flow.unflatten(1, (rows_, cols))[:, :-1, :-2]
    near(inner, torch.tensor([2.0, 1.0], dtype=torch.float64).expand_as(inner))
    near(found.spread, found.flow.mean(1, keepdim=True).expand_as(found.spread))


def test_views_that_agree_match_fully():
    spec, inputs, _ = given("matchnerf_cross_view_attention_and_group:matching")
    same = {name: x[:, :1].expand_as(x) for name, x in inputs.items() if name != "f"}
    z = spec(f=inputs["f"][:, :, :1].expand_as(inputs["f"]), **same)
    near(z, torch.ones_like(z))
    assert spec(**inputs).max() < 0.999


def test_points_are_the_extremes():
    spec, inputs, parameters = given("read_similarity_as_points")
    found = spec(**inputs, **parameters)
    a = found.a.unflatten(1, (parameters["rows"], parameters["cols"]))
    one = torch.arange(len(a))[:, None]
    best = a[one, found.positive[..., 0], found.positive[..., 1]]
    worst = a[one, found.negative[..., 0], found.negative[..., 1]]
    near(best, a.flatten(1).topk(best.shape[1]).values)
    near(worst, -(-a).flatten(1).topk(worst.shape[1]).values)
    sharp = spec(**inputs | {"seg": 1e4 * inputs["seg"]}, **parameters).point
    near(sharp, found.positive[:, 0].double())


def test_the_order_of_coarse_tokens_and_text_does_not_matter():
    spec, inputs, parameters = given("scale_dit_hierarchical_local_attention")
    other = {name: inputs[name].flip(2) for name in ("kl", "vl", "kt", "vt")} | {"low": inputs["low"].flip(0)}
    near(spec(**inputs | other, **parameters), spec(**inputs, **parameters))


def test_a_gate_of_ones_leaves_the_map():
    spec, inputs, parameters = given("maxim_multi_axis_gmlp_cross_gating:cross_gating")
    plain = {name: torch.zeros_like(inputs[name]) for name in ("near", "far")}
    plain |= {name: torch.ones_like(inputs[name]) for name in ("at_place", "at_cell")}
    near(spec(**inputs | plain, **parameters), inputs["x"].flatten(2))


def test_a_gate_of_three_axes_is_between_0_and_1():
    spec, inputs, parameters = given("3_d_attention_gate_in_a_spatio_temporal")
    found = spec(**inputs, **parameters)
    assert 0 < found.gate.min() < found.gate.max() < 1
    closed = spec(**inputs | {"c": torch.tensor(-1e3, dtype=torch.float64)}, **parameters)
    assert (closed.out == 0).all()


def test_places_without_a_body_give_nothing():
    spec, inputs, parameters = given("coordformer_coordinate_aware_body_centre")
    heat = inputs["heat"].unflatten(1, (parameters["frames"], parameters["places"])).clone()
    heat[:, :, 0] = 0
    out = spec(**inputs | {"heat": heat.flatten(1, 2)}, **parameters)
    out = out.unflatten(2, (parameters["frames"], parameters["places"]))
    assert (out[:, :, :, 0] == 0).all() and (out[:, :, :, 1:].abs().amax(-1) > 0).all()
