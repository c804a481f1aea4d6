"""A kernel's first call on a device: one that computes wrongly is refused, a right one is not checked again."""

import os
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

import attnc
from attnc.runtime import entry, verify
from attnc.runtime.signature import bind_sizes
from attnc.runtime.triton import devices, first_use

from ..diagnostics.wrong_calls import OnGpu
from .launching import recording
from .workers import run

CAUSAL = "attention causal\nmask j <= i\n"
DOCUMENTS = "attention documents\ninput doc[B, N]: int\naxis i, j: N\nmask doc[i] == doc[j]\n"
CHUNKS = "attention chunks(size: int = 64)\nrequire M == N, N % size == 0\nmask i // size == j // size\n"
ORDERED = """attention ordered
input     parent[B, N]: int
axis      i, j, x: N
require   all[x](parent[x] > x)
mask      j <= parent[i]
"""


def codes_and_texts(environment, count):
    """What calls of a kernel say on a device whose kernels do nothing, so that results are what memory held."""
    _, machine = recording()
    attention = attnc.loads(CAUSAL)
    tensors = [torch.ones(1, 2, 40, 64, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    said = []
    with mock.patch.dict(os.environ, environment):
        for _ in range(count):
            try:
                first_use.check_first_use(attention, attention.card(), machine, tensors, {})
                said.append(None)
            except attnc.AttnError as error:
                said.append((error.code, str(error), machine.version, str(machine.device)))
    return said


@pytest.mark.xdist_group("compiler")
def test_wrong_kernels_are_refused():
    """At each call, with the versions named."""
    said = run("compiler", codes_and_texts, {"ATTNC_FIRST_USE": ""}, 2)
    for code, text, version, device in said:
        assert code == "wrong-on-device"
        assert f"the kernels of 'causal' compute wrongly on '{device}'" in text
        assert f"with Triton {version} and torch {torch.__version__}" in text


@pytest.mark.xdist_group("compiler")
def test_switched_off():
    assert run("compiler", codes_and_texts, {"ATTNC_FIRST_USE": "off"}, 1) == [None]


# --- kernels that are right ------------------------------------------------------------------------------------------


def device(**changed):
    """A device as far as the check asks for it; Triton's interpreter stands in for its kernels."""
    return SimpleNamespace(
        **{"device": torch.device("cpu"), "version": "3.7.1", "target": "sm_90", "precision": "ieee", **changed}
    )


def checks(text, calls):
    """What was measured in each of these calls: length, dtype, whether gradients are wanted, what the device is."""
    from tests.corpus import draw

    attention, stored, measured = attnc.loads(text), {}, []
    measure = verify.measure

    def watched(*given):
        found = measure(*given)
        measured[-1] += [error.name for error in found]
        return found

    with (
        mock.patch.object(first_use, "load_json", stored.get),
        mock.patch.object(first_use, "store_json", stored.__setitem__),
        mock.patch.object(verify, "measure", watched),
    ):
        for length, dtype, learns, changed in calls:
            sizes = {"B": 2, "H": 1, "G": 1, "M": length, "N": length, "E": 16}
            tensors = draw(attention, sizes, getattr(torch, dtype), learns=learns)
            measured.append([])
            with torch.device("meta"), torch.inference_mode():  # what a call may stand in
                first_use.check_first_use(attention, attention.card(), device(**changed), tensors, {})
    return measured


def test_right_kernels_are_checked_once():
    """Whatever the lengths; anew for other kernels: of another dtype, with gradients, by another Triton."""
    calls = [
        (40, "float32", False, {}),
        (300, "float32", False, {}),
        (40, "float16", False, {}),
        (30, "float32", True, {}),
        (40, "float32", False, {"version": "3.6.0"}),
    ]
    out, gradients = ["out"], ["out", "gradient of q", "gradient of k", "gradient of v"]
    assert run("interpreter", checks, DOCUMENTS, calls) == [out, [], out, gradients, out]


def small(text, shapes, **parameters):
    """The shapes of what is checked for a call."""
    card = attnc.loads(text).card()
    values = {parameter.name: parameter.default for parameter in card.parameters} | parameters
    tensors = [torch.zeros(()).expand(shape) for shape in shapes]
    bound = bind_sizes(card, shapes, values)
    found = first_use._small(card, bound, tensors, values)
    bind_sizes(card, [tensor.shape for tensor in found], values)
    return [tuple(tensor.shape) for tensor in found]


def test_long_calls_are_checked_with_short_ones():
    long = [(4, 2, 5000, 64), (4, 1, 9000, 64), (4, 1, 9000, 32)]
    assert small("attention full\n", long) == [(1, 2, 163, 64), (1, 1, 163, 64), (1, 1, 163, 32)]
    assert small("attention full\n", [(1, 2, 7, 64), (1, 2, 300, 64), (1, 2, 300, 64)])[0] == (1, 2, 7, 64)


@pytest.mark.parametrize(("size", "length", "checked"), [(64, 6400, 192), (40, 6400, 160), (300, 3000, 3000)])
def test_what_a_spec_requires_holds_for_short_calls(size, length, checked):
    assert small(CHUNKS, [(1, 2, length, 64)] * 3, size=size) == [(1, 2, checked, 64)] * 3


def test_random_numbers_that_break_a_requirement_are_not_held_against_a_kernel(monkeypatch):
    attention = attnc.loads(ORDERED)
    stored = {}
    monkeypatch.setattr(first_use, "load_json", stored.get)
    monkeypatch.setattr(first_use, "store_json", stored.__setitem__)
    tensors = [*(torch.ones(1, 1, 3, 8) for _ in range(3)), torch.tensor([[1, 2, 3]])]
    first_use.check_first_use(attention, attention.card(), device(), tensors, {})
    assert list(stored.values()) == [True]


@pytest.mark.parametrize(
    ("dtype", "precision", "is_refused"),
    [("float32", "ieee", True), ("float32", "tf32", False), ("bfloat16", "tf32", True)],
)
def test_products_that_the_user_has_rounded(monkeypatch, dtype, precision, is_refused):
    """torch.set_float32_matmul_precision("high") is no fault of a compiler."""
    error = verify.Error("out", 1e-3, (0,), 1e-6, 1.0, 1.001, 0.0, 0.0)
    monkeypatch.setattr(verify, "measure", lambda *_: [error])
    tensors = [torch.zeros(1, 1, 3, 8, dtype=getattr(torch, dtype))] * 3
    found = first_use._compare(attnc.loads(CAUSAL), device(precision=precision), tensors, {})
    assert (found is not None) == is_refused


# --- when it is asked for --------------------------------------------------------------------------------------------


def test_a_new_kernel_on_a_gpu_is_checked(monkeypatch):
    """And on nothing else."""

    class Asked(Exception):
        pass

    def ask(*_):
        raise Asked

    monkeypatch.setattr(first_use, "check_first_use", ask)
    monkeypatch.setattr(entry, "machine_for", lambda *_: devices.Gpu.__new__(devices.Gpu))
    attention, tensors = attnc.loads(CAUSAL), [torch.ones(1, 1, 3, 8)] * 3
    assert attention(*tensors).shape == (1, 1, 3, 8)
    with pytest.raises(Asked):
        attention(*(tensor.as_subclass(OnGpu) for tensor in tensors))
