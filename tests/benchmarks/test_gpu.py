"""The GPU run in small, on a CPU: what it counts, what it catches, and that its report is good when parts are not."""

import json
import math
import time

import pytest
import torch
from click.testing import CliRunner

from benchmarks.agreement import distance
from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import correctness, determinism, goals, parts, report, speed, ways
from benchmarks.gpu.clock import Act, Clock, measure
from benchmarks.gpu.findings import Findings, PartFindings
from benchmarks.gpu.mechanisms import MECHANISMS, Sizes
from benchmarks.gpu.outcomes import DONE, OUT_OF_TIME, Deadline, Outcome, attempt
from benchmarks.timing import Effort

TINY = {"B": 2, "H": 6, "G": 2, "M": 37, "N": 53, "D": 12, "E": 10}
TASK = {"attention": "causal", "B": 1, "H": 2, "N": 64, "D": 16, "dtype": "bfloat16", "effort": [1, 1, 0.0]}
REAL = {**TASK, "N": 4096, "D": 128}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- operations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("n", [1, 5, 4097])
def test_pairs_are_those_of_the_mask(name, n):
    mechanism = MECHANISMS[name]
    i, j = torch.arange(n)[:, None], torch.arange(n)
    seen = torch.ones(n, n) if mechanism.visible is None else mechanism.visible({})(0, 0, i, j)
    assert mechanism.pairs(n) == seen.sum()


def test_operations():
    sizes = Sizes(2, 3, 4, 8)
    full, causal = MECHANISMS["full"], MECHANISMS["causal"]
    assert full.operations(sizes, speed.PRODUCTS["forward"]) == 4 * 2 * 3 * 4 * 4 * 8
    assert full.operations(sizes, speed.PRODUCTS["backward"]) == 10 * 2 * 3 * 4 * 4 * 8
    assert causal.operations(sizes, 2) == 4 * 2 * 3 * 10 * 8
    assert speed.Measured(2e12, {ways.OURS: 4.0}).tflops == 500


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("name", MECHANISMS)
def test_peers_compute_the_same(name):
    """FlexAttention's way without its compiler, and SDPA's, with another number of queries than its blocks have."""
    x = MECHANISMS[name].inputs(Sizes(2, 2, 70, 16), torch.float32, "cpu")
    x = {name: tensor.detach() for name, tensor in x.items()}
    right = ways.make(ways.OURS, MECHANISMS[name], x)()
    for who in (ways.FLASH, ways.FLEX):
        way = ways.make(who, MECHANISMS[name], x)
        if isinstance(way, str):
            assert name == "sigmoid" or (who == ways.FLASH and name not in ("full", "causal"))
        else:
            assert distance(right, way()) < 1e-5


# --- speed ---------------------------------------------------------------------------------------------------------


def compete_with(monkeypatch, who, way):
    """A contest of two: attnc, and `way` in the name of `who`."""

    def make(name, mechanism, x):
        if name == ways.OURS:
            return ways.make(name, mechanism, x)
        return way(x) if name == who else "left out"

    monkeypatch.setattr(speed, "make", make)
    return speed.work(TASK, "cpu")


def test_a_peer_that_raises_is_named(monkeypatch):
    def way(x):
        def act():
            raise RuntimeError("no kernel\nand much more")

        return act

    found = compete_with(monkeypatch, ways.CUDNN, way)
    for direction in ("forward", "backward"):
        assert found[direction]["reasons"][ways.CUDNN] == "failed: RuntimeError: no kernel"
        assert found[direction]["milliseconds"].keys() == {ways.OURS}
    assert not speed.faults(found)


def test_a_peer_without_a_backward_is_timed_forward(monkeypatch):
    def way(x):
        return lambda: torch.nn.functional.scaled_dot_product_attention(*(x[n].detach() for n in "qkv"), is_causal=True)

    found = compete_with(monkeypatch, ways.FLASH, way)
    assert found["forward"]["ratios"][ways.FLASH]["median"] > 0
    assert found["backward"]["reasons"][ways.FLASH].startswith("failed: RuntimeError: element 0 of tensors")


