"""Probes of the machine: that they read and compute at all, and refuse what is not there."""

import ctypes
import mmap
from pathlib import Path

import numpy as np
import pytest

from homerun.native import cpu_features, native_available

if not native_available():
    pytest.skip("the C++ extension is not built", allow_module_level=True)

from homerun import _native


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, (1 << 20) + 1, 3 << 20])
def test_a_probe_of_any_length_takes_time(size: int) -> None:
    assert _native.read_probe(np.zeros(size, np.uint8)) > 0


@pytest.mark.parametrize("odd", [0, 1])
def test_a_probe_stays_within_its_bytes(odd: int) -> None:
    """The next page may not be read."""
    mapping = mmap.mmap(-1, 3 * mmap.PAGESIZE)
    start = np.frombuffer(mapping, np.uint8).ctypes.data
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(start + 2 * mmap.PAGESIZE), mmap.PAGESIZE, 0) == 0
    assert _native.read_probe(memoryview(mapping)[odd : 2 * mmap.PAGESIZE]) > 0


def test_a_probe_reads_what_a_file_is_mapped_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100_000))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        assert _native.read_probe(mapping) > 0


def test_a_probe_refuses_what_are_no_bytes() -> None:
    with pytest.raises(TypeError):
        _native.read_probe(np.zeros(4, np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_every_machine_multiplies(kind: str) -> None:
    assert _native.peak(kind) > 0


@pytest.mark.parametrize(
    ("kind", "feature"),
    [("bf16", "avx512_bf16"), ("amx_int8", "amx_int8"), ("amx_bf16", "amx_bf16")],
)
def test_an_instruction_that_is_not_there_is_refused(kind: str, feature: str) -> None:
    if cpu_features()[feature]:
        assert _native.peak(kind) > 0
    else:
        with pytest.raises(ValueError, match=f"no instruction for {kind}"):
            _native.peak(kind)


def test_an_unknown_peak_is_refused() -> None:
    with pytest.raises(ValueError, match="int4"):
        _native.peak("int4")


def test_work_done_names_what_benchmarks_divide_by() -> None:
    done = _native.work_done()
    assert set(done) == {"linear_seconds", "attention_seconds", "other_seconds", "linear_macs"}
    assert min(done.values()) >= 0
