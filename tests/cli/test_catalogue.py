"""`attnc catalogue`: what is listed, what is printed, what is refused."""

import pytest

from attnc.rows import catalogue


def test_all_rows(attnc):
    found = attnc("catalogue")
    assert found.exit_code == 0
    ids = [line.split()[0] for line in found.stdout.splitlines()]
    assert ids == sorted(row.id for row in catalogue()) and len(ids) == 344
    done = sum(row.status == "done" for row in catalogue())
    assert found.stderr.strip() == f"344 rows, {done} of them specs"


def test_filters(attnc):
    found = attnc("catalogue", "--needs", "axial", "--needs", "causal", "--level", "easy", "--status", "done")
    wanted = [row for row in catalogue() if {"axial", "causal"} <= set(row.needs) and row.level == "easy"]
    ids = [line.split()[0] for line in found.stdout.splitlines()]
    assert ids == [row.id for row in wanted if row.status == "done"] and "axial_attention" in ids
    grids = attnc("catalogue", "--family", "grids").stdout
    assert "axial_attention " in grids and "afa " not in grids


def test_a_spec_is_a_file(attnc):
    """What is known of the row goes to standard error, so that the rest can be kept as it is."""
    found = attnc("catalogue", "axial_attention")
    (row,) = (row for row in catalogue() if row.id == "axial_attention")
    assert found.stdout == row.path.read_text()
    assert "Axial attention" in found.stderr and "grids" in found.stderr and row.formula in found.stderr


def test_a_row_without_a_spec(attnc):
    row = next(row for row in catalogue() if row.status != "done" and row.level == "hard")
    found = attnc("catalogue", row.id)
    assert found.exit_code == 0 and not found.stdout
    assert row.missing and f"not a spec yet: {row.missing}" in found.stderr


def test_verify(attnc):
    found = attnc("catalogue", "axial_attention", "--verify", "--examples", "1")
    assert found.exit_code == 0 and "agrees with its dense meaning in 1 call" in found.stdout


@pytest.mark.parametrize(
    "words, told",
    [
        (["axial_atention"], "did you mean 'axial_attention'?"),
        (["--needs", "axal"], "did you mean 'axial'?"),
        (["axial_attention", "--family", "grids"], "'axial_attention' is one row: it is not filtered"),
        (["titans", "--verify"], "'titans' is not a spec yet"),
        (["--level", "out", "--verify"], "none of the rows that fit is a spec"),
    ],
)
def test_mistakes(attnc, words, told):
    found = attnc("catalogue", *words)
    assert found.exit_code == 1 and told in found.stderr and not found.stdout
