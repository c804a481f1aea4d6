"""A machine without a compiler, with another one, and with one that fails."""

import shutil

import pytest
import torch

import attnc
from attnc.runtime import toolchain

from .children import in_child
from .conftest import COMPILER, forget_what_is_known
from .probes import expected, is_near, probe, several, tensors


@pytest.fixture
def nothing(workplace, monkeypatch):
    """No compiler and nothing in the cache."""
    monkeypatch.setenv("PATH", "")
    for name in ("CXX", "ATTNC_CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(toolchain, "packaged_compiler", lambda: None)
    forget_what_is_known()
    yield monkeypatch
    attnc.allow_reference(False)


def test_the_message(nothing):
    with pytest.raises(attnc.AttnError) as caught:
        probe()(*tensors())
    assert str(caught.value) == (
        "error[no-compiler]: no C++ compiler was found to build the kernel with\n"
        "  = note: tried g++, clang++, c++\n"
        "  = help: install one: 'apt install g++', 'dnf install gcc-c++' or 'xcode-select --install'\n"
        "  = help: or one from PyPI: 'pip install attnc[compiler]'\n"
        "  = help: name one: set ATTNC_CXX to its path\n"
        "  = help: or compute densely, which takes memory for every pair of query and key: 'attnc.allow_reference()'"
    )
    assert "4 · B · H · M · N" in attnc.allow_reference.__doc__  # the memory that it states


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_with_the_packaged_compiler(workplace, monkeypatch, dtype):
    """On a machine that has none of its own, forward and backward."""
    if toolchain.packaged_compiler() is None:
        pytest.skip("ziglang is not installed")
    monkeypatch.setenv("PATH", "")
    for name in ("CXX", "ATTNC_CXX"):
        monkeypatch.delenv(name, raising=False)
    forget_what_is_known()
    assert toolchain.compiler().path.endswith("zig")
    attnc.verify(probe(), *tensors(dtype=dtype, learns=True), window=3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_densely_where_that_is_allowed(nothing, dtype):
    attnc.allow_reference()
    given = tensors(dtype=dtype, learns=True)
    out = probe()(*given, window=3)
    assert out.dtype == dtype and is_near(out, expected(*given, window=3))
    cotangent = torch.randn_like(out)
    found = torch.autograd.grad(out, given, cotangent, retain_graph=True)
    wanted = torch.autograd.grad(expected(*given, window=3), given, cotangent.double())
    assert all(is_near(a, b, 1e-4) for a, b in zip(found, wanted))
    with pytest.raises(attnc.AttnError, match="second-order"):
        torch.autograd.grad(out.sum(), given[0], create_graph=True)
    attnc.allow_reference(False)
    with pytest.raises(attnc.AttnError, match="no-compiler"):
        probe()(*given)


def test_several_results_densely(nothing, monkeypatch):
    given = tensors(learns=True)[:3]
    attnc.allow_reference()
    found = several()(*given)
    gradients = torch.autograd.grad(found.out.sum() + found.near[:, :, 1:].sum(), given)
    nothing.undo()
    forget_what_is_known()
    wanted = several()(*given)
    assert all(is_near(a, b) and a.dtype == b.dtype for a, b in zip(found, wanted))
    exact = torch.autograd.grad(wanted.out.sum() + wanted.near[:, :, 1:].sum(), given)
    assert all(map(is_near, gradients, exact))


@pytest.mark.parametrize(
    "transform",
    [
        lambda call, q: torch.vmap(call)(q[None]),
        lambda call, q: torch.func.grad(lambda x: call(x).sum())(q),
        lambda call, q: torch.func.jvp(call, (q,), (q,)),
    ],
    ids=["vmap", "grad", "jvp"],
)
def test_transforms_are_refused_densely(nothing, transform):
    attnc.allow_reference()
    q, *rest = tensors()
    with pytest.raises(attnc.AttnError, match=r"inside-transform|forward-mode"):
        transform(lambda x: probe()(x, *rest), q)


def test_the_permission_changes_nothing_where_there_is_a_compiler(workplace):
    attnc.allow_reference()
    try:
        assert is_near(probe()(*tensors()), expected(*tensors()))
    finally:
        attnc.allow_reference(False)
    assert len(workplace.builds()) == 1


def test_densely_in_a_half(nothing):
    attnc.allow_reference()
    given = tensors(dtype=torch.bfloat16, learns=True)
    out = probe()(*given)
    out.float().sum().backward()
    assert out.dtype == given[0].grad.dtype == torch.bfloat16
    assert is_near(out, expected(*given), 0.02)


# --- which compiler ---------------------------------------------------------------------------------------------------


def chosen(monkeypatch, **environment):
    for name in ("ATTNC_CXX", "CXX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    forget_what_is_known()
    return toolchain.compiler()


def test_which_compiler(workplace, monkeypatch):
    usual, own = shutil.which(COMPILER), str(workplace.compiler)
    assert chosen(monkeypatch).path in {shutil.which(name) for name in ("g++", "clang++", "c++")}
    assert chosen(monkeypatch, CXX=own).path == own
    assert chosen(monkeypatch, CXX=usual, ATTNC_CXX=own).path == own
    assert chosen(monkeypatch, ATTNC_CXX="", CXX=own).path == own
    assert chosen(monkeypatch, CXX="/no/such/compiler").path != "/no/such/compiler"
    with pytest.raises(attnc.AttnError, match="tried /no/such/compiler\n"):
        chosen(monkeypatch, ATTNC_CXX="/no/such/compiler", CXX=usual)


def test_a_compiler_with_arguments(workplace, monkeypatch):
    found = chosen(monkeypatch, ATTNC_CXX=f"{workplace.compiler} -DEXTRA=1")
    assert found.path == str(workplace.compiler) and found.flags[0] == "-DEXTRA=1"
    assert is_near(probe()(*tensors()), expected(*tensors()))
    assert "-DEXTRA=1" in workplace.builds()[0]


def test_a_compiler_in_a_folder_with_spaces(workplace, monkeypatch, tmp_path):
    folder = tmp_path / "my tools"
    folder.mkdir()
    shutil.copy(workplace.compiler, folder / "g++")
    assert chosen(monkeypatch, ATTNC_CXX=str(folder / "g++")).path == str(folder / "g++")
    assert is_near(probe()(*tensors()), expected(*tensors()))


def test_another_compiler_makes_another_kernel(workplace, monkeypatch, tmp_path):
    probe()(*tensors())
    other = tmp_path / "other-g++"
    shutil.copy(workplace.compiler, other)
    other.write_text(other.read_text().replace("exec", "echo Other && exec"))
    chosen(monkeypatch, ATTNC_CXX=str(other))
    probe()(*tensors())
    assert len(workplace.builds()) == 2


BROKEN = {
    "refuses": "#!/bin/sh\necho 'kernel.cpp:1: no' >&2\nexit 1\n",
    "says nothing": "#!/bin/sh\nexit 1\n",
    "speaks no UTF-8": "#!/bin/sh\nprintf '\\377\\376' >&2\nexit 1\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_compiler_that_fails(workplace, monkeypatch, tmp_path, case):
    broken = tmp_path / "broken"
    broken.write_text(BROKEN[case])
    broken.chmod(0o755)
    chosen(monkeypatch, ATTNC_CXX=str(broken))
    attnc.allow_reference()  # not for this
    try:
        with pytest.raises(attnc.AttnError) as caught:
            probe()(*tensors())
    finally:
        attnc.allow_reference(False)
    assert caught.value.code == "compiler-failed"
    assert str(broken) in str(caught.value) and "please report it" in str(caught.value)


def test_what_is_no_program(workplace, monkeypatch, tmp_path):
    (tmp_path / "text").write_bytes(b"\x00no program")
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(attnc.AttnError, match="no-compiler"):
        chosen(monkeypatch, ATTNC_CXX=str(tmp_path / "text"))


def test_a_compiler_that_comes_later(nothing, workplace):
    """Nothing remembers that there was none."""

    def use():
        attention = probe()
        with pytest.raises(attnc.AttnError, match="no-compiler"):
            attention(*tensors())
        nothing.setenv("PATH", workplace.environment.get("PATH") or "/usr/bin:/bin")
        nothing.setenv("ATTNC_CXX", str(workplace.compiler))
        return is_near(attention(*tensors()), expected(*tensors()))

    assert in_child(use)
