"""The thread pool: every task once, workers' numbers unique, several callers, fork, interpreter exit, scratch."""

import ctypes
import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

c_long = ctypes.c_int64


class Record(ctypes.Structure):
    _fields_ = [("times_run", ctypes.c_void_p), ("in_use", ctypes.c_void_p)] + [
        (name, c_long) for name in ("threads", "work", "present", "most_present", "faults", "inner_tasks")
    ]


@pytest.fixture(scope="module")
def pool(drivers):
    library = drivers.load("pool")
    library.attnc_parallel.argtypes = [c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    library.attnc_parallel.restype = None
    library.attnc_scratch.argtypes, library.attnc_scratch.restype = [c_long], ctypes.c_void_p
    return library


def run(pool, tasks: int, threads: int, work: int = 0, inner_tasks: int = 0) -> Record:
    times, in_use = np.zeros(max(tasks, 1), np.int64), np.zeros(max(threads, 1), np.int32)
    record = Record(times.ctypes.data, in_use.ctypes.data, max(threads, 1), work, inner_tasks=inner_tasks)
    pool.attnc_parallel(tasks, threads, ctypes.cast(pool.check, ctypes.c_void_p), ctypes.addressof(record))
    assert record.faults == 0 and record.present == 0
    assert (times[:tasks] == 1).all()
    assert record.most_present <= max(threads, 1)
    return record


@pytest.mark.parametrize("threads", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("tasks", [0, 1, 2, 3, 7, 100])
def test_every_task_runs_once(pool, tasks, threads):
    for _ in range(20):
        run(pool, tasks, threads, work=200)


def test_workers_do_take_part(pool):
    assert max(run(pool, 50, 2, work=100_000).most_present for _ in range(20)) == 2


def test_one_thread_runs_inline(pool):
    assert run(pool, 50, 1, work=10).most_present == 1


def test_long_stress_with_pauses(pool):
    for i in range(600):
        run(pool, 5 + i % 7, 2 + i % 3, work=(i * 37) % 3000)
        if i % 40 == 0:
            time.sleep(0.002)  # long enough for workers to fall asleep


def test_calls_within_bodies(pool):
    run(pool, 20, 3, inner_tasks=10)


def test_many_python_threads_at_once(pool):
    failures = []

    def caller(seed: int) -> None:
        try:
            for i in range(150):
                run(pool, 1 + (seed * 7 + i) % 23, 1 + (seed + i) % 5, work=(i * 53) % 2000)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=caller, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures and not any(thread.is_alive() for thread in threads)


def in_child(action) -> int:
    """The exit status of a forked child that runs the action; it is killed after ten seconds."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    for _ in range(1000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -1


def test_after_fork(pool):
    run(pool, 20, 4, work=1000)

    def use() -> None:
        assert pool.attnc_pool_size() == 0
        for _ in range(20):
            run(pool, 20, 4, work=1000)
        assert pool.attnc_pool_size() == 3

    def use_and_fork_again() -> None:
        use()
        assert in_child(use) == 0

    assert in_child(use) == 0
    assert in_child(use_and_fork_again) == 0
    run(pool, 20, 4, work=1000)


def test_fork_while_others_are_calling(pool):
    stop = threading.Event()

    def caller() -> None:
        while not stop.is_set():
            run(pool, 9, 3, work=500)

    threads = [threading.Thread(target=caller) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert all(in_child(lambda: run(pool, 20, 3, work=500)) == 0 for _ in range(10))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


EXIT = """
import ctypes, threading, time
pool = ctypes.CDLL({path!r})
body = ctypes.cast(pool.attnc_pool_size, ctypes.c_void_p)  # a function that ignores what it is passed
def call():
    while True:
        pool.attnc_parallel(ctypes.c_int64(64), 3, body, None)
pool.attnc_parallel(ctypes.c_int64(64), 3, body, None)
for _ in range({callers}):
    threading.Thread(target=call, daemon=True).start()
time.sleep(0.05)
print("done", flush=True)
"""


@pytest.mark.parametrize("callers", [0, 2])
def test_interpreter_exit(drivers, callers):
    script = textwrap.dedent(EXIT).format(path=str(drivers.built["pool", "native"].result()), callers=callers)
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_limit_of_workers(pool):
    run(pool, 20, 6, work=1000)
    try:
        pool.attnc_pool_limit(1)
        for _ in range(200):
            if pool.attnc_pool_size() <= 1:
                break
            time.sleep(0.01)
        assert pool.attnc_pool_size() <= 1
        assert run(pool, 20, 6, work=1000).most_present <= 2
        pool.attnc_pool_limit(0)
        assert run(pool, 20, 6, work=1000).most_present == 1
    finally:
        pool.attnc_pool_limit(1 << 20)
    run(pool, 20, 4, work=1000)
    assert pool.attnc_pool_size() >= 3


def test_scratch_is_aligned_kept_and_each_threads_own(pool):
    found = {}

    def use(name: int) -> None:
        first = pool.attnc_scratch(1000)
        ctypes.memset(first, name, 1000)
        assert first % 64 == 0 and pool.attnc_scratch(10) == first and pool.attnc_scratch(1000) == first
        barrier.wait()
        assert ctypes.string_at(first, 1000) == bytes([name]) * 1000
        grown = pool.attnc_scratch(10_000_000)
        assert grown % 64 == 0
        ctypes.memset(grown, name, 10_000_000)
        found[name] = (first, grown)
        barrier.wait()

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=use, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len({grown for _, grown in found.values()}) == 4
