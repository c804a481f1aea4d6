"""A call as an operation of torch.library, recorded by torch.compile and torch.export."""

import gc
import json

import pytest
import torch
from torch._dynamo.backends.registry import lookup_backend
from torch.autograd import forward_ad
from torch.library import opcheck
from torch.utils.checkpoint import checkpoint

import attnc
from attnc.runtime.operators import backward, forward

from .probes import probe, several, tensors

CAUSAL = "attention causal\naxis i, j: N\nmask j <= i\n"
UNREAD = "attention unread\ninput k2[B, G, N, D]\n"
STATIC = """attention static(side: "left" | "both" = "left", wide: bool = False, width: int = 3, scale: float = 0.3)
axis      i, j: N
score     s = scale * (q[i] @ k[j])
mask      (j <= i or side == "both") and (i - j < width or wide)
"""
BLOCKS = """attention blocks(block: int)
input     weight[B, N // block]
axis      i, j: N
score     s = q[i] @ k[j] + weight[j // block]
"""


def parts(found):
    return found if isinstance(found, tuple) else (found,)


def gradients(found, given):
    learned = [tensor for tensor in given if tensor.requires_grad]
    floating = [part for part in parts(found) if part.requires_grad]
    return torch.autograd.grad(floating, learned, [torch.cos(part.detach().clamp(-9, 9)) for part in floating])


def assert_same(found, wanted, given):
    """Bit by bit, and so are all gradients."""
    assert type(found) is type(wanted)
    assert [part.requires_grad for part in parts(found)] == [part.requires_grad for part in parts(wanted)]
    assert all(map(torch.equal, parts(found), parts(wanted)))
    if any(part.requires_grad for part in parts(wanted)):
        assert all(map(torch.equal, gradients(found, given), gradients(wanted, given)))


# --- the operations --------------------------------------------------------------------------------------------------


def transposed(given):
    return [t.mT.contiguous().mT.detach().requires_grad_(t.requires_grad) if t.dim() > 1 else t for t in given]


SPECS = {
    "probe": (probe, lambda learns: tensors(learns=learns), ["window"]),
    "several": (several, lambda learns: tensors(learns=learns)[:3], []),
    "unread": (
        lambda: attnc.loads(UNREAD),
        lambda learns: transposed([*tensors(learns=learns)[:3], *tensors(learns=learns)[:1]]),
        [],
    ),
}


def arguments(case, learns):
    make, draw, _ = SPECS[case]
    attention, given = make(), draw(learns)
    parameters = {p.name: p.default for p in attention.card().parameters}
    ints = [parameters.pop(name) for name in SPECS[case][2]]
    return attention, [attention.key, given, json.dumps(parameters), ints, [learns] * len(given)]


@pytest.mark.parametrize("case", SPECS)
@pytest.mark.parametrize("learns", [True, False])
def test_forward_is_an_operation(case, learns):
    """Its schema, its shapes without computing and its derivatives are right, also where it was never called."""
    attention, given = arguments(case, learns)
    assert set(opcheck(forward, given).values()) == {"SUCCESS"}
    del attention


@pytest.mark.parametrize("case", SPECS)
def test_backward_is_an_operation(case):
    attention, (key, given, parameters, ints, needs) = arguments(case, True)
    given = [tensor.detach() for tensor in given]
    found = forward(key, given, parameters, ints, needs)
    results = found[: len(attention.result_names)]
    cotangents = [torch.ones_like(result) for result in results if result.is_floating_point()]
    done = opcheck(backward, (key, given, found, cotangents, parameters, ints, needs))
    assert set(done.values()) == {"SUCCESS"}


# --- torch.compile ---------------------------------------------------------------------------------------------------


class Counted:
    """A backend that keeps the graphs it was given."""

    def __init__(self):
        self.graphs = []

    def __call__(self, graph, inputs):
        self.graphs.append(graph)
        return lookup_backend("aot_eager")(graph, inputs)


def recorded(function, **options):
    """A function compiled as one graph, and what counts these."""
    torch._dynamo.reset()
    counted = Counted()
    return torch.compile(function, backend=counted, fullgraph=True, **options), counted


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.project = torch.nn.Linear(8, 8)
        self.attention = probe()

    def forward(self, q, k, v, slope, window=3):
        return self.project(self.attention(self.project(q), k, v, slope, window=window)) * 2


def checkpointed(call, *given):
    return checkpoint(lambda q, *rest: call(2 * q, *rest), *given, use_reentrant=False).sin()


def without_gradients(call, q, *rest):
    with torch.no_grad():
        return call(q, *rest) + 1


def in_bfloat16(call, *given):
    with torch.autocast("cpu", torch.bfloat16):
        return call(*given)


def some_results(call, *given):
    found = call(*given)
    return 2 * found.near, found.count + 1


def mapped(call, *given):
    return torch.vmap(call, in_dims=1, out_dims=1)(*(tensor[:, None] for tensor in given))


