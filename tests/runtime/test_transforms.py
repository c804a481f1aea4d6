"""Inside what maps torch's operations, records them or differentiates them its own way, a call is right or refused."""

import gc

import pytest
import torch
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import attnc
from attnc.runtime import calls

from .probes import SEVERAL, expected, is_near, probe, several, tensors
from .test_operators import CAUSAL, WRONG, gradients, parts


@pytest.fixture(scope="module")
def attention():
    return probe()


def dual(call, *given):
    with forward_ad.dual_level():
        found = call(forward_ad.make_dual(given[0], torch.ones_like(given[0])), *given[1:])
        return forward_ad.unpack_dual(found)


def dual_sum(call, inputs):
    """The sum of the tangent along ones for the first input."""
    return torch.func.jvp(lambda q: call(q, *inputs[1:]), inputs[:1], (torch.ones_like(inputs[0]),))[1].sum()


def squared(call):
    return lambda *inputs: (call(*inputs) ** 2).sum()


EVERY = tuple(range(4))
TRANSFORMS = {
    "func.grad": lambda call, *given: torch.func.grad(squared(call), EVERY)(*given),
    "func.vjp": lambda call, *given: (lambda out, back: (out, back(torch.ones_like(out))))(
        *torch.func.vjp(call, *given)
    ),
    "func.jvp": lambda call, *given: torch.func.jvp(call, given, tuple(t.cos() for t in given)),
    "jacrev": lambda call, *given: torch.func.jacrev(call)(*given),
    "jacfwd": lambda call, *given: torch.func.jacfwd(call)(*given),
    "vmap of func.grad": lambda call, *given: torch.vmap(torch.func.grad(squared(call), EVERY))(*given),
    "func.grad of vmap": lambda call, *given: torch.func.grad(squared(torch.vmap(call)), EVERY)(*given),
    "jvp of vmap": lambda call, *given: torch.func.jvp(torch.vmap(call), given, given),
    "hessian": lambda call, *given: torch.func.hessian(squared(call))(*given),
    "vmap of hessian": lambda call, *given: torch.vmap(torch.func.hessian(squared(call)))(*given),
}
REFUSED = {
    "functionalize": lambda call, *given: torch.func.functionalize(call)(*given),
    "jit.trace": lambda call, *given: torch.jit.trace(lambda *inputs: call(*inputs), given)(*given),
    "make_fx": lambda call, *given: make_fx(lambda *inputs: call(*inputs))(*given)(*given),
    "make_fx fake": lambda call, *given: make_fx(lambda *inputs: call(*inputs), tracing_mode="fake")(*given)(*given),
}


@pytest.mark.parametrize("case", TRANSFORMS)
@pytest.mark.parametrize("learns", [False, True])
def test_transformed(attention, case, learns):
    """Against the same transform of the formula."""
    given = tensors(N=3, D=2, dtype=torch.float64, learns=learns)
    if "vmap" in case:
        given = [torch.stack([tensor, 2 * tensor]) for tensor in given]
    found = tree_leaves(TRANSFORMS[case](attention, *given))
    wanted = tree_leaves(TRANSFORMS[case](expected, *given))
    assert len(found) == len(wanted) and all(is_near(a, b, 1e-12) for a, b in zip(found, wanted))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("learns", [False, True])
def test_refused(attention, case, learns):
    with pytest.raises(attnc.AttnError) as caught:
        REFUSED[case](attention, *tensors(learns=learns))
    assert caught.value.code == "inside-transform"


@pytest.mark.parametrize("learns", [False, True])
def test_forward_mode(attention, learns):
    """Tangents of some inputs, by dual tensors; beside gradients in reverse mode, and mapped."""
    given = tensors(dtype=torch.float64, learns=learns)
    found, wanted = (dual(call, *given) for call in (attention, expected))
    assert is_near(found[0], wanted[0], 1e-12) and is_near(found[1], wanted[1], 1e-12)
    if learns:  # of the formula by torch.func: its softmax has no derivative of tangents otherwise
        gradient = torch.autograd.grad(found[1].sum(), given)
        plain = [tensor.detach() for tensor in given]
        wanted_gradient = torch.func.grad(lambda *inputs: dual_sum(expected, inputs), EVERY)(*plain)
        assert all(is_near(a, b, 1e-12) for a, b in zip(gradient, wanted_gradient))
    mapped = dual(torch.vmap(attention), *(tensor[None] for tensor in given))
    assert is_near(mapped[1][0], wanted[1], 1e-12)


