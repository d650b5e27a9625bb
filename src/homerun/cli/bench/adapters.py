"""Packed LoRA adapters of random numbers for one model's shape, each written once and kept.

Knows names and where the files lie; `model.random_adapter` knows what is in them.
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from homerun.engine.sequence import AdapterRef
from homerun.errors import ConfigurationError
from homerun.model.adapter_file import LAYOUT, AdapterFile
from homerun.model.config import ModelConfig
from homerun.model.random_adapter import write_random_adapter
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
            targets = TARGETS[wanted.targets]
            try:
                directory.mkdir(parents=True, exist_ok=True)
                write_random_adapter(path, config, targets, wanted.rank, version, seed=number)
            except OSError as error:
                raise ConfigurationError(f"{directory} cannot be written: {error}") from error
        refs.append(AdapterRef(version, path, AdapterFile(path, config).nbytes))
    return refs
