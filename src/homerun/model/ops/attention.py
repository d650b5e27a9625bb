"""Attention of one sequence's new rows over its cached positions, in NumPy.

Knows the order of the online softmax (`base.Ops.attention` defines it); knows one sequence only.
"""

import math

import numpy as np

from homerun.model.dtypes import F32, to_float32
from homerun.model.kv_cache import ATTENTION_TILE, KVCache
from homerun.model.ops.base import Segment
from homerun.model.ops.tiles import BLOCK_N, TILE_ROWS, from_tiles, to_tiles

_COLUMNS = np.arange(ATTENTION_TILE, dtype=np.int32)


def attend(queries: F32, cache: KVCache, layer: int, segment: Segment) -> F32:
    """queries [rows, heads, head_dim] of `segment` -> float32 [rows, heads · head_dim]."""
    count, heads, head_dim = queries.shape
    kv_heads = cache.keys.shape[3]
    group = heads // kv_heads
    # The heads that share a KV head become rows of one product, position by position.
    rows = queries.reshape(count, kv_heads, group, head_dim).transpose(1, 0, 2, 3)
    rows = rows.reshape(kv_heads, count * group, head_dim) * np.float32(1 / math.sqrt(head_dim))
    tiles = to_tiles(rows, head_dim)  # [kv_heads, T, 8, head_dim]
    positions = np.repeat(np.arange(segment.start, segment.start + count, dtype=np.int32), group)
    last_seen = to_tiles(positions[:, None], 1)[:, :, 0]  # [T, 8]; padding rows see position 0

    maximum = np.full((*tiles.shape[:3], 1), -np.inf, np.float32)
    total = np.zeros_like(maximum)
    output = np.zeros_like(tiles)
    for start in range(0, segment.start + count, ATTENTION_TILE):
        # Rows before this tile of positions would only add zeros.
        first = int(np.argmax(last_seen.max(axis=1) >= start))
        keys, values = _gather(cache, layer, segment, start)
        scores = _scores(tiles[:, first:], keys)
        limit = last_seen[first:] - start
        if limit.min() < ATTENTION_TILE - 1:
            scores = np.where(limit[:, :, None] >= _COLUMNS, scores, np.float32(-np.inf))
        raised = np.maximum(maximum[:, first:], scores.max(axis=-1, keepdims=True))
        weights = np.exp(scores - raised)
        decay = np.exp(maximum[:, first:] - raised)
        maximum[:, first:] = raised
        total[:, first:] = total[:, first:] * decay + np.add.reduce(weights, axis=-1, keepdims=True)
        output[:, first:] = output[:, first:] * decay + _weighted(weights, values)
    # Adding zero turns -0 into 0: whether a row met a tile it cannot see must not show.
    output = output / total + np.float32(0)
    flat = from_tiles(output, count * group).reshape(kv_heads, count, group, head_dim)
    return flat.transpose(1, 0, 2, 3).reshape(count, heads * head_dim)


def _gather(cache: KVCache, layer: int, segment: Segment, start: int) -> tuple[F32, F32]:
    """Keys and values of positions start … start + 255, float32 [256, kv_heads, head_dim].

    Zeros beyond the sequence: what an earlier owner left in a block must not leak, not even as
    the NaN of 0 × infinity.
    """
    used = min(ATTENTION_TILE, segment.start + segment.rows - start)
    first = start // cache.block_size
    blocks = segment.block_table[first : first + -(-used // cache.block_size)]
    tile_shape = (ATTENTION_TILE, *cache.keys.shape[3:])

    def tile(part: F32) -> F32:
        found = to_float32(part[blocks], cache.dtype).reshape(-1, *tile_shape[1:])
        if used == ATTENTION_TILE:
            return found
        padded = np.zeros(tile_shape, np.float32)
        padded[:used] = found[:used]
        return padded

    return tile(cache.keys[layer]), tile(cache.values[layer])


def _scores(tiles: F32, keys: F32) -> F32:
    """[kv_heads, T, 8, D] · [256, kv_heads, D] -> [kv_heads, T, 8, 256], 64 positions a product."""
    pieces = ATTENTION_TILE // BLOCK_N
    columns = keys.reshape(pieces, BLOCK_N, *keys.shape[1:]).transpose(2, 0, 3, 1)[:, None]
    scores = np.empty((*tiles.shape[:2], TILE_ROWS, pieces, BLOCK_N), np.float32)
    np.matmul(tiles[:, :, None], columns, out=scores.swapaxes(2, 3))
    return scores.reshape(*tiles.shape[:3], ATTENTION_TILE)


def _weighted(weights: F32, values: F32) -> F32:
    """[kv_heads, T, 8, 256] · [256, kv_heads, D] -> [kv_heads, T, 8, D], at most 64 wide each."""
    _, kv_heads, head_dim = values.shape
    width = _piece_width(head_dim)
    pieces = head_dim // width
    columns = values.reshape(ATTENTION_TILE, kv_heads, pieces, width).transpose(1, 2, 0, 3)[:, None]
    result = np.empty((*weights.shape[:3], pieces, width), np.float32)
    np.matmul(weights[:, :, None], columns, out=result.swapaxes(2, 3))
    return result.reshape(*weights.shape[:3], head_dim)


def _piece_width(head_dim: int) -> int:
    """The largest divisor of `head_dim` up to 64."""
    return max(width for width in range(1, BLOCK_N + 1) if head_dim % width == 0)
