"""Tasks in child processes: each has its outcome, whatever a child does."""

import sys
import time

from benchmarks.gpu.children import MARK, Crew
from benchmarks.gpu.outcomes import DONE, OUT_OF_TIME, Deadline

CHILD = f"""
import json, os, sys, time
for line in sys.stdin:
    task = json.loads(line)
    print("noise of a library")
    if task["do"] == "die":
        print("first", file=sys.stderr)
        sys.exit("a fault in a kernel")
    if task["do"] == "hang":
        time.sleep(60)
    found = {{"pid": os.getpid(), "place": os.environ.get("PLACE")}}
    print({MARK!r} + json.dumps({{"state": "done", "found": found, "spoilt": task["do"] == "spoil"}}), flush=True)
"""


def run(*does, seconds=30.0, **options):
    heard = []
    crew = Crew([sys.executable, "-c", CHILD], **options)
    found = crew.run([{"do": do} for do in does], Deadline.after(seconds), heard.append)
    assert sorted(map(id, heard)) == sorted(map(id, found)) and [one.task["do"] for one in found] == list(does)
    return found


def states(found):
    return [one.state for one in found]


def test_one_child_does_all_tasks():
    found = run("work", "work", "work", environment={"PLACE": "here"})
    assert states(found) == [DONE] * 3
    assert len({one.found["pid"] for one in found}) == 1 and found[0].found["place"] == "here"


def test_several_children_share_the_tasks():
    assert states(run(*["work"] * 5, workers=3)) == [DONE] * 5


def test_a_child_that_dies_costs_one_task():
    found = run("work", "die", "work")
    assert states(found) == [DONE, "failed: its process ended: a fault in a kernel", DONE]
    assert found[0].found["pid"] != found[2].found["pid"]


def test_a_spoilt_child_is_replaced():
    first, second = run("spoil", "work")
    assert first.state == second.state == DONE and first.found["pid"] != second.found["pid"]


def test_a_task_that_hangs_is_given_up():
    assert states(run("hang", "work", patience=1.0)) == ["failed: no answer in 1 s", DONE]


def test_the_deadline_ends_what_is_running_and_skips_the_rest():
    start = time.perf_counter()
    assert states(run("work", "hang", "work", seconds=1.0)) == [DONE, OUT_OF_TIME, OUT_OF_TIME]
    assert time.perf_counter() - start < 10
    assert states(run("work", seconds=0.0)) == [OUT_OF_TIME]


def test_a_command_that_cannot_start_fails_every_task():
    found = Crew([sys.executable, "-c", "import nothing_of_this_name"]).run(
        [{}, {}], Deadline.after(30), lambda _: None
    )
    assert (
        states(found) == ["failed: its process ended: ModuleNotFoundError: No module named 'nothing_of_this_name'"] * 2
    )


def test_the_real_child():
    task = {
        "example": "causal",
        "dtype": "float32",
        "sizes": {"B": 2, "H": 6, "G": 2, "M": 3, "N": 53, "D": 12, "E": 10},
    }
    (outcome,) = Crew.of_part("correctness", "cpu", 1, {}).run([task], Deadline.after(100), lambda _: None)
    assert outcome.state == DONE and outcome.found["ok"]
