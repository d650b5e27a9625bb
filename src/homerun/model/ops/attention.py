"""Attention over cached positions in NumPy: the softmax by tiles that `base.Ops.attention` defines.

Knows the order of its sums; knows nothing of layers or weights.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.model.dtypes import F32, I32, DType, from_float32, round_to_bf16, to_float32
from homerun.model.kv_cache import ATTENTION_TILE, KVCache
from homerun.model.ops.base import Segment
from homerun.model.ops.tiles import BLOCK_N, TILE_ROWS, from_tiles, to_tiles
from homerun.model.quantize import quantize_rows

GROUP_SIZE = 8
"""Sequences computed together: enough to hide Python's share, few enough to fit the CPU's cache."""
LEAST_FACTOR = np.float32(2.0**-55)
LEAST_SCALE = np.float32(2.0**-64)
_COLUMNS = np.arange(ATTENTION_TILE, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences with equally many rows each, longest first, so that those left are a prefix."""

    rows: NDArray[np.intp]
    """[S · count]: rows of the batch, sequence by sequence."""
    starts: I32
    """[S]: position of each sequence's first row."""
    count: int
    """Rows per sequence."""
    blocks: I32
    """[S, blocks of whole tiles]: block tables, block 0 where a sequence has no more."""


def group_segments(segments: Sequence[Segment], block_size: int) -> Iterator[Group]:
    """Single rows in groups (decode), every longer segment by itself (prefill)."""
    single = sorted((s for s in segments if s.rows == 1), key=lambda s: -s.start)
    for i in range(0, len(single), GROUP_SIZE):
        yield _group(single[i : i + GROUP_SIZE], block_size)
    for segment in segments:
        if segment.rows > 1:
            yield _group([segment], block_size)


