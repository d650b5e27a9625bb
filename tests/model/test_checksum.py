"""The checksum of packed files: both forms, its definition in plain integers, what it finds."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from homerun.model.checksum import checksum, numpy_checksum
from homerun.native import native_available


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 4096, (1 << 20) - 1, 1 << 20, (3 << 20) + 4099])
def test_both_forms_of_the_checksum_agree(size: int) -> None:
    if not native_available():
        pytest.skip("the extension is absent")
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    assert checksum(data) == numpy_checksum(data)


def test_the_checksum_by_its_definition() -> None:
    """Plain integers, word by word."""
    data = np.random.default_rng(0).integers(0, 256, (1 << 20) + 10, dtype=np.uint8)
    total = 0
    for number, start in enumerate((0, 1 << 20), 1):
        chunk = data[start : start + (1 << 20)].tobytes()
        chunk += bytes(-len(chunk) % 4)
        words = struct.unpack(f"<{len(chunk) // 4}I", chunk)
        total_of_chunk = sum(w * ((1 + i * 2 * 0x4F1BBCDD) % 2**32) for i, w in enumerate(words))
        x = (total_of_chunk + number * 0x9E3779B97F4A7C15) % 2**64
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        total += x ^ x >> 31
    assert numpy_checksum(data) == total % 2**64


@pytest.mark.parametrize("kind", ["numbers", "zeros", "bytes of one value"])
def test_what_the_checksum_finds(kind: str) -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 256, 3 << 20, dtype=np.uint8)
    if kind == "zeros":
        data[:] = 0
    elif kind == "bytes of one value":
        data[:] = 128
        data[:: 1 << 16] = 129  # words that differ in one bit
    expected = checksum(data)

    def found(change: Callable[[Any], Any]) -> bool:
        changed = data.copy()
        change(changed)
        return checksum(changed) != expected

    for bit in [0, 1, 31, 32, 8 * data.size - 1, *rng.integers(0, 8 * data.size, 40)]:
        assert found(lambda d, bit=int(bit): d.__setitem__(bit // 8, d[bit // 8] ^ 1 << bit % 8))
    if kind == "zeros":
        return
    words = data.view(np.uint32)
    for i, j in (
        rng.integers(0, words.size, (40, 2)) if kind == "numbers" else [(0, 1), (0, 1 << 14)]
    ):
        if words[i] != words[j]:
            assert found(lambda d, i=i, j=j: d.view(np.uint32).__setitem__([i, j], words[[j, i]]))
    if kind == "numbers":
        assert found(lambda d: d.__setitem__(slice(None), np.roll(data, 1 << 20)))
        assert found(lambda d: d.__setitem__(slice(None), np.roll(data, 4)))