FUNCTIONS = {
    "operations around it": (probe, lambda call, q, *rest: call(2 * q, *rest) + 1),
    "parameters": (probe, lambda call, *given: call(*given, window=2, cap=2.5)),
    "inputs by keyword": (probe, lambda call, q, k, v, slope: call(k=k, slope=slope, v=v, q=q)),
    "checkpoint": (probe, checkpointed),
    "no_grad": (probe, without_gradients),
    "autocast": (probe, in_bfloat16),
    "several results": (several, lambda call, *given: call(*given)),
    "some results": (several, some_results),
    "modes": (lambda: attnc.loads(STATIC), lambda call, *given: call(*given, side="both", wide=True, scale=1)),
    "vmap": (lambda: attnc.loads(CAUSAL), mapped),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore:.*jit.script")  # torch's own, as it is imported
@pytest.mark.parametrize("case", FUNCTIONS)
def test_compiled(case):
    """The first call of an attention is the one that is recorded: as one graph, with the same results and gradients."""
    make, function = FUNCTIONS[case]
    attention = make()
    fast, counted = recorded(lambda *given: function(attention, *given))
    given = tensors(learns=True)[: len(attention.card().inputs)]
    assert_same(fast(*given), function(attention, *given), given)
    assert len(counted.graphs) == 1


@pytest.mark.parametrize("make", [probe, Layer])
def test_compiled_as_they_are(make):
    """An attention itself, and a module that holds one."""
    model = make()
    fast, counted = recorded(model)
    given = tensors(learns=True)
    assert_same(fast(*given), model(*given), given)
    assert len(counted.graphs) == 1


def test_inductor():
    torch._dynamo.reset()
    layer = Layer()
    given = transposed(tensors(learns=True))
    assert_same(torch.compile(layer, fullgraph=True)(*given), layer(*given), given)


def test_lengths_compile_nothing_anew():
    attention = probe()
    fast, counted = recorded(lambda *given: attention(*given) * 2, dynamic=True)
    for count in (9, 11, 23, 40):
        given = tensors(N=count, learns=True)
        assert_same(fast(*given), attention(*given) * 2, given)
    assert len(counted.graphs) == 1


def test_int_parameters_compile_nothing_anew():
    """Those that sizes depend on too."""
    attention, blocks = probe(), attnc.loads(BLOCKS)
    fast, counted = recorded(lambda *given, window: attention(*given, window=window), dynamic=True)
    for window in (3, 5, 7):
        assert_same(fast(*tensors(), window=window), attention(*tensors(), window=window), ())
    assert len(counted.graphs) == 1
    fast, counted = recorded(lambda *given, block: blocks(*given, block=block))
    for block in (2, 4, 8):
        given = [*tensors(N=16)[:3], torch.ones(2, 16 // block)]
        assert_same(fast(*given, block=block), blocks(*given, block=block), ())
    assert len(counted.graphs) == 2  # torch takes a number for a constant the first time


def test_bool_parameters_are_recorded_by_value():
    attention = attnc.loads(STATIC)
    fast, counted = recorded(lambda *given, wide: attention(*given, wide=wide))
    for wide in (True, False, True):
        assert_same(fast(*tensors()[:3], wide=wide), attention(*tensors()[:3], wide=wide), ())
    assert len(counted.graphs) == 2


WRONG = {
    "wrong-rank": (lambda q, *rest: (q[0], *rest), "'q' of 'probe' has 3 axes"),
    "wrong-dtype": (lambda q, k, v, slope: (q, k, v, slope.long()), "'slope' of 'probe' is int64"),
    "sizes-differ": (lambda q, k, v, slope: (q, k, v, slope[:1]), "'H' is 2 in 'q' but 1 in 'slope'"),
    "missing-input": (lambda q, k, v, slope: (q, k, v), "needs the input 'slope\\[H\\]'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_name_what_the_user_gave(case):
    change, text = WRONG[case]
    attention = probe()
    with pytest.raises(Exception, match=f"{case}.*{text}"):
        recorded(lambda *given: attention(*given))[0](*change(*tensors()))


def test_derivatives_that_there_are_none_of():
    """None of them is 0 without a word."""
    attention = probe()
    given = tensors(learns=True)
    with pytest.raises(Exception, match=r"inside-transform.*cannot be called inside a transform of torch\.func"):
        recorded(lambda q, *rest: torch.func.grad(lambda x: attention(x, *rest).sum())(q))[0](*given)
    with forward_ad.dual_level(), pytest.raises(attnc.AttnError, match="forward-mode"):
        dual = forward_ad.make_dual(given[0], torch.ones_like(given[0]))
        recorded(lambda *inputs: attention(*inputs))[0](dual, *given[1:])


# --- torch.export ----------------------------------------------------------------------------------------------------


class Model(torch.nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, *given):
        return self.attention(*given)


@pytest.mark.parametrize("strict", [True, False])
def test_exported(strict):
    """One operation for any length; its program outlives the attention."""
    attention = several()
    length = torch.export.Dim("length")
    program = torch.export.export(
        Model(attention), tuple(tensors()[:3]), dynamic_shapes=[({2: length},) * 3], strict=strict
    )
    operations = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert operations.count(torch.ops.attnc.forward.default) == 1
    given = tensors(N=19)[:3]
    wanted = attention(*given)
    del attention
    gc.collect()
    assert_same(program.module()(*given), wanted, given)
