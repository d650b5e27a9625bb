"""The arrays that hold keys and values of all sequences in fixed-size blocks.

Knows shapes and dtypes; which block belongs to whom is the engine's.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32, NUMPY_TYPES, DType

ATTENTION_TILE = 256
"""Positions per step of the online softmax, for every implementation and sequence."""
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

    @staticmethod
    def bytes_per_block(config: ModelConfig, block_size: int, dtype: DType) -> int:
        """Bytes of one block over all layers, keys and values together, scales included."""
        heads = config.num_layers * block_size * config.num_kv_heads
        if dtype == "int8":
            return 2 * heads * (config.head_dim + np.dtype(np.float32).itemsize)
        return 2 * heads * config.head_dim * NUMPY_TYPES[dtype].itemsize


_CACHE_LINE = 64
_HUGE_PAGE = 2 << 20


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """np.zeros (memory that nobody wrote to costs nothing) that begins with a line or huge page."""
    size = math.prod(shape) * dtype.itemsize
    alignment = _HUGE_PAGE if size >= 16 * _HUGE_PAGE else _CACHE_LINE
    memory = np.zeros(size + alignment, np.uint8)
    begin = -memory.ctypes.data % alignment
    return memory[begin : begin + size].view(dtype).reshape(shape)
