"""One safetensors file: its header checked to the byte, its tensors as memory-mapped views.

Knows the file format; knows nothing of models. Format: an unsigned 64-bit little-endian header
length, a JSON header {name: {dtype, shape, data_offsets}}, then the tensors without gaps.
"""

import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from homerun.errors import CheckpointError
from homerun.model.dtypes import NUMPY_TYPES, FloatDType, Tensor
from homerun.model.json_fields import parse_json_object, shorten

HEADER_LIMIT = 100_000_000
"""Bytes, as in the format's own reader."""
_LENGTH_BYTES = 8
_MAX_DIMENSIONS = 8
_DTYPES: dict[str, FloatDType] = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
_METADATA = "__metadata__"


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where a tensor lies. `start` and `end` are bytes after the header."""

    name: str
    dtype: FloatDType
    shape: tuple[int, ...]
    start: int
    end: int


def parse_header(header: bytes, data_size: int, source: str) -> dict[str, TensorEntry]:
    """The entries of a header whose tensors fill exactly `data_size` bytes.

    Raises CheckpointError for anything the format forbids and for dtypes other than F32, F16, BF16.
    """
    fields = parse_json_object(header, f"{source}: the header")
    metadata = fields.pop(_METADATA, None)
    if metadata is not None and not isinstance(metadata, dict):
        raise CheckpointError(f"{source}: {_METADATA} is not an object")
    entries = [_entry(name, value, source) for name, value in fields.items()]
    entries.sort(key=lambda entry: (entry.start, entry.end))
    position = 0
    for entry in entries:
        if entry.start != position:
            raise CheckpointError(
                f"{source}: {display(entry.name)} starts at byte {entry.start}, not {position}: "
                "tensors must lie one after the other without gaps"
            )
        position = entry.end
    if position != data_size:
        raise CheckpointError(
            f"{source}: the tensors end at byte {position} of {data_size} bytes of data: "
            "the file is cut off or has bytes to spare"
        )
    return {entry.name: entry for entry in entries}


class SafetensorsFile:
    """An open, checked file. Tensors are read-only views that keep the mapping alive."""

    def __init__(
        self, path: Path, *, source: str | None = None, header_limit: int = HEADER_LIMIT
    ) -> None:
        """Maps and checks `path`, which errors call `source`. Raises CheckpointError."""
        self.path = path
        source = source or str(path)
        try:
            with path.open("rb") as file:
                self.size = file.seek(0, 2)
                if self.size < _LENGTH_BYTES:
                    raise CheckpointError(f"{source} is too short to be a safetensors file")
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise CheckpointError(f"{source} is missing") from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{source} cannot be read: {error}") from None
        length = int.from_bytes(self._data[:_LENGTH_BYTES], "little")
        if length > header_limit or length > self.size - _LENGTH_BYTES:
            raise CheckpointError(
                f"{source} is not a safetensors file: it claims a header of {length} bytes"
            )
        self.data_start = _LENGTH_BYTES + length
        """Byte of the file at which the tensors begin."""
        self.header = self._data[_LENGTH_BYTES : self.data_start]
        self.entries = parse_header(self.header, self.size - self.data_start, source)

    def tensor(self, name: str) -> Tensor:
        """A read-only view of one tensor; KeyError if there is none of this name."""
        entry = self.entries[name]
        view = np.ndarray(
            entry.shape, NUMPY_TYPES[entry.dtype], self._data, offset=self.data_start + entry.start
        )
        return Tensor(view, entry.dtype)

    def sample(self, offset: int, length: int) -> bytes:
        """Bytes of the file, as many as there are."""
        return self._data[offset : offset + length]


def _entry(name: str, value: object, source: str) -> TensorEntry:
    where = f"{source}: {display(name)}"
    if not isinstance(value, dict):
        raise CheckpointError(f"{where} is not described by an object")
    fields = cast(dict[str, object], value)
    unknown = set(fields) - {"dtype", "shape", "data_offsets"}
    if unknown:
        raise CheckpointError(f"{where} has an unknown field {display(min(unknown))}")
    name_of_dtype = fields.get("dtype")
    dtype = _DTYPES.get(name_of_dtype) if isinstance(name_of_dtype, str) else None
    if dtype is None:
        raise CheckpointError(
            f"{where} is {shorten(name_of_dtype)}; homerun reads F32, F16 and BF16"
        )
    shape = _sizes(fields.get("shape"), f"{where}: shape")
    offsets = _sizes(fields.get("data_offsets"), f"{where}: data_offsets")
    if len(shape) > _MAX_DIMENSIONS:
        raise CheckpointError(f"{where} has {len(shape)} dimensions")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise CheckpointError(f"{where}: data_offsets must be [start, end]")
    size = NUMPY_TYPES[dtype].itemsize
    for length in shape:  # Python's integers do not overflow
        size *= length
    if size != offsets[1] - offsets[0]:
        raise CheckpointError(
            f"{where} has {offsets[1] - offsets[0]} bytes where its shape needs {shorten(size)}"
        )
    return TensorEntry(name, dtype, shape, offsets[0], offsets[1])


def _sizes(value: object, what: str) -> tuple[int, ...]:
    """A list of integers in [0, 2^62]."""
    if not isinstance(value, list):
        raise CheckpointError(f"{what} is not a list")
    items = cast(list[object], value)
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item <= 1 << 62:
            raise CheckpointError(f"{what} holds {shorten(item)}, which is no size")
    return tuple(cast(list[int], items))


def display(name: str) -> str:
    """A tensor's name fit for a message: printable and short."""
    return shorten(re.sub(r"[^\x20-\x7e]", "?", name))
