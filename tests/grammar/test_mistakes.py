"""One folder per code: what is wrong (`.attn` text, or `.py` with a function `spec`) and the exact message (`.txt`).

ATTNC_UPDATE_GOLDENS=1 writes the messages anew.
"""

import importlib.util
import os
from pathlib import Path

import pytest

from attnc.diagnostics import AttnError, syntax
from attnc.grammar import expression_layout, python_mistakes
from attnc.grammar.parser import parse
from attnc.grammar.python_front_end import parse_function

MISTAKES = Path(__file__).parent / "mistakes"
CASES = sorted(path for path in MISTAKES.glob("*/*") if path.suffix in (".attn", ".py"))


def error_of(path):
    with pytest.raises(AttnError) as caught:
        if path.suffix == ".attn":
            parse(path.read_bytes(), path.name)
        else:
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            parse_function(module.spec)
    return caught.value


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_message(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    error = error_of(path)
    golden = path.with_suffix(".txt")
    if os.environ.get("ATTNC_UPDATE_GOLDENS"):
        golden.write_text(f"{error}\n", encoding="utf-8")
    assert f"{error}\n" == golden.read_text(encoding="utf-8")
    assert error.code == path.parent.name
    assert len(error.diagnostics) == 1


def test_no_golden_is_left_over():
    assert {path.with_suffix("") for path in MISTAKES.glob("*/*.txt")} == {path.with_suffix("") for path in CASES}


def test_every_kind_of_mistake_has_a_case():
    kinds = [
        kind.code
        for module in (syntax, python_mistakes)
        for kind in vars(module).values()
        if isinstance(kind, type) and getattr(kind, "code", "") and kind.__module__ == module.__name__
    ]
    elsewhere = {"no-source", "missing-return"}  # test_python_front_end.py
    assert {path.parent.name for path in CASES} == set(kinds) - elsewhere
    assert expression_layout.UnwritableText.code not in kinds  # test_formatter.py
