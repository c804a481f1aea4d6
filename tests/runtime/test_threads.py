"""Threads of all kinds: the pool's, Python's, and those that a fork leaves behind."""

import os
import subprocess
import sys
import threading
import time

import pytest
import torch

import attnc
from attnc.runtime import pool

from ..corpus import attentions, draw
from .children import in_child, in_process
from .probes import expected, is_near, probe, several, tensors, works

NAMES = ["specs/causal", "specs/signed", "specs/soft_cap_window_lse", "specs/squared_relu"]


@pytest.fixture(scope="module")
def attention():
    return probe()


@pytest.fixture
def own_workers():
    """The pool's own threads run calls, whatever torch's do."""
    pool.library().attnc_pool_openmp(None)
    yield
    pool.library.cache_clear()
    pool.library()


def results_of(attention, given):
    """Everything that a call gives, and its gradients."""
    found = attention(*given)
    found = list(found) if isinstance(found, tuple) else [found]
    total = sum(result.sum() for result in found if result.requires_grad)
    return [*found, *torch.autograd.grad(total, [tensor for tensor in given if tensor.requires_grad])]


# --- fork -------------------------------------------------------------------------------------------------------------


def use_pool(threads=3):
    """A call that wants workers; how many there are afterwards. Torch itself must not use its threads after a fork."""
    given = tensors(N=200, H=8)
    torch.set_num_threads(threads)
    found = probe()(*given)
    torch.set_num_threads(1)
    assert is_near(found, expected(*given))
    return pool.library().attnc_pool_size()


def test_after_fork(attention, own_workers):
    """The pool's threads are dead in a child; it starts its own."""
    assert use_pool() > 0

    def child():
        before = pool.library().attnc_pool_size()
        gradients = results_of(attention, tensors(learns=True, N=50))
        return before, use_pool(), in_child(use_pool), len(gradients)

    before, after, grandchild, count = in_child(child)
    assert before == 0 and 1 <= after <= 2 and 1 <= grandchild <= 2 and count == 5
    assert use_pool() > 0


def test_fork_while_others_call(attention):
    stop = threading.Event()
    given = tensors(N=100)
    attention(*given)  # no module is being imported by a thread when others fork

    def call():
        while not stop.is_set():
            attention(*given)

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        assert all(in_child(lambda: works(attention, N=100)) for _ in range(5))
    finally:
        stop.set()
        for caller in callers:
            caller.join()


def test_fork_while_others_derive(workplace):
    """A lock that another thread held does not stay with the child."""
    from attnc.runtime import deriving

    is_held, stop = threading.Event(), threading.Event()

    def hold():
        with deriving.alone():
            is_held.set()
            stop.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait()
    try:
        assert in_child(works, 30)
    finally:
        stop.set()
        holder.join()


# --- how many threads -------------------------------------------------------------------------------------------------


def test_torch_says_how_many_threads():
    assert in_child(lambda: use_pool(1)) == 0
    assert in_child(lambda: use_pool(2)) == 1
    assert 1 <= in_child(lambda: use_pool(4)) <= 3


TEAM = """
import time, torch, attnc
from attnc.runtime import pool
torch.set_num_threads(2)
attention = attnc.loads("attention taken\\naxis i, j: N\\n")
q, k, v = (torch.randn(1, 8, 300, 8) for _ in range(3))
wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v)
attention(q, k, v)
found, end = None, time.monotonic() + 60
while found != {workers} and time.monotonic() < end:
    pool.library().attnc_pool_limit(0)
    while pool.library().attnc_pool_size():
        time.sleep(0.001)
    pool.library().attnc_pool_limit(8)
    torch.nn.functional.scaled_dot_product_attention(q, k, v)
    time.sleep({pause})
    assert torch.allclose(attention(q, k, v), wanted, atol=1e-5)
    found = pool.library().attnc_pool_size()
print(found)
"""


@pytest.mark.skipif(sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="Linux tells who runs; two cores")
@pytest.mark.parametrize("policy, pause, workers", [("active", 0, 0), ("passive", 0.01, 1)])
def test_threads_of_torch_are_taken_while_they_spin(policy, pause, workers):
    """A worker would have to share a processor with one that spins; one that sleeps takes long to wake. On a busy
    machine the moment at which a thread is seen to spin may take some calls to come."""
    script = TEAM.format(pause=pause, workers=workers)
    assert in_process(script, {**os.environ, "OMP_WAIT_POLICY": policy}) == str(workers)


