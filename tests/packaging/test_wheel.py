"""sdist -> wheel -> an environment of its own, used from another folder. Nothing is downloaded: torch and the rest come
from the environment that runs the tests."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import textwrap
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("attnc", "grammar", "codegen", "runtime")
DATA = {"catalogue": "examples/catalogue"}  # no code: folders without an __init__.py
ENDINGS = (".py", ".attn", ".lark", ".h", ".cpp", ".typed", ".json", ".jsonl")
HOOK = "import sys, setuptools.build_meta as backend; backend.{hook}(sys.argv[1])"

pytestmark = pytest.mark.xdist_group("packaging")  # one worker builds


def run(*command, folder, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=300, env={**kept, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A copy of what the package is made of, with its relative links: building leaves files behind."""
    folder = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in (*FOLDERS, *DATA.values()):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="session")
def sdist(clone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-c", HOOK.format(hook="build_sdist"), folder, folder=clone)
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="session")
def wheel(sdist, tmp_path_factory):
    """Made of the sdist alone, as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from Python 3.11.4 on
        archive.extractall(folder / "source", **safely)
    (source,) = (folder / "source").iterdir()
    run(sys.executable, "-c", HOOK.format(hook="build_wheel"), folder, folder=source)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def environment(wheel, tmp_path_factory):
    """A fresh one with the wheel. Only then it is shown what else is installed here, or pip would find attnc there."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder)
    python = folder / "bin" / "python"
    options = ("--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel, folder=folder)
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return folder


@pytest.fixture
def python(environment, tmp_path):
    """Runs code in that environment, in an empty folder."""

    def call(code):
        cache = str(tmp_path / "cache")
        return run(environment / "bin" / "python", "-c", textwrap.dedent(code), folder=tmp_path, ATTNC_CACHE_DIR=cache)

    return call


def test_the_wheel_holds_every_file(wheel):
    """And nothing at the top but attnc."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            place = path.relative_to(ROOT)
            if path.suffix in ENDINGS and not any((ROOT / parent).is_symlink() for parent in place.parents):
                wanted.add(str(place) if folder == "attnc" else f"attnc/{place}")
    for name, place in DATA.items():
        found = [path for path in (ROOT / place).iterdir() if path.suffix in ENDINGS]
        assert found
        wanted |= {f"attnc/{name}/{path.name}" for path in found}
    assert names == wanted


def test_other_files_are_none_that_the_package_needs():
    """A kind of file that is new must be listed in pyproject.toml and here."""
    found = {path.suffix for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()}
    assert found <= {*ENDINGS, ".pyc"}


def test_the_package_list_is_the_folders():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("__init__.py"):
            place = path.relative_to(ROOT).parent
            if not any((ROOT / parent).is_symlink() for parent in (place, *place.parents)):
                name = ".".join(place.parts)
                found.add(name if folder == "attnc" else f"attnc.{name}")
    found |= {f"attnc.{name}" for name in DATA}
    assert set(settings["packages"]) == found and len(settings["packages"]) == len(found)
    code = {f"attnc.{folder}": folder for folder in FOLDERS if folder != "attnc"}
    assert settings["package-dir"] == code | {f"attnc.{name}": place for name, place in DATA.items()}


def test_the_links_of_a_clone():
    """An uninstalled clone and type checkers find the folders through them."""
    for folder in FOLDERS[1:]:
        assert os.readlink(ROOT / "attnc" / folder) == f"../{folder}"
    for name, place in DATA.items():
        assert os.readlink(ROOT / "attnc" / name) == f"../{place}"


def test_the_command(environment, tmp_path):
    (tmp_path / "causal.attn").write_text("attention causal\nmask j <= i\nnormalize p = sigmoid(s) * softmax[j](s)\n")
    (tmp_path / "wrong.attn").write_text("attention wrong\nmask j <= t\n")
    command = environment / "bin" / "attnc"
    run(command, "check", "causal.attn", folder=tmp_path)
    done = subprocess.run([command, "check", "wrong.attn"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "wrong.attn:2:11" in done.stdout + done.stderr


def test_a_kernel_and_what_it_needs(python, environment):
    found = python(
        """
        from pathlib import Path
        import torch, attnc
        package = Path(attnc.__file__).parent
        assert (package / "prelude.attn").exists() and list((package / "grammar").glob("*.lark"))
        assert (package / "codegen" / "cpp" / "attnc_kernel.h").exists()
        attention = attnc.loads("attention causal\\nmask j <= i\\n")
        q, k, v = (torch.randn(1, 2, 9, 8, requires_grad=True) for _ in range(3))
        out = attention(q, k, v)
        wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        assert torch.allclose(out, wanted, atol=1e-5)
        for a, b in zip(torch.autograd.grad(out.sum(), (q, k, v)), torch.autograd.grad(wanted.sum(), (q, k, v))):
            assert torch.allclose(a, b, atol=1e-5)
        attnc.verify(attention, q, k, v)
        print(package)
        """
    )
    assert Path(found.strip()).is_relative_to(environment)


def test_folders_are_no_names_at_the_top(python):
    python(
        """
        import importlib.util
        for name in ("grammar", "codegen", "runtime", "tests"):
            assert importlib.util.find_spec(name) is None, name
        for name in ("grammar", "codegen", "runtime"):
            assert importlib.util.find_spec("attnc." + name) is not None, name
        """
    )


def test_every_file_counts_for_the_cache(python):
    """A kernel of another version of attnc is not used: any file may have made it."""
    found = python(
        """
        from pathlib import Path
        import attnc
        from attnc.runtime.kernels import generator_digest
        known = {generator_digest()}
        names = ("lowering/lower.py", "runtime/calls.py", "codegen/cpp/attnc_math.h", "prelude.attn", "pipeline.py")
        for name in names:
            path = Path(attnc.__file__).parent / name
            before = path.read_bytes()
            path.write_bytes(before + b"\\n")
            generator_digest.cache_clear()
            known.add(generator_digest())
            path.write_bytes(before)
        print(len(known) - len(names))
        """
    )
    assert found.strip() == "1"


def test_an_uninstalled_clone(clone, tmp_path):
    code = "import attnc; attnc.loads('attention causal\\nmask j <= i\\n'); print(attnc.__file__)"
    found = run(sys.executable, "-c", code, folder=tmp_path, PYTHONPATH=str(clone))
    assert Path(found.strip()) == clone / "attnc" / "__init__.py"
