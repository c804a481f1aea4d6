"""`attnc fmt`."""

import pytest

from .conftest import EXAMPLES, GOOD, TIDY, UNTIDY

DIFF = """\
--- untidy.attn
+++ canonical
@@ -1,2 +1,3 @@
 attention untidy  # keep me
-  axis i,j:N   mask j<=i
+axis      i, j: N
+mask      j <= i
"""


def test_rewrites_in_place_and_is_then_content(attnc, folder):
    assert attnc("fmt", "untidy.attn").output == "untidy.attn: laid out\n"
    assert (folder / "untidy.attn").read_text() == TIDY
    assert attnc("fmt", "untidy.attn").output == ""
    assert attnc("fmt", "--check", "untidy.attn").exit_code == 0


def test_check_shows_and_changes_nothing(attnc, folder):
    found = attnc("fmt", "--check", "untidy.attn", "good.attn")
    assert found.exit_code == 1 and found.stdout == DIFF
    assert found.stderr == "1 file to lay out: 'attnc fmt' without --check does it\n"
    assert (folder / "untidy.attn").read_text() == UNTIDY


def test_check_of_what_is_laid_out_says_nothing(attnc):
    found = attnc("fmt", "--check", "good.attn", EXAMPLES)
    assert (found.exit_code, found.output) == (0, "")


def test_standard_input(attnc):
    assert attnc("fmt", "-", input=UNTIDY).stdout == TIDY
    assert attnc("fmt", "-", input=GOOD).stdout == GOOD
    assert attnc("fmt", "--check", "-", input=GOOD).exit_code == 0
    found = attnc("fmt", "--check", "-", input=UNTIDY)
    assert found.exit_code == 1 and found.stdout.startswith("--- <stdin>\n")


def test_line_ends_of_other_systems(attnc, folder):
    (folder / "good.attn").write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert attnc("fmt", "--check", "good.attn").exit_code == 1
    assert attnc("fmt", "good.attn").exit_code == 0
    assert (folder / "good.attn").read_bytes() == GOOD.encode()


def test_a_mistake_leaves_its_file_alone_and_the_others_are_laid_out(attnc, folder):
    (folder / "broken.attn").write_text("attention broken mask (j <= i")
    found = attnc("fmt", "broken.attn", "untidy.attn")
    assert found.exit_code == 1 and found.stdout == "untidy.attn: laid out\n"
    assert found.stderr.startswith("error[") and "broken.attn:1:" in found.stderr
    assert (folder / "broken.attn").read_text() == "attention broken mask (j <= i"


def test_a_folder(attnc, folder):
    found = attnc("fmt", folder)
    assert {line.split(":")[0] for line in found.stdout.splitlines()} == {
        str(folder / name) for name in ("several.attn", "untidy.attn")
    }


def test_a_file_that_cannot_be_written(attnc, folder):
    path = folder / "untidy.attn"
    path.chmod(0o444)
    try:
        path.open("a").close()
    except OSError:
        found = attnc("fmt", "untidy.attn")
        assert found.exit_code == 1 and found.stderr == "error[system]: 'untidy.attn': Permission denied\n"
    else:
        pytest.skip("this user may write everywhere")
