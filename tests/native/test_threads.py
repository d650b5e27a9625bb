"""The pool of threads, seen from Python: it shares work, sleeps, and survives forks and exits."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from homerun.native import native_available

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = _native.threads()
    yield
    _native.set_threads(before)


def test_there_is_a_thread_for_each_usable_cpu() -> None:
    _native.set_threads(0)
    assert _native.threads() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 33])
def test_every_piece_is_done_once(threads: int) -> None:
    _native.set_threads(threads)
    assert _native.threads() == threads
    for pieces in [0, 1, 2, threads, 1000]:
        done = _native.share_out(pieces)
        assert len(done) == threads
        assert sum(done) == pieces


def test_threads_share_the_work() -> None:
    _native.set_threads(4)
    # The workers may be slow to wake on a busy machine, but not for a second.
    deadline = time.monotonic() + 30
    while min(done := _native.share_out(200, 0.0005)) == 0 and time.monotonic() < deadline:
        continue
    assert min(done) > 0
    assert sum(done) == 200


def test_the_number_of_threads_may_change_again_and_again() -> None:
    for threads in [2, 5, 1, 3, 2, 9, 1] * 20:
        _native.set_threads(threads)
        assert sum(_native.share_out(17)) == 17


def test_fewer_than_no_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        _native.set_threads(-1)


def test_calls_of_several_threads_take_turns() -> None:
    _native.set_threads(3)
    sums: list[int] = []

    def call() -> None:
        sums.append(sum(sum(_native.share_out(20, 1e-6)) for _ in range(300)))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert sums == [6000] * 4


def test_idle_workers_take_no_time() -> None:
    _native.set_threads(8)
    _native.share_out(100, 0.0005)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1  # 8 spinning threads would take a second or more


def test_a_forked_child_has_a_pool_of_its_own() -> None:
    # In a fresh process: a fork of this one would take whatever threads other tests have left.
    program = """
import os, sys
from homerun import _native
_native.set_threads(4)
assert sum(_native.share_out(100, 0.0001)) == 100
child = os.fork()
if child == 0:
    good = sum(_native.share_out(100, 0.0001)) == 100
    _native.set_threads(3)
    good = good and sum(_native.share_out(100)) == 100
    grandchild = os.fork()
    if grandchild == 0:
        sys.exit(sum(_native.share_out(50)) != 50)
    sys.exit(not good or os.waitpid(grandchild, 0)[1] != 0)
assert os.waitpid(child, 0)[1] == 0
assert sum(_native.share_out(100)) == 100
"""
    assert fresh(program) == 0


def test_a_process_ends_while_workers_sleep_or_work() -> None:
    start = "from homerun import _native; _native.set_threads(6); "
    assert fresh(start + "_native.share_out(1000)") == 0
    assert fresh(start + "import time; _native.share_out(1000); time.sleep(0.05)") == 0
    busy = """
import threading, time
def work():
    while True: _native.share_out(100, 1e-5)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
"""
    for _ in range(5):
        assert fresh(start + busy) == 0


def test_signals_are_for_pythons_threads() -> None:
    program = """
import os, signal
from homerun import _native
_native.set_threads(4)
_native.share_out(100, 1e-4)
for task in os.listdir("/proc/self/task"):
    if int(task) != os.getpid():
        status = open(f"/proc/self/task/{task}/status").read()
        blocked = int(status.split("SigBlk:")[1].split()[0], 16)
        assert blocked >> (signal.SIGINT - 1) & 1, task
"""
    if not os.path.exists("/proc/self/task"):
        pytest.skip("needs Linux's /proc")
    assert fresh(program) == 0


def test_workers_have_stack_for_every_kernel_whatever_the_systems_default() -> None:
    # 200 KiB for new threads, as small as some systems' own.
    program = """
import threading
import numpy as np
from homerun import _native
def compute():
    _native.set_threads(4)
    scales = np.ones((32, 1, 32), np.float32)
    weights = [
        _native.Linear("bf16", 1024, 256, np.zeros((32, 128, 32, 2), np.uint16), None),
        _native.Linear("int8", 1024, 256, np.zeros((32, 64, 32, 4), np.uint8), scales),
    ]
    x = np.zeros((600, 256), np.float32)
    x[:, 7] = 1000  # an outlier
    out = np.zeros((600, 1024), np.float32)
    for _ in range(100):
        for weight in weights: _native.linear_add(x, weight, out)
threading.stack_size(1 << 20)
caller = threading.Thread(target=compute)
caller.start()
caller.join()
"""
    small = (200 << 10, resource.getrlimit(resource.RLIMIT_STACK)[1])
    limit = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_STACK, {small}); "
    assert fresh(limit + f"os.execv(sys.executable, [sys.executable, '-c', {program!r}])") == 0


def fresh(program: str) -> int:
    """Status of another Python process; -SIGKILL if it hangs."""
    try:
        return subprocess.run([sys.executable, "-c", program], timeout=60).returncode
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
