"""A plan to arrays and arrays to logits. Knows the shapes of a batch, nothing of requests' fate."""

from collections.abc import Sequence as Items

import numpy as np
from numpy.typing import NDArray

from homerun.engine.scheduler import Run
from homerun.model.decoder import Batch, Segment
from homerun.model.kv_cache import KVCache
from homerun.model.loader import LoadedModel


class Runner:
    """Holds one model and its KV cache, and computes steps."""

    def __init__(self, model: LoadedModel, cache: KVCache) -> None:
        self._decoder = model.decoder
        self._cache = cache

    def forward(self, runs: Items[Run]) -> list[NDArray[np.float32]]:
        """Computes the runs and writes their K and V.

        Returns float32 logits [vocab] for each run with `samples`, in order.
        """
        batch, sampled_rows = self._assemble(runs)
        hidden = self._decoder.forward(batch, self._cache)
        if not sampled_rows:
            return []
        return list(self._decoder.logits(hidden[sampled_rows]))

    def _assemble(self, runs: Items[Run]) -> tuple[Batch, list[int]]:
        size = self._cache.block_size
        rows = sum(run.count for run in runs)
        token_ids = np.empty(rows, dtype=np.int32)
        positions = np.empty(rows, dtype=np.int32)
        rope_variants = np.empty(rows, dtype=np.int32)
        slots = np.empty(rows, dtype=np.int64)
        segments: list[Segment] = []
        sampled_rows: list[int] = []
        first = 0
        for run in runs:
            sequence = run.sequence
            start, end = sequence.computed, sequence.computed + run.count
            part = slice(first, first + run.count)
            absolute = np.arange(start, end)
            table = np.asarray(sequence.blocks, dtype=np.int32)
            token_ids[part] = sequence.tokens[start:end]
            positions[part] = absolute
            rope_variants[part] = sequence.request.rope_variant
            slots[part] = table[absolute // size].astype(np.int64) * size + absolute % size
            segments.append(Segment(first, run.count, start, table))
            first += run.count
            if run.samples:
                sampled_rows.append(first - 1)
        batch = Batch(token_ids, positions, rope_variants, slots, tuple(segments))
        return batch, sampled_rows
