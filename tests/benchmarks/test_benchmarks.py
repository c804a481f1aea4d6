"""The benchmark in small: peers compute the same thing, and what is written has its structure."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from benchmarks import flex
from benchmarks.agreement import Disagreement, check
from benchmarks.cases import Case, Sizes, cases, mechanisms
from benchmarks.compare import EAGER, FLEX, NO_BACKWARD, OURS, SDPA, run_case
from benchmarks.report import Goal
from benchmarks.timing import Effort, compare, measure

ROOT = Path(__file__).resolve().parents[2]
ONCE = Effort(1, 1, 0.0)


@pytest.mark.parametrize("name", list(mechanisms()))
def test_peers_compute_the_same(name):
    """Results by everybody and gradients by all but FlexAttention: `run_case` compares them before it times them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forward, both = run_case(Case(mechanisms(window=16)[name], Sizes(2, 2, 70, 16)), ONCE, flex.uncompiled)
    for row in (forward, both):
        assert row.milliseconds[OURS] > 0
        assert set(row.ratios) | set(row.reasons) == {SDPA, FLEX, EAGER}
        assert not any("fails" in reason for reason in row.reasons.values())
    assert both.reasons[FLEX] == forward.reasons.get(FLEX, NO_BACKWARD)


@pytest.mark.parametrize("wrong", [torch.full((3,), 1.01), torch.full((3,), float("nan")), torch.ones(4)])
def test_wrong_results_stop_the_benchmark(wrong):
    right = torch.ones(3)
    check("same", {"a": [right], "b": [right.clone()]})
    with pytest.raises(Disagreement, match="what: b and a differ in the result"):
        check("what", {"a": [right], "b": [wrong]})


def test_rounds_are_taken_in_turns():
    order = []
    times = measure({name: lambda name=name: order.append(name) for name in "abc"}, Effort(3, 3, 0.0))
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"
    assert [len(seconds) for seconds in times.values()] == [3, 3, 3]
    ratio = compare([2.0, 4.0, 9.0], [1.0, 1.0, 3.0])
    assert (ratio.median, ratio.least, ratio.most) == (3.0, 2.0, 4.0)


def test_goals():
    assert Goal("a", 11, 10, "×", "", is_least=True).is_met and not Goal("a", 11, 10, "×", "").is_met
    assert not Goal("a", float("nan"), 10, "", "").is_met


def test_every_mechanism_has_a_row():
    assert {case.mechanism.name for case in cases(quick=False)} == set(mechanisms())


def test_the_quick_benchmark(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "--quick", "--threads", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads((tmp_path / "cpu.json").read_text())
    assert list(data) == [
        "machine", "quick", "goals", "peers", "variants", "memory", "double backward", "front end, ms",
        "first call, ms", "overhead, µs",
    ]  # fmt: skip
    assert {"processor", "cores", "instruction sets", "memory GiB", "compiler", "torch", "date"} <= set(data["machine"])
    assert len(data["goals"]) == 42 and all({"name", "value", "goal", "met", "method"} <= set(g) for g in data["goals"])
    assert [row["direction"] for row in data["peers"]] == ["forward", "backward", "forward + backward"] * 2
    for row in data["peers"]:
        assert set(row["milliseconds"]) - {OURS} == set(row["ratios"])
        assert set(row["mebibytes"]) == set(row["milliseconds"]) and 0 < row["peak_share"] < 1.5
        assert all(r["least"] <= r["median"] <= r["most"] for r in row["ratios"].values())
    page = (tmp_path / "cpu.md").read_text()
    for heading in ("## Peers", "## Goals", "## attnc beside itself", "## Memory", "## Overhead of a call"):
        assert heading in page
    assert (tmp_path / "cpu.png").read_bytes()[:4] == b"\x89PNG" and "(cpu.png)" in page
    assert {"multiply-add peak, GFLOP/s", "read bandwidth, GB/s"} <= set(data["machine"])
    assert str(Path.home()) not in page and str(ROOT) not in page


def test_tables_are_whole(tmp_path):
    """Every row of a Markdown table has as many cells as its head."""
    from benchmarks import report

    found = report._table(("a", "b"), [["1", "2"], ["3", "4"]])
    assert found == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"
