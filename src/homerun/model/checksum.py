"""The checksum of packed files: how contents are told from damaged contents.

Knows the sum that `native/ops/checksum.hpp` defines, and computes it there where the extension is
present; the NumPy form gives equal sums, an order of magnitude slower.
"""

import numpy as np
from numpy.typing import NDArray

from homerun.native import extension, native_available

CHUNK = 1 << 20
"""Bytes whose words are summed together."""
_WORDS = CHUNK // 4
_STEP = 2 * 0x4F1BBCDD
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def checksum(data: NDArray[np.uint8]) -> int:
    """64-bit sum of uint8 [n], C-contiguous. Zero bytes up to the next chunk do not change it.

    A single changed 32-bit word, and two words of one chunk that changed places, are always found;
    other accidents but for about one in 2^64.
    """
    return extension().checksum(data.data) if native_available() else numpy_checksum(data)


def numpy_checksum(data: NDArray[np.uint8]) -> int:
    """`checksum` without the extension."""
    positions = np.arange(min(_WORDS, -(-data.size // 4)), dtype=np.uint32)
    multipliers = np.uint32(1) + positions * np.uint32(_STEP)
    total = 0
    for number, start in enumerate(range(0, data.size, CHUNK), 1):
        chunk = data[start : start + CHUNK]
        if chunk.size % 4:
            chunk = np.append(chunk, np.zeros(-chunk.size % 4, np.uint8))
        words = chunk.view("<u4")
        products = np.multiply(words, multipliers[: words.size], dtype=np.uint64)
        total += _mix(int(products.sum()) + number * _GOLDEN)
    return total & _MASK


def _mix(x: int) -> int:
    """One to one on 64 bits; every bit of the result depends on every bit of `x` (splitmix64)."""
    x &= _MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK
    return x ^ (x >> 31)
