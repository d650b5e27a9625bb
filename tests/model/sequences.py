"""Sequences of token ids run through a decoder in any chunks, with blocks in shuffled order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from homerun.model.decoder import AdapterRows, Batch, Segment
from homerun.model.dtypes import F32, FloatDType, kv_dtype_for
from homerun.model.kv_cache import KVCache
from homerun.model.loader import LoadedModel
from homerun.model.ops.base import AdapterWeight

Step = list[tuple[int, int]]
"""(sequence, rows) in the order of the batch."""


@dataclass
class Sequences:
    """Some sequences in one cache, each computed up to where the steps so far brought it."""

    model: LoadedModel
    ids: Sequence[Sequence[int]]
    variants: Sequence[int] = ()
    block_size: int = 16
    kv_dtype: FloatDType | None = None
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    dirt: float = 0.0
    """What is in the cache before anyone wrote to it."""
    adapters: Sequence[AdapterWeight | None] = ()
    """One per sequence, or none at all."""

    def __post_init__(self) -> None:
        per_sequence = [-(-len(ids) // self.block_size) for ids in self.ids]
        blocks = list(range(sum(per_sequence) + 3))
        self.chance.shuffle(blocks)
        self.tables = [
            np.array([blocks.pop() for _ in range(count)], np.int32) for count in per_sequence
        ]
        config = self.model.config
        kv_dtype = self.kv_dtype or kv_dtype_for(config.dtype)
        self.cache = KVCache(config, sum(per_sequence) + 3, self.block_size, kv_dtype)
        if self.dirt and kv_dtype != "bf16":
            self.cache.keys[:] = self.dirt
            self.cache.values[:] = self.dirt
        self.done = [0] * len(self.ids)
        self.hidden = [np.zeros((len(ids), config.hidden_size), np.float32) for ids in self.ids]

    def step(self, step: Step) -> None:
        """One forward pass over the next rows of some sequences."""
        segments: list[Segment] = []
        tokens, positions, variants, slots = [], [], [], []
        for index, rows in step:
            start = self.done[index]
            table = self.tables[index]
            segments.append(Segment(len(tokens), rows, start, table))
            for position in range(start, start + rows):
                tokens.append(self.ids[index][position])
                positions.append(position)
                variants.append(self.variants[index] if self.variants else 0)
                block = int(table[position // self.block_size])
                slots.append(block * self.block_size + position % self.block_size)
        batch = Batch(
            np.array(tokens, np.int32),
            np.array(positions, np.int32),
            np.array(variants, np.int32),
            np.array(slots, np.int64),
            tuple(segments),
            self._adapter_rows(step, segments),
        )
        hidden = self.model.decoder.forward(batch, self.cache)
        for (index, rows), segment in zip(step, segments, strict=True):
            start = self.done[index]
            self.hidden[index][start : start + rows] = hidden[segment.first_row :][:rows]
            self.done[index] = start + rows

    def _adapter_rows(self, step: Step, segments: list[Segment]) -> tuple[AdapterRows, ...]:
        rows: dict[int, list[int]] = {}
        for (index, count), segment in zip(step, segments, strict=True):
            if self.adapters and self.adapters[index] is not None:
                used = range(segment.first_row, segment.first_row + count)
                rows.setdefault(id(self.adapters[index]), []).extend(used)
        known = {id(one): one for one in self.adapters if one is not None}
        return tuple(AdapterRows(known[key], np.array(r, np.int32)) for key, r in rows.items())

    def run_alone(self) -> list[F32]:
        """Every sequence by itself in one prefill; returns hidden rows per sequence."""
        for index, ids in enumerate(self.ids):
            self.step([(index, len(ids))])
        return self.hidden

    def run_mixed(self, max_chunk: int) -> list[F32]:
        """Random chunks of random sequences, shuffled into batches, until all are done."""
        while left := [i for i, ids in enumerate(self.ids) if self.done[i] < len(ids)]:
            chosen = self.chance.sample(left, self.chance.randint(1, len(left)))
            self.step([(i, self._chunk(i, max_chunk)) for i in chosen])
        return self.hidden

    def _chunk(self, index: int, max_chunk: int) -> int:
        rows = 1 if self.chance.random() < 0.4 else self.chance.randint(1, max_chunk)
        return min(rows, len(self.ids[index]) - self.done[index])


def random_ids(count: int, vocab_size: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, vocab_size, count).tolist()
