"""A plan to arrays and arrays to logits. Knows the shapes of a batch, nothing of requests' fate."""

from collections.abc import Sequence as Items

import numpy as np
from numpy.typing import NDArray

from homerun.engine.scheduler import Run
from homerun.engine.sequence import AdapterRef
from homerun.errors import CheckpointError
from homerun.model.adapter_file import AdapterFile
from homerun.model.decoder import AdapterRows, Batch, Segment
from homerun.model.kv_cache import KVCache
from homerun.model.loader import LoadedModel
from homerun.model.ops.base import AdapterWeight


class Runner:
    """Holds one model and its KV cache, and computes steps."""

    def __init__(self, model: LoadedModel, cache: KVCache) -> None:
        self._decoder = model.decoder
        self._cache = cache

    def load_adapter(self, ref: AdapterRef) -> AdapterWeight:
        """Maps a packed adapter, compares its checksums and so has it in memory. From any thread.

        Raises CheckpointError.
        """
        file = AdapterFile(ref.path, self._decoder.config)
        if file.version != ref.version:
            raise CheckpointError(f"{ref.path.name} holds another adapter than was asked for")
        file.verify()
        return self._decoder.load_adapter(file.adapter)

    def forward(self, runs: Items[Run]) -> NDArray[np.float32]:
        """Computes the runs and writes their K and V, those of drafts too.

        Returns float32 logits [rows, vocab]: of each run with `samples`, in order, the last known
        token's and then each draft's.
        """
        batch, sampled_rows = self._assemble(runs)
        self._cache.provide(int(batch.slots.max()) // self._cache.block_size + 1)
        hidden = self._decoder.forward(batch, self._cache)
        if len(sampled_rows) < len(hidden):
            hidden = hidden[sampled_rows]
        return self._decoder.logits(hidden) if sampled_rows else np.empty((0, 0), np.float32)

    def _assemble(self, runs: Items[Run]) -> tuple[Batch, list[int]]:
        # Lists first: most runs are one row, for which an array's every operation costs more.
        size = self._cache.block_size
        token_ids: list[int] = []
        positions: list[int] = []
        rope_variants: list[int] = []
        slots: list[int] = []
        segments: list[Segment] = []
        sampled_rows: list[int] = []
        adapter_rows: dict[str, tuple[AdapterWeight, list[int]]] = {}
        for run in runs:
            sequence, blocks = run.sequence, run.sequence.blocks
            first, start, rows = len(token_ids), sequence.computed, run.rows
            token_ids.extend(sequence.tokens[start : start + run.count])
            token_ids.extend(run.drafts)
            positions.extend(range(start, start + rows))
            rope_variants.extend([sequence.request.rope_variant] * rows)
            slots.extend(blocks[p // size] * size + p % size for p in positions[first:])
            # A copy: the sequence's own grows while others may still hold this one.
            segments.append(Segment(first, rows, start, np.array(blocks, dtype=np.int32)))
            if (ref := sequence.request.adapter) is not None:
                _, used = adapter_rows.setdefault(ref.version, (sequence.adapter, []))
                used.extend(range(first, first + rows))
            if run.samples:
                sampled_rows.extend(range(first + run.count - 1, first + rows))
        batch = Batch(
            np.array(token_ids, dtype=np.int32),
            np.array(positions, dtype=np.int32),
            np.array(rope_variants, dtype=np.int32),
            np.array(slots, dtype=np.int64),
            tuple(segments),
            tuple(
                AdapterRows(adapter, np.array(used, dtype=np.int32))
                for adapter, used in adapter_rows.values()
            ),
        )
        return batch, sampled_rows
