"""The arrays that hold keys and values of all sequences in fixed-size blocks.

Knows shapes and dtypes; which block belongs to whom is the engine's.
"""

import numpy as np

from homerun.model.config import ModelConfig
from homerun.model.dtypes import NUMPY_TYPES, FloatDType

ATTENTION_TILE = 256
"""Positions per step of the online softmax, for every implementation and sequence."""


class KVCache:
    """Keys and values, `[layers, blocks, block_size, kv_heads, head_dim]` each.

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
        shape = (config.num_layers, num_blocks, block_size, config.num_kv_heads, config.head_dim)
        self.keys = np.zeros(shape, NUMPY_TYPES[dtype])
        self.values = np.zeros(shape, NUMPY_TYPES[dtype])

    @staticmethod
    def bytes_per_block(config: ModelConfig, block_size: int, dtype: FloatDType) -> int:
        """Bytes of one block over all layers, keys and values together."""
        elements = config.num_layers * block_size * config.num_kv_heads * config.head_dim
        return 2 * elements * NUMPY_TYPES[dtype].itemsize