def _group(segments: Sequence[Segment], block_size: int) -> Group:
    tiles = -(-(segments[0].start + segments[0].rows) // ATTENTION_TILE)
    blocks = np.zeros((len(segments), tiles * (ATTENTION_TILE // block_size)), np.int32)
    for row, segment in zip(blocks, segments, strict=True):
        used = -(-(segment.start + segment.rows) // block_size)
        row[:used] = segment.block_table[:used]
    rows = np.concatenate([np.arange(s.first_row, s.first_row + s.rows) for s in segments])
    starts = np.array([s.start for s in segments], np.int32)
    return Group(rows, starts, segments[0].rows, blocks)


def attend(queries: F32, cache: KVCache, layer: int, group: Group) -> F32:
    """Queries [S · count, heads, head_dim] of a group -> float32 [S · count, heads · head_dim]."""
    _, heads, head_dim = queries.shape
    kv_heads = cache.keys.shape[2]
    sharing = heads // kv_heads
    sequences, count = len(group.starts), group.count
    # The heads that share a KV head become rows of one product, position by position.
    rows = queries.reshape(sequences, count, kv_heads, sharing, head_dim).swapaxes(1, 2)
    rows = rows.reshape(sequences, kv_heads, count * sharing, head_dim)
    rows = rows * np.float32(math.log2(math.e) / math.sqrt(head_dim))
    if paired := cache.dtype in ("bf16", "int8"):
        rows = round_factor(rows)
    last_seen = group.starts[:, None] + np.repeat(np.arange(count, dtype=np.int32), sharing)

    maximum = np.full((*rows.shape[:3], 1), -np.inf, np.float32)
    total = np.zeros_like(maximum)
    output = np.zeros_like(rows)
    for start in range(0, int(last_seen[0, -1]) + 1, ATTENTION_TILE):
        # Shorter sequences and rows before this tile of positions would only add zeros.
        left = int(np.count_nonzero(last_seen[:, -1] >= start))
        first = int(np.count_nonzero(last_seen[0] < start))
        now = (slice(left), slice(None), slice(first, None))
        visible = (last_seen[:left, first:] - start)[:, None, :, None] >= _COLUMNS
        keys, values, scales = _gather(cache, layer, group, left, start)
        # What an earlier owner left behind, were it infinite.
        values.swapaxes(1, 2)[~visible[:, 0, -1]] = 0
        scores = _scores(rows[now], keys)
        if scales is not None:
            scores *= scales[:, :, None, 0]
        if not visible.all():
            scores = np.where(visible, scores, np.float32(-np.inf))
        own = scores.max(axis=-1, keepdims=True)
        weights = np.exp2(scores - own)
        raised = np.maximum(maximum[now], own)
        decay, share = np.exp2(maximum[now] - raised), np.exp2(own - raised)
        maximum[now] = raised
        added = np.add.reduce(weights, axis=-1, keepdims=True)
        if scales is not None:
            # Not 0 · scale: that of a position that a row does not see may be NaN.
            weights = np.where(visible, weights * scales[:, :, None, 1], np.float32(0))
        if paired:
            weights = round_to_bf16(weights)
        total[now] = total[now] * decay + added * share
        output[now] = output[now] * decay + _weighted(weights, values) * share
    # Adding zero turns -0 into 0: whether a row met a tile it cannot see must not show.
    output = output / total + np.float32(0)
    output = output.reshape(sequences, kv_heads, count, sharing, head_dim).swapaxes(1, 2)
    return output.reshape(sequences * count, heads * head_dim)


def to_cache(heads: F32, dtype: DType) -> tuple[NDArray[Any], F32 | None]:
    """Keys or values float32 [M, kv_heads, D] as a cache holds them; int8: scales [M, kv_heads]."""
    if dtype == "int8":
        integers, scales = quantize_rows(heads.reshape(-1, heads.shape[2]), least=LEAST_SCALE)
        return integers.astype(np.int8).reshape(heads.shape), scales.reshape(heads.shape[:2])
    return from_float32(round_factor(heads) if dtype == "bf16" else heads, dtype), None


def round_factor(values: F32) -> F32:
    """The nearest bfloat16 numbers, and 0 below 2^-55: so no product or sum of them is denormal."""
    rounded = round_to_bf16(values)
    return np.where(np.abs(rounded) < LEAST_FACTOR, np.float32(0), rounded)


def _gather(
    cache: KVCache, layer: int, group: Group, left: int, start: int
) -> tuple[F32, F32, F32 | None]:
    """Positions start … start + 255: keys [S, kv_heads, D, 256], values [S, kv_heads, 256, D].

    int8: and scales [S, kv_heads, 2, 256].
    """
    first = start // cache.block_size
    blocks = group.blocks[:left, first : first + ATTENTION_TILE // cache.block_size]
    _, _, kv_heads, head_dim, _ = cache.keys.shape
    keys, values = (
        array.astype(np.float32) if cache.dtype == "int8" else to_float32(array, cache.dtype)
        for array in (cache.keys[layer][blocks], cache.values[layer][blocks])
    )
    keys, values = keys.transpose(0, 2, 3, 1, 4), values.transpose(0, 2, 1, 3, 4)
    scales: F32 | None = None
    if cache.scales is not None:
        by_head = cache.scales[layer][blocks].transpose(0, 2, 3, 1, 4)
        scales = by_head.reshape(left, kv_heads, 2, ATTENTION_TILE)
    # Contiguous: BLAS treats a transposed view differently, and blocks of 1 would make one.
    return (
        np.ascontiguousarray(keys).reshape(left, kv_heads, head_dim, ATTENTION_TILE),
        np.ascontiguousarray(values).reshape(left, kv_heads, ATTENTION_TILE, head_dim),
        scales,
    )


def _scores(rows: F32, keys: F32) -> F32:
    """[S, kv_heads, R, D] · [S, kv_heads, D, 256] -> [S, kv_heads, R, 256], 64 positions a time."""
    sequences, kv_heads, head_dim, _ = keys.shape
    pieces = ATTENTION_TILE // BLOCK_N
    columns = keys.reshape(sequences, kv_heads, 1, head_dim, pieces, BLOCK_N).swapaxes(3, 4)
    tiles = to_tiles(rows, head_dim)  # [S, kv_heads, T, 8, D]
    scores = np.empty((*tiles.shape[:3], TILE_ROWS, pieces, BLOCK_N), np.float32)
    np.matmul(tiles[:, :, :, None], columns, out=scores.swapaxes(3, 4))
    return from_tiles(scores.reshape(*tiles.shape[:4], ATTENTION_TILE), rows.shape[2])


def _weighted(weights: F32, values: F32) -> F32:
    """[S, kv_heads, R, 256] · [S, kv_heads, 256, D] -> [S, kv_heads, R, D], up to 64 wide each."""
    sequences, kv_heads, _, head_dim = values.shape
    width = _piece_width(head_dim)
    pieces = head_dim // width
    columns = values.reshape(sequences, kv_heads, 1, ATTENTION_TILE, pieces, width)
    tiles = to_tiles(weights, ATTENTION_TILE)
    result = np.empty((*tiles.shape[:3], TILE_ROWS, pieces, width), np.float32)
    np.matmul(tiles[:, :, :, None], columns.swapaxes(3, 4), out=result.swapaxes(3, 4))
    return from_tiles(result.reshape(*tiles.shape[:4], head_dim), weights.shape[2])


def _piece_width(head_dim: int) -> int:
    """The largest divisor of `head_dim` up to 64."""
    return max(width for width in range(1, BLOCK_N + 1) if head_dim % width == 0)
