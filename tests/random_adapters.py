"""Random adapters, and what merged weights would be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homerun.engine.sequence import AdapterRef
from homerun.model.adapter_file import AdapterFile, write_adapter_file
from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32
from homerun.model.lora import PackedAdapter, modules

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
ALL = (*ATTENTION, *MLP)


@dataclass(frozen=True)
class RandomFactor:
    """Stands where `adapter_checkpoint.Factor` stands."""

    rank: int
    scaling: float
    wide_a: F32
    wide_b: F32

    def a(self) -> F32:
        return self.wide_a

    def b(self) -> F32:
        return self.wide_b


def random_factors(
    config: ModelConfig,
    seed: int,
    targets: Iterable[str] = ALL,
    ranks: Mapping[str, int] | int = 8,
    layers: Iterable[int] | None = None,
    strength: float = 1.0,
) -> dict[tuple[int, str], RandomFactor]:
    """Factors that change a hidden row by about as much as the base's own matrices."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, str], RandomFactor] = {}
    for layer in range(config.num_layers) if layers is None else layers:
        for module in modules(config):
            if module.name not in targets:
                continue
            rank = ranks if isinstance(ranks, int) else ranks[module.name]
            a = rng.normal(size=(rank, module.in_features)) / module.in_features**0.5
            b = rng.normal(size=(module.columns, rank)) / rank**0.5 * strength
            scaling = float(rng.choice([0.5, 1.0, 2.0, 16 / rank]))
            found[layer, module.name] = RandomFactor(
                rank, scaling, a.astype(np.float32), b.astype(np.float32)
            )
    return found


def pack(
    directory: Path, config: ModelConfig, factors: Mapping[tuple[int, str], RandomFactor], seed: int
) -> PackedAdapter:
    """Through a file, as the engine has it."""
    path = directory / f"adapter-{seed}"
    write_adapter_file(path, config, factors, version=f"{seed:032x}", durable=False)
    file = AdapterFile(path, config)
    file.verify()
    return file.adapter


def reference(path: Path, config: ModelConfig, seed: int, **options: object) -> AdapterRef:
    """A packed random adapter for the engine."""
    path = path / f"adapter-{seed}"
    factors = random_factors(config, seed, **options)  # type: ignore[arg-type]
    write_adapter_file(path, config, factors, version=f"{seed:032x}", durable=False)
    return AdapterRef(f"{seed:032x}", path, path.stat().st_size)
