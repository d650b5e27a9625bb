"""The decoder of Llama and Gemma: one set of layers over the operations of `ops/base.py`.

Knows what comes before and after the layers; knows nothing of files, requests or sampling.
"""

from dataclasses import dataclass

import numpy as np

from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32, I32, I64, Tensor
from homerun.model.kv_cache import KVCache
from homerun.model.lora import PackedAdapter
from homerun.model.ops.base import (
    AdapterRows,
    AdapterWeight,
    LayerWeights,
    LinearWeight,
    Ops,
    Segment,
    Step,
)
from homerun.model.rope import RopeTables

__all__ = ["AdapterRows", "Batch", "Decoder", "DecoderWeights", "LayerWeights", "Segment"]


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one step: any mix of prefill chunks and single tokens."""

    token_ids: I32
    """int32 [M]."""
    positions: I32
    """int32 [M], absolute; within a segment start, start + 1, …"""
    rope_variants: I32
    """int32 [M]: `rope.TRAINED` or `rope.SCALED`, one for a whole sequence."""
    slots: I64
    """int64 [M]: where a row's key and value go, block · block_size + offset; no slot twice."""
    segments: tuple[Segment, ...]
    """Which rows are one sequence; every row is in one segment."""
    adapters: tuple[AdapterRows, ...] = ()
    """Which rows use an adapter; the others are the base model's."""


@dataclass(frozen=True, slots=True)
class DecoderWeights:
    embedding: Tensor
    """[vocab, hidden]."""
    embedding_scale: float
    """1, or Gemma's sqrt(hidden) rounded to the embedding's dtype."""
    layers: tuple[LayerWeights, ...]
    final_norm: F32
    head: LinearWeight
    """[vocab, hidden]; tied models have the embedding's numbers here."""


class Decoder:
    """Token ids -> hidden rows -> logits. Holds weights only: no state between calls."""

    def __init__(
        self, config: ModelConfig, weights: DecoderWeights, rope: RopeTables, ops: Ops
    ) -> None:
        self.config = config
        self._weights = weights
        self._rope = rope
        self._ops = ops
        self._layers = ops.load_layers(weights.layers, config.rms_norm_eps, config.activation)

    def forward(self, batch: Batch, cache: KVCache) -> F32:
        """Hidden rows float32 [M, hidden] before the final norm; writes keys and values.

        Each row depends only on its own sequence: the ids up to it, the RoPE variant, the adapter.
        """
        assert sum(segment.rows for segment in batch.segments) == len(batch.token_ids)
        ops = self._ops
        cosines, sines = self._rope.rotations(batch.positions, batch.rope_variants)
        plan = ops.plan_attention(batch.segments, cache.block_size)
        adapters = ops.plan_adapters(batch.adapters) if batch.adapters else None
        step = Step(cosines, sines, cache, batch.slots, plan, adapters)
        # A sequence may run into infinities of its own; the others must not notice.
        with np.errstate(over="ignore", invalid="ignore"):
            x = ops.embed(self._weights.embedding, batch.token_ids, self._weights.embedding_scale)
            self._layers.run(x, step)
        return x

    def load_adapter(self, adapter: PackedAdapter) -> AdapterWeight:
        """An adapter of this decoder in the form a batch takes. From any thread."""
        return self._ops.load_adapter(adapter)

    def logits(self, hidden_rows: F32) -> F32:
        """Any rows of `forward`'s result [R, hidden] -> logits float32 [R, vocab]."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._ops.norm_linear(
                hidden_rows,
                self._weights.final_norm,
                self.config.rms_norm_eps,
                self._weights.head,
            )
