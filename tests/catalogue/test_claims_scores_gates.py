"""What rows with unusual scores, gates, pointers, prompts and memories claim besides their numbers."""

import pytest
import torch

import attnc

from .dense import scores_gates, scores_gates_2, scores_gates_3  # noqa: F401
from .parts import attention, causal, rotate, scores
from .rows import rows


def given(name, seed=0, **sizes):
    """The spec of a row and what it is called with."""
    row = rows()[name]
    spec = row.load()
    return spec, row.draw(spec, seed=seed, learns=False, **sizes), dict(row.parameters)


def near(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_pointers_sum_to_one_within_the_length():
    spec, inputs, _ = given("pointer_network")
    inputs["length"] = torch.tensor([0, 7])
    p = spec(**inputs)
    near(p.sum(-1), torch.stack((torch.zeros(13), torch.ones(13))).double())
    assert (p[1, :, 7:] == 0).all() and (p[1, :, :7] > 0).all()


def test_sigmoids_start_as_nearly_a_mean():
    """Scores of 0 give N weights of 1 / (N + 1) each."""
    spec, inputs, _ = given("sigmoid_attention_flashsigmoid")
    inputs["q"] = torch.zeros_like(inputs["q"])
    v = inputs["v"].repeat_interleave(2, 1)
    near(spec(**inputs), (v.sum(2, keepdim=True) / 20).expand(-1, -1, 13, -1))


def test_without_a_phase_amplitudes_are_scores():
    spec, inputs, parameters = given("tapa")
    q, k, v = inputs["q"], inputs["k"].clone(), inputs["v"]
    k[..., 3:] = 0
    near(spec(q, k, v, **parameters), attention(q[..., :3], k[..., :3], v, causal(19)))


def test_phases_of_one_position_do_not_matter_to_itself():
    """A power of the distance 0 is 0: with one position seen, the score is the amplitude."""
    spec, inputs, parameters = given("tapa", N=1)
    near(spec(**inputs, **parameters), inputs["v"].repeat_interleave(2, 1))


def test_factors_of_weights_are_logarithms_added_to_scores():
    added, inputs, parameters = given("roap_ro_rpb_tt_prior:additive")
    factors, _, _ = given("roap_ro_rpb_tt_prior:multiplicative")
    gamma = torch.tensor(0.7, dtype=torch.float64)
    wanted = factors(**inputs | {"gamma": gamma}, **parameters)
    near(added(**inputs | {"gamma": torch.log1p(gamma)}, **parameters), wanted)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("tempofit_temporal_kv_memory_with_fgtb", {"eta": 0.0}),
        ("adaptive_attention_highlighting", {"gamma": 0.0}),
        ("dreammatcher_appearance_matching_self_at", {"foreground": False}),
        ("latte_flow_timestep_conditioned_residual", {"w": 0}),
    ],
)
def test_switched_off_it_is_plain_attention(name, changed):
    spec, inputs, parameters = given(name)
    wanted = attention(inputs["q"], inputs["k"], inputs["v"])
    assert not torch.allclose(first(spec(**inputs, **parameters)), wanted, atol=1e-3)
    for label, value in changed.items():
        if label in parameters:
            parameters[label] = value
        else:
            inputs[label] = torch.full_like(inputs[label], value)
    near(first(spec(**inputs, **parameters)), wanted)


def first(found):
    return found[0] if isinstance(found, tuple) else found


def test_without_matches_nothing_is_grafted():
    spec, inputs, _ = given("freegraftor_position_constrained_attenti")
    q, k, v = inputs["q"], inputs["k"], inputs["v"]
    n = torch.arange(q.shape[2])
    wanted = attention(rotate(q, n), rotate(k, n), v)
    near(spec(**inputs, threshold=1.1), wanted)
    assert not torch.allclose(spec(**inputs), wanted, atol=1e-3)


def test_coverage_is_a_penalty():
    spec, inputs, _ = given("gnmt_attention_coverage_penalty")
    near(spec(**inputs, alpha=0.0, beta=0.0).rank_score, inputs["log_p"])
    assert (spec(**inputs, alpha=0.0, beta=0.2).rank_score < inputs["log_p"]).all()


