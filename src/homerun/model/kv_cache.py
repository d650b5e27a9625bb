"""The arrays that hold keys and values of all sequences in fixed-size blocks.

Knows shapes and dtypes; which block belongs to whom is the engine's.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun import native
from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32, NUMPY_TYPES, DType
from homerun.model.memory import available_memory

ATTENTION_TILE = 256
"""Positions per step of the online softmax, for every implementation and sequence."""
AHEAD_BYTES = 512 << 20
"""How far `KVCache.populate_ahead` goes before use: 1,000 tokens of a 7B model in float16."""
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
        self._used = 0  # blocks below this one have been provided
        # What is populated next: a stripe of blocks, of which each layer's keys, values, scales
        # are a piece, about a huge page; and a piece of it.
        self._stripe = self._piece = 0

    def provide(self, blocks: int) -> None:
        """Populates blocks below `blocks`, which are about to be used, and up to a stripe more.

        The first write to a page waits for the system, which in a virtual machine takes longer than
        all that a step does with the page; here all threads wait for different pages. Without
        the extension memory comes with the first write.
        """
        if blocks <= self._used:
            return
        self._used = blocks
        pieces: list[NDArray[np.uint8]] = []
        while self._stripe * self._stripe_blocks < blocks:
            pieces.append(self._next_piece())
        _populate(pieces)

    def populate_ahead(self, spare: int = 0) -> bool:
        """Populates a piece of the blocks that will be used next; True if there was one.

        At most `AHEAD_BYTES` ahead of use, but in any case the stripe that the next block begins.
        `spare` bytes of available memory are left alone.
        """
        if not native.native_available():
            return False
        first = self._stripe * self._stripe_blocks
        end = min(first + self._stripe_blocks, self.num_blocks)
        ahead = (end - self._used) * self._block_bytes
        if first >= self.num_blocks or (first > self._used and ahead > AHEAD_BYTES):
            return False
        available = available_memory()
        if available is not None and available <= spare:
            return False
        _populate([self._next_piece()])
        return True

    @property
    def _stripe_blocks(self) -> int:
        return max(1, _HUGE_PAGE // self.keys[0, :1].nbytes)

    def _next_piece(self) -> NDArray[np.uint8]:
        arrays = [self.keys, self.values, *([] if self.scales is None else [self.scales])]
        layers, first = len(self.keys), self._stripe * self._stripe_blocks
        array, layer = arrays[self._piece // layers], self._piece % layers
        self._piece += 1
        if self._piece == layers * len(arrays):
            self._stripe, self._piece = self._stripe + 1, 0
        return array[layer, first : first + self._stripe_blocks].reshape(-1).view(np.uint8)

    @staticmethod
    def bytes_per_block(config: ModelConfig, block_size: int, dtype: DType) -> int:
        """Bytes of one block over all layers, keys and values together, scales included."""
        heads = config.num_layers * block_size * config.num_kv_heads
        if dtype == "int8":
            return 2 * heads * (config.head_dim + np.dtype(np.float32).itemsize)
        return 2 * heads * config.head_dim * NUMPY_TYPES[dtype].itemsize


_CACHE_LINE = 64
_HUGE_PAGE = 2 << 20


def _populate(pieces: list[NDArray[np.uint8]]) -> None:
    if native.native_available():
        native.extension().populate(pieces)


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """np.zeros (memory that nobody wrote to costs nothing) that begins with a line or huge page."""
    size = math.prod(shape) * dtype.itemsize
    alignment = _HUGE_PAGE if size >= 16 * _HUGE_PAGE else _CACHE_LINE
    memory = np.zeros(size + alignment, np.uint8)
    begin = -memory.ctypes.data % alignment
    return memory[begin : begin + size].view(dtype).reshape(shape)
