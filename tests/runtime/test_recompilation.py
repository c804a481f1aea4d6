"""When the compiler is called, and when not; and that no more is computed than is asked for."""

import pytest
import torch

import attnc
from attnc.runtime import kernels as kernels_made
from attnc.runtime import toolchain

from .probes import expected, is_near, probe, tensors

STATIC = """attention static(near: int = 3, gain: float = 2.0, side: "left" | "both" = "left", is_wide: bool = False)
input     table[near]
score     s = gain * (q[i] @ k[j]) + sum[r](table[r])
axis      r: near
mask      j <= i or side == "both" or is_wide
"""


@pytest.fixture
def builds(workplace):
    """How often the compiler was called since the last question."""
    before = toolchain.build_count()

    def count():
        nonlocal before
        found, before = toolchain.build_count() - before, toolchain.build_count()
        return found

    return count


def run(attention, given, **parameters):
    """Forward and backward, compared with the meaning."""
    out = attention(*given, **parameters)
    assert is_near(out, expected(*given, **parameters))
    learns = [tensor for tensor in given if tensor.requires_grad]
    if learns:
        random = torch.Generator().manual_seed(1)
        cotangent = torch.randn(out.shape, generator=random)
        found = torch.autograd.grad(out, learns, cotangent)
        wanted = torch.autograd.grad(expected(*given, **parameters), learns, cotangent.double())
        assert all(is_near(a, b, 1e-4) for a, b in zip(found, wanted))


KINDS = {
    "contiguous": lambda t: t,
    "heads inside": lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
    "part of more": lambda t: torch.cat([t, t], 2)[:, :, : t.shape[2]],
    "every other": lambda t: torch.stack([t, t], 3).flatten(2, 3)[:, :, ::2],
    "expanded": lambda t: t[:1, :1].expand_as(t),
    "part of wider": lambda t: torch.cat([t, t], 3)[..., : t.shape[3]],
    "somewhere inside": lambda t: torch.cat([t[..., :1], t], 3)[..., 1:],
}


def test_one_kernel_serves_all_sizes_strides_and_numbers(builds):
    attention = probe()
    run(attention, tensors(learns=True))
    assert builds() == 2
    for seed in range(30):
        run(attention, tensors(B=1 + seed % 3, H=1 + seed % 5, N=1 + (7 * seed) % 40, seed=seed, learns=True))
    for window in (0 + 1, 2, 7, 1000):
        for cap in (0.5, 3, 10.0):
            run(attention, tensors(learns=True), window=window, cap=cap)
    for make in KINDS.values():
        *plain, slope = tensors(B=2, H=2)
        run(attention, [*(make(tensor).requires_grad_() for tensor in plain), slope.requires_grad_()])
    assert builds() == 0


def test_empty_sizes_need_no_kernel_of_their_own(builds):
    attention = probe()
    run(attention, tensors())
    assert builds() == 1
    for sizes in ({"B": 0}, {"H": 0}, {"N": 0}):
        assert attention(*tensors(**sizes)).shape == tensors(**sizes)[0].shape
    assert builds() == 0


def test_what_is_compiled_in_calls_the_compiler(builds):
    attention = probe()
    run(attention, tensors())
    assert builds() == 1
    run(attention, tensors(D=9))
    assert builds() == 1
    attention(*tensors(dtype=torch.bfloat16))
    assert builds() == 1
    attention(*tensors(dtype=torch.float64))
    assert builds() == 1
    *plain, slope = tensors()
    run(attention, [*(t.transpose(2, 3).contiguous().transpose(2, 3) for t in plain), slope])
    assert builds() == 1  # features that are not side by side
    run(attention, tensors())
    run(attention, tensors(D=9))
    assert builds() == 0


def test_static_parameters_call_the_compiler(builds):
    attention = attnc.loads(STATIC)
    plain = tensors()[:3]
    attention(*plain, torch.ones(3))
    assert builds() == 1
    attention(*plain, torch.ones(3), gain=3.0)
    attention(*plain, torch.ones(3), side="left", is_wide=False)
    assert builds() == 0
    attention(*plain, torch.ones(3), side="both")
    assert builds() == 1
    attention(*plain, torch.ones(3), is_wide=True)
    assert builds() <= 1  # the same source as with the other parameter, or another
    attention(*plain, torch.ones(2), near=2)
    assert builds() == 1  # it is the size of an axis of features


def test_another_object_of_the_same_text_shares_kernels(builds):
    run(probe(), tensors(learns=True))
    assert builds() == 2
    run(probe(), tensors(learns=True))
    assert builds() == 0


# --- only what is asked for -------------------------------------------------------------------------------------------


def kernels(attention, is_backward):
    return [kernel for (_, backward), kernel in attention._caller.kernels.items() if backward == is_backward]


def test_calls_without_gradients_know_of_none(builds):
    attention = probe()
    attention(*tensors())
    with torch.no_grad():
        attention(*tensors(learns=True))
    with torch.inference_mode():
        attention(*tensors())
    (kernel,) = kernels(attention, False)
    assert [output.name for output in kernel.outputs] == ["out"] and not kernel.kept
    assert not kernels(attention, True) and builds() == 1


def test_a_backward_is_built_beside_the_forward_that_keeps_for_it(builds):
    attention = probe()
    with torch.no_grad():
        attention(*tensors(learns=True))
    attention(*tensors())
    kernels_made.wait_for_all()
    assert builds() == 1
    out = attention(*tensors(learns=True))
    kernels_made.wait_for_all()
    assert builds() == 2
    out.sum().backward()
    assert builds() == 0


@pytest.mark.parametrize("wanted", [(0,), (3,), (1, 2), (0, 3), (0, 1, 2, 3)])
def test_only_wanted_gradients_are_computed(workplace, wanted):
    attention = probe()
    given = tensors()
    for n in wanted:
        given[n].requires_grad_()
    run(attention, given)
    (kernel,) = kernels(attention, True)
    names = ("q", "k", "v", "slope")
    assert {output.name for output in kernel.outputs} == {"g " + names[n] for n in wanted}
    assert [tensor.grad_fn for tensor in given] == [None] * 4


def test_nothing_outlives_a_call():
    """What is remembered of a call holds no tensor."""
    import gc
    import weakref

    attention = probe()
    given = tensors(learns=True)
    out = attention(*given)
    out.sum().backward()
    watched = [weakref.ref(tensor) for tensor in (*given, out)]
    del given, out
    gc.collect()
    assert [watch() for watch in watched] == [None] * 5


def test_what_is_remembered_is_bounded(monkeypatch):
    from attnc.runtime import calls

    monkeypatch.setattr(calls, "_MOST_REMEMBERED", 8)
    attention = probe()
    for length in range(1, 40):
        attention(*tensors(N=length))
        assert len(attention._caller.remembered) <= 8
    run(attention, tensors(N=3))
