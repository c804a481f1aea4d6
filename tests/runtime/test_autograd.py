"""Calls as torch's own operations are used: hooks, modes, several results, cotangents of every kind."""

import copy
import gc
import pickle
import warnings
import weakref

import pytest
import torch
from torch.autograd import grad
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

import attnc

from .probes import expected, is_near, probe, several, tensors


@pytest.fixture(scope="module")
def attention():
    return probe()


def meant(given, cotangent=None):
    """The gradients that are right."""
    out = expected(*given)
    return grad(out, given, torch.ones_like(out) if cotangent is None else cotangent.double())


def are_near(found, wanted):
    return all(is_near(a, b, 1e-4) for a, b in zip(found, wanted))


# --- cotangents -------------------------------------------------------------------------------------------------------


def strange(shape):
    """Cotangents that are no plain tensors, with what they are."""
    B, H, N, D = shape
    random = torch.randn(shape)
    yield "expanded", torch.tensor(0.7).expand(shape)
    yield "one row for all", torch.randn(D).expand(shape)
    yield "one column for all", torch.randn(B, H, N, 1).expand(shape)
    yield "transposed", torch.randn(B, H, D, N).mT
    yield "strided", torch.randn(B, H, N, 2 * D)[..., ::2]
    yield "backwards in storage", torch.randn(D, N, H, B).permute(3, 2, 1, 0)
    yield "negated lazily", torch._neg_view(random)
    yield "sparse", torch.where(random > 0.5, random, 0.0).to_sparse()
    yield "zeros", torch.zeros(shape)


def test_cotangents_of_every_kind(attention):
    for name, cotangent in strange((2, 2, 7, 8)):
        given = tensors(learns=True)
        found = grad(attention(*given), given, cotangent)
        assert are_near(found, meant(given, cotangent.to_dense())), name


def test_the_sum(attention):
    given = tensors(learns=True)
    attention(*given).sum().backward()
    assert are_near([tensor.grad for tensor in given], meant(given))


# --- several results --------------------------------------------------------------------------------------------------


def several_expected(q, k, v):
    s = (q @ k.mT / q.shape[3] ** 0.5).double()
    is_kept = torch.ones(s.shape[2:], dtype=torch.bool).tril(-1)
    s = s.masked_fill(~is_kept, -torch.inf)
    out = torch.where(is_kept.any(-1)[:, None], s, 0.0).softmax(-1) * is_kept @ v.double()
    return out, s.logsumexp(-1), s.amax(-1), (s > 0.5).sum(-1), (s > 0).any(-1)


