"""`attnc("check", path)`: a command as a user would run it, in a folder of its own; nothing of it is a terminal."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from attnc.cli import commands

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

GOOD = '"""Causal attention."""\nattention good\naxis      i, j: N\nmask      j <= i\n'
WRONG = "attention wrong\nscore     s = q[i] @ k[j] - slop\n"
WRONG_MESSAGE = """\
error[unknown-name]: nothing named 'slop' is in scope
 --> wrong.attn:2:29
  |
2 | score     s = q[i] @ k[j] - slop
  |                             ^^^^ not defined here
  |
  = help: declare it: the parameter 'slop: int', 'input slop: float' or 'let slop = …'
"""
UNTIDY = "attention untidy  # keep me\n  axis i,j:N   mask j<=i\n"
TIDY = "attention untidy  # keep me\naxis      i, j: N\nmask      j <= i\n"
SEVERAL = "attention one\nmask j <= i\n\nattention two(near: int = 4)\nmask i - j < near\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that commands run in, with the specs above in it."""
    texts = {"good": GOOD, "wrong": WRONG, "untidy": UNTIDY, "several": SEVERAL}
    for name, text in texts.items():
        (tmp_path / f"{name}.attn").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def attnc(folder):
    def run(*arguments, **options):
        found = CliRunner().invoke(commands, [str(a) for a in arguments], prog_name="attnc", **options)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found

    return run
