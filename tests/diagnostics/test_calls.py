"""Mistakes in calls: one clear message each, before a kernel is even looked for.

ATTNC_UPDATE_GOLDENS=1 writes the messages anew.
"""

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import attnc
from attnc.runtime import cache, calls, kernels, machines, operators, toolchain
from attnc.runtime.triton import first_use

from .goldens import compare
from .wrong_calls import (
    CASES,
    NEED_KERNELS,
    SLIDING,
    WEIGHTS,
    B,
    D,
    E,
    G,
    H,
    N,
    OnGpu,
    documents,
    numbers,
    parents,
    sliding,
    tree,
)

HERE = Path(__file__).parent / "calls"


@pytest.mark.parametrize("case", CASES)
def test_message(case, monkeypatch):
    def refuse(*_):
        raise AssertionError("a kernel was asked for")

    code = case.split("/")[0]
    if code not in NEED_KERNELS:
        monkeypatch.setattr(calls, "load_kernel", refuse)
    with pytest.raises(attnc.AttnError) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about sparse and nested tensors
        CASES[case]()
    assert caught.value.code == code
    assert len(caught.value.diagnostics) == 1
    compare(HERE / f"{case}.txt", caught.value)


def test_no_golden_is_left_over():
    assert {path.relative_to(HERE).with_suffix("").as_posix() for path in HERE.glob("*/*.txt")} == set(CASES)


def test_independent_mistakes_come_together():
    with pytest.raises(attnc.AttnError) as caught:
        sliding(slope=..., windw=3, cap=None)
    assert [found.code for found in caught.value.diagnostics] == [
        "missing-input",
        "wrong-parameter",
        "unknown-argument",
    ]
    with pytest.raises(attnc.AttnError) as caught:
        sliding(slope=numbers(H, 1), doc=documents().float(), keep=None)
    assert [found.code for found in caught.value.diagnostics] == ["wrong-rank", "wrong-dtype", "not-a-tensor"]


def test_what_is_right_is_not_refused():
    """Mixed dtypes are promoted; numpy's numbers are numbers; any strides; a float parameter takes an int."""
    import numpy

    q, k, v = numbers(B, H, N, D), numbers(B, G, N, D).double(), numbers(B, N, G, E).bfloat16().transpose(1, 2)
    out = sliding(
        q=q, k=k, v=v, slope=numbers(1).half().expand(H), doc=documents().byte(), window=numpy.int64(3), cap=7
    )
    assert out.dtype == torch.float64 and out.shape == (B, H, N, E)
    assert sliding(cap=numpy.float32(9.0), window=1 << 40).dtype == torch.float32
    assert tree(parents(), numbers(H)).shape == (B, H, N, E)


def test_a_requirement_on_tensors_is_checked_at_every_call():
    tree(parents(), numbers(H))
    with pytest.raises(attnc.AttnError, match="requirement-fails"):
        tree(parents(last=0), numbers(H))


def test_a_file_is_shown_with_its_own_lines(tmp_path):
    """Also where the spec comes from the cache, which keeps no comments."""
    path = tmp_path / "causal.attn"
    path.write_text("# one\n# two\nattention causal(cap: float)\nscore s = cap * (q[i] @ k[j])\n")
    for _ in range(2):
        with pytest.raises(attnc.AttnError) as caught:
            attnc.load(path)(cap="3")
        assert f"{path}:3:18\n" in str(caught.value)


