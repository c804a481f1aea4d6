"""`attnc build` without a GPU: the package that it writes, and what its own loader launches."""

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

from .launching import Recorder, launches_of_package
from .workers import run

EXAMPLE = Path(__file__).parents[2] / "examples" / "causal.attn"
pytestmark = pytest.mark.xdist_group("compiler")


def attnc(*arguments):
    """A command's exit status and what it printed."""
    from click.testing import CliRunner

    from attnc.cli import commands

    found = CliRunner().invoke(commands, [str(argument) for argument in arguments], prog_name="attnc")
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.output


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A package, and what was printed."""
    folder = tmp_path_factory.mktemp("built") / "causal_kernels"
    status, output = run("compiler", attnc, "build", EXAMPLE, "--target", "sm_90", "-o", folder)
    assert status == 0, output
    return folder, output


@pytest.fixture
def copied(built, tmp_path):
    """A package of a test's own, under a name that was not imported before."""
    folder = tmp_path / f"{tmp_path.name}_kernels"
    shutil.copytree(built[0], folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def failure(parent, name, target, dtype, offset):
    """What the loader of a package, or the call that it loads, raises."""
    import triton

    triton.runtime.driver.set_active(Recorder(90))
    sys.path.insert(0, str(parent))
    try:
        attention = importlib.import_module(name).load(target)
        memory = torch.zeros(3, 4 * 64 + 8, dtype=getattr(torch, dtype))
        attention(*(one[offset : offset + 256].view(1, 1, 4, 64) for one in memory))
    except (RuntimeError, ValueError) as error:
        return type(error).__name__, str(error)
    finally:
        sys.path.remove(str(parent))


def test_files(built):
    """Readable sources, a binary for each kernel, a report, and a loader that knows nothing of attnc."""
    folder, _ = built
    rows = json.loads((folder / "report.json").read_text())
    kernels = [f"{row['direction']}_{row['kernel']}" for row in rows]
    binaries = {f"sm_90/{kernel}.{suffix}" for kernel in kernels for suffix in ("cubin", "json")}
    sources = {"__init__.py", "evaluation.py", *(f"split/{name}.py" for name in ("__init__", "forward", "backward"))}
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.*") if path.suffix != ".pyc"}
    assert found == {*sources, *binaries, "launches.json", "report.json", "report.md"}
    for kernel in kernels:
        assert (folder / f"sm_90/{kernel}.cubin").read_bytes().startswith(b"\x7fELF")
        assert json.loads((folder / f"sm_90/{kernel}.json").read_text())["target"]["arch"] == 90
    for source in sources:
        assert not re.search(r"^\s*(from|import) attnc", (folder / source).read_text(), re.MULTILINE)


def test_report(built):
    folder, output = built
    rows = json.loads((folder / "report.json").read_text())
    assert [(row["target"], row["direction"]) for row in rows] == [("sm_90", "forward"), *[("sm_90", "backward")] * 3]
    for row in rows:
        assert not row["faults"] and row["spilled"] == 0 and row["registers"] >= 16
        assert bool(row["matrix"]) == row["kernel"].startswith("stage")
        assert all(instruction.startswith("wgmma.mma_async") for instruction in row["matrix"])
    text = (folder / "report.md").read_text()
    assert text in output and text.startswith("# Kernels of causal\n\nCompiled by Triton ")
    header, _, first = text.splitlines()[4:7]
    columns = ["target", "kernel", "blocks", "registers", "spilled", "shared", "matrix instructions", "faults"]
    assert header.strip("| ").split(" | ") == columns
    assert first.startswith(f"| sm_90 | forward stage0 | {rows[0]['choice']} | {rows[0]['registers']} | 0 | ")
    assert first.endswith(" m64n64k16 | none |")


def test_launches(built):
    """The package's own loader: one block for so many rows of each head, every argument of each kernel."""
    folder, _ = built
    made = json.loads((folder / "launches.json").read_text())
    found, shape = run("compiler", launches_of_package, folder.parent, folder.name)
    assert shape == (2, 4, 300, 64)
    for direction, launches in zip(("forward", "backward"), found):
        known, choices = made["split"][direction], made["choices"]["sm_90"][direction]
        assert [(name, count) for name, _, count in launches] == [
            (launch["kernel"], len(launch["arguments"])) for launch in known
        ]
        grids = [(2 * 4 * -(-300 // choice["rows"]), 1, 1) for choice in choices]
        assert [grid for _, grid, _ in launches] == grids


def test_another_triton_is_refused(copied):
    path = copied / "launches.json"
    made = json.loads(path.read_text())
    path.write_text(json.dumps({**made, "triton": "9.9.9"}))
    kind, text = run("compiler", failure, copied.parent, copied.name, "sm_90", "bfloat16", 0)
    assert (kind, text) == ("RuntimeError", f"these kernels were built by Triton 9.9.9, not {made['triton']}")


@pytest.mark.parametrize(
    ("target", "dtype", "offset", "text"),
    [
        ("sm_80", "bfloat16", 0, "no kernels for sm_80: built were sm_90"),
        (None, "float32", 0, "'q' must be bfloat16 and begin at a multiple of 16 bytes"),
        (None, "bfloat16", 1, "'q' must be bfloat16 and begin at a multiple of 16 bytes"),
        (None, "bfloat16", 8, None),
    ],
)
def test_what_a_package_is_not_made_for(copied, target, dtype, offset, text):
    found = run("compiler", failure, copied.parent, copied.name, target, dtype, offset)
    assert (found[1] if found else None) == text


def test_an_unknown_target(tmp_path):
    status, output = attnc("build", EXAMPLE, "--target", "nonsense", "-o", tmp_path / "out")
    assert status == 2 and "'nonsense' is not one of 'sm_80'" in output
    assert not (tmp_path / "out").exists()


def test_steps_are_built(tmp_path):
    """A kernel for each stage of a step, and how often they are launched."""
    from attnc.ir.evaluation import in_order

    spec, folder = Path(__file__).parents[1] / "specs" / "sinkhorn.attn", tmp_path / "sinkhorn_kernels"
    status, output = run("compiler", attnc, "build", spec, "--target", "sm_90", "-o", folder)
    assert status == 0, output
    assert all(row["spilled"] == 0 and not row["faults"] for row in json.loads((folder / "report.json").read_text()))
    made = json.loads((folder / "launches.json").read_text())
    for direction, is_reverse in (("forward", False), ("backward", True)):
        (repeat,) = made[direction]["repeats"]
        count = len(made["split"][direction])
        order = list(in_order(count, [repeat], {"rounds": 4}))
        inner = [(number, around[0][1]) for _, number, around in order if around]
        steps = [step for number, step in inner if number == repeat["first"]]
        assert steps == ([3, 2, 1, 0] if is_reverse else [0, 1, 2, 3]) and repeat["is_reverse"] == is_reverse
        assert len(order) == count + 3 * (repeat["last"] - repeat["first"])
        assert [n for _, n, around in order if not around] == [*range(repeat["first"]), *range(repeat["last"], count)]


def test_a_search_is_built(tmp_path):
    """Loops whose sums are read after them, in one precision of integers throughout."""
    spec = Path(__file__).parents[1] / "specs" / "topk.attn"
    status, output = run("compiler", attnc, "build", spec, "--target", "sm_90", "-o", tmp_path / "topk_kernels")
    assert status == 0, output
