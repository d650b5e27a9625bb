"""Packed LoRA adapters of random numbers for one model's shape, each written once and kept.

Knows names and where the files lie; `model.adapter_file` knows what is in them.
"""

import hashlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homerun.engine.sequence import AdapterRef
from homerun.errors import ConfigurationError
from homerun.model.adapter_file import LAYOUT, AdapterFile, write_adapter_file
from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32
from homerun.model.lora import modules
from homerun.settings import Settings

TARGETS = {
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "all": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
}


@dataclass(frozen=True, slots=True)
class Adapters:
    """What `--adapters`, `--rank` and `--adapter-targets` ask for."""

    count: int
    rank: int
    targets: str

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        if self.targets not in TARGETS:
            raise ConfigurationError(f"--adapter-targets is one of {', '.join(TARGETS)}")
        if self.count < 1 or not 1 <= self.rank <= 256:
            raise ConfigurationError("--adapters needs a --rank between 1 and 256")


@dataclass(frozen=True, slots=True)
class _Factor:
    rank: int
    scaling: float
    pool: F32
    shapes: tuple[tuple[int, int], tuple[int, int]]

    def a(self) -> F32:
        return self._take(*self.shapes[0])

    def b(self) -> F32:
        return self._take(*self.shapes[1])

    def _take(self, rows: int, columns: int) -> F32:
        start = (rows * 8191 + columns) % 4099
        return np.resize(self.pool[start:], (rows, columns))


def random_adapters(
    config: ModelConfig, wanted: Adapters, settings: Settings
) -> Sequence[AdapterRef]:
    """Packed adapters for `config`, written where they are not there yet."""
    base = f"{config.family}{config.num_layers}x{config.hidden_size}x{config.intermediate_size}"
    heads = f"{config.num_heads}x{config.num_kv_heads}x{config.head_dim}"
    kind = "fp32" if config.dtype == "fp32" else "16"
    name = f"adapters-{base}-{heads}-{kind}-r{wanted.rank}-{wanted.targets}-{LAYOUT}"
    directory = (settings.bench_dir or settings.home / "bench") / name
    refs: list[AdapterRef] = []
    for number in range(wanted.count):
        path = directory / f"{number:03}"
        version = hashlib.sha256(f"{name}/{number}".encode()).hexdigest()
        if not path.is_file():
            if number == 0:
                print(f"writing random adapters to {directory}, once", file=sys.stderr, flush=True)
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigurationError(f"{directory} cannot be written: {error}") from error
            factors = _factors(config, wanted, number)
            write_adapter_file(path, config, factors, version=version, durable=False)
        refs.append(AdapterRef(version, path, AdapterFile(path, config).nbytes))
    return refs


def _factors(config: ModelConfig, wanted: Adapters, seed: int) -> dict[tuple[int, str], _Factor]:
    """Small enough that hidden rows stay finite."""
    pool = np.random.default_rng(seed).standard_normal(1 << 20, dtype=np.float32)
    pool *= np.float32(0.5 / math.sqrt(config.hidden_size))
    found: dict[tuple[int, str], _Factor] = {}
    for layer in range(config.num_layers):
        for module in modules(config):
            if module.name in TARGETS[wanted.targets]:
                a, b = (wanted.rank, module.in_features), (module.columns, wanted.rank)
                found[layer, module.name] = _Factor(wanted.rank, 1.0, pool, (a, b))
    return found
