"""Inside what records torch's operations or differentiates them its own way, a call is right or refused."""

import warnings

import pytest
import torch
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

import attnc
from attnc.runtime import calls

from .probes import expected, is_near, probe, tensors


@pytest.fixture(scope="module")
def attention():
    return probe()


def dual(call, *given):
    with forward_ad.dual_level():
        return call(forward_ad.make_dual(given[0], torch.ones_like(given[0])), *given[1:])


TRANSFORMS = {
    "vmap": lambda call, *given: torch.vmap(call)(*(tensor[None] for tensor in given)),
    "vmap over one": lambda call, q, *rest: torch.vmap(lambda x: call(x, *rest))(q[None]),
    "func.grad": lambda call, *given: torch.func.grad(lambda *inputs: call(*inputs).sum())(*given),
    "func.vjp": lambda call, *given: torch.func.vjp(call, *given),
    "func.jvp": lambda call, *given: torch.func.jvp(call, given, given),
    "jacrev": lambda call, *given: torch.func.jacrev(call)(*given),
    "hessian": lambda call, *given: torch.func.hessian(lambda *inputs: call(*inputs).sum())(*given),
    "functionalize": lambda call, *given: torch.func.functionalize(call)(*given),
    "jit.trace": lambda call, *given: torch.jit.trace(lambda *inputs: call(*inputs), given)(*given),
    "make_fx": lambda call, *given: make_fx(lambda *inputs: call(*inputs))(*given)(*given),
    "make_fx fake": lambda call, *given: make_fx(lambda *inputs: call(*inputs), tracing_mode="fake")(*given)(*given),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", TRANSFORMS)
@pytest.mark.parametrize("learns", [False, True])
def test_refused(attention, case, learns):
    with pytest.raises(attnc.AttnError) as caught:
        TRANSFORMS[case](attention, *tensors(learns=learns))
    assert caught.value.code == ("forward-mode" if case == "func.jvp" else "inside-transform")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("learns", [False, True])
def test_forward_mode_is_refused(attention, learns):
    with pytest.raises(attnc.AttnError) as caught:
        dual(attention, *tensors(learns=learns))
    assert caught.value.code == "forward-mode"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ["func.grad", "func.vjp"])
def test_the_dense_meaning_is_differentiated(attention, case):
    """What the message advises does work."""
    given = tensors()
    found = TRANSFORMS[case](attention.reference, *given)
    wanted = TRANSFORMS[case](lambda *inputs: expected(*inputs), *given)
    found, wanted = (result[0] if isinstance(result, tuple) else result for result in (found, wanted))
    assert is_near(found, wanted, 1e-4)


def test_a_mapped_axis_may_be_a_part_of_the_batch(attention):
    *given, slope = (torch.stack([tensor, 2 * tensor]) for tensor in tensors())
    found = attention(*(tensor.flatten(0, 1) for tensor in given), slope[0]).unflatten(0, (2, -1))
    wanted = torch.vmap(expected, in_dims=(0, 0, 0, None))(*given, slope[0])
    assert is_near(found, wanted)


def test_messages(attention):
    with pytest.raises(attnc.AttnError) as caught:
        torch.vmap(attention)(*(tensor[None] for tensor in tensors()))
    assert str(caught.value) == (
        "error[inside-transform]: 'probe' cannot be called inside torch.vmap\n"
        "  = note: it has no rule for kernels\n"
        "  = help: make the axis that it maps over a part of the batch: 'q.flatten(0, 1)'"
    )
    with pytest.raises(attnc.AttnError) as caught:
        torch.func.vjp(attention, *tensors())
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
        "  = help: use 'torch.compile', which leaves the call out"
    )


def test_levels_without_tangents_are_no_matter(attention):
    with forward_ad.dual_level():
        assert is_near(attention(*tensors()), expected(*tensors()))


def test_modes_that_only_watch_are_no_matter(attention):
    with FlopCounterMode(display=False):
        assert is_near(attention(*tensors()), expected(*tensors()))
    with torch.profiler.profile():
        assert is_near(attention(*tensors()), expected(*tensors()))


# --- torch.compile ----------------------------------------------------------------------------------------------------


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.project = torch.nn.Linear(8, 8)
        self.attention = probe()

    def forward(self, q, k, v, slope, window):
        return self.project(self.attention(self.project(q), k, v, slope, window=window)) * 2


def compiled(backend):
    """A model around a call of an attention that has not been called before, compiled; and the model itself."""
    torch._dynamo.reset()
    model = Layer()
    return torch.compile(model, backend=backend), model


def run(model, window):
    given = tensors(learns=True)
    out = model(*given, window=window)
    return [out, *torch.autograd.grad(out, given, torch.ones_like(out))]


def test_compile_breaks_the_graph_around_a_call(monkeypatch):
    """Two graphs, before and after; none of our frames is looked at, and nothing is warned of."""
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    def refuse(*_):
        raise AssertionError("traced")

    fast, plain = compiled(backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*jit.script.*")  # torch's own, as it is imported
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")  # and as it resumes
        found = run(fast, 3)
    assert len(graphs) == 2
    assert all(map(torch.equal, found, run(plain, 3)))
    torch._dynamo.utils.counters.clear()
    report = torch._dynamo.explain(lambda *given: plain.attention(given[0] * 2, *given[1:]) + 1)(*tensors())
    assert (report.graph_count, report.graph_break_count) == (2, 1)
    assert "attnc runs kernels of its own" in str(report.break_reasons[0].reason)
    frames = {line for reason in report.break_reasons for line in map(str, reason.user_stack)}
    assert not any("attnc" in line and "tests" not in line for line in frames)


def test_compiled_once_for_all_parameters_and_sizes():
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    fast, plain = compiled(backend)
    for window in (1, 2, 3, 4):
        assert all(map(torch.equal, run(fast, window), run(plain, window)))
    assert len(graphs) <= 4  # of the two graphs, one more each at most, for a parameter that changes


def test_fullgraph_is_refused_by_torch(attention):
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="attnc runs kernels of its own"):
        torch.compile(lambda *given: attention(*given), backend="eager", fullgraph=True)(*tensors())


def test_inductor():
    torch._dynamo.reset()
    attention = probe()
    given = tensors(learns=True)

    def function(q, k, v, slope):
        return attention(2 * q, k, v, slope)

    out = torch.compile(function)(*given)
    assert is_near(out, function(*given))
    found = torch.autograd.grad(out.sum(), given)
    assert all(map(is_near, found, torch.autograd.grad(function(*given).sum(), given)))


def test_compile_of_a_failing_call(attention):
    """Mistakes come through as they are."""
    torch._dynamo.reset()
    fast = torch.compile(lambda *given: attention(*given), backend="eager")
    with pytest.raises(attnc.AttnError) as caught:
        fast(*tensors()[:3], torch.ones(5))
    assert caught.value.code == "sizes-differ"


def test_a_remembered_call_costs_little(monkeypatch):
    """What a second call does: no look at the card, the file or the cache."""
    attention = probe()
    attention(*tensors())

    def refuse(*_):
        raise AssertionError("not remembered")

    for name in ("check_tensors", "bind_sizes", "load_kernel"):
        monkeypatch.setattr(calls, name, refuse)
    assert is_near(attention(*tensors()), expected(*tensors()))
