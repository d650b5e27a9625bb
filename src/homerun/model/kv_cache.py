"""The arrays that hold keys and values of all sequences in fixed-size blocks.

Knows shapes and dtypes; which block belongs to whom is the engine's.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32, NUMPY_TYPES, DType
from homerun.model.memory import available_memory

ATTENTION_TILE = 256
"""Positions per step of the online softmax, for every implementation and sequence."""
AHEAD_BYTES = 512 << 20
"""How far `KVCache.populate` goes before use: 1,000 tokens of a 7B model in float16."""
_INT8 = np.dtype(np.int8)


class KVCache:
    """Keys and values of every layer and block.

    keys `[layers, blocks, kv_heads, head_dim, block_size]`: a block's positions lie side by side,
    values `[layers, blocks, kv_heads, block_size, head_dim]`: a position's features do. So scores
    and outputs are both sums of vectors, and a head reads one piece of memory per block.
    int8: a key or value is its integers times a scale of its own, in scales
    `[layers, blocks, kv_heads, 2, block_size]`, float32: of the keys, then of the values. So what
    is stored of a position does not depend on the others.
    Slot s is position s % block_size of block s // block_size. Blocks start out as zeros and are
    not cleared between owners: attention never looks beyond a sequence's own length.
    """

    def __init__(self, config: ModelConfig, num_blocks: int, block_size: int, dtype: DType) -> None:
        """Allocates the arrays. Raises ValueError if blocks do not tile 256 positions."""
        if block_size < 1 or ATTENTION_TILE % block_size:
            raise ValueError(f"a block size of {block_size} does not divide {ATTENTION_TILE}")
        self.dtype: DType = dtype
        self.block_size = block_size
        self.num_blocks = num_blocks
        outer = (config.num_layers, num_blocks, config.num_kv_heads)
        numbers = _INT8 if dtype == "int8" else NUMPY_TYPES[dtype]
        self.keys = _zeros((*outer, config.head_dim, block_size), numbers)
        self.values = _zeros((*outer, block_size, config.head_dim), numbers)
        self.scales: F32 | None = None
        if dtype == "int8":
            self.scales = _zeros((*outer, 2, block_size), np.dtype(np.float32))
        self._block_bytes = self.bytes_per_block(config, block_size, dtype)
        # What `populate` comes to next: a row of blocks, and a piece of it.
        self._row = self._piece = 0

    def populate(self, unused: int, spare: int = 0) -> bool:
        """Has the system give memory for a piece of the blocks that will be used next.

        The first write to a page costs a fault, which in a virtual machine is slower than all that
        a step does with the page. `unused` is the first block that nobody has ever had; nothing
        before it is touched, and nothing that ends more than `AHEAD_BYTES` after it, but for the
        row of pieces (about a huge page of each layer's keys, values, scales) that holds it.
        `spare` bytes of available memory are left alone. True if there was a piece.
        """
        arrays = [self.keys, self.values, *([] if self.scales is None else [self.scales])]
        layers = len(self.keys)
        size = max(1, _HUGE_PAGE // self.keys[0, :1].nbytes)  # blocks of a row
        if unused // size > self._row:
            self._row, self._piece = unused // size, 0
        first, end = self._row * size, min(self._row * size + size, self.num_blocks)
        ahead = (end - unused) * self._block_bytes
        if first >= self.num_blocks or (first > unused and ahead > AHEAD_BYTES):
            return False
        available = available_memory()
        if available is not None and available <= spare:
            return False
        array, layer = arrays[self._piece // layers], self._piece % layers
        array[layer, max(first, unused) : end].reshape(-1).view(np.uint8)[::_PAGE] = 0
        self._piece += 1
        if self._piece == layers * len(arrays):
            self._row, self._piece = self._row + 1, 0
        return True

    @staticmethod
    def bytes_per_block(config: ModelConfig, block_size: int, dtype: DType) -> int:
        """Bytes of one block over all layers, keys and values together, scales included."""
        heads = config.num_layers * block_size * config.num_kv_heads
        if dtype == "int8":
            return 2 * heads * (config.head_dim + np.dtype(np.float32).itemsize)
        return 2 * heads * config.head_dim * NUMPY_TYPES[dtype].itemsize


_CACHE_LINE = 64
_PAGE = 4096
_HUGE_PAGE = 2 << 20


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """np.zeros (memory that nobody wrote to costs nothing) that begins with a line or huge page."""
    size = math.prod(shape) * dtype.itemsize
    alignment = _HUGE_PAGE if size >= 16 * _HUGE_PAGE else _CACHE_LINE
    memory = np.zeros(size + alignment, np.uint8)
    begin = -memory.ctypes.data % alignment
    return memory[begin : begin + size].view(dtype).reshape(shape)