def test_gradients_of_what_moves(attention):
    """Forward mode over reverse mode: a gradient's tangent, without a graph of the gradient."""
    given = tensors(dtype=torch.float64, learns=True)

    def gradient(call):
        with forward_ad.dual_level():
            moving = forward_ad.make_dual(given[0], torch.ones_like(given[0]))
            (found,) = torch.autograd.grad((call(moving, *given[1:]) ** 2).sum(), given[1])
            return forward_ad.unpack_dual(found).tangent

    assert is_near(gradient(attention), gradient(expected), 1e-12)


@pytest.mark.parametrize("case", ["several", "an output that does not move"])
def test_tangents_of_several_results(case):
    attention = several()
    q, k, v = tensors(dtype=torch.float64)[:3]
    moving = (v,) if case != "several" else (q, k, v)

    def call(which, *inputs):
        return [x for x in which(*(q, k, v)[: 3 - len(inputs)], *inputs) if x.is_floating_point()]

    found = torch.func.jvp(lambda *inputs: call(attention, *inputs), moving, moving)
    wanted = torch.func.jvp(lambda *inputs: call(attention.reference, *inputs), moving, moving)
    for a, b in zip(tree_leaves(found), tree_leaves(wanted)):
        assert torch.allclose(a, torch.where(b.isnan(), 0.0, b), rtol=1e-12, atol=1e-12)  # NaN: rows without keys


def test_messages(attention):
    with pytest.raises(attnc.AttnError) as caught:
        torch.func.functionalize(attention)(*tensors())
    assert str(caught.value) == (
        "error[inside-transform]: 'probe' cannot be called inside a transform of torch.func\n"
        "  = note: it has no rule for kernels\n"
        "  = help: use 'torch.autograd.grad', or call 'probe.reference(…)' there"
    )
    with pytest.raises(attnc.AttnError) as caught:
        make_fx(lambda *given: attention(*given))(*tensors())
    assert str(caught.value) == (
        "error[inside-transform]: 'probe' cannot be called inside make_fx\n"
        "  = note: it records torch's operations, and a kernel is none\n"
        "  = help: use 'torch.compile' or 'torch.export'"
    )


def test_levels_without_tangents_are_no_matter(attention):
    with forward_ad.dual_level():
        assert is_near(attention(*tensors()), expected(*tensors()))


def test_modes_that_only_watch_are_no_matter(attention):
    with FlopCounterMode(display=False):
        assert is_near(attention(*tensors()), expected(*tensors()))
    with torch.profiler.profile():
        assert is_near(attention(*tensors()), expected(*tensors()))


def test_a_remembered_call_costs_little(monkeypatch):
    """What a second call does: no look at the card, the file or the cache."""
    attention = probe()
    attention(*tensors())

    def refuse(*_):
        raise AssertionError("not remembered")

    for name in ("check_tensors", "bind_sizes", "load_kernel"):
        monkeypatch.setattr(calls, name, refuse)
    assert is_near(attention(*tensors()), expected(*tensors()))


# --- torch.vmap ------------------------------------------------------------------------------------------------------


def stacked(learns=False, count=3):
    """What several calls are given: q, k, v and slope."""
    each = zip(*(tensors(seed=seed) for seed in range(count)))
    return [torch.stack(entries).requires_grad_(learns) for entries in each]


def one_by_one(call, given, dims):
    """What torch.vmap means."""
    count = next(tensor.shape[dim] for tensor, dim in zip(given, dims) if dim is not None)
    entries = [[t if dim is None else t.select(dim, n) for t, dim in zip(given, dims)] for n in range(count)]
    found = [parts(call(*entry)) for entry in entries]
    return tuple(torch.stack(values) for values in zip(*found))


