"""Matrix products whose rows do not depend on each other's presence, out of NumPy's `@`.

Knows BLAS and its habits; knows nothing of decoders.

OpenBLAS chooses kernels and splits by the shape of the whole product, so the bytes of a row change
with the number of rows, the row's place and the number of threads. Here every call multiplies
8 rows by at most 256 × 64 weights: too small for it to use threads or to split K, and of one shape,
so that each row takes the same path. With 8 rows the row's place does not matter either, which
12, 16, 24 and 32 rows do not give on AVX2 (tried: OpenBLAS's Prescott, Nehalem, Sandybridge,
Haswell and Zen kernels with 1, 2 and 5 threads). On a BLAS where it does, a tile holds one row.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.model.dtypes import F32

TILE_ROWS = 8
BLOCK_K = 256
BLOCK_N = 64


def pack_blocks(weight: F32) -> F32:
    """float32 [N, K] -> its transpose in zero-padded blocks [ceil(K/256), ceil(N/64), 256, 64]."""
    n, k = weight.shape
    k_blocks, n_blocks = -(-k // BLOCK_K), -(-n // BLOCK_N)
    blocks = np.zeros((k_blocks, n_blocks, BLOCK_K, BLOCK_N), np.float32)
    for i in range(k_blocks):
        part = weight[:, i * BLOCK_K : (i + 1) * BLOCK_K]
        padded = np.zeros((n_blocks * BLOCK_N, BLOCK_K), np.float32)
        padded[:n, : part.shape[1]] = part
        blocks[i] = padded.reshape(n_blocks, BLOCK_N, BLOCK_K).transpose(0, 2, 1)
    return blocks


def multiply(x: F32, blocks: F32, out_features: int) -> F32:
    """x [M, K] times packed blocks -> float32 [M, out_features]; sums of 256 are added in order."""
    k_blocks, n_blocks = blocks.shape[:2]
    tiles = to_tiles(x, k_blocks * BLOCK_K)
    tiles = tiles.reshape(-1, 1, TILE_ROWS, k_blocks, BLOCK_K)
    result = np.empty((tiles.shape[0], TILE_ROWS, n_blocks, BLOCK_N), np.float32)
    target = result.transpose(0, 2, 1, 3)
    np.matmul(tiles[:, :, :, 0], blocks[0], out=target)
    for i in range(1, k_blocks):
        target += np.matmul(tiles[:, :, :, i], blocks[i])
    rows = from_tiles(result.reshape(-1, TILE_ROWS, n_blocks * BLOCK_N), x.shape[0])
    return np.ascontiguousarray(rows[:, :out_features])


def to_tiles(rows: NDArray[Any], width: int) -> NDArray[Any]:
    """[..., M, K] -> zero-padded [..., T, 8, width]; a view where nothing needs padding."""
    *lead, count, k = rows.shape
    shared = rows_may_share_a_tile()
    tiles = -(-count // TILE_ROWS) if shared else count
    if shared and count == tiles * TILE_ROWS and k == width:
        return rows.reshape(*lead, tiles, TILE_ROWS, width)
    padded = np.zeros((*lead, tiles, TILE_ROWS, width), rows.dtype)
    if shared:
        padded.reshape(*lead, tiles * TILE_ROWS, width)[..., :count, :k] = rows
    else:
        padded[..., 0, :k] = rows
    return padded


def from_tiles(tiles: NDArray[Any], count: int) -> NDArray[Any]:
    """[..., T, 8, N] -> the `count` rows [..., count, N] that `to_tiles` put there."""
    *lead, number, _, width = tiles.shape
    if rows_may_share_a_tile():
        return tiles.reshape(*lead, number * TILE_ROWS, width)[..., :count, :]
    return tiles[..., 0, :]


@cache
def rows_may_share_a_tile() -> bool:
    """Whether this machine's BLAS treats the 8 rows of a tile alike; tried once per process."""
    rng = np.random.default_rng(0)
    for k, n in ((BLOCK_K, BLOCK_N), (64, BLOCK_N), (128, BLOCK_N), (32, BLOCK_N), (BLOCK_K, 32)):
        weight = rng.standard_normal((k, n), dtype=np.float32)
        row = rng.standard_normal(k, dtype=np.float32)
        transposed = np.ascontiguousarray(weight.T).T
        for matrix in (weight, transposed):
            alone = np.zeros((TILE_ROWS, k), np.float32)
            alone[0] = row
            expected = (alone @ matrix)[0]
            if not np.array_equal(np.tile(row, (TILE_ROWS, 1)) @ matrix, [expected] * TILE_ROWS):
                return False
    return True
