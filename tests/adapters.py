"""LoRA adapters for tests, written with the safetensors package in PEFT's format.

tests/model/test_adapter_checkpoint.py holds them to what PEFT itself writes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from homerun.model.config import ModelConfig
from homerun.model.weights import linear_shapes

ALL_LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def adapter_config(base: ModelConfig, rank: int = 4, **changes: Any) -> dict[str, Any]:
    """A config as PEFT writes it, abridged. A change to None takes the field out."""
    fields: dict[str, Any] = {
        "base_model_name_or_path": "somebody/base",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.05,
        "model_type": base.family,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": ["q_proj", "v_proj"],
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def adapter_tensors(
    base: ModelConfig,
    rank: int = 4,
    modules: tuple[str, ...] = ("q_proj", "v_proj"),
    dtype: Any = np.float32,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Random factors for the named modules of all layers."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for name, (outputs, inputs) in linear_shapes(base).items():
        if name.rpartition(".")[2] in modules:
            prefix = f"base_model.model.{name}.lora_"
            tensors[f"{prefix}A.weight"] = rng.normal(0, 0.1, (rank, inputs)).astype(dtype)
            tensors[f"{prefix}B.weight"] = rng.normal(0, 0.1, (outputs, rank)).astype(dtype)
    return tensors


def adapter_files(
    base: ModelConfig, *, rank: int = 4, seed: int = 0, **changes: Any
) -> dict[str, bytes]:
    """Both files of a sound adapter, by name; `changes` are the config's."""
    modules = tuple(changes.get("target_modules", ("q_proj", "v_proj")))
    return {
        "adapter_config.json": json.dumps(adapter_config(base, rank, **changes)).encode(),
        "adapter_model.safetensors": save(adapter_tensors(base, rank, modules, seed=seed)),
    }


def write_adapter(directory: Path, base: ModelConfig, **changes: Any) -> Path:
    """Both files of a sound adapter in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in adapter_files(base, **changes).items():
        (directory / name).write_bytes(data)
    return directory