ATTENTIONS = {
    "all in batches": lambda: attnc.loads(CAUSAL),
    "one without a batch": probe,
    "several results": several,
}


def close(found, wanted):
    return torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("dims", [(0, 0, 0, 0), (2, 4, 1, -1), (0, None, None, 1), (None, None, 0, None)])
@pytest.mark.parametrize("case", ATTENTIONS)
def test_mapped(case, dims, learns):
    """Results are those of each call, bit by bit; gradients of what all calls share are sums."""
    attention = ATTENTIONS[case]()
    count = len(attention.card().inputs)
    whole = [t[0] if dim is None else t.movedim(0, dim) for t, dim in zip(stacked(), dims)][:count]
    given = [tensor.detach().requires_grad_(learns) for tensor in whole]
    dims = dims[:count]
    found, wanted = torch.vmap(attention, dims)(*given), one_by_one(attention, given, dims)
    assert all(map(torch.equal, parts(found), wanted))
    assert [part.requires_grad for part in parts(found)] == [part.requires_grad for part in wanted]
    if learns:
        assert all(map(close, gradients(found, given), gradients(wanted, given)))


@pytest.mark.parametrize(("case", "count"), [("all in batches", 1), ("one without a batch", 3)])
def test_batches_are_mapped_at_once(monkeypatch, case, count):
    attention = ATTENTIONS[case]()
    asked, situation = [], calls.Caller.situation
    monkeypatch.setattr(calls.Caller, "situation", lambda *given: asked.append(given) or situation(*given))
    torch.vmap(attention)(*stacked()[: len(attention.card().inputs)])
    assert len(asked) == count


def test_mapped_within_a_function():
    """Parameters, an input that alone needs a gradient, another place for the result."""
    attention = probe()
    given = stacked()
    given[1].requires_grad_()

    def call(q, *rest):
        return attention(2 * q, *rest, window=2).sin()

    found, (wanted,) = torch.vmap(call, out_dims=1)(*given), one_by_one(call, given, (0,) * 4)
    assert torch.equal(found, wanted.movedim(0, 1))
    assert torch.equal(*(torch.autograd.grad(x.sum(), given[1])[0] for x in (found, wanted)))


@pytest.mark.parametrize("case", ATTENTIONS)
def test_mapped_twice(case):
    attention = ATTENTIONS[case]()
    count = len(attention.card().inputs)
    given = [torch.stack([t, 2 * t]).requires_grad_() for t in stacked()][:count]
    found = torch.vmap(torch.vmap(attention, (0, None, 0, 0)[:count]))(given[0], given[1][:, 0], *given[2:])
    each = [one_by_one(attention, (q, k[0], *rest), (0, None, 0, 0)[:count]) for q, k, *rest in zip(*given)]
    wanted = [torch.stack(values) for values in zip(*each)]
    assert all(map(torch.equal, parts(found), wanted))
    assert all(map(close, gradients(found, given), gradients(tuple(wanted), given)))


@pytest.mark.parametrize("case", ATTENTIONS)
def test_mapped_over_nothing(case):
    attention = ATTENTIONS[case]()
    given = stacked()[: len(attention.card().inputs)]
    found = parts(torch.vmap(attention)(*(tensor[:0] for tensor in given)))
    wanted = parts(torch.vmap(attention)(*given))
    assert [(x.shape[0], x.shape[1:], x.dtype) for x in found] == [(0, x.shape[1:], x.dtype) for x in wanted]


def test_a_mapped_attention_may_be_gone_before_its_gradients():
    given = stacked(learns=True)[:3]
    found = torch.vmap(attnc.loads(SEVERAL.replace("several", "lonely")))(*given).out
    gc.collect()
    assert all(part.shape == tensor.shape for part, tensor in zip(gradients(found, given), given))


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_in_mapped_calls(case):
    change, text = WRONG[case]
    attention = probe()
    with pytest.raises(attnc.AttnError, match=f"{case}.*{text}"):
        torch.vmap(lambda *given: attention(*change(*given)))(*stacked())