@pytest.mark.parametrize("is_causal, differs", [(False, True), (True, False)])
def test_a_peer_that_differs_is_not_compared(monkeypatch, is_causal, differs):
    def way(x):
        return lambda: torch.nn.functional.scaled_dot_product_attention(*(x[n] for n in "qkv"), is_causal=is_causal)

    found = compete_with(monkeypatch, ways.FLASH, way)
    assert (ways.FLASH not in found["forward"]["ratios"]) == differs == (ways.FLASH not in found["backward"]["ratios"])
    assert any("differs from attnc" in fault for fault in speed.faults(found)) == differs


def test_rounds_are_taken_in_turns_and_preparing_is_not_timed():
    order = []
    acts = {n: Act(lambda: time.sleep(0.02), lambda given, n=n: order.append(n)) for n in "ab"}
    times = measure(Clock(), acts, Effort(2, 2, 0.0))
    assert "".join(order) == "ab" + "ab" + "ba"
    assert [len(seconds) for seconds in times.values()] == [2, 2]
    assert max(times["a"] + times["b"]) < 0.02


# --- correctness ---------------------------------------------------------------------------------------------------


def examine(name, dtype, change):
    """The correctness of an example whose results are changed."""
    from benchmarks.gpu.examples import load, trial

    def attention(*tensors, **parameters):
        return change(load(name)(*tensors, **parameters), tensors)

    task = {"example": name, "dtype": dtype, "sizes": TINY}
    return correctness.examine(attention, lambda seed: trial(task, "cpu", seed), "cpu")


@pytest.mark.parametrize("dtype", parts.DTYPES)
def test_right_results_are_accepted(dtype):
    found = examine("causal", dtype, lambda out, tensors: out)
    assert found["ok"] and not correctness.faults(found)
    assert [t["name"] for t in found["tensors"]] == ["result 0", *(f"gradient of {name}" for name in "qkv")]


