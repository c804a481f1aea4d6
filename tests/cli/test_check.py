"""`attnc check`."""

import os
import re
import resource
import subprocess
import sys

import pytest

from .conftest import EXAMPLES, ROOT, WRONG_MESSAGE

POISON = "raise ImportError('checking a spec asked for this module')\n"

SYSTEMS = """attention systems
input A[D, D], w[D]
axis c: D
let z[d] = solve[d, c](A[d, c], w[d])
score s = sum[d](q[i, d] * z[d] * k[j, d])
"""


def test_says_how_the_attention_is_called(attnc):
    assert attnc("check", "good.attn").output == "good.attn: good(q, k, v) is well-formed\n"
    assert attnc("check", EXAMPLES / "sliding.attn").output.endswith(
        "sliding(q, k, v, window=4096, cap=50.0) is well-formed\n"
    )


def test_modes_and_parameters_without_default(attnc, folder):
    (folder / "modes.attn").write_text('attention modes(far: int, kind: "a" | "b")\nmask i - j < far or kind == "b"\n')
    assert attnc("check", "modes.attn").output == "modes.attn: modes(q, k, v, far, kind='a') is well-formed\n"


def test_several_files_of_which_one_is_wrong(attnc):
    found = attnc("check", "good.attn", "wrong.attn", "several.attn")
    assert found.exit_code == 1
    assert found.stdout == (
        "good.attn: good(q, k, v) is well-formed\n"
        "several.attn: one(q, k, v) is well-formed\n"
        "several.attn: two(q, k, v, near=4) is well-formed\n"
    )
    assert found.stderr == WRONG_MESSAGE + "3 files, 1 with mistakes\n"


def test_a_folder_stands_for_all_below_it(attnc, folder):
    (folder / "wrong.attn").rename(folder / "wrong.txt")
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "good.attn").rename(folder / "deep" / "deeper" / "good.attn")
    found = attnc("check", ".")
    assert found.exit_code == 0
    assert found.stdout.startswith("deep/deeper/good.attn: ") and found.stdout.endswith("3 files, none with mistakes\n")


def test_every_example_is_well_formed(attnc):
    found = attnc("check", EXAMPLES)
    assert found.exit_code == 0 and "note" not in found.stdout
    texts = [path.read_text() for path in EXAMPLES.rglob("*.attn")]
    attentions = [max(len(re.findall(r"^attention ", text, re.MULTILINE)), 1) for text in texts]  # 1: definitions alone
    assert found.stdout.count("well-formed\n") == sum(attentions)


def test_definitions_alone(attnc, folder):
    (folder / "own.attn").write_text("define half(x) = x / 2\n")
    assert attnc("check", "own.attn").output == "own.attn: 1 definition is well-formed\n"
    (folder / "own.attn").write_text("define half(x) = x / 2\ndefine third(x) = y / 3\n")
    found = attnc("check", "own.attn")
    assert found.exit_code == 1 and "error[unknown-name]: nothing named 'y'" in found.stderr


def test_mistakes_of_the_file_as_a_whole(attnc, folder):
    (folder / "twice.attn").write_text("attention a\nmask j <= i\nattention a\nmask j < i\n")
    found = attnc("check", "twice.attn")
    assert found.exit_code == 1 and "two attentions are called 'a'" in found.stderr


def test_what_is_not_compiled_yet_is_noted(attnc, folder):
    (folder / "systems.attn").write_text(SYSTEMS)
    found = attnc("check", "systems.attn")
    assert found.exit_code == 0
    assert found.stdout == (
        "systems.attn: systems(q, k, v, A, w) is well-formed\n"
        "systems.attn: note: 'solve' is checked but cannot be compiled yet\n"
    )


def test_used_files_are_found_beside_the_spec(attnc, folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "own.attn").write_text("define half(x) = x / 2\n")
    (folder / "sub" / "user.attn").write_text('use "own.attn"\nattention user\nscore s = half(q[i] @ k[j])\n')
    assert attnc("check", "sub/user.attn").exit_code == 0


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"\x00", b"attention"])
def test_any_bytes_are_answered(attnc, folder, data):
    (folder / "odd.attn").write_bytes(data)
    found = attnc("check", "odd.attn")
    assert found.exit_code == 1 and found.stderr.startswith("error[")


def check_in_a_process(folder, *paths):
    """Output and seconds of CPU of a check where torch, sympy and triton cannot be imported."""
    for name in ("torch", "sympy", "triton"):
        (folder / f"{name}.py").write_text(POISON)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", "from attnc.cli import main; main()", "check", *map(str, paths)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_needs_no_torch(tmp_path):
    """Which is what makes it quick; times are the benchmark's business."""
    done, _ = check_in_a_process(tmp_path, EXAMPLES / "causal.attn")
    assert done.returncode == 0 and done.stdout.endswith("well-formed\n"), done.stderr


def test_wrong_specs_need_no_torch_either(tmp_path):
    wrong = tmp_path / "wrong.attn"
    wrong.write_text("attention wrong\nscore s = q[i] @ k[j] - slop\n")
    done, _ = check_in_a_process(tmp_path, wrong)
    assert done.returncode == 1 and done.stderr.startswith("error[unknown-name]")
