"""What rows of several stages, and systems that split attention, claim besides their formula."""

import pytest
import torch

import attnc

from .parts import attention as dense_attention
from .rows import rows


def prepared(name, **sizes):
    """A row's spec, inputs for it by name, and its parameters."""
    row = rows()[name]
    spec = row.load()
    return spec, row.draw(spec, **sizes), row.given(spec)


def near(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def weights_of(spec, given, parameters):
    """What each value counts: the results for values that are the rows of a unit matrix."""
    B, G, N, _ = given["v"].shape
    given = given | {"v": torch.eye(N, dtype=torch.float64).expand(B, G, N, N)}
    return spec(**given, **parameters)


# --- what splits attention -------------------------------------------------------------------------------------------


def test_tree_attention_is_the_derivative_of_an_energy():
    energy, given, parameters = prepared("tree_attention:energy")
    z = torch.zeros_like(given.pop("z")).requires_grad_()
    (found,) = torch.autograd.grad(energy(**given, z=z, **parameters).sum(), z)
    near(found, rows()["tree_attention:decode"].load()(**given, **parameters))


def test_tree_attention_merges_shards_in_a_tree():
    decode, given, _ = prepared("tree_attention:decode", M=2, N=24)
    q, k, v = given.values()
    parts = [decode.partial(q, k[:, :, n : n + 6], v[:, :, n : n + 6], first_key=n, offset=20) for n in range(0, 24, 6)]
    while len(parts) > 1:
        parts = [decode.merge(*pair, offset=20) for pair in zip(parts[::2], parts[1::2])]
    near(decode.finish(parts[0], offset=20), decode(q, k, v, offset=20))


def test_shards_of_heads_and_keys_are_the_whole():
    spec, given, _ = prepared("distributed_multi_head_attention_for_mil")
    q, k, v = given.values()
    groups = []
    for g in range(2):
        own, key, value = q[:, 2 * g : 2 * g + 2], k[:, g : g + 1], v[:, g : g + 1]
        parts = [spec.partial(own, key[:, :, n], value[:, :, n]) for n in (slice(0, 7), slice(7, None))]
        groups.append(spec.finish(spec.merge(*parts)))
    found, wanted = [torch.cat(x, 1) for x in zip(*groups)], spec(q, k, v)
    near(found[0], wanted.out)
    near(found[1], wanted.lse)


@pytest.mark.parametrize("pattern", ["causal", "full", "window", "document", "blocks"])
def test_ring_of_steps_is_one_call(pattern):
    step, given, _ = prepared("long_context_attention_benchmark:step", M=24, N=24)
    merge = rows()["long_context_attention_benchmark:merge"].load()
    given = given | {"key_doc": given["doc"]}
    masked = {"pattern": pattern, "window": 5}
    wanted = step(**given, **masked)
    for rank in range(3):
        own = slice(8 * rank, 8 * rank + 8)
        steps = []
        for other in range(3):
            there = slice(8 * other, 8 * other + 8)
            held = {"k": given["k"][:, :, there], "v": given["v"][:, :, there], "key_doc": given["doc"][:, there]}
            held |= {"q": given["q"][:, :, own], "doc": given["doc"][:, own]}
            steps.append(step(**held, **masked, row=8 * rank, key=8 * other))
        found = merge(torch.stack([x.out for x in steps], 2), torch.stack([x.lse for x in steps], 2))
        near(found.out, wanted.out[:, :, own])
        near(found.total, wanted.lse[:, :, own])


def test_tasks_of_servers_are_causal_attention_to_documents():
    server, given, _ = prepared("cad_distca", M=21, N=21)
    doc = torch.tensor([0] * 5 + [1] * 9 + [2] * 7).expand(2, -1)
    pos = torch.cat([torch.arange(n) for n in (5, 9, 7)]).expand(2, -1)
    q, k, v = (given[name] for name in "qkv")
    wanted = attnc.loads("attention packed input doc[B, N]: int axis i, j: N mask j <= i and doc[i] == doc[j]")
    found = torch.zeros_like(q[..., : v.shape[-1]])
    for mine in torch.randperm(21, generator=torch.Generator().manual_seed(2)).split(8):
        found[:, :, mine] = server(q[:, :, mine], k, v, doc[:, mine], pos[:, mine], doc, pos).out
    near(found, wanted(q, k, v, doc))


def test_importance_spans_its_range():
    spec, given, parameters = prepared("rsq_attention_concentration:importance")
    r = spec(**given, **parameters)
    near(r.amin(1), torch.full((2,), parameters["low"], dtype=torch.float64))
    near(r.amax(1), torch.ones(2, dtype=torch.float64))


def test_hessian_is_symmetric_and_positive():
    spec, given, _ = prepared("rsq_attention_concentration:hessian")
    x, r = given["x"], given["r"]
    found = spec(x, x.mT, r)
    near(found, found.mT)
    assert (torch.linalg.eigvalsh(found) > 0).all()


@pytest.mark.parametrize("causal", [False, True])
def test_neighbourhoods_have_one_size(causal):
    spec, given, _ = prepared("faster_neighborhood_attention:line")
    p = weights_of(spec, given, {"window": 5, "step": 2, "causal": causal})
    near(p.sum(-1), torch.ones_like(p[..., 0]))
    reached = torch.arange(23) // 2 + 1 if causal else torch.full((23,), 5)
    assert torch.equal((p > 0).sum(-1), reached.clamp(max=5).expand(2, 4, 23))


# --- stages ----------------------------------------------------------------------------------------------------------


def test_mixture_without_a_head_weighs_heads():
    spec, given, _ = prepared("mae")
    found = spec(**given)
    heads = dense_attention(*(given[name] for name in "qkv"))
    share = (1 - found.g) * 4 / 3
    near(share.sum(-1), torch.full((2,), 4.0, dtype=torch.float64))
    near(found.out, torch.einsum("bh,hce,bhie->bic", share, given["wo"], heads))


def test_relevance_sums_to_one():
    spec, given, parameters = prepared("str_score")
    for found in spec(**given, **parameters):
        near(found.sum(-1), torch.ones_like(found[..., 0]))


def test_views_of_equal_features_are_those_features():
    spec, given, _ = prepared("grf_attsets_view_aggregation")
    x = given["x"]
    near(spec(x[:, :, :1].expand_as(x), given["w"]), x[:, :, 0])
    near(spec(x, torch.zeros_like(given["w"])), x.mean(2))


def test_copy_without_a_projection_is_the_frozen_block():
    spec, given, _ = prepared("s2e_residual_attention_module")
    given["z"] = torch.zeros_like(given["z"]).requires_grad_()
    q, k, v = (torch.einsum("hdc,bnc->bhnd", given["f" + n], given["x" if n == "q" else "y"]) for n in "qkv")
    found = spec(**given)
    near(found, dense_attention(q, k, v))
    of = torch.autograd.grad(found.square().sum(), [given[name] for name in ("z", "wq", "wk", "wv", "fq", "fk", "fv")])
    assert of[0].abs().min() > 0 and all((g == 0).all() for g in of[1:])


def test_closed_gate_leaves_timbre():
    spec, given, _ = prepared("stablevc_dual_attention_with_adaptive_ga")
    given["alpha"] = torch.zeros_like(given["alpha"])
    near(spec(**given), dense_attention(given["q"], given["kt"], given["vt"]))


def test_other_channels_bypass_the_head():
    spec, given, parameters = prepared("shvit_shsa")
    given["wo"] = torch.eye(11, dtype=torch.float64)
    norm = torch.nn.functional.layer_norm(given["x"], (11,), given["scale"], given["shift"], parameters["eps"])
    found = spec(**given, **parameters)
    near(found[..., 3:], norm[..., 3:])
    assert (found[..., :3] - norm[..., :3]).abs().min() > 0


def test_layers_without_positions_see_a_set():
    spec, given, parameters = prepared("rnope_swa_hybrid:full")
    order = torch.cat((torch.randperm(18, generator=torch.Generator().manual_seed(3)), torch.tensor([18])))
    moved = {name: x[:, :, order] for name, x in given.items()}
    near(spec(**moved, **parameters)[:, :, -1], spec(**given, **parameters)[:, :, -1])


def test_rotary_layers_see_distances_only():
    spec, given, parameters = prepared("rnope_swa_hybrid:local")
    moved = {name: torch.cat((torch.zeros_like(x[:, :, :6]), x), 2) for name, x in given.items()}
    near(spec(**moved, **parameters)[:, :, 9:], spec(**given, **parameters)[:, :, 3:])


def test_skimming_mixes_text_linearly():
    spec, given, _ = prepared("skim_attention:skim")
    other = given | {"t": given["t"].detach().flip(1)}
    both = given | {"t": given["t"] - 3 * other["t"]}
    near(spec(**both), spec(**given) - 3 * spec(**other))


def test_selectors_do_not_move_patches():
    spec, given, _ = prepared("multi_lane_patch_selectors")
    x, t = torch.autograd.grad(spec(**given).square().sum(), (given["x"], given["t"]))
    assert (x == 0).all() and t.abs().min() > 0


def test_pointer_is_a_distribution_over_objects():
    spec, given, parameters = prepared("oat_object_level_attention")
    p = spec(**given, **parameters)
    near(p.sum(-1), torch.ones_like(p[..., 0]))
    assert torch.equal(p > 0, given["valid"][:, None].expand_as(p))


def test_learned_shares_begin_at_the_map_itself():
    for name, share in (("position", "beta"), ("channel", "gamma")):
        spec, given, _ = prepared(f"multi_scale_self_guided_attention:{name}")
        assert torch.equal(spec(**given | {share: torch.zeros_like(given[share])}), given["x"])


def test_paddings_do_not_matter():
    spec, given, _ = prepared("bert4rec_bidirectional_self_attention")
    changed = dict(given)
    for name in "kv":
        changed[name] = torch.where(given["valid"][:, None, :, None], given[name], given[name] + 5)
    assert torch.equal(spec(**changed), spec(**given))


# --- images ----------------------------------------------------------------------------------------------------------


def test_equal_images_have_no_flow():
    spec, given, parameters = prepared("unimatch_cross_attention_matching:flow", D=40)
    f = 9 * torch.nn.functional.normalize(given["f"], dim=-1)
    found = spec(f, f * 9, **parameters)
    assert max(x.abs().max() for x in found) < 1e-2


def test_disparity_reaches_to_the_left_only():
    spec, given, parameters = prepared("unimatch_cross_attention_matching:stereo")
    found = spec(**given, **parameters).unflatten(1, (5, 7))
    assert (found >= -1e-12).all() and (found <= torch.arange(7)).all() and (found[..., 1:] > 0).all()


def test_summaries_of_single_pixels_are_attention_to_pixels():
    spec, given, parameters = prepared("twins_svt_lsa_gsa:summaries", window=1)
    x = given["x"] @ given["w"][0, 0].mT
    k, v = (torch.einsum("hdc,bnc->bhnd", given[name], x) for name in ("wk", "wv"))
    near(spec(**given, **parameters | {"window": 1}), dense_attention(given["q"], k, v))


def test_one_shift_for_queries_and_keys_turns_the_image():
    spec, given, parameters = prepared("tic_msa_conv", stride=1)
    parameters = parameters | {"stride": 1}
    shift = torch.tensor([2, 5]).expand(4, 2).contiguous()
    moved = {
        name: x.unflatten(2, (7, 9)).roll((2, 5), (2, 3)).flatten(2, 3) for name, x in given.items() if name in "kv"
    }
    none = torch.zeros_like(shift)
    near(spec(**given | {"shift": shift}, **parameters), spec(**given | moved | {"shift": none}, **parameters))
