"""What mechanisms of unlike sequences claim: limits in which they are plain attention, tokens that do not matter."""

import re

import pytest
import torch

import attnc

from .claims import differ, drawn, near
from .rows import FOLDER

CAUSAL = attnc.loads("attention causal axis i, j: N mask j <= i")


def load(id, attention=None):
    found = attnc.load(FOLDER / f"{id}.attn")
    return found if attention is None else found[attention]


# --- limits -----------------------------------------------------------------------------------------------------------


def test_shared_keys_are_one_group():
    spec, given, _ = drawn("mqa")
    q, k, v = given["q"], given["k"], given["v"]
    near(spec(q, k, v), CAUSAL(q, k[:, None], v[:, None]))


def test_temperature_1_is_plain_and_large_ones_take_the_best_key():
    spec, given, _ = drawn("nope_with_per_head_temperature")
    q, k, v = given["q"], given["k"], given["v"]
    near(spec(q, k, v, torch.ones_like(given["tau"])), CAUSAL(q, k, v))
    key, value = (x.repeat_interleave(2, 1) for x in (k, v))
    s = (q @ key.mT).masked_fill(~torch.ones(19, 19, dtype=torch.bool).tril(), -torch.inf)
    best = value.gather(2, s.argmax(-1)[..., None].expand(-1, -1, -1, value.shape[-1]))
    near(spec(q, k, v, torch.full_like(given["tau"], 1e6)), best)


def test_blocks_of_one_layer_are_all_layers():
    block, given, parameters = drawn("attnres_block_attnres:block_attnres")
    full = load("attnres_block_attnres", "attnres")
    layers = parameters["layers"]
    near(block(**given, layers=layers, block=1), full(**given, layers=layers))
    differ(block(**given, layers=layers, block=3), full(**given, layers=layers))


def test_one_block_is_the_residual_sum():
    block, given, parameters = drawn("attnres_block_attnres:block_attnres")
    x, layers = given["x"], parameters["layers"]
    near(block(**given, layers=layers, block=layers), x.cumsum(1) - x)


def test_equal_runs_predict_what_one_does():
    spec, given, _ = drawn("attention_buckets:mixture")
    logits = given["logits"][:, :1].expand(-1, 4, -1, -1)
    near(spec(logits), logits[:, 0].softmax(-1))


def test_a_sure_router_leaves_one_expert():
    spec, given, parameters = drawn("bam_soft_mixture_of_attention:experts")
    given["x"][..., 0] = 1.0
    given["router"].zero_()[1, 0] = 60.0
    alone = {name: given[name][2:4] for name in ("wq", "wk", "wv", "wo")}
    alone |= {"x": given["x"], "router": given["router"][:1]}
    near(spec(**given, **parameters), spec(**alone, **parameters))


def test_a_closed_gate_leaves_causal_attention():
    spec, given, parameters = drawn("comemo")
    given["gate"].zero_()
    found = spec(**given, **parameters)
    given["mv"] = given["mv"] + 1.0
    near(spec(**given, **parameters), found)
    given["gate"] += 0.5
    differ(spec(**given, **parameters), found)


def test_super_attention_without_mixing_is_optimised():
    spec, given, _ = drawn("optimised_efficient_super_attention:super")
    given["a"] = torch.eye(len(given["a"]), dtype=torch.float64)
    plain = load("optimised_efficient_super_attention", "optimised")
    near(spec(**given), plain(given["x"], given["wq"], given["wk"]))


def test_without_properties_nothing_is_added():
    spec, given, _ = drawn("pkv_prefix_pkv_residual_attention:residual")
    found = spec(**given)
    none = spec(**(given | {"alpha": torch.zeros_like(given["alpha"])}))
    assert not given["present"][0].any()
    near(found[0], none[0])
    differ(found[1], none[1])


def test_heads_that_are_not_mixed():
    """Identities in the place of the shared matrices."""
    spec, given, _ = drawn("kha:linear")
    for name in ("tq", "tk", "tv"):
        given[name] = torch.eye(len(given[name]), dtype=torch.float64)
    near(spec(**given), CAUSAL(given["q"], given["k"], given["v"]))


@pytest.mark.parametrize("way", ["added", "multiplied"])
def test_only_embeddings_tell_heads_apart(way):
    spec, given, _ = drawn(f"mhe:{way}")
    found = spec(**given)
    differ(found[:, 1], found[:, 0])
    found = spec(**(given | {name: torch.zeros_like(given[name]) for name in ("eq", "ek", "ev")}))
    near(found, found[:, :1].expand_as(found))