@pytest.mark.parametrize("name", NAMES)
def test_bits_do_not_depend_on_threads(name):
    attention = attentions()[name]
    given = draw(attention, {"M": 130, "N": 130})
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(results_of(attention, given))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other))


# --- Python's threads -------------------------------------------------------------------------------------------------


def in_threads(actions):
    """Runs actions at once, each in a thread of its own."""
    failures = []
    barrier = threading.Barrier(len(actions))

    def run(action):
        try:
            barrier.wait(60)
            action()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def test_threads_call_different_attentions_at_once():
    """Eight threads, four attentions: the same bits as alone, gradients too."""
    cases = [(attentions()[name], draw(attentions()[name], {"M": 70, "N": 70}, seed=n)) for n, name in enumerate(NAMES)]
    alone = [results_of(*case) for case in cases]
    found = {}

    def call(number):
        attention, given = cases[number % 4]
        torch.set_num_threads(2)
        for _ in range(10):
            found[number] = results_of(attention, [t.detach().requires_grad_(t.requires_grad) for t in given])
            assert all(torch.equal(a, b) for a, b in zip(found[number], alone[number % 4]))

    in_threads([lambda number=number: call(number) for number in range(8)])
    assert len(found) == 8


def test_threads_build_one_kernel_once(workplace):
    """One object, called for the first time by all."""
    attention = several()
    given = tensors()[:3]
    in_threads([lambda: attention(*given)] * 6)
    assert len(workplace.builds()) == 1


def test_backward_in_another_thread(attention):
    given = tensors(learns=True)
    wanted = results_of(attention, given)[1:]
    out = attention(*given)
    in_threads([lambda: out.sum().backward()])
    assert all(torch.equal(tensor.grad, gradient) for tensor, gradient in zip(given, wanted))


def test_other_threads_run_during_a_kernel(attention):
    given = tensors(H=8, N=1500)
    attention(*given, window=10**6)
    stop = threading.Event()
    ticks = []

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    times = []
    for _ in range(3):  # a busy machine may give the ticker no turn for a while
        start = time.perf_counter()
        attention(*given, window=10**6)
        times.append((start, time.perf_counter()))
    stop.set()
    ticker.join()
    assert max(sum(start < tick < end for tick in ticks) for start, end in times) >= 3


# --- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("N", [4, 97, 98, 194])
def test_results_do_not_depend_on_threads(N, dtype):
    """Bit for bit, with gradients: blocks of rows whose last has few, in tasks of some rows or of all."""
    spec = attnc.loads("attention numbered\nmask j <= i\n")
    given = tensors(N=N, H=4, dtype=dtype, learns=True)[:3]
    found = []
    for threads in (1, 2, 8):
        torch.set_num_threads(threads)
        found.append(results_of(spec, given))
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others))


# --- the end ----------------------------------------------------------------------------------------------------------

EXIT = """
import os, signal, threading, time, torch, attnc
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with Ctrl-C ignored
torch.set_num_threads(2)
attention = attnc.loads("attention ending\\nscore s = tanh(q[i] @ k[j])\\n")
attention(*(torch.randn(1, 2, 9, 8) for _ in range(3)))
q, k, v = (torch.randn(1, 8, 60000, 8) for _ in range(3))
threading.Thread(target=attention, args=(q, k, v), daemon=True).start()
time.sleep(0.2)
{ending}
"""


def end(ending):
    """A process that ends while a thread and a worker are within a kernel, which takes far longer than to end."""
    script = EXIT.format(ending=ending)
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert time.monotonic() - start < 60
    return done


def test_the_interpreter_ends_during_calls():
    """In kernels, that is: torch's own operations abort a process that ends while a daemon thread is within them."""
    done = end('print("done")')
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_signal_ends_a_process_during_calls():
    """Ctrl-C, sent to the main thread; the pool's threads block signals."""
    done = end("signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)\ntime.sleep(60)")
    assert "KeyboardInterrupt" in done.stderr and done.returncode in (1, 130, -2)


def test_children_leave_nothing_running(attention):
    """A child that used the pool ends when it is told to."""
    start = time.monotonic()
    in_child(lambda: (use_pool(), os.getpid()), 30)
    assert time.monotonic() - start < 30
