"""Memory that the system has promised: it is given for whole pieces, and contents stay."""

import mmap
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from homerun.native import native_available

if not native_available():
    pytest.skip("the C++ extension is not built", allow_module_level=True)

from homerun import _native

PAGE = mmap.PAGESIZE


def resident_pages(mapping: mmap.mmap) -> list[bool]:
    """Whether each page of the mapping has memory of its own, by /proc/self/pagemap."""
    first = np.frombuffer(mapping, np.uint8).ctypes.data // PAGE
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(8 * first)
        entries = np.frombuffer(file.read(8 * (len(mapping) // PAGE)), np.uint64)
    return (entries >> np.uint64(63) == 1).tolist()


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="reads /proc")
@pytest.mark.parametrize("by_writes", [False, True])
def test_pieces_have_memory_and_nothing_else_has(by_writes: bool) -> None:
    with mmap.mmap(-1, 16 * PAGE, flags=mmap.MAP_PRIVATE) as mapping:
        with suppress(OSError):  # a kernel without huge pages
            mapping.madvise(mmap.MADV_NOHUGEPAGE)
        memory = np.frombuffer(mapping, np.uint8)
        assert not any(resident_pages(mapping))
        empty = memory[9 * PAGE + 7 :][:0]
        pieces = [memory[PAGE - 1 : PAGE + 1], memory[4 * PAGE : 6 * PAGE], empty]
        _native.populate(pieces, by_writes=by_writes)
        expected = [page in (0, 1, 4, 5) for page in range(16)]
        assert resident_pages(mapping) == expected
        assert not memory.any()
        del memory, pieces, empty


@pytest.mark.parametrize("by_writes", [False, True])
def test_contents_stay(by_writes: bool) -> None:
    memory = np.random.default_rng(0).integers(256, size=1_000_003, dtype=np.uint8)
    before = memory.copy()
    _native.populate([memory[i : i + 70_001] for i in range(0, len(memory), 70_001)], by_writes)
    np.testing.assert_array_equal(memory, before)
    _native.populate([])


@pytest.mark.parametrize("wrong", [None, 7, "bytes", np.zeros(3), np.zeros((2, 2), np.uint8)])
def test_what_are_no_bytes_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError):
        _native.populate([wrong])  # type: ignore[list-item]


def test_memory_that_may_not_be_written_is_refused() -> None:
    frozen = np.zeros(PAGE, np.uint8)
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        _native.populate([frozen])