@pytest.mark.parametrize("used", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_some_of_several_results_are_used(used):
    given = tensors(learns=True)[:3]
    results = several()(*given)
    wanted = several_expected(*given)
    assert is_near(results.out, wanted[0])
    total = sum(results[n][:, :, 1:].sum() * (n + 1) for n in used)
    total_wanted = sum(wanted[n][:, :, 1:].sum() * (n + 1) for n in used)
    found = grad(total, given, allow_unused=True)
    exact = grad(total_wanted, given, allow_unused=True)
    for a, b in zip(found, exact):
        assert torch.count_nonzero(a) == 0 if b is None else is_near(a, b, 1e-4)


def test_integers_and_conditions_have_no_gradient():
    given = tensors(learns=True)[:3]
    results = several()(*given)
    wanted = several_expected(*given)
    assert [result.requires_grad for result in results] == [True, True, True, False, False]
    assert (results.count.dtype, results.is_open.dtype) == (torch.int64, torch.bool)
    assert torch.equal(results.count, wanted[3]) and torch.equal(results.is_open, wanted[4])
    with pytest.raises(RuntimeError, match="does not require grad"):
        results.count.sum().backward()


def test_rows_without_keys_are_0_and_give_no_gradient():
    """Row 0 has no keys: its result is 0, its gradient 0, and nothing is NaN."""
    given = tensors(learns=True)[:3]
    results = several()(*given)
    assert torch.count_nonzero(results.out[:, :, 0]) == 0
    found = grad(results.out, given, torch.randn_like(results.out))
    assert all(gradient.isfinite().all() for gradient in found)
    assert torch.count_nonzero(found[0][:, :, 0]) == 0


# --- going through twice ----------------------------------------------------------------------------------------------


def test_backward_twice(attention):
    given = tensors(learns=True)
    out = attention(*given)
    first = grad(out, given, torch.ones_like(out), retain_graph=True)
    assert all(map(torch.equal, first, grad(out, given, torch.ones_like(out))))
    with pytest.raises(RuntimeError, match="second time"):
        grad(out, given, torch.ones_like(out))


def test_gradients_add_up(attention):
    given = tensors(learns=True)
    for _ in range(2):
        attention(*given).sum().backward()
    assert are_near([tensor.grad for tensor in given], [2 * gradient for gradient in meant(given)])


def test_one_tensor_as_several_inputs(attention):
    x, *_, slope = tensors(learns=True)
    found = grad(attention(x, x, x, slope).sum(), x)
    assert are_near(found, grad(expected(x, x, x, slope).sum(), x))


SECOND_ORDER = {
    "create_graph": lambda call, q: grad(grad((call(q) ** 2).sum(), q, create_graph=True)[0].cos().sum(), q),
    "backward": lambda call, q: twice_backward(call, q),
    "hessian": lambda call, q: torch.autograd.functional.hessian(lambda q: (call(q) ** 2).sum(), q),
    "jvp": lambda call, q: torch.autograd.functional.jvp(call, q, torch.ones_like(q)),
    "four times": lambda call, q: four_times(call, q),
}


def twice_backward(call, q):
    (call(q) ** 2).sum().backward(create_graph=True)
    first, q.grad = q.grad, None
    (first**2).sum().backward()
    second, q.grad = q.grad, None
    return second


def four_times(call, q):
    value = (call(q) ** 2).sum()
    for _ in range(4):
        (found,) = grad(value, q, create_graph=True)
        value = found.sin().sum()
    return found


@pytest.mark.filterwarnings("ignore:Using backward:UserWarning")
@pytest.mark.parametrize("case", SECOND_ORDER)
def test_derivatives_of_higher_order(case):
    q, *others = tensors(B=1, H=1, N=3, D=2, dtype=torch.float64)
    q.requires_grad_()
    found, wanted = (SECOND_ORDER[case](lambda q, c=call: c(q, *others), q) for call in (probe(), expected))
    assert all(is_near(a, b, 1e-10) for a, b in zip(tree_leaves(found), tree_leaves(wanted)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_second_order_in_the_inputs_dtype(dtype):
    """Gradients keep their input's dtype at every order."""
    given = tensors(dtype=dtype, learns=True)
    first = grad((probe()(*given).float() ** 2).sum(), given, create_graph=True)
    assert [g.dtype for g in first] == [dtype] * 4
    found = grad(sum((g.float() ** 2).sum() for g in first), given)
    exact = [t.detach().double().requires_grad_() for t in given]
    once = grad((expected(*exact) ** 2).sum(), exact, create_graph=True)
    wanted = grad(sum((g**2).sum() for g in once), exact)
    assert all(g.dtype == dtype for g in found)
    within = 1e-4 if dtype == torch.float32 else 0.1
    assert all(torch.dist(a.double(), b) <= within * b.norm() for a, b in zip(found, wanted))


def test_gradients_beside_a_call_may_be_of_second_order(attention):
    """What does not go through the call is none of its business."""
    given = tensors(learns=True)
    x = torch.randn(3, requires_grad=True)
    loss = attention(*given).sum() + (x**3).sum()
    (gradient,) = grad(loss, x, create_graph=True)
    assert is_near(grad(gradient.sum(), x)[0], 6 * x)


# --- modes ------------------------------------------------------------------------------------------------------------


def test_modes_without_gradients(attention):
    given = tensors(learns=True)
    with torch.no_grad():
        assert not attention(*given).requires_grad
    with torch.inference_mode():
        found = attention(*given)
        assert found.is_inference() and not found.requires_grad
        assert is_near(found, expected(*given))
    assert attention(*given).requires_grad
    with torch.no_grad(), torch.enable_grad():
        assert attention(*given).requires_grad


def test_autocast(attention, dtype=torch.bfloat16):
    """q, k and v are cast, what else is read is not; gradients come in the inputs' own dtype."""
    given = tensors(learns=True)
    with torch.autocast("cpu", dtype=dtype):
        out = attention(*given)
        again = attention(*(tensor.detach() for tensor in given))
    assert out.dtype == again.dtype == dtype and torch.equal(out, again)
    assert is_near(out, expected(*given), 0.03)
    out.float().sum().backward()
    assert all(tensor.grad.dtype == torch.float32 for tensor in given)
    assert all(is_near(tensor.grad, wanted, 0.1) for tensor, wanted in zip(given, meant(given)))
    with torch.autocast("cpu", enabled=False):
        assert attention(*given).dtype == torch.float32
    with torch.autocast("cpu", dtype=dtype):
        assert attention(*tensors(dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("is_reentrant", [True, False])
def test_activation_checkpointing(attention, is_reentrant):
    given = tensors(learns=True)
    plain = grad((attention(*given) ** 2).sum(), given)
    out = checkpoint(lambda *inputs: attention(*inputs) ** 2, *given, use_reentrant=is_reentrant)
    out.sum().backward()
    assert all(torch.equal(tensor.grad, gradient) for tensor, gradient in zip(given, plain))


def test_checkpointing_several_results():
    attention = several()
    given = tensors(learns=True)[:3]

    def total(results):
        return results.out.sum() + results.total[:, :, 1:].sum()

    plain = grad(total(attention(*given)), given)
    found = grad(total(checkpoint(attention, *given, use_reentrant=False)), given)
    assert all(map(torch.equal, found, plain))


def test_anomaly_detection(attention):
    given = tensors(learns=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly():
            attention(*given).sum().backward()
    assert are_near([tensor.grad for tensor in given], meant(given))


# --- hooks ------------------------------------------------------------------------------------------------------------


def test_hooks(attention):
    given = tensors(learns=True)
    seen = []
    out = attention(*given)
    out.register_hook(lambda cotangent: seen.append("result") or 2 * cotangent)
    out.grad_fn.register_prehook(lambda cotangents: seen.append("before"))
    out.grad_fn.register_hook(lambda gradients, _: seen.append("after"))
    given[0].register_post_accumulate_grad_hook(lambda _: seen.append("kept"))
    out.retain_grad()
    out.sum().backward()
    assert sorted(seen) == ["after", "before", "kept", "result"]
    assert are_near([tensor.grad for tensor in given], [2 * gradient for gradient in meant(given)])
    assert is_near(out.grad, torch.full_like(out, 2.0))


def test_module_hooks(attention):
    class Layer(torch.nn.Module):
        def forward(self, *inputs):
            return attention(*inputs)

    layer, given, seen = Layer(), tensors(learns=True), []
    layer.register_full_backward_hook(lambda _, gradients, cotangents: seen.append(len(gradients)))
    layer(*given).sum().backward()
    assert seen == [4]
    assert are_near([tensor.grad for tensor in given], meant(given))


class AsDouble(torch.autograd.graph.saved_tensors_hooks):
    """Keeps what is saved in another dtype and layout."""

    def __init__(self):
        super().__init__(
            lambda tensor: (tensor.dtype, tensor.double().movedim(0, -1).contiguous()),
            lambda kept: kept[1].movedim(-1, 0).to(kept[0]),
        )


@pytest.mark.parametrize("hooks", [torch.autograd.graph.save_on_cpu, AsDouble])
def test_saved_tensors_may_be_packed(attention, hooks):
    given = tensors(learns=True)
    with hooks():
        out = attention(*given)
    assert are_near(grad(out, given, torch.ones_like(out)), meant(given))


def test_changing_a_saved_input_is_refused(attention):
    for n in range(3):
        given = tensors()
        given[n - 1].requires_grad_()
        out = attention(*given)
        given[n].data.add_(0)  # behind torch's back, and harmless
        with torch.no_grad():
            given[n].add_(1.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


def test_results_that_no_backward_reads_are_not_kept():
    """A matrix of weights put out lives no longer than its reader."""
    attention = attnc.loads("attention a output out, p")
    given = tensors(learns=True)[:3]
    found = attention(*given)
    weights = weakref.ref(found.p)
    out, _ = found
    del found, _
    gc.collect()
    assert weights() is None
    assert out.grad_fn is not None and is_near(grad(out.sum(), given[2])[0].sum(), torch.tensor(float(out.numel())))


def test_gradients_of_inputs_wider_than_the_result():
    """A float32 table beside bfloat16: its differentiable gradient is not rounded on the way."""
    attention = attnc.loads("attention a input table[R, D] axis i, j: N score s = q[i] @ (k[j] + table[j % 3])")
    q, k, v = (t.bfloat16() for t in tensors()[:3])
    table = torch.randn(3, q.shape[-1], requires_grad=True)
    (found,) = grad((attention(q, k, v, table).float() ** 2).sum(), table, create_graph=True)
    assert found.dtype == torch.float32 and not torch.equal(found, found.bfloat16().float())


def test_results_may_be_changed_where_they_are_not_kept(attention):
    given = tensors(learns=True)
    out = attention(*given)
    try:
        out.mul_(2.0).sum().backward()
    except RuntimeError as error:  # the backward reads the result
        assert "modified by an inplace operation" in str(error)
    else:
        assert are_near([tensor.grad for tensor in given], [2 * gradient for gradient in meant(given)])


# --- derivatives as attentions ----------------------------------------------------------------------------------------


def test_derivatives_can_be_called_explained_and_copied():
    attention, given = probe(), tensors()
    gradient = attention.gradient(("q", "slope"))
    assert attention.gradient(("q", "slope")) is gradient and copy.deepcopy(gradient) is gradient
    again = pickle.loads(pickle.dumps(gradient))
    cotangent = torch.randn_like(given[0])
    found = gradient(*given, cotangent)
    wanted = meant([tensor.requires_grad_() for tensor in given], cotangent)
    assert are_near(found, (wanted[0], wanted[3]))
    assert all(map(torch.equal, again(*(t.detach() for t in given), cotangent), found))
    assert "stage 0" in gradient.explain(*(t.detach() for t in given), cotangent)
    tangent = attention.tangent(("v",))
    moved = tangent(*(t.detach() for t in given), cotangent)
    assert is_near(moved, expected(given[0], given[1], cotangent, given[3]))  # the result is linear in v


def test_derivatives_in_inputs_that_do_not_matter():
    """No gradient is an empty one, and no tangent either."""
    attention = attnc.loads("attention a input x[N], y[N] axis i: N output z[i] = 2 * x[i] + 0 * y[i]")
    x, y = torch.randn(5).requires_grad_(), torch.randn(5).requires_grad_()
    first, second = grad((attention(x, y) ** 2).sum(), (x, y), create_graph=True)
    assert is_near(first, 8 * x.detach()) and torch.all(second == 0)
    assert is_near(grad(first.sum(), x)[0], torch.full((5,), 8.0))
    _, moved = torch.func.jvp(lambda y: attention(x.detach(), y), (y.detach(),), (y.detach(),))
    assert torch.all(moved == 0)
