"""The arrays that hold keys and values of all sequences in fixed-size blocks.

Knows shapes and dtypes; which block belongs to whom is the engine's.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.model.config import ModelConfig
from homerun.model.dtypes import NUMPY_TYPES, FloatDType

ATTENTION_TILE = 256
"""Positions per step of the online softmax, for every implementation and sequence."""


class KVCache:
    """Keys and values of every layer and block.

    keys `[layers, blocks, kv_heads, head_dim, block_size]`: a block's positions lie side by side,
    values `[layers, blocks, kv_heads, block_size, head_dim]`: a position's features do. So scores
    and outputs are both sums of vectors, and a head reads one piece of memory per block.
    Slot s is position s % block_size of block s // block_size. Blocks start out as zeros and are
    not cleared between owners: attention never looks beyond a sequence's own length.
    """

    def __init__(
        self, config: ModelConfig, num_blocks: int, block_size: int, dtype: FloatDType
    ) -> None:
        """Allocates the arrays. Raises ValueError if blocks do not tile 256 positions."""
        if block_size < 1 or ATTENTION_TILE % block_size:
            raise ValueError(f"a block size of {block_size} does not divide {ATTENTION_TILE}")
        self.dtype: FloatDType = dtype
        self.block_size = block_size
        self.num_blocks = num_blocks
        outer = (config.num_layers, num_blocks, config.num_kv_heads)
        self.keys = _zeros((*outer, config.head_dim, block_size), NUMPY_TYPES[dtype])
        self.values = _zeros((*outer, block_size, config.head_dim), NUMPY_TYPES[dtype])

    @staticmethod
    def bytes_per_block(config: ModelConfig, block_size: int, dtype: FloatDType) -> int:
        """Bytes of one block over all layers, keys and values together."""
        elements = config.num_layers * block_size * config.num_kv_heads * config.head_dim
        return 2 * elements * NUMPY_TYPES[dtype].itemsize


_CACHE_LINE = 64
_HUGE_PAGE = 2 << 20


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """np.zeros (memory that nobody wrote to costs nothing) that begins with a line or huge page."""
    size = math.prod(shape) * dtype.itemsize
    alignment = _HUGE_PAGE if size >= 16 * _HUGE_PAGE else _CACHE_LINE
    memory = np.zeros(size + alignment, np.uint8)
    begin = -memory.ctypes.data % alignment
    return memory[begin : begin + size].view(dtype).reshape(shape)