def test_a_changed_file_is_not_shown(tmp_path):
    path = tmp_path / "causal.attn"
    path.write_text("# one\nattention causal(cap: float)\nscore s = cap * (q[i] @ k[j])\n")
    attnc.load(path)
    attention = attnc.load(path)
    path.write_text("attention other\n")
    with pytest.raises(attnc.AttnError) as caught:
        attention(cap="3")
    assert "<causal>:1:18\n" in str(caught.value)


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("ATTNC_CACHE_DIR", str(tmp_path))
    for name in ("CXX", "ATTNC_CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(toolchain, "packaged_compiler", lambda: None)
    toolchain.compiler.cache_clear()
    cache.folder.cache_clear()
    yield
    monkeypatch.undo()
    toolchain.compiler.cache_clear()
    cache.folder.cache_clear()


def test_no_compiler(no_compiler):
    attention = attnc.loads("attention lonely\nscore s = q[i] @ k[j]\n")
    tensors = numbers(1, 1, 3, 2), numbers(1, 1, 4, 2), numbers(1, 1, 4, 5)
    with pytest.raises(attnc.AttnError) as caught:
        attention(*tensors)
    compare(HERE.parent / "no_compiler.txt", caught.value)
    with pytest.raises(attnc.AttnError, match="wrong-rank"):
        attention(*tensors[:2], numbers(3))
    attnc.allow_reference()
    try:
        assert attention(*tensors).shape == (1, 1, 3, 5)
        with pytest.raises(attnc.AttnError, match="wrong-rank"):
            attention(*tensors[:2], numbers(3))
    finally:
        attnc.allow_reference(False)
    with pytest.raises(attnc.AttnError, match="no-compiler"):
        attention(*tensors)


def test_a_compiler_that_fails(no_compiler, monkeypatch, tmp_path):
    """A fault of attnc or the compiler, and said so."""
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'kernel.cpp:1: no' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("ATTNC_CXX", str(broken))
    with pytest.raises(attnc.AttnError) as caught:
        attnc.loads("attention lonely\n")(*(numbers(1, 1, 3, 2),) * 3)
    compare(HERE.parent / "compiler_failed.txt", str(caught.value).replace(str(tmp_path), "/tools"))


def test_a_check_of_the_compiler_that_fails(no_compiler, monkeypatch):
    """Where the compiler stops at an invariant of its own, the user is told of the spec and not of Python."""

    def stop(*_):
        raise AssertionError("no loop over e")

    monkeypatch.setattr(kernels, "generate", stop)
    with pytest.raises(attnc.AttnError) as caught:
        attnc.loads("attention lonely\n")(*(numbers(1, 1, 3, 2),) * 3)
    compare(HERE.parent / "cannot_be_compiled.txt", caught.value)


def test_forms_of_what_cannot_be_compiled(monkeypatch):
    """`source` says so as a call does, and names the spec."""
    from attnc.runtime import show

    def stop(*_):
        raise AssertionError("no loop over e")

    monkeypatch.setattr(show, "generate", stop)
    with pytest.raises(attnc.AttnError, match=r"cannot-be-compiled\]: 'lonely' cannot be compiled"):
        attnc.loads("attention lonely\n").source()


LONELY = "attention lonely\n"


def test_a_gpu_without_triton(monkeypatch):
    def fail(device):
        raise ModuleNotFoundError("No module named 'triton'")

    monkeypatch.setattr(machines, "_gpu", fail)
    with pytest.raises(attnc.AttnError) as caught:
        attnc.loads(LONELY)(*(numbers(1, 1, 3, 2).as_subclass(OnGpu),) * 3)
    assert caught.value.code == "no-triton"
    compare(HERE.parent / "no_triton.txt", caught.value)


def test_a_kernel_that_is_wrong_on_a_device(monkeypatch, tmp_path):
    """The versions are named, since a compiler is most likely at fault."""
    monkeypatch.setattr(first_use, "_compare", lambda *_: "'out' is off by 0.5 where 1.2e-05 is allowed")
    monkeypatch.setattr(first_use.torch, "__version__", "2.13.0")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    monkeypatch.delenv("ATTNC_FIRST_USE", raising=False)
    attention = attnc.loads(LONELY)
    gpu = SimpleNamespace(device=torch.device("cuda", 0), version="3.7.1", target="sm_90", precision="ieee")
    with pytest.raises(attnc.AttnError) as caught:
        first_use.check_first_use(attention, attention.card(), gpu, (numbers(1, 1, 3, 2),) * 3, {})
    assert caught.value.code == "wrong-on-device"
    compare(HERE.parent / "wrong_on_device.txt", caught.value)


def test_a_program_of_another_process():
    """One that torch.export stored, say, without the spec that it calls."""
    with pytest.raises(attnc.AttnError) as caught:
        operators.forward("sliding.0123456789ab", [numbers(1, 1, 3, 2)] * 3, "{}", [], [False] * 3)
    assert caught.value.code == "not-loaded"
    compare(HERE.parent / "not_loaded.txt", caught.value)


def test_the_dense_meaning_refuses_the_same():
    for attention in (WEIGHTS, SLIDING):
        with pytest.raises(attnc.AttnError, match="not-a-tensor"):
            attention.reference(*[3] * len(attention.card().inputs))
