"""What rows claim whose weights are read out, besides their formula."""

import itertools
import math

import pytest
import torch

from .parts import attention, causal, heads, scores
from .rows import rows


def given(name, **sizes):
    """The compiled spec, its inputs without gradients, and the parameters that its dense computation is given."""
    row = rows()[name]
    spec = row.load()
    return spec, row.draw(spec, learns=False, **sizes), dict(row.parameters)


def near(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


# --- results that are read from weights -------------------------------------------------------------------------------


def test_one_code_makes_a_candidate_linear():
    spec, inputs, _ = given("poly_encoder", M=1)
    near(spec(**inputs | {"candidate": 3 * inputs["candidate"]}), 3 * spec(**inputs))


def test_several_codes_do_not():
    spec, inputs, _ = given("poly_encoder")
    assert (spec(**inputs | {"candidate": 3 * inputs["candidate"]}) - 3 * spec(**inputs)).abs().max() > 0.1


def test_probabilities_of_all_words_sum_to_one():
    spec, inputs, _ = given("attention_sum_reader")
    words = torch.arange(6).expand(len(inputs["q"]), 6)
    found = spec(**inputs | {"candidate": words}).found
    near(found.sum(-1), torch.ones(len(found), dtype=found.dtype))


def test_gate_is_what_background_leaves():
    spec, inputs, parameters = given("adversarial_attention_gate")
    out, y = spec(**inputs, **parameters)
    near(out, (1 - y[..., parameters["background"], None]) * inputs["x"])


def test_empty_substring_looks_everywhere():
    spec, inputs, _ = given("smtr_sub_string_encoder_and_matcher")
    out, p = spec(**inputs | {"length": torch.zeros_like(inputs["length"])})
    near(p, torch.full_like(p, 1 / p.shape[-1]))
    near(out, heads(inputs["image_v"], 4).mean(2, keepdim=True).expand_as(out))


def test_logsumexp_lies_between_largest_score_and_its_bound():
    spec, inputs, _ = given("dsd_cross_attention_score_with_logsumexp")
    inputs["bias"] = torch.zeros_like(inputs["bias"])
    s = scores(inputs["q"], inputs["k"]).flatten(2)
    top = s.amax(-1).mean(1)
    for lam in (1.0, 50.0):
        found = spec(**inputs, lam=lam)
        assert (found >= top).all() and (found <= top + math.log(s.shape[-1]) / lam).all()


def test_walk_between_permuted_frames_finds_every_point():
    """Sharp weights follow permutations exactly: the track is the permuted place, and the cycle comes home."""
    spec, inputs, parameters = given("gmrw")
    first = torch.eye(11, dtype=torch.float64)[:, :8].repeat(2, 1, 1)
    first[:, 8:] = -first[:, :3]
    orders = [torch.arange(11)] + [torch.randperm(11, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    inputs["f"] = torch.stack([first[:, order] for order in orders], 2)
    there, back = spec(**inputs, **parameters | {"tau": 0.005})
    near(there, inputs["place"][orders[-1].argsort()].expand_as(there))
    near(back, inputs["place"].expand_as(back))


def test_walk_keeps_mass():
    spec, inputs, parameters = given("gmrw")
    for found in spec(**inputs | {"place": torch.ones_like(inputs["place"])}, **parameters):
        near(found, torch.ones_like(found))


def test_views_do_not_depend_on_order_of_passages():
    spec, inputs, _ = given("mvp_multi_view_anchor_reranking")
    order = torch.arange(inputs["x"].shape[2]).flip(0)
    relevance, loss = spec(**inputs)
    again, same = spec(**inputs | {"x": inputs["x"][:, :, order]})
    near(again, relevance[:, order])
    near(same, loss)


# --- contrasts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["avc", "damro"])
def test_without_contrast_plain_attention_is_left(name):
    spec, inputs, parameters = given(name)
    found = spec(**inputs, **parameters | {"alpha": 0.0}).out
    near(found, attention(inputs["q"][:, :, None], inputs["k"], inputs["v"])[:, :, 0])


def test_whole_share_keeps_all_tokens():
    spec, inputs, parameters = given("carve")
    found = spec(**inputs, **parameters | {"share": 1.01})
    assert found.kept.all()
    near(found.out, attention(inputs["q"][:, :, None], inputs["k"], inputs["v"])[:, :, 0])


def test_a_question_without_content_cancels_itself():
    spec, inputs, parameters = given("icr", P=5)
    found = spec(**inputs | {"empty": inputs["q"], "own_empty": inputs["own"]}, **parameters)
    near(found, torch.zeros_like(found))
    assert spec(**inputs, **parameters).abs().max() > 0.01


def test_only_half_of_heads_are_amplified():
    spec, inputs, _ = given("vhd_vhr")
    plain, divergence = spec(**inputs, alpha=1.0)
    moved = ((spec(**inputs, alpha=2.0).out - plain).abs() > 1e-6).all(-1)
    assert (moved.sum(-1) == 2).all()
    assert (divergence.masked_fill(~moved, torch.inf).amin(-1) > divergence.masked_fill(moved, 0).amax(-1)).all()


def test_no_image_no_divergence():
    spec, inputs, _ = given("vhd_vhr")
    divergence = spec(**inputs | {"image": torch.zeros_like(inputs["image"])}).divergence
    near(divergence, torch.zeros_like(divergence))


# --- steering ---------------------------------------------------------------------------------------------------------


def test_descent_in_the_latent_lowers_the_energy():
    spec, inputs, _ = given("controlmllm_attention_energy_steering")
    latent = torch.zeros_like(inputs["latent"])
    energies = []
    for _ in range(5):
        latent.requires_grad_()
        energy = spec(**inputs | {"latent": latent}).sum()
        (gradient,) = torch.autograd.grad(energy, latent)
        assert (gradient[~inputs["image"]] == 0).all()
        energies.append(float(energy.detach()))
        latent = (latent - 0.5 * gradient).detach()
    assert all(later < earlier for earlier, later in itertools.pairwise(energies))


def test_gains_of_one_change_nothing():
    spec, inputs, _ = given("dpl")
    found = spec(**inputs | {"gain": torch.ones_like(inputs["gain"])}).out
    near(found, attention(inputs["q"], inputs["k"], inputs["v"]))


def test_own_weights_injected_change_nothing():
    spec, inputs, _ = given("primecomposer_attention_steering:injected")
    inputs["given"] = scores(inputs["q"], inputs["k"]).softmax(-1)
    near(spec(**inputs), attention(inputs["q"], inputs["k"], inputs["v"]))


def test_subject_words_are_not_seen_outside_their_region():
    spec, inputs, _ = given("primecomposer_attention_steering:confined")
    other = torch.where(inputs["subject"][:, None, :, None], inputs["v"] + 1, inputs["v"])
    moved = ((spec(**inputs) - spec(**inputs | {"v": other})).abs() > 1e-9).any(-1).any(1)
    assert torch.equal(moved, inputs["region"] & inputs["subject"].any(-1, keepdim=True))


def test_tokens_masked_by_the_first_pass_have_no_influence():
    spec, inputs, _ = given("inherently_faithful_two_stage_masked_vit")
    out, keep = spec(**inputs)
    dropped = (keep == 0)[:, None, :, None]
    assert dropped.any()
    moved = inputs | {name: torch.where(dropped, inputs[name] + 1, inputs[name]) for name in "kv"}
    near(spec(**moved).out, out)


def test_features_and_costs_share_their_weights():
    spec, inputs, _ = given("ufc_integrative_self_cross_attention:integrative", R=7, F=6)
    inputs |= {"cost": inputs["x"], "wc": inputs["wv"]}
    features, costs = spec(**inputs)
    near(features, costs)


def test_learners_without_change_repeat_the_attention():
    """Only image tokens, no residual and an even router: the attention and half of it."""
    spec, inputs, _ = given("wings_lorra")
    still = {name: torch.zeros_like(inputs[name]) for name in ("qu", "ku", "vu", "wo")}
    found = spec(**inputs | still | {"image": torch.ones_like(inputs["image"])})
    near(found, 1.5 * attention(inputs["q"], inputs["k"], inputs["v"], causal(inputs["q"].shape[2])))