WRONG = {
    "a little off": ("result 0", lambda out, tensors: out * (1 + 2.0**-4)),
    "one element": ("result 0", lambda out, tensors: out + torch.zeros_like(out).index_fill(2, torch.tensor([7]), 0.1)),
    "a NaN": ("result 0", lambda out, tensors: out.masked_fill(torch.arange(out.shape[2])[:, None] == 3, math.nan)),
    "a gradient": ("gradient of v", lambda out, tensors: out + 0.1 * (tensors[2].sum() - tensors[2].sum().detach())),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_results_are_caught(what, monkeypatch):
    monkeypatch.setattr(correctness, "_DRAWS", (1, 2))
    name, change = WRONG[what]
    found = examine("causal", "bfloat16", change)
    assert not found["ok"] and found["draws"] == 2
    assert found["worst"]["ratio"] > 2 and found["worst"]["units"] > 4
    assert name in [t["name"] for t in found["tensors"] if min(t["ratio"] / 2, t["units"] / 4) > 1]
    (fault,) = correctness.faults(found)
    assert fault.startswith("WRONG")


def test_results_of_another_shape_are_a_failure():
    with pytest.raises(ValueError, match="shapes"):
        examine("partial", "float32", lambda out, tensors: out[0])


@pytest.mark.parametrize(
    "own, other, quotient", [(0.0, 0.0, 0.0), (1.0, 0.0, math.inf), (math.inf, math.inf, math.inf)]
)
def test_what_is_not_finite_is_never_good(own, other, quotient):
    assert correctness._quotient(own, other) == quotient


# --- determinism ---------------------------------------------------------------------------------------------------


def test_other_bits_are_caught():
    runs = iter([0.0, 0.0, 1e-8, 0.0])

    def act():
        shift = next(runs)
        return {"result 0": torch.ones(3), "gradient of k": torch.zeros(3) + shift}

    assert determinism.differing(act, 4) == ["gradient of k"]


def test_bits_are_compared_and_not_values():
    nan = torch.tensor([math.nan], dtype=torch.bfloat16)
    assert determinism.are_same_bits(nan, nan.clone())
    assert not determinism.are_same_bits(torch.tensor([0.0]), torch.tensor([-0.0]))


def test_an_example_is_repeatable():
    found = determinism.work({"example": "t5_decoder", "dtype": "float32", "sizes": TINY, "times": 2}, "cpu")
    assert found == {"differing": [], "times": 2}


# --- goals and report ----------------------------------------------------------------------------------------------


def timed(attention, n, d, tflops, flex):
    """The outcome of a row with the same figures in both directions; `flex` is a ratio or a reason."""
    known = isinstance(flex, float)
    one = {
        "tflops": tflops,
        "milliseconds": {ways.OURS: 1.0},
        "ratios": {ways.FLEX: {"median": flex, "least": flex, "most": flex}} if known else {},
        "reasons": {} if known else {ways.FLEX: flex},
        "rounds": 3,
    }
    return Outcome({**REAL, "attention": attention, "N": n, "D": d}, DONE, {"forward": one, "backward": one})


def speeds(*rows):
    return Findings("cuda", (), {"chip": "a GPU"}, [PartFindings("speed", "Speed", rows, faults=speed.faults)])


def test_goals_of_each_row():
    aims = {
        (name, d): goals.tflops_goal("forward", {"attention": name, "D": d}) for name in MECHANISMS for d in (128, 64)
    }
    assert aims["full", 128] == 450 and aims["causal", 128] == 400 and aims["full", 64] == aims["causal", 64] == 350
    assert goals.tflops_goal("backward", REAL) == 280 and goals.tflops_goal("forward", TASK) is None


def test_goals_are_met_at_every_length_or_not():
    rows = [timed("full", n, 128, 460.0 if n > 1024 else 300.0, 1.5) for n in parts.LENGTHS]
    found = {goal.name: goal for goal in goals.goals(speeds(*rows))}
    assert not found["full, D 128, forward"].is_met and "at 4 of 5 lengths" in found["full, D 128, forward"].note
    assert found["full, D 128, backward"].is_met
    assert found["first call"].is_met is None


def test_one_row_behind_flex_attention_is_enough():
    rows = [
        timed("causal", 1024, 64, 1.0, 1.2),
        timed("causal", 2048, 64, 1.0, 0.9),
        timed("sigmoid", 1024, 64, 1.0, "-"),
    ]
    (goal,) = [g for g in goals.goals(speeds(*rows)) if g.name.endswith("FlexAttention, forward")]
    assert (goal.measured, goal.is_met) == ("1 of 2", False)
    (goal,) = [g for g in goals.goals(speeds(rows[0])) if g.name.endswith("FlexAttention, forward")]
    assert goal.is_met


def lines_of_tables(page):
    """Blocks of table lines."""
    block = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            block.append(line.replace("\\|", ""))
        elif block:
            yield block
            block = []


def test_the_report_holds_every_kind_of_outcome(tmp_path):
    worst = {"name": "result 0", "own": (1, 1), "eager": (1, 1), "ratio": math.inf, "units": 9.0}
    task = {"example": "sink", "dtype": "float16", "sizes": TINY}
    findings = speeds(
        timed("causal", 1024, 64, 300.0, 0.8),
        timed("full", 1024, 64, 400.0, "failed: RuntimeError: a | b"),
        Outcome(REAL, OUT_OF_TIME),
        Outcome(TASK, "failed: OutOfResources: too much"),
    )
    wrong = Outcome(task, DONE, {"worst": worst, "ok": False, "draws": 16, "tensors": []})
    findings.parts += [
        PartFindings("correctness", "Correctness", [wrong], faults=correctness.faults),
        PartFindings("determinism", "Determinism", failure="failed: ImportError: no tests"),
        PartFindings("ahead", "Ahead", [Outcome(TASK, "failed: later named")]),
    ]
    page, data = report.write(findings, tmp_path)
    text, numbers = page.read_text(), json.loads(data.read_text(), parse_constant=pytest.fail)
    assert len(numbers["problems"]) == len(findings.problems()) == 3
    for piece in ("**WRONG**", "**0.80**", "failed (2)", "(2) failed: RuntimeError: a \\| b", "ImportError: no tests"):
        assert piece in text
    assert f"- Speed: causal, bfloat16, B=1, H=2, N=4096, D=128: {OUT_OF_TIME}" in text
    assert "≥ 350, **not met**" in text and "1 rows without FlexAttention's time" in text
    for block in lines_of_tables(text):
        assert len({line.count("|") for line in block}) == 1, block


# --- the whole -----------------------------------------------------------------------------------------------------


def test_without_a_gpu_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = CliRunner().invoke(gpu.main, ["--out", str(tmp_path)])
    assert done.exit_code == 2 and done.output == gpu.NO_GPU + "\n" and not list(tmp_path.iterdir())


def test_tasks_for_a_gpu_cover_all_that_is_asked_for():
    some = {part.name: part for part in parts.parts("cuda", {"memory GiB": 139.0})}
    ends = [part.end for part in some.values()]
    assert ends == sorted(ends) and ends[-1] == 1 and parts.SECONDS < 600
    rows = {(task["attention"], task["D"], task["N"]) for task in some["speed"].tasks}
    assert rows == {(name, d, 1024 * n) for name in MECHANISMS for d in (64, 128) for n in (1, 2, 4, 8, 16)}
    assert {task["B"] * task["N"] for task in some["speed"].tasks} == {16384}
    assert {task["dtype"] for task in some["correctness"].tasks} == {"bfloat16", "float16", "float32"}
    assert any(task["sizes"]["N"] == 1000 for task in some["correctness"].tasks)


def run(tmp_path, *options):
    done = CliRunner().invoke(gpu.main, ["--device", "cpu", "--out", str(tmp_path), "--only", "causal", *options])
    return done, json.loads((tmp_path / "gpu.json").read_text()), (tmp_path / "gpu.md").read_text()


def test_a_tiny_run(tmp_path):
    done, data, page = run(tmp_path)
    assert done.exit_code == 0, done.output
    outcomes = {part["name"]: part["outcomes"] for part in data["parts"]}
    assert {name: len(some) for name, some in outcomes.items()} == {
        "correctness": 3, "determinism": 1, "ahead": 1, "speed": 1, "overhead": 1, "first_call": 1,
    }  # fmt: skip
    assert all(one["state"] == DONE for some in outcomes.values() for one in some)
    assert {"chip", "torch", "triton", "Python", "commit", "date"} <= set(data["machine"])
    (row,) = outcomes["speed"]
    assert row["found"]["forward"]["times"].keys() == {ways.OURS, ways.FLASH}
    assert set(row["found"]["forward"]["reasons"]) == {ways.CUDNN, ways.FLEX}, "a CPU has neither"
    assert (
        "## Not run\n\nEverything was run." in page and "--only causal" in page and "these numbers mean nothing" in page
    )


def test_out_of_time_rows_are_listed(tmp_path):
    done, data, page = run(tmp_path, "--seconds", "0")
    assert done.exit_code == 0 and not data["problems"]
    assert all(one["state"] == OUT_OF_TIME for part in data["parts"] for one in part["outcomes"])
    tables = 3 + 1 + 2 + 1 + 1  # speed has two, and what is made ahead has none
    assert page.count(OUT_OF_TIME) == 8 + tables


def test_a_part_that_fails_is_named_and_the_rest_goes_on(tmp_path, monkeypatch):
    def work(task, device):
        raise OSError("the disk is full")

    def summary(found):
        raise KeyError("seconds")

    monkeypatch.setattr(correctness, "work", work)
    monkeypatch.setattr(parts.importlib.import_module("benchmarks.gpu.first_call"), "summary", summary)
    done, data, page = run(tmp_path)
    assert done.exit_code == 1
    assert len(data["problems"]) == 4 and "First calls: failed: KeyError: 'seconds'" in data["problems"]
    assert page.count("failed: OSError: the disk is full") == 2 * 3
    assert [len(part["outcomes"]) for part in data["parts"]] == [3, 1, 1, 1, 1, 0]


def test_one_task_that_raises():
    def work(task, device):
        raise ValueError("\n first\n second")

    assert attempt(work, {}, "cpu").state == "failed: ValueError: first"
    assert Deadline.after(0).is_over and not Deadline.after(60).is_over
