"""The weights of a decoder by homerun's own names, wherever they come from.

Knows which arrays a decoder is made of and their shapes; knows nothing of files or other names.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from homerun.model.config import ModelConfig
from homerun.model.decoder import DecoderWeights, LayerWeights
from homerun.model.dtypes import F32, FloatDType, Tensor, from_float32, to_float32
from homerun.model.ops.base import Ops
from homerun.model.packing import PackedMatrix

EMBEDDING = "embedding"
FINAL_NORM = "final_norm"
HEAD = "head"


class WeightSource(Protocol):
    """Something that has a decoder's weights. Reading may raise CheckpointError."""

    def embedding(self) -> Tensor:
        """[vocab, hidden], plain rows."""
        ...

    def norm(self, name: str) -> F32:
        """float32 [hidden], Gemma's with the 1 added."""
        ...

    def matrix(self, name: str) -> PackedMatrix: ...


@dataclass(frozen=True, slots=True)
class Part:
    """One array of a decoder. Shape is [hidden] for norms, [N, K] for the others."""

    name: str
    kind: str
    """"table" (the embedding), "norm" or "matrix"."""
    shape: tuple[int, ...]


def parts(config: ModelConfig) -> Iterator[Part]:
    """Every array of a decoder, in the order in which a step reads them."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_heads * config.head_dim
    keys = config.num_kv_heads * config.head_dim
    yield Part(EMBEDDING, "table", (config.vocab_size, hidden))
    for index in range(config.num_layers):
        layer = f"layers.{index}."
        yield Part(layer + "input_norm", "norm", (hidden,))
        yield Part(layer + "qkv", "matrix", (queries + 2 * keys, hidden))
        yield Part(layer + "output", "matrix", (hidden, queries))
        yield Part(layer + "post_attention_norm", "norm", (hidden,))
        yield Part(layer + "gate_up", "matrix", (2 * inner, hidden))
        yield Part(layer + "down", "matrix", (hidden, inner))
    yield Part(FINAL_NORM, "norm", (hidden,))
    yield Part(HEAD, "matrix", (config.vocab_size, hidden))


def read_weights(source: WeightSource, config: ModelConfig, ops: Ops) -> DecoderWeights:
    """All weights, as `ops` wants them. Raises CheckpointError."""

    def layer(index: int) -> LayerWeights:
        prefix = f"layers.{index}."
        return LayerWeights(
            input_norm=source.norm(prefix + "input_norm"),
            qkv=ops.load_linear(source.matrix(prefix + "qkv")),
            output=ops.load_linear(source.matrix(prefix + "output")),
            post_attention_norm=source.norm(prefix + "post_attention_norm"),
            gate_up=ops.load_linear(source.matrix(prefix + "gate_up")),
            down=ops.load_linear(source.matrix(prefix + "down")),
        )

    table = source.embedding()
    return DecoderWeights(
        embedding=table,
        embedding_scale=_embedding_scale(config, table.dtype),
        layers=tuple(layer(index) for index in range(config.num_layers)),
        final_norm=source.norm(FINAL_NORM),
        head=ops.load_linear(source.matrix(HEAD)),
    )


def _embedding_scale(config: ModelConfig, dtype: FloatDType) -> float:
    if config.family != "gemma":
        return 1.0
    root = np.array([math.sqrt(config.hidden_size)], np.float32)
    return float(to_float32(from_float32(root, dtype), dtype)[0])
