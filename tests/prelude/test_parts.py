"""Parts of an attention's keys: their states merge to that of all, and few rows are shared among workers that way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attnc
from attnc.diagnostics import AttnError
from attnc.ir.roles import PARTS, ROWS
from attnc.runtime import parts

from ..corpus import attentions, draw

B, H, G, M, N, D = 2, 4, 2, 5, 40, 8
MERGED = {
    "softmax": "",
    "causal": "mask causal(i, j)",
    "window": "mask j <= i + size(j) - size(i) and i + size(j) - size(i) - j < 20",
    "plus one": "normalize p = softmax1[j](s)",
    "sigmoid": "normalize p = sigmoid(s)",
    "norm": "normalize p = pnorm[j](s, 3.0)",
    "signed": "normalize p = signed_softmax[j](s)",
    "statistics": "output out, lse = logsumexp[j](s), top = max[j](s)",
    "gate": "input gate[B, H, M] aggregate out[i] = gate[i] * sum[j](p * v[j])",
    "difference": "input k2[B, G, N, D] normalize p = softmax[j](s) - softmax[j](q[i] @ k2[j])",
}
REFUSED = {
    "standardize[j](s)": "needs another sum of all of them first",
    "sparsemax[j](s)": "needs all of them at once",
    "softmax[j](topk[j](s, 3) * s)": "needs all of them at once",
}


def numbers(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TENSORS = {
    "q": numbers(B, H, M, D, seed=0),
    **{name: numbers(B, G, N, D, seed=n) for n, name in enumerate(("k", "v", "k2"), 1)},
    "gate": numbers(B, H, M, seed=5),
}


def states(attention, cuts, tensors=TENSORS):
    card = attention.part("partial").card()
    found = []
    for low, high in zip((0, *cuts), (*cuts, N)):
        taken = [tensors[i.name][:, :, low:high] if "N" in i.sizes else tensors[i.name] for i in card.inputs]
        where = {"first_key": low, "all_keys": N}
        found.append(attention.partial(*taken, **{p.name: where[p.name] for p in card.parameters}))
    return found


def finished(attention, state, tensors=TENSORS):
    card, known = attention.part("finish").card(), {"D": D, "N": N}
    rest = {i.name: tensors[i.name] for i in card.inputs if i.name in tensors}
    return attention.finish(state, **rest, **{p.name: known[p.name] for p in card.parameters})


def whole(attention, tensors=TENSORS):
    return attention(*(tensors[item.name] for item in attention.card().inputs))


@pytest.mark.parametrize("name", MERGED)
@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, N), min_size=2, max_size=4).map(sorted))
def test_states_merge_in_any_order(name, cuts):
    """The results are those of all keys; grouping and order change nothing but rounding, nor does a part of no keys."""
    attention = attnc.loads(f"attention a {MERGED[name]}")
    found = states(attention, cuts)
    left, right, turned = found[0], found[-1], found[0]
    for state in found[1:]:
        left, turned = attention.merge(left, state), attention.merge(state, turned)
    for state in found[-2::-1]:
        right = attention.merge(state, right)
    for state in (left, right, turned):
        torch.testing.assert_close(finished(attention, state), whole(attention), rtol=1e-10, atol=1e-10)
    nothing = states(attention, [0])[0]
    torch.testing.assert_close(attention.merge(left, nothing), left, rtol=1e-12, atol=0)
    torch.testing.assert_close(attention.merge(nothing, left), left, rtol=1e-12, atol=0)


def test_positions_must_be_said():
    """Where a spec reads positions of keys, nothing is assumed of them."""
    attention = attnc.loads("attention a mask causal(i, j)")
    with pytest.raises(AttnError, match="needs the parameter 'all_keys: int'") as caught:
        attention.partial(*(TENSORS[name] for name in "qkv"), first_key=0)
    assert caught.value.code == "missing-parameter"


def test_gradients_go_through_states():
    attention = attnc.loads("attention a mask causal(i, j)")
    tensors = {name: x.clone().requires_grad_() for name, x in TENSORS.items()}
    one, two, three = states(attention, [11, 30], tensors)
    out = finished(attention, attention.merge(attention.merge(one, two), three), tensors)
    learned = [tensors[name] for name in "qkv"]
    some = numbers(*out.shape, seed=9)
    found, wanted = (torch.autograd.grad(o, learned, some) for o in (out, whole(attention, tensors)))
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


def test_half_precision_keeps_sums():
    attention = attnc.loads("attention a")
    tensors = {name: x.bfloat16() for name, x in TENSORS.items()}
    one, two = states(attention, [17], tensors)
    assert all(part.dtype == torch.float32 for part in one)
    found = finished(attention, attention.merge(one, two), tensors)
    exact = whole(attention, {name: x.double() for name, x in tensors.items()})
    assert found.dtype == torch.float32 and (found - exact).abs().max() < 2e-2


@pytest.mark.parametrize("normalize", REFUSED)
def test_what_needs_all_keys_is_refused(normalize):
    attention = attnc.loads(f"attention a normalize p = {normalize}")
    with pytest.raises(AttnError, match=REFUSED[normalize]) as caught:
        states(attention, [7])
    assert caught.value.code == "not-mergeable"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("axis i, j: N", "queries and keys are both of size N"),
        ("score s = q[i] @ k[j - 1]", "reads keys at other positions"),
        ("aggregate out[i] = q[i]", "it sums over none"),
        ("input all_keys: float normalize p = softmax[j](s * all_keys)", "names of its own"),
    ],
)
def test_what_has_no_parts_is_refused(text, reason):
    with pytest.raises(AttnError, match=reason):
        attnc.loads(f"attention a {text}").part("partial").card()


# --- few rows of many keys -------------------------------------------------------------------------------------------

SPLIT = (
    "causal",
    "dual",
    "entropy",
    "key_length",
    "plus_one",
    "prefix_keys",
    "row_max",
    "sparse",
    "standardized",
    "topk",
)


@pytest.mark.parametrize("name", [f"specs/{name}" for name in SPLIT])
def test_workers_share_keys(name, monkeypatch):
    """The same values with the keys in parts, and heads of a group together, as with each row's keys in one; and with
    what the backward keeps."""
    sizes = {"B": 1, "H": 4, "G": 2, "M": 3, "N": 601}
    attention = attentions()[name]
    given = draw(attention, sizes, torch.float64)
    learned = [x for x in given if x.is_floating_point()]

    def measured():
        found = attnc.Attention(attention.name, attention.text)(*given)  # with nothing prepared
        found = [x for x in (found if isinstance(found, tuple) else (found,)) if x.is_floating_point()]
        total = sum(
            (x.nan_to_num(posinf=0, neginf=0) * torch.arange(x.numel()).cos().reshape(x.shape)).sum() for x in found
        )
        return [*found, *torch.autograd.grad(total, learned, allow_unused=True)]

    plain = measured()
    asked = []
    monkeypatch.setattr(parts, "cores", lambda: 64)
    monkeypatch.setattr(parts, "_LEAST_ON_CORES", 64)
    monkeypatch.setattr(parts, "_BLOCK", 32)
    decide = parts._few
    monkeypatch.setattr(parts, "_few", lambda *args: asked.append(decide(*args)) or asked[-1])
    shared = measured()
    assert max(few.sizes[PARTS] for few in asked if few.is_few) >= 2
    torch.testing.assert_close(shared, plain, rtol=1e-9, atol=1e-11)


def test_heads_of_a_group_go_over_keys_together(monkeypatch):
    """However many cores there are: eight heads of one query, over keys that they share."""
    monkeypatch.setattr(parts, "cores", lambda: 1)
    attention = attnc.loads("attention a(offset: int = 0) mask j <= i + offset output out, lse = logsumexp[j](s)")
    q, k, v = numbers(2, 8, 3, D, seed=1), numbers(2, 2, 5000, D, seed=2), numbers(2, 2, 5000, D, seed=3)
    found = attention(q, k, v, offset=4000)
    (prepared,) = (kernel for (request, _), kernel in _kernels(attention).items() if request.takes_parts)
    assert ROWS in prepared.sizes
    k, v = (x.repeat_interleave(4, 1) for x in (k, v))
    s = (q @ k.mT / D**0.5).masked_fill(torch.arange(5000) > torch.arange(3)[:, None] + 4000, -torch.inf)
    torch.testing.assert_close(found.out, s.softmax(-1) @ v)
    torch.testing.assert_close(found.lse, s.logsumexp(-1))


def _kernels(attention):
    from attnc.runtime.autograd import caller_of

    return caller_of(attention).kernels