def test_video_positions_of_text_are_rotary():
    spec, given, _ = drawn("vrope")
    plain = attnc.load(FOLDER.parent / "rotary.attn")
    near(spec(**given, frames=0, base=100.0), plain(**given, base=100.0))


def test_text_alone_is_causal():
    spec, given, _ = drawn("croc_mixed_mask")
    wanted = CAUSAL(given["q"], given["k"], given["v"])
    differ(spec(**given), wanted)
    near(spec(**(given | {"image": torch.full_like(given["image"], -1)})), wanted)


def test_only_images_see_what_follows():
    spec, given, _ = drawn("aki_modality_mutual_attention")
    given["sample"] = torch.zeros_like(given["sample"])
    found, wanted = spec(**given), CAUSAL(given["q"], given["k"], given["v"])
    visual = given["visual"][:, None, :, None]
    near(torch.where(visual, 0, found), torch.where(visual, 0, wanted))
    differ(torch.where(visual, found, 0), torch.where(visual, wanted, 0))


def test_one_block_holds_the_whole_document():
    spec, given, _ = drawn("smith_hierarchical_attention")
    plain = attnc.load(FOLDER.parent / "cross.attn")
    near(spec(**given, block=19).words, plain(given["q"], given["k"], given["v"]))


def test_a_narrow_window_parts_the_streams():
    """Times of audio are whole, those of motion lie between them."""
    spec, given, parameters = drawn("selective_joint_attention_with_localized")
    parameters |= {"ratio": 2.3, "window": 0.05}
    found = spec(**given, **parameters)
    given["motion_v"] = given["motion_v"] + 1.0
    changed = spec(**given, **parameters)
    near(changed.audio[:, :, 1:], found.audio[:, :, 1:])
    differ(changed.audio[:, :, 0], found.audio[:, :, 0])
    near(changed.motion[:, :, 1:], found.motion[:, :, 1:] + 1.0)


# --- what does not matter ---------------------------------------------------------------------------------------------


def test_only_relative_geometry_matters():
    """All cameras moved together, all image positions shifted."""
    spec, given, parameters = drawn("gta")
    given["inverse"] = torch.linalg.inv(given["pose"])
    found = spec(**given, **parameters)
    turned = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)).Q
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3, :3] = turned
    motion[:3, 3] = torch.tensor([0.5, -2.0, 1.0])
    moved = given | {"pose": given["pose"] @ motion, "x": given["x"] + 3.0, "y": given["y"] - 1.5}
    moved["inverse"] = torch.linalg.inv(moved["pose"])
    near(spec(**moved, **parameters), found)
    differ(spec(**(given | {"pose": moved["pose"]}), **parameters), found)


def test_heads_together_see_everything():
    spec, given, _ = drawn("s2_attention_dkernel")
    layout = {"block": 3, "local": 1, "stride": 4, "step": 1, "dense": 0}
    q, k, v = given["q"], given["k"], given["v"].requires_grad_()
    last = spec(q, k, v, **layout)[:, :, -1].sum(-1)

    def seen(heads):
        return torch.autograd.grad(last[:, heads].sum(), v, retain_graph=True)[0][0].abs().sum((0, 2)) > 0

    assert seen(slice(None)).all()
    assert not any(seen(slice(h, h + 1)).all() for h in range(4))


def test_runs_do_not_see_each_other():
    spec, given, parameters = drawn("attention_buckets:buckets")
    found = spec(**given, **parameters)
    given["k"][:, :, 7:14] += 1.0
    changed = spec(**given, **parameters)
    near(changed[:, :, :7], found[:, :, :7])
    near(changed[:, :, 14:], found[:, :, 14:])
    differ(changed[:, :, 7:14], found[:, :, 7:14])


def test_dragging_at_the_handle_copies_the_source():
    spec, given, parameters = drawn("lazydrag_correspondence_driven_attention")
    given["dragged"][:], given["distance"] = True, torch.zeros_like(given["distance"])
    found = spec(**given, **(parameters | {"strength": 1.0}))
    index = given["source"][:, None, :, None].expand_as(found)
    near(found, given["source_out"].gather(2, index))


def test_a_closed_span_is_behind_its_sentinels():
    spec, given, _ = drawn("sentinel_token_kv_compression")
    found = spec(**given)
    given["v"][:, :, 4] += 1.0
    changed = spec(**given)
    near(changed[:, :, 7:], found[:, :, 7:])
    differ(changed[:, :, 6], found[:, :, 6])


