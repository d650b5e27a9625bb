"""One LoRA adapter, checked in full against its base model: both files of PEFT's format.

Knows PEFT's tensor names and what may be wrong with them; knows nothing of where the files lie,
who uploaded them or how the factors are multiplied.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homerun.errors import AdapterIncompatible, AdapterInvalid, CheckpointError
from homerun.model.adapter_config import (
    CONFIG_FILE,
    SIZE_LIMIT,
    AdapterConfig,
    TargetModule,
    parse_adapter_config,
)
from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32, NUMPY_TYPES, FloatDType, to_float32
from homerun.model.safetensors_file import SafetensorsFile, TensorEntry, display
from homerun.model.weights import linear_shapes

WEIGHTS_FILE = "adapter_model.safetensors"
HEADER_LIMIT = 1 << 20
"""Bytes; one of all linear layers of a 70B model has 200 kB."""
_CHECKED_BYTES = 1 << 20
"""Read at a time when every number is looked at."""

_NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.([^.]+))?\.weight", re.DOTALL)
"""Module, factor, and the adapter's name where it was not taken out of the tensor's."""


@dataclass(frozen=True, slots=True)
class AdapterLimits:
    """What this server takes."""

    rank: int
    file_bytes: int
    """Of the weights file."""


@dataclass(frozen=True, slots=True)
class Factor:
    """The change of one linear layer: output += scaling · B (A x)."""

    rank: int
    scaling: float
    dtype: FloatDType
    """In which A is stored; B may differ."""
    _file: SafetensorsFile
    _a: str
    _b: str

    def a(self) -> F32:
        """float32 [rank, in_features]; a new array or a read-only view of the file."""
        return self._factor(self._a)

    def b(self) -> F32:
        """float32 [out_features, rank]; a new array or a read-only view of the file."""
        return self._factor(self._b)

    def _factor(self, name: str) -> F32:
        tensor = self._file.tensor(name)
        return to_float32(tensor.data, tensor.dtype)


@dataclass(frozen=True, slots=True)
class AdapterCheckpoint:
    """An adapter that fits its base. Its factors keep the weights file mapped."""

    config: AdapterConfig
    factors: Mapping[tuple[int, str], Factor]
    """By layer and module: (0, "q_proj"). In the order of the base's layers."""

    @classmethod
    def open(
        cls,
        config_path: Path,
        weights_path: Path,
        base: ModelConfig,
        limits: AdapterLimits,
        *,
        check_numbers: bool = True,
    ) -> "AdapterCheckpoint":
        """Checks everything; `check_numbers` reads the whole file for NaN and infinity.

        Raises AdapterInvalid, and AdapterIncompatible where only this base does not fit. The texts
        name file, tensor, value and limit, never a path.
        """
        try:
            config = parse_adapter_config(_read(config_path), base, rank_limit=limits.rank)
            size = weights_path.stat().st_size
            if size > limits.file_bytes:
                raise CheckpointError(
                    f"{WEIGHTS_FILE} has {size} bytes, over this server's limit of "
                    f"{limits.file_bytes}"
                )
            file = SafetensorsFile(weights_path, source=WEIGHTS_FILE, header_limit=HEADER_LIMIT)
            factors = _factors(file, config, base)
            if check_numbers:
                _check_numbers(file)
        except CheckpointError as error:
            raise AdapterInvalid(str(error)) from None
        except OSError as error:
            raise AdapterInvalid(f"{WEIGHTS_FILE} cannot be read: {error.strerror}") from None
        return cls(config, factors)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise CheckpointError(f"{CONFIG_FILE} cannot be read: {error.strerror}") from None


def _factors(
    file: SafetensorsFile, config: AdapterConfig, base: ModelConfig
) -> dict[tuple[int, str], Factor]:
    """The factors of every target; nothing else is in the file."""
    shapes = linear_shapes(base)
    found = _pairs(file, shapes)
    targets = {target.name: target for target in config.targets}
    for name, pair in found.items():
        if name not in targets:
            entry = next(iter(pair.values()))
            raise CheckpointError(
                f"{WEIGHTS_FILE}: {display(entry.name)} is of a module that target_modules of "
                f"{CONFIG_FILE} does not name"
            )
    factors: dict[tuple[int, str], Factor] = {}
    for name, target in targets.items():
        pair = found.get(name)
        if pair is None:
            raise CheckpointError(
                f"{WEIGHTS_FILE} has nothing for {name}, which target_modules of {CONFIG_FILE} "
                "names"
            )
        for letter in "AB":
            if letter not in pair:
                raise CheckpointError(f"{WEIGHTS_FILE}: {name} has no lora_{letter}")
        _check_shapes(pair, target, shapes[name])
        _, _, layer, _, module = name.split(".")
        a, b = pair["A"], pair["B"]
        factor = Factor(target.rank, target.scaling, a.dtype, file, a.name, b.name)
        factors[int(layer), module] = factor
    return factors


def _pairs(
    file: SafetensorsFile, shapes: Mapping[str, tuple[int, int]]
) -> dict[str, dict[str, TensorEntry]]:
    """{module: {"A": …, "B": …}}. Raises for every tensor that is no factor of a linear layer."""
    found: dict[str, dict[str, TensorEntry]] = {}
    adapter_names: set[str | None] = set()
    for entry in file.entries.values():
        where = f"{WEIGHTS_FILE}: {display(entry.name)}"
        match = _NAME.fullmatch(entry.name)
        if match is None:
            raise CheckpointError(
                f"{where} is no LoRA factor; those are called "
                "base_model.model.<module>.lora_A.weight and lora_B"
            )
        module, letter, adapter_name = match.groups()
        if module not in shapes:
            raise AdapterIncompatible(f"{where}: the base model has no such linear layer")
        adapter_names.add(adapter_name)
        if len(adapter_names) > 1:
            raise CheckpointError(f"{where} belongs to a second adapter; upload one per file")
        found.setdefault(module, {})[letter] = entry
    return found


def _check_shapes(
    pair: Mapping[str, TensorEntry], target: TargetModule, shape: tuple[int, int]
) -> None:
    """`shape`: [out_features, in_features] of the base's layer."""
    out_features, in_features = shape
    for entry, wanted, own in (
        (pair["A"], (target.rank, in_features), in_features),
        (pair["B"], (out_features, target.rank), out_features),
    ):
        if entry.shape == wanted:
            continue
        text = f"{WEIGHTS_FILE}: {display(entry.name)} has shape {display(str(list(entry.shape)))}"
        if own not in entry.shape:
            raise AdapterIncompatible(f"{text} where the base model needs {list(wanted)}")
        raise CheckpointError(f"{text} where rank {target.rank} needs {list(wanted)}")


def _check_numbers(file: SafetensorsFile) -> None:
    """Reads through a buffer: a mapping would make the whole file part of the process's memory."""
    with file.path.open("rb") as stream:
        for entry in file.entries.values():
            stream.seek(file.data_start + entry.start)
            left = entry.end - entry.start
            while left:
                piece = stream.read(min(left, _CHECKED_BYTES))
                if not piece:
                    raise CheckpointError(f"{WEIGHTS_FILE} became shorter while it was read")
                left -= len(piece)
                numbers = to_float32(np.frombuffer(piece, NUMPY_TYPES[entry.dtype]), entry.dtype)
                if not np.isfinite(numbers).all():
                    bad = numbers[~np.isfinite(numbers)][0]
                    raise CheckpointError(f"{WEIGHTS_FILE}: {display(entry.name)} holds {bad}")
