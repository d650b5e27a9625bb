"""How well a model foretells a text: perplexity, window by window.

Knows logits and logarithms; knows nothing of text or files.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from homerun.model.decoder import Batch, Segment
from homerun.model.dtypes import F32, DType, kv_dtype_for
from homerun.model.kv_cache import KVCache
from homerun.model.loader import LoadedModel
from homerun.model.rope import TRAINED

BLOCK_SIZE = 16
_ROWS = 64
"""Rows whose logits are held at a time: 64 · 256,000 of them are 64 MB."""


def perplexity(
    model: LoadedModel,
    windows: Sequence[Sequence[int]],
    progress: Callable[[int, int], None] | None = None,
    kv_dtype: DType | None = None,
) -> float:
    """exp of the mean negative log probability of each token after the first of its window.

    Windows are independent of each other, each of at most the trained length. The cache has
    `kv_dtype`, or the dtype that serving would choose. `progress` is told windows done and in all.
    """
    total, count = 0.0, 0
    longest = max(len(window) for window in windows)
    blocks = -(-longest // BLOCK_SIZE)
    kv_dtype = kv_dtype or kv_dtype_for(model.config.dtype)
    cache = KVCache(model.config, blocks, BLOCK_SIZE, kv_dtype)
    for number, window in enumerate(windows, 1):
        total += _surprise(model, window, cache)
        count += len(window) - 1
        if progress is not None:
            progress(number, len(windows))
    return math.exp(min(total / count, 700.0)) if math.isfinite(total) else math.inf


def _surprise(model: LoadedModel, window: Sequence[int], cache: KVCache) -> float:
    """Sum of the negative log probabilities of a window's tokens after the first."""
    table = np.arange(cache.num_blocks, dtype=np.int32)
    ids = np.array(window, np.int32)
    total = 0.0
    for start in range(0, len(ids) - 1, _ROWS):
        chunk = ids[start : min(start + _ROWS, len(ids) - 1)]
        positions = np.arange(start, start + len(chunk))
        batch = Batch(
            token_ids=chunk,
            positions=positions.astype(np.int32),
            rope_variants=np.full(len(chunk), TRAINED, np.int32),
            slots=positions,
            segments=(Segment(0, len(chunk), start, table),),
        )
        logits = model.decoder.logits(model.decoder.forward(batch, cache))
        total -= float(_log_probabilities(logits, ids[start + 1 : start + 1 + len(chunk)]).sum())
    return total


def _log_probabilities(logits: F32, chosen: np.ndarray) -> np.ndarray:
    """log softmax of each row [R, vocab] at its chosen id, in float64."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    return wide[np.arange(len(chosen)), chosen] - np.log(np.exp(wide).sum(axis=1))
