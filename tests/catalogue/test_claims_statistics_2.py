"""What rows claim that select, sort and stop by their weights, besides their formula."""

import itertools

import torch

from .parts import attention, causal, heads, rotate
from .test_claims_statistics import given, near


def test_every_frequency_kept_is_rotary_attention():
    spec, inputs, _ = given("dope")
    n = torch.arange(inputs["q"].shape[2])
    rotated = attention(rotate(inputs["q"], n), rotate(inputs["k"], n), inputs["v"], causal(len(n)))
    for rest in ("plain", "noise", "zero"):
        near(spec(**inputs, tau=0.0, rest=rest).out, rotated)


def test_no_frequency_kept_is_attention_without_positions():
    spec, inputs, _ = given("dope")
    seen = causal(inputs["q"].shape[2])
    near(spec(**inputs, tau=0.7).out, attention(inputs["q"], inputs["k"], inputs["v"], seen))
    mean = heads(inputs["v"], 4).cumsum(2) / seen.sum(-1, keepdim=True)
    near(spec(**inputs, tau=0.7, rest="zero").out, mean)
    near(spec(**inputs, tau=0.7, rest="noise", sigma=0.0).out, mean)
    assert (spec(**inputs, tau=0.7, rest="noise").out - mean).abs().max() > 0.1


def test_truncated_entropy_keeps_less():
    """The larger share alone has less entropy than both."""
    spec, inputs, _ = given("dope")
    both, one = (spec(**inputs, both=both, tau=0.3).keep for both in (True, False))
    assert (one <= both).all() and one.sum() < both.sum()


def test_documents_do_not_see_one_another():
    spec, inputs, parameters = given("blockrank")
    block, v = inputs["block"], inputs["v"].clone().requires_grad_()
    out = spec(**inputs | {"v": v}, **parameters).out
    (gradient,) = torch.autograd.grad(out[0, :, block[0] == 2].sum(), v)
    touched = (gradient[0].abs().amax(-1) > 0).any(0)
    assert torch.equal(touched, (torch.arange(len(touched)) < 7) & ((block[0] == 0) | (block[0] == 2)))


def test_all_pieces_kept_leave_the_mask_alone():
    spec, inputs, parameters = given("parallel_context_encoding_sinks_selectiv")
    out, entropy = spec(**inputs, **parameters | {"keep": 3})
    piece, place = inputs["piece"], inputs["place"][:, None]
    query = piece[0] == 4
    q, k = rotate(inputs["q"], place), rotate(inputs["k"], place)
    whole = attention(q, k, inputs["v"], causal(len(piece[0])))
    near(out[0, :, query], whole[0, :, query])
    seen = torch.arange(1, len(query) + 1).log().to(entropy)
    assert (entropy <= seen + 1e-9).all()


def test_pieces_are_encoded_alone():
    """A piece behind the sink has the results that it has with no other piece beside it."""
    spec, inputs, parameters = given("parallel_context_encoding_sinks_selectiv")
    out = spec(**inputs, **parameters).out
    own = ((inputs["piece"] == 0) | (inputs["piece"] == 3))[0]
    q, k = (rotate(inputs[name][:1, :, own], inputs["place"][:1, own][:, None]) for name in "qk")
    near(out[:1, :, own], attention(q, k, inputs["v"][:1, :, own], causal(int(own.sum()))))


def test_rounds_choose_one_feature_each():
    spec, inputs, _ = given("sequential_attention", M=7)
    _, a, taken = spec(**inputs)
    near(taken.sum(-1), torch.arange(1.0, 8).to(taken).expand(len(taken), 7))
    before = torch.cat((torch.zeros_like(taken[:, :1]), taken[:, :-1]), 1)
    assert (taken >= before).all() and (a[before == 1] == 1).all()
    near((a * (1 - before)).sum(-1), torch.ones_like(a[..., 0]))


def test_longer_tails_stop_earlier():
    """AlignAtt emits less, EDAtt sees more mass, the more last frames count."""
    spec, inputs, parameters = given("alignatt")
    emitted = [spec(**inputs, **parameters | {"last": last}).emit for last in range(20)]
    assert emitted[0].all() and not emitted[19].any()
    assert all((later <= earlier).all() for earlier, later in itertools.pairwise(emitted))
    spec, inputs, _ = given("edatt")
    masses = [spec(**inputs, last=last).mass for last in range(20)]
    near(masses[0], torch.zeros_like(masses[0]))
    near(masses[19], torch.ones_like(masses[0]))
    assert all((later >= earlier - 1e-12).all() for earlier, later in itertools.pairwise(masses))


def test_sorted_documents_stay():
    """Most attended last; numbered anew by their places, they are in order and sorting again moves none."""
    spec, inputs, parameters = given("attention_sorting")
    mass, place = spec(**inputs, **parameters)
    again, same = spec(**inputs | {"doc": place.gather(-1, inputs["doc"])}, **parameters)
    near(again, mass.sort(-1).values)
    assert torch.equal(same.long(), torch.arange(4).expand_as(same))


def test_most_relevant_items_go_to_favoured_slots():
    spec, inputs, parameters = given("attnrank")
    mass, item = spec(**inputs, **parameters)
    relevance = inputs["relevance"].gather(-1, item.long()).gather(-1, mass.argsort(-1, descending=True))
    near(relevance, inputs["relevance"].sort(-1, descending=True).values)


def test_chunks_of_keys_put_together_are_the_whole():
    """Chunks of the root of the keys' number, merged one after another: results and gradients."""
    spec, inputs, _ = given("memory_efficient_attention", M=16, N=25)
    q, k, v = (inputs[name].clone().requires_grad_() for name in "qkv")
    state = None
    for first in range(0, 25, 5):
        part = slice(first, first + 5)
        own = spec.partial(q, k[:, :, part], v[:, :, part], first_key=first, all_keys=25)
        state = own if state is None else spec.merge(state, own)
    found, whole = spec.finish(state), spec(q, k, v)
    near(found.out, whole.out)
    near(found.lse, whole.lse)
    for one, other in zip(
        torch.autograd.grad(found.out.sin().sum(), (q, k, v)), torch.autograd.grad(whole.out.sin().sum(), (q, k, v))
    ):
        near(one, other)
