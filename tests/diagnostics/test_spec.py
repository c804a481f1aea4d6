"""One folder per code: a spec that parses and is wrong (`.attn`, or `.py` with a function `spec`), and the exact message.

`not-lowered` holds specs that are well-formed and cannot be computed yet: they load, and are refused when computed.

ATTNC_UPDATE_GOLDENS=1 writes the messages anew.
"""

import importlib.util
import inspect
import os
from pathlib import Path

import pytest

from attnc import mistakes as file_mistakes
from attnc.diagnostics import AttnError, Mistake
from attnc.grammar.parser import parse
from attnc.loading import attention as decorated
from attnc.loading import make_attentions
from attnc.lowering import mistakes

HERE = Path(__file__).parent
CASES = sorted(path for path in (HERE / "spec").glob("*/*") if path.suffix in (".attn", ".py"))
TOGETHER = sorted((HERE / "together").glob("*.attn"))


def name_of(path):
    return f"{path.parent.name}/{path.name}"


def error_of(path):
    with pytest.raises(AttnError) as caught:
        if path.suffix == ".attn":
            found = make_attentions(parse(path.read_bytes(), path.name), path.parent)
            assert path.parent.name == "not-lowered", "this spec is not wrong"
            [attention] = found.values()
            attention.card()
        else:
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            decorated(module.spec)
    return caught.value


def compare(path, error):
    golden = path.with_suffix(".txt")
    if os.environ.get("ATTNC_UPDATE_GOLDENS"):
        golden.write_text(f"{error}\n", encoding="utf-8")
    assert f"{error}\n" == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_message(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    error = error_of(path)
    compare(path, error)
    assert error.code == path.parent.name
    assert len(error.diagnostics) == 1


@pytest.mark.parametrize("path", TOGETHER, ids=name_of)
def test_independent_mistakes_come_together(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    compare(path, error_of(path))


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_form(path, monkeypatch):
    """Lower-case title, no full stop, spans that are not empty and not whole clauses, at most one note."""
    monkeypatch.chdir(path.parent)
    (found,) = error_of(path).diagnostics
    assert found.title[0] in "'0123456789" or found.title[0].islower()
    assert not any(text.endswith(".") for text in (found.title, found.note or "", *found.helps))
    for label in found.labels:
        assert label.span.text.strip()
        assert "\n" not in label.span.text
        assert not label.text.endswith(".")


def test_no_golden_is_left_over():
    texts = {path.with_suffix("") for folder in ("spec/*", "together") for path in HERE.glob(f"{folder}/*.txt")}
    assert texts == {path.with_suffix("") for path in (*CASES, *TOGETHER)}


def test_every_kind_of_mistake_has_a_case():
    found = {path.parent.name for path in CASES}
    kinds = {
        kind.code
        for module in (mistakes, file_mistakes)
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Mistake) and kind.code
    }
    elsewhere = {"unreadable-file", "unknown-attention", "outside-attention"}  # test_files.py
    assert found == kinds - elsewhere
