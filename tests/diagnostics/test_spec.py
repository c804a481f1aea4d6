"""One folder per code: a spec that parses and is wrong (`.attn`, or `.py` with a function `spec`), and its message.

`not-lowered`, `no-derivative` and `not-monotone` hold well-formed specs: they load, and are refused when computed.

ATTNC_UPDATE_GOLDENS=1 writes the messages anew.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnc.diagnostics import AttnError
from attnc.grammar.parser import parse
from attnc.loading import attention as decorated
from attnc.loading import make_attentions

from .goldens import compare

HERE = Path(__file__).parent
CASES = sorted(path for path in (HERE / "spec").glob("*/*") if path.suffix in (".attn", ".py"))
TOGETHER = sorted((HERE / "together").glob("*.attn"))
WELL_FORMED = ("not-lowered", "no-derivative", "not-monotone")


def name_of(path):
    return f"{path.parent.name}/{path.name}"


def error_of(path):
    with pytest.raises(AttnError) as caught:
        if path.suffix == ".attn":
            found = make_attentions(parse(path.read_bytes(), path.name), path.parent)
            assert path.parent.name in WELL_FORMED, "this spec is not wrong"
            [attention] = found.values()
            attention.derivation().gradient(["q", "k"])
        else:
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            decorated(module.spec)
    return caught.value


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_message(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    error = error_of(path)
    compare(path.with_suffix(".txt"), error)
    assert error.code == path.parent.name
    assert len(error.diagnostics) == 1


@pytest.mark.parametrize("path", TOGETHER, ids=name_of)
def test_independent_mistakes_come_together(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    compare(path.with_suffix(".txt"), error_of(path))


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


def test_messages_and_sources_do_not_depend_on_the_order_of_sets():
    """Sets are in another order in each process: what is reported and what is built must not be."""
    script = (
        "import attnc, sys\n"
        "from pathlib import Path\n"
        "for path in sorted(Path('spec').glob('[a-m]*/*.attn')):\n"
        "    try: attnc.loads(path.read_text())\n"
        "    except attnc.AttnError as error: print(error)\n"
        "for name in ('two_part', 'differential'):\n"
        "    for backward in (False, True):\n"
        "        print(attnc.load(f'../../examples/{name}.attn').source(backward=backward, width=8))\n"
    )
    found = set()
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", script], cwd=HERE, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1 and "cyclic-lets" in done.stdout and "attnc_run" in done.stdout
