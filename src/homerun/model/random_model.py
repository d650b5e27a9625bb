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
from homerun.model.shapes import config_json
from homerun.model.weight_source import parts

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

    `shape` is one of `shapes.SHAPES` (KeyError). There is no tokenizer. Nobody waits for the disk.
    """
    check_groups(weight_group, activation_group)
    assert dtype == "int8" or not (weight_group or activation_group)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config_json(shape), indent=2))
    config = read_config(directory)
    table: FloatDType = "fp16" if dtype == "int8" else dtype
    digest = f"{seed:064x}"
    facts = Facts(dtype, table, weight_group, activation_group, "", digest)
    source = _RandomWeights(config, facts, seed)
    write_packed_file(directory / FILE_NAME, config, source, facts, durable=False)


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
