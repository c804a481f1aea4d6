"""`attnc verify`, with few calls: what the calls are is tested with attnc.testing."""

import pytest

from .conftest import EXAMPLES

CROSS = EXAMPLES / "partial.attn"

SYSTEMS = """attention systems
input A[D, D], w[D]
axis c: D
let z[d] = solve[d, c](A[d, c], w[d])
score s = sum[d](q[i, d] * z[d] * k[j, d])
"""


def test_the_worst_error_of_each_result(attnc):
    found = attnc("verify", CROSS, "--examples", "2")
    assert found.exit_code == 0, found.output
    title, heading, *rows = found.stdout.splitlines()
    assert title.endswith("partial.attn: partial agrees with its dense meaning in 2 calls")
    assert heading.split() == ["result", "worst", "error", "allowed", "of", "allowed", "in", "call"]
    names = [row[2:15].strip() for row in rows[:5]]
    assert names == ["out", "lse", "gradient of q", "gradient of k", "gradient of v"]
    for row in rows[:5]:
        *_, worst, allowed, share, percent, number = row.split()
        assert float(worst) <= float(allowed) and int(share) <= 100 and percent == "%" and int(number) >= 1
    assert rows[5].startswith("  1: partial(B=")
    assert not found.stderr  # no progress where nobody looks


def wrong_kernels(monkeypatch, **changed):
    """Kernels whose errors are as given."""
    from attnc.runtime.verify import Error
    from attnc.testing import property

    usual = {"worst": 1.0, "place": (0, 1), "allowed": 1e-6, "found": 2.0, "expected": 1.0}
    error = Error(**{"name": "out", "mean": 0.5, "mean_allowed": 1e-7, **usual, **changed})
    monkeypatch.setattr(property, "measure", lambda *_: [error])


def test_a_difference_is_reported_with_the_smallest_call(attnc, monkeypatch):
    wrong_kernels(monkeypatch)
    found = attnc("verify", CROSS, "--examples", "1")
    assert found.exit_code == 1
    assert "partial differs from its dense meaning\n" in found.stdout
    assert found.stderr.startswith("error[verification-failed]: the kernels differ from the dense meaning for partial(")
    assert "out is 2, not 1, at [0, 1] (error 1 of 1e-06, mean 0.5 of 1e-07)" in found.stderr


@pytest.mark.parametrize("changed", [{"note": "holds NaN"}, {"allowed": 0.0}])
def test_differences_without_a_measure(attnc, monkeypatch, changed):
    wrong_kernels(monkeypatch, **changed)
    found = attnc("verify", CROSS, "--examples", "1")
    assert found.exit_code == 1 and "over 9999 %" in found.stdout


def test_every_attention_of_every_file(attnc, monkeypatch):
    wrong_kernels(monkeypatch, worst=0.0, mean=0.0, allowed=1.0)
    found = attnc("verify", "several.attn", "wrong.attn", "good.attn", "--examples", "1")
    assert found.exit_code == 1 and found.stderr.startswith("error[unknown-name]")
    titles = [line.split(" agrees")[0] for line in found.stdout.splitlines() if "agrees" in line]
    assert titles == ["several.attn: one", "several.attn: two", "good.attn: good"]
    found = attnc("verify", "several.attn", "--name", "two", "--examples", "1")
    assert found.exit_code == 0 and found.stdout.startswith("several.attn: two agrees")


def test_what_is_not_compiled_yet_is_refused(attnc, folder):
    (folder / "systems.attn").write_text(SYSTEMS)
    found = attnc("verify", "systems.attn")
    assert found.exit_code == 1 and found.stderr.startswith("error[not-lowered]")


def test_at_least_one_call(attnc):
    assert attnc("verify", "good.attn", "--examples", "0").exit_code == 2


def test_without_hypothesis(attnc, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for name in [name for name in sys.modules if name.startswith("attnc.testing")]:
        monkeypatch.delitem(sys.modules, name)
    found = attnc("verify", "good.attn")
    assert found.exit_code == 1 and found.stderr.startswith("error[needs-testing]: drawing calls needs 'hypothesis'")
    assert "pip install 'attnc[testing]'" in found.stderr