def test_the_order_of_passages_does_not_matter():
    spec, given, _ = drawn("set_encoder_inter_passage_attention", B=1)
    given["passage"] = torch.arange(4).repeat_interleave(torch.tensor([5, 3, 9, 2]))[None]
    given["interacts"] = torch.tensor([[n in (0, 5, 8, 17) for n in range(19)]])
    order = torch.cat((torch.arange(8, 17), torch.arange(5), torch.arange(17, 19), torch.arange(5, 8)))
    moved = {name: given[name][:, order] for name in ("x", "passage", "interacts")}
    near(spec(**(given | moved)), spec(**given)[:, :, order])


def test_a_word_is_not_seen_where_it_is_predicted():
    spec, given, _ = drawn("two_tower_cloze_masking")
    found = spec(**given)
    for x in given.values():
        x[:, :, 8] += 1.0
    changed = spec(**given)
    near(changed[:, :, 8], found[:, :, 8])
    differ(changed[:, :, 9], found[:, :, 9])


def test_early_layers_see_visual_tokens():
    spec, given, parameters = drawn("dyvte")
    q, k, v = given["q"], given["k"], given["v"]
    plain = CAUSAL(q, k, v)
    near(spec(**given, **(parameters | {"layer": 0})), plain)
    given["bias"] += 100.0
    differ(spec(**given, **(parameters | {"layer": 1})), plain)


# --- systems ----------------------------------------------------------------------------------------------------------


def left_out(spec, *tensors, **parameters):
    """Percent of tiles that are not visited, in the passes of forward and backward."""
    return [float(x) for x in re.findall(r"([\d.]+) % left out", spec.explain(*tensors, **parameters))]


def test_sharded_contexts_visit_fewer_tiles():
    spec = load("s2_attention_dkernel")
    tensors = [torch.randn(1, 4, 2048, 16) for _ in range(3)]
    layout = {"block": 256, "local": 1, "stride": 4}
    sparse, whole = left_out(spec, *tensors, **layout), left_out(spec, *tensors, **layout, dense=4)
    assert len(sparse) == len(whole) > 1
    assert all(a > b + 20 for a, b in zip(sparse, whole))


def test_pruned_heads_need_not_be_computed():
    spec, given, parameters = drawn("amp_head_pruning")
    found = spec(**given, **parameters)
    kept = found.matters[0].topk(parameters["keep"]).indices.sort().values
    key, value = (given[name].repeat_interleave(2, 1) for name in ("k", "v"))
    near(found.pruned[:, kept], CAUSAL(given["q"][:, kept], key[:, kept], value[:, kept]))
    assert found.pruned.abs().sum((0, 2, 3)).count_nonzero() == parameters["keep"] < 4


def test_a_frame_is_merged_with_the_map():
    track, given, _ = drawn("kv_tracker:track")
    scene, q = load("kv_tracker", "map"), given["q"]
    cached = scene.partial(q, given["k"], given["v"])
    own = scene.partial(q, given["frame_k"], given["frame_v"])
    near(scene.finish(scene.merge(cached, own)), track(**given))


ROTARY = attnc.load(FOLDER.parent / "rotary.attn")
STUDY = "controlled_study_of_long_context_extensi"


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("interpolation", {"factor": 1.0}),
        ("ntk", {"factor": 1.0}),
        ("self_extend", {"group": 1, "window": 5}),
        ("lm_infinite", {"reach": 19}),
        ("shifted", {"group": 38}),
    ],
)
def test_contexts_of_the_trained_length_are_as_before(name, parameters):
    spec, given, other = drawn(f"{STUDY}:{name}")
    wanted = ROTARY(**given, base=100.0)
    near(spec(**given, **parameters, base=100.0), wanted)
    differ(spec(**given, **other), wanted)


def test_ntk_keeps_the_fastest_and_interpolates_the_slowest_features():
    """Queries and keys of which one pair of features is not 0."""
    for pair, factor in ((0, 1.0), (3, 4.0)):
        _, given, _ = drawn(f"{STUDY}:ntk")
        for x in (given["q"], given["k"]):
            x[..., [d for d in range(8) if d % 4 != pair]] = 0.0
        found = load(STUDY, "ntk")(**given, factor=4.0, base=100.0)
        near(found, load(STUDY, "interpolation")(**given, factor=factor, base=100.0))


def test_only_sinks_and_the_window_matter():
    spec, given, _ = drawn(f"{STUDY}:lm_infinite")
    parameters = {"first": 2, "reach": 5, "base": 100.0}
    found = spec(**given, **parameters)
    given["v"][:, :, 2:10] += 1.0
    changed = spec(**given, **parameters)
    near(changed[:, :, 14:], found[:, :, 14:])
    differ(changed[:, :, 13], found[:, :, 13])