def test_equal_shares_over_time_have_no_penalty():
    """As many steps as places, with equal weights: each place receives 1."""
    spec, inputs, parameters = given("show_attend_tell_soft_hard_attention", M=19)
    inputs["w"] = torch.zeros_like(inputs["w"])
    near(spec(**inputs, **parameters).regularizer, torch.zeros(2, dtype=torch.float64))


def test_places_are_drawn_as_often_as_they_weigh():
    spec, inputs, _ = given("show_attend_tell_soft_hard_attention", B=1, M=1, N=5)
    tries = 2000
    inputs |= {"state": inputs["state"].expand(1, tries, -1), "u": (torch.arange(tries).double()[None] + 0.5) / tries}
    p = weights_of_places(inputs)
    found = spec(**inputs).hard[0]
    often = torch.stack([(found == place).all(-1).double().mean() for place in inputs["a"][0]])
    torch.testing.assert_close(often, p, rtol=0, atol=1.5 / tries)


def weights_of_places(inputs):
    hidden = torch.tanh(inputs["state"][0, 0] @ inputs["ws"].T + inputs["a"][0] @ inputs["wa"].T)
    return (hidden @ inputs["w"]).softmax(-1)


def test_probabilities_of_all_sentences_sum_to_one():
    """Sentences of one word: what the clusters are summed out of is a distribution over words."""
    spec, inputs, _ = given("ddla_latent_alignment_over_difference_cl", M=1)
    inputs["sentence"] = torch.zeros_like(inputs["sentence"])
    words = [torch.full_like(inputs["word"], n) for n in range(11)]
    total = sum(spec(**inputs | {"word": word}, sentences=1).exp() for word in words)
    near(total, torch.ones(2, dtype=torch.float64))


def test_probabilities_of_entities_sum_to_one():
    spec, inputs, _ = given("stanford_attentive_reader")
    found = spec(**inputs)
    occurs = inputs["occurs"][:, None].expand_as(found.log_p)
    near(torch.where(occurs, found.log_p.exp(), 0).sum(-1), torch.ones(2, 13, dtype=torch.float64))
    assert occurs.gather(-1, found.answer.long()[..., None]).all()


def test_debiased_tokens_that_are_kept():
    spec, inputs, parameters = given("attention_debiasing_for_vlm_token_prunin")
    found = spec(**inputs, **parameters)
    assert (found.kept.sum(1) == 3).all() and inputs["visual"][found.kept].all()
    assert (found.debiased[inputs["padding"] | ~inputs["visual"]] == 0).all()


def test_pooled_vectors_have_norm_one():
    spec, inputs, _ = given("lama")
    inputs["length"] = torch.tensor([0, 11])
    norms = spec(**inputs).out.norm(dim=-1)
    near(norms, torch.stack((torch.zeros(13), torch.ones(13))).double())


def test_softmax_saliency_is_shared_among_places():
    spec, inputs, _ = given("acat_soft_saliency_attention_masks")
    inputs["f"] = torch.ones_like(inputs["f"])
    near(spec(**inputs, residual=False).sum((1, 2)), torch.ones(2, 4, dtype=torch.float64))
    sigmoids = spec(**inputs, norm="sigmoid", residual=False)
    near(
        sigmoids + spec(**inputs | {"w": -inputs["w"], "bias": -inputs["bias"]}, norm="sigmoid", residual=False),
        torch.ones_like(sigmoids),
    )


def test_prompts_of_other_roles_do_not_matter():
    spec, inputs, parameters = given("tcpa")
    wanted, other = spec(**inputs, **parameters), inputs["prompt_role"] == 1
    changed = torch.where(other[:, None], inputs["vp"] + 5, inputs["vp"])
    found = spec(**inputs | {"vp": changed}, **parameters)
    for role in (0, 2):
        assert torch.equal(found[:, :, inputs["role"] == role], wanted[:, :, inputs["role"] == role])
    assert not torch.equal(found[:, :, inputs["role"] == 1], wanted[:, :, inputs["role"] == 1])


