"""Operations of several threads at once, beside forks, other settings and other libraries."""

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from homerun.model.ops.base import Segment
from homerun.native import native_available

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native

N, K = 64, 192
FE_UPWARD = 0x800  # of x86
EPS = 2.0**-17  # a float32, like all numbers given to a function under another rounding


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    threads, instructions = _native.threads(), _native.instruction_set()
    yield
    _native.set_threads(threads)
    _native.force_instruction_set(instructions)


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def int8_matrix() -> Any:
    values = np.random.default_rng(1).integers(1, 256, (N // 32, K // 4, 32, 4), dtype=np.uint8)
    return _native.Linear("int8", N, K, values, np.abs(normal(N // 32, 1, 32)), 0, 0)


def product(weight: Any, rows: int) -> Any:
    out = np.empty((rows, N), np.float32)
    _native.norm_linear(normal(rows, K), np.ones(K, np.float32), EPS, weight, out)
    return out


def attended() -> Any:
    table = np.arange(40, dtype=np.int32)
    plan = _native.AttentionPlan([Segment(0, 20, 600, table)], 16)
    out = np.empty((20, 4 * 32), np.float32)
    keys, values = normal(1, 40, 2, 32, 16), normal(1, 40, 2, 16, 32)
    _native.attention(normal(20, 4, 32), keys, values, "fp32", 0, plan, out)
    return out


def test_threads_and_instructions_may_change_while_others_compute() -> None:
    weight = int8_matrix()
    wanted = [product(weight, 3), product(weight, 300), attended()]
    wrong: list[int] = []
    done = threading.Event()

    def compute() -> None:
        while not done.is_set():
            found = [product(weight, 3), product(weight, 300), attended()]
            wrong.extend(i for i in range(3) if found[i].tobytes() != wanted[i].tobytes())

    computing = [threading.Thread(target=compute) for _ in range(2)]
    for thread in computing:
        thread.start()
    choice = random.Random(0)
    for _ in range(100):
        _native.set_threads(choice.randint(1, 9))
        _native.force_instruction_set(choice.choice(_native.instruction_sets()))
        time.sleep(0.002)
    done.set()
    for thread in computing:
        thread.join()
    assert not wrong


def test_a_fork_waits_for_the_operation_that_runs() -> None:
    # A child with a lock that a vanished thread holds would wait for ever.
    program = """
import os, signal, threading
from tests.native.test_concurrency import _native, attended, int8_matrix, product
weight = int8_matrix()
_native.set_threads(2)
def work():
    while True: product(weight, 2), product(weight, 100), attended()
for _ in range(2): threading.Thread(target=work, daemon=True).start()
for _ in range(100):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        product(weight, 2), product(weight, 100), attended()
        _native.force_instruction_set("portable")
        _native.set_threads(3)
        product(weight, 100)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""
    assert fresh(program) == 0


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="FE_UPWARD is that of x86")
@pytest.mark.parametrize("rows", [1, 400])
def test_how_another_library_rounds_does_not_matter(rows: int) -> None:
    libm = ctypes.CDLL(None)
    weight, row = int8_matrix(), normal(rows, K)
    angles, slots = normal(rows, 16), np.arange(rows, dtype=np.int64)
    chooser = _native.Sampling(0.7, 0.9, None, None, None, None, 3, 0)
    cache = normal(1, 32, 1, 32, 16), normal(1, 32, 1, 16, 32)
    arrays = [np.empty((rows, K), np.float32) for _ in range(2)]
    arrays += [np.empty((rows, K // 2), np.float32), np.empty((rows, 4, 32), np.float32)]
    out = np.empty((rows, N), np.float32)
    plan = _native.AttentionPlan([Segment(0, rows, 0, np.arange(32, dtype=np.int32))], 16)
    attention_out = np.empty((rows, 4 * 32), np.float32)
    ones, qkv = np.ones(K, np.float32), normal(rows, K)

    def results(rounding: int) -> list[Any]:
        assert libm.fesetround(rounding) == 0
        try:
            _native.norm_linear(row, ones, EPS, weight, out)
            _native.rms_norm(row, ones, EPS, arrays[0])
            _native.embed(row, "fp32", slots.astype(np.int32), 1.25, arrays[1])
            _native.gated(row, "silu", arrays[2])
            _native.rotate_and_store(qkv, angles, angles, *cache, "fp32", 0, slots, arrays[3])
            _native.attention(arrays[3], *cache, "fp32", 0, plan, attention_out)
            tokens = _native.sample_rows(row, [(chooser, i, None, 0, None) for i in range(rows)])
        finally:
            libm.fesetround(0)
        assert libm.fegetround() == 0
        made = [out, *arrays, *cache, attention_out]
        return [tokens, *(array.tobytes() for array in made)]

    assert results(0) == results(FE_UPWARD)


def fresh(program: str) -> int:
    """Status of another Python process; -SIGKILL if it hangs."""
    try:
        return subprocess.run([sys.executable, "-c", program], timeout=60).returncode
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
