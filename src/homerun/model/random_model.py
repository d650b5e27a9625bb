"""Packed files of random numbers in the shapes of well-known models, for benchmarks.

Knows shapes and how to make many numbers quickly; a file is read by the ordinary loader, and each
layer has memory of its own.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.model.config import ModelConfig, read_config
from homerun.model.dtypes import F32, DType, FloatDType, Tensor, from_float32
from homerun.model.packed_file import write_packed_file
from homerun.model.packed_header import FILE_NAME, Facts
from homerun.model.packing import (
    PADDING,
    PANEL,
    PackedMatrix,
    pack,
    panels_shape,
    scales_shape,
    stored_type,
)
from homerun.model.quantize import QuantizedMatrix, check_groups, group_count
from homerun.model.weight_source import parts

SHAPES: dict[str, dict[str, Any]] = {
    "llama-2-7b": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
        "head_dim": 128, "max_position_embeddings": 4096,
    },
    "llama-1.1b": {
        "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632,
        "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
        "head_dim": 64, "max_position_embeddings": 2048,
    },
    "gemma-2b": {
        "vocab_size": 256000, "hidden_size": 2048, "intermediate_size": 16384,
        "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1,
        "head_dim": 256, "max_position_embeddings": 8192,
    },
    "gemma-7b": {
        "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 16,
        "head_dim": 256, "max_position_embeddings": 8192,
    },
    "rookie": {
        "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 704,
        "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 32, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    },
}  # fmt: skip
"""config.json of each shape, as far as it differs."""

_DEVIATION = 0.02
"""Of the weights, as models are before training: hidden rows stay finite."""
_INTEGER_DEVIATION = 40.0
"""Of the int8 values."""
_POOL = 64 << 20
"""Random bytes; every array is cut from them, from a place of its own."""
_SLAB = 1 << 18
"""Numbers that are drawn at a time."""


def write_random_model(
    directory: Path,
    shape: str,
    dtype: DType,
    seed: int = 0,
    weight_group: int = 0,
    activation_group: int = 0,
) -> None:
    """Makes `directory` with a config.json and a packed file that `load_model` reads.

    `shape` is one of `SHAPES` (KeyError). There is no tokenizer. Nobody waits for the disk.
    """
    check_groups(weight_group, activation_group)
    assert dtype == "int8" or not (weight_group or activation_group)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(_config_json(shape), indent=2))
    config = read_config(directory)
    table: FloatDType = "fp16" if dtype == "int8" else dtype
    digest = f"{seed:064x}"
    facts = Facts(dtype, table, weight_group, activation_group, "", digest)
    source = _RandomWeights(config, facts, seed)
    write_packed_file(directory / FILE_NAME, config, source, facts, durable=False)


def _config_json(shape: str) -> dict[str, Any]:
    gemma = shape.startswith("gemma")
    return {
        "architectures": ["GemmaForCausalLM" if gemma else "LlamaForCausalLM"],
        "model_type": "gemma" if gemma else "llama",
        "hidden_act": "gelu_pytorch_tanh" if gemma else "silu",
        "rms_norm_eps": 1e-6 if gemma else 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": gemma,
        "bos_token_id": 2 if gemma else 1,
        "eos_token_id": 1 if gemma else 2,
        "torch_dtype": "bfloat16" if gemma else "float16",
        **SHAPES[shape],
    }


class _RandomWeights:
    """A `WeightSource` whose arrays are pieces of one pool, repeated."""

    def __init__(self, config: ModelConfig, facts: Facts, seed: int) -> None:
        self._config = config
        self._facts = facts
        self._rng = np.random.default_rng(seed)
        self._pools: dict[DType, NDArray[Any]] = {}
        self._scratch = np.empty(0, np.uint8)
        self._shapes = {part.name: part.shape for part in parts(config)}

    def embedding(self) -> Tensor:
        dtype = self._facts.embedding_dtype
        shape = (self._config.vocab_size, self._config.hidden_size)
        return Tensor(self._take(dtype, shape), dtype)

    def norm(self, name: str) -> F32:
        del name  # all alike
        return np.ones(self._config.hidden_size, np.float32)

    def matrix(self, name: str) -> PackedMatrix:
        """Matrices without padding are random panels; others are packed, so that padding is 0."""
        (n, k), dtype = self._shapes[name], self._facts.dtype
        groups = self._facts.weight_group, self._facts.activation_group
        scale = np.float32(_DEVIATION / _INTEGER_DEVIATION)
        if n % PANEL == k % PADDING == 0:
            panels = self._take(dtype, panels_shape(dtype, n, k))
            if dtype != "int8":
                return PackedMatrix(dtype, n, k, panels)
            scales = np.full(scales_shape(n, k, groups[0]), scale, np.float32)
            return PackedMatrix("int8", n, k, panels, scales, *groups)
        if dtype != "int8":
            return pack(Tensor(self._take(dtype, (n, k)), dtype))
        values = (self._take(dtype, (n, k)) ^ np.uint8(128)).view(np.int8)
        scales = np.full((n, group_count(k, groups[0])), scale, np.float32)
        return pack(QuantizedMatrix(values, scales, *groups))

    def _take(self, dtype: DType, shape: tuple[int, ...]) -> NDArray[Any]:
        """An array of `shape`: the pool from somewhere on, as often as it takes.

        It is gone when the next one is taken: all lie in the same memory.
        """
        pool = self._pool(dtype)
        start = int(self._rng.integers(pool.size))
        count = math.prod(shape)
        size = count * pool.itemsize
        if self._scratch.size < size:
            self._scratch = np.empty(size, np.uint8)
        found = self._scratch[:size].view(pool.dtype)
        done = 0
        while done < count:
            piece = pool[start : start + count - done]
            found[done : done + piece.size] = piece
            done, start = done + piece.size, 0
        return found.reshape(shape)

    def _pool(self, dtype: DType) -> NDArray[Any]:
        """Normal numbers as they are stored; int8 as value + 128."""
        if dtype not in self._pools:
            largest = max(math.prod(shape) for shape in self._shapes.values())
            count = min(_POOL // stored_type(dtype).itemsize, largest)
            pool = np.empty(count, stored_type(dtype))
            for start in range(0, count, _SLAB):
                part = pool[start : start + _SLAB]
                normal = self._rng.standard_normal(part.size, dtype=np.float32)
                if dtype == "int8":
                    integers = np.rint(normal * np.float32(_INTEGER_DEVIATION))
                    part[:] = np.clip(integers, -127, 127) + np.float32(128)
                else:
                    part[:] = from_float32(normal * np.float32(_DEVIATION), dtype)
            self._pools[dtype] = pool
        return self._pools[dtype]