def test_sessions_do_not_see_one_another():
    spec, inputs, parameters = given("spar_poly_attention_with_sparse_session:sessions", B=1)
    wanted, own = spec(**inputs, **parameters), inputs["session"][0] == inputs["session"][0, 9]
    assert own.any() and not own.all()
    changed = torch.where(own[:, None], inputs["v"], inputs["v"] + 5)
    found = spec(**inputs | {"v": changed}, **parameters)
    assert torch.equal(found[:, :, own], wanted[:, :, own]) and not torch.equal(found, wanted)


# --- systems ----------------------------------------------------------------------------------------------------------


def test_gates_of_one_and_nothing_are_what_is_deployed():
    train, inputs, parameters = given("duoattention:calibration")
    deploy, _, _ = given("duoattention:deployment")
    inputs["gate"] = torch.tensor([1.0, 0, 0, 1], dtype=torch.float64)
    found = train(**inputs, **parameters)
    near(deploy(**inputs, sinks=2, window=4), found.out)
    near(train(**inputs | {"gate": torch.ones_like(inputs["gate"])}, **parameters).distance, torch.zeros(2).double())
    assert (found.distance > 0.01).all()


def test_a_streaming_head_needs_its_sinks_and_its_window_only():
    """One new query: what a cache without the keys between gives is what all keys give."""
    deploy, inputs, _ = given("duoattention:deployment", M=1)
    inputs["gate"] = torch.zeros_like(inputs["gate"])
    kept = torch.tensor([0, 1, 15, 16, 17, 18])
    cache = {name: inputs[name][:, :, kept].contiguous() for name in ("k", "v")}
    wanted = deploy(**inputs, sinks=2, window=4)
    near(deploy(**inputs | cache, sinks=2, window=4), wanted)
    assert not torch.allclose(deploy(**inputs, sinks=2, window=19), wanted, atol=1e-3)


def test_a_cache_in_parts_gives_what_it_gives_whole():
    deploy, inputs, _ = given("duoattention:deployment")
    q, k, v, gate = (inputs[name] for name in ("q", "k", "v", "gate"))
    parts = [
        deploy.partial(q, k[:, :, a:b], v[:, :, a:b], gate, sinks=2, window=4, first_key=a, all_keys=19)
        for a, b in ((0, 8), (8, 19))
    ]
    near(deploy.finish(deploy.merge(*parts)), deploy(**inputs, sinks=2, window=4))


def test_documents_in_one_sequence_are_documents_alone():
    """The composed mask keeps documents apart, and the log-sum-exp is of one document's keys."""
    spec, inputs, parameters = given("flexattention", B=1)
    inputs["doc"] = (torch.arange(19)[None] >= 8).long()
    whole = spec(**inputs, **parameters)
    for part in (slice(0, 8), slice(8, 19)):
        alone = {name: inputs[name][:, :, part].contiguous() for name in ("q", "k", "v")}
        found = spec(**alone, doc=inputs["doc"][:, part].contiguous(), **parameters)
        near(whole.out[:, :, part], found.out)
        near(whole.lse[:, :, part], found.lse)


def test_a_function_of_scores_and_its_log_sum_exp_in_parts():
    """What a user writes as a function of a pair is the bias it says, and pages of keys merge to the whole."""
    spec = attnc.loads("""
        define score_mod(score, head, distance) = score - 2.0 ** -(head + 1) * distance
        attention modified
        score  s = score_mod(q[i] @ k[j] / sqrt(D), h, i + N - M - j)
        mask   causal(i, j)
        output out, lse = logsumexp[j](s)
    """)
    _, inputs, _ = given("duoattention:deployment")
    q, k, v = inputs["q"], inputs["k"], inputs["v"]
    slope = torch.tensor([2.0 ** -(h + 1) for h in range(4)]).double()[:, None, None]
    i, j = torch.arange(6, 19)[:, None], torch.arange(19)
    found = spec(q, k, v)
    near(found.out, attention(q, k, v, j <= i, -slope * (i - j)))
    s = scores(q, k) - slope * (i - j)
    near(found.lse, s.masked_fill(j > i, -torch.inf).logsumexp(-1))
    pages = [spec.partial(q, k[:, :, a:b], v[:, :, a:b], first_key=a, all_keys=19) for a, b in ((0, 5), (5, 19))]
    merged = spec.finish(spec.merge(*pages))
    near(merged.out, found.out)
    near(merged.lse, found.lse)
