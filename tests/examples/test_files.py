"""The files of examples/: laid out canonically, well-formed, documented, listed, and each of them tested."""

import re
import subprocess
import sys

import pytest

from .cases import EXAMPLES
from .kernels import FOLDER

FILES = sorted(FOLDER.glob("*.attn"))


def attnc(*words):
    return subprocess.run(
        [sys.executable, "-c", "from attnc.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_layout_is_canonical():
    done = attnc("fmt", "--check", *map(str, FILES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_are_well_formed():
    done = attnc("check", *map(str, FILES))
    assert done.returncode == 0, done.stdout + done.stderr
    for example in EXAMPLES:
        assert re.search(rf"\b{example.file or example.name}\.attn: {example.name}\b.* is well-formed", done.stdout)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_docstring_names_a_paper_and_its_year(path):
    sentence, source = path.read_text().split('"""')[1].split("\n\n")
    assert sentence.endswith(".") and re.search(r', "[^"]+" \((19|20)\d\d\)', source), source


def test_each_file_has_a_test_and_a_line_in_the_readme():
    listed = re.findall(r"^\| \[`(\w+)\.attn`\]\(\1\.attn\) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    stems = [path.stem for path in FILES]
    assert sorted(listed) == stems
    assert {example.file or example.name for example in EXAMPLES} == set(stems)
