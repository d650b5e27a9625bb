"""Packed adapters of random numbers, for benchmarks. Knows how to make many numbers quickly."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homerun.model.adapter_file import write_adapter_file
from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32
from homerun.model.lora import modules

_POOL = 1 << 20
"""Random numbers; every factor is cut from them, from a place of its own."""


@dataclass(frozen=True, slots=True)
class _Factor:
    rank: int
    pool: F32
    in_features: int
    out_features: int
    scaling: float = 1.0

    def a(self) -> F32:
        return self._take(self.rank, self.in_features)

    def b(self) -> F32:
        return self._take(self.out_features, self.rank)

    def _take(self, rows: int, columns: int) -> F32:
        return np.resize(self.pool[(rows * 8191 + columns) % 4099 :], (rows, columns))


def write_random_adapter(
    path: Path, config: ModelConfig, targets: Collection[str], rank: int, version: str, seed: int
) -> None:
    """Factors of all layers for the modules `targets`, small enough that rows stay finite.

    Nobody waits for the disk.
    """
    pool = np.random.default_rng(seed).standard_normal(_POOL, dtype=np.float32)
    pool *= np.float32(0.5 / math.sqrt(config.hidden_size))
    factors = {
        (layer, module.name): _Factor(rank, pool, module.in_features, module.columns)
        for layer in range(config.num_layers)
        for module in modules(config)
        if module.name in targets
    }
    write_adapter_file(path, config, factors, version=version, durable=False)
