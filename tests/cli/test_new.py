"""`attnc new`."""

import ast

import pytest

import attnc as package


def test_writes_a_spec_and_its_test(attnc, folder):
    found = attnc("new", "mine")
    assert found.exit_code == 0 and found.stdout.startswith("wrote mine.attn and test_mine.py\nnext: attnc check mine")
    assert attnc("check", "mine.attn").stdout == "mine.attn: mine(q, k, v, slope, window=256) is well-formed\n"
    assert attnc("fmt", "--check", "mine.attn").exit_code == 0
    code = (folder / "test_mine.py").read_text()
    assert [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)] == ["test_mine"]


def test_the_test_passes(attnc, folder, monkeypatch):
    from attnc import testing

    tested = []
    monkeypatch.setattr(testing, "assert_matches_reference", tested.append)
    attnc("new", "mine")
    scope = {"__file__": str(folder / "test_mine.py")}
    exec((folder / "test_mine.py").read_text(), scope)
    scope["test_mine"]()
    assert [type(spec) for spec in tested] == [package.Attention] and tested[0].name == "mine"


@pytest.mark.parametrize("there", ["mine.attn", "test_mine.py"])
def test_refuses_to_overwrite(attnc, folder, there):
    (folder / there).write_text("precious")
    found = attnc("new", "mine")
    assert found.exit_code == 1
    assert found.stderr == f"error[file-exists]: '{there}' is there already and is left as it is\n"
    assert {path.name: path.read_text() for path in folder.glob("*mine*")} == {there: "precious"}


BAD, RESERVED = "bad-name", "reserved-word"


@pytest.mark.parametrize(
    ("name", "code"),
    [("two-part", BAD), ("4d", BAD), ("", BAD), ("../up", BAD), ("if", RESERVED), ("class", RESERVED)],
)
def test_names_that_are_none(attnc, folder, name, code):
    before = set(folder.rglob("*"))
    found = attnc("new", name)
    assert found.exit_code == 1 and found.stderr.startswith(f"error[{code}]: '{name}'")
    assert set(folder.rglob("*")) == before


def test_a_clause_word_is_a_name(attnc):
    assert attnc("new", "mask").exit_code == 0
    assert attnc("check", "mask.attn").exit_code == 0
