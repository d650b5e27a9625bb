"""The head of a packed file: what it says, and the one arrangement of arrays it may say.

Knows the format to the byte; knows nothing of reading or writing contents. A packed file is

    a head as `framed_header` has it, "HOMERUNW"
    the arrays, each at a multiple of 4 KiB, zeros in between

Where each array lies follows from config.json and the header's few
facts; a header that says otherwise is refused, so that nothing in it needs to be trusted.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from homerun import __version__
from homerun.errors import CheckpointError
from homerun.model import framed_header
from homerun.model.config import ModelConfig
from homerun.model.dtypes import NUMPY_TYPES, DType, FloatDType, parse_dtype
from homerun.model.framed_header import FileKind, parse_checksum, to_page
from homerun.model.json_fields import Fields, parse_json_object
from homerun.model.packing import LAYOUT, panels_shape, scales_shape, stored_type
from homerun.model.quantize import GROUP_LIMIT, check_groups
from homerun.model.safetensors_file import display
from homerun.model.weight_source import parts

FILE_NAME = "model.homerun"
VERSION = 1
SCALES = ".scales"
IMPORT_AGAIN = "run homerun models import again"
_KIND = FileKind(b"HOMERUNW", VERSION, "a packed file of homerun", IMPORT_AGAIN)


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array of the file. `offset` counts from the end of the header."""

    name: str
    dtype: str
    """Of its numbers; int8 panels are stored as value + 128."""
    shape: tuple[int, ...]
    type: np.dtype[Any]
    offset: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.type.itemsize

    @property
    def end(self) -> int:
        """Where the next array begins."""
        return to_page(self.offset + self.nbytes)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was packed, and how."""

    dtype: DType
    embedding_dtype: FloatDType
    weight_group: int
    activation_group: int
    source: str
    """Directory of the checkpoint it was made from, "" if there is none."""
    source_digest: str
    """Hex `Checkpoint.digest`."""


@dataclass(frozen=True, slots=True)
class PackedHeader:
    """A header that fits its config."""

    written_by: str
    """Version of homerun."""
    facts: Facts
    arrays: tuple[StoredArray, ...]
    checksums: tuple[int, ...]
    """Of each array with the zeros after it."""

    @property
    def data_size(self) -> int:
        return self.arrays[-1].end


def arrange(config: ModelConfig, facts: Facts) -> tuple[StoredArray, ...]:
    """The arrays of a model and where each lies."""
    found: list[StoredArray] = []

    def add(name: str, dtype: str, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
        offset = found[-1].end if found else 0
        found.append(StoredArray(name, dtype, shape, kind, offset))

    for part in parts(config):
        if part.kind == "norm":
            add(part.name, "fp32", part.shape, NUMPY_TYPES["fp32"])
        elif part.kind == "table":
            add(part.name, facts.embedding_dtype, part.shape, NUMPY_TYPES[facts.embedding_dtype])
        else:
            n, k = part.shape
            shape = panels_shape(facts.dtype, n, k)
            add(part.name, facts.dtype, shape, stored_type(facts.dtype))
            if facts.dtype == "int8":
                shape = scales_shape(n, k, facts.weight_group)
                add(part.name + SCALES, "fp32", shape, NUMPY_TYPES["fp32"])
    return tuple(found)


def encode(config: ModelConfig, facts: Facts, checksums: Sequence[int]) -> bytes:
    """Everything before the arrays. Its length does not depend on the values of `checksums`."""
    values: dict[str, object] = {
        "written_by": __version__,
        "layout": LAYOUT,
        "family": config.family,
        "dtype": facts.dtype,
        "embedding_dtype": facts.embedding_dtype,
        "weight_group": facts.weight_group,
        "activation_group": facts.activation_group,
        "source": facts.source,
        "source_digest": facts.source_digest,
        "arrays": [
            {**_described(array), "checksum": f"{checksum:016x}"}
            for array, checksum in zip(arrange(config, facts), checksums, strict=True)
        ],
    }
    return framed_header.encode(_KIND, values)


def read_text(data: memoryview, source: str) -> tuple[bytes, int]:
    """`framed_header.read_text` of a packed file."""
    return framed_header.read_text(_KIND, data, source)


def parse(text: bytes, config: ModelConfig, source: str) -> PackedHeader:
    """The header of a file that holds the model of `config`. Raises CheckpointError."""
    fields = Fields(source, parse_json_object(text, f"{source}: the header"))
    layout, written_by = fields.text("layout"), fields.text("written_by")
    if layout != LAYOUT:
        raise fields.error("layout", f"{display(layout)!r} is not {LAYOUT!r}: {IMPORT_AGAIN}")
    family = fields.text("family")
    if family != config.family:
        raise fields.error("family", f"is {display(family)}, config.json says {config.family}")
    facts = parse_facts(fields)
    arrays = arrange(config, facts)
    found = fields.raw("arrays")
    if not isinstance(found, list):
        raise fields.error("arrays", "is not a list")
    entries = cast(list[object], found)
    if len(entries) != len(arrays):
        raise fields.error(
            "arrays", f"has {len(entries)} entries where config.json needs {len(arrays)}"
        )
    checksums = tuple(
        _checksum(entry, array, source) for entry, array in zip(entries, arrays, strict=True)
    )
    return PackedHeader(written_by, facts, arrays, checksums)


def parse_facts(fields: Fields) -> Facts:
    """Raises CheckpointError."""
    dtype = parse_dtype(fields.text("dtype"))
    embedding_dtype = parse_dtype(fields.text("embedding_dtype"))
    if dtype is None or embedding_dtype is None or embedding_dtype == "int8":
        raise fields.error("dtype", "or embedding_dtype is not a dtype")
    weight_group = fields.integer("weight_group", low=0, high=GROUP_LIMIT)
    activation_group = fields.integer("activation_group", low=0, high=GROUP_LIMIT)
    try:
        check_groups(weight_group, activation_group)
    except ValueError as error:
        raise CheckpointError(f"{fields.source}: {error}") from None
    source, digest = fields.text("source"), fields.text("source_digest")
    try:
        bytes.fromhex(digest)
    except ValueError:
        raise fields.error("source_digest", "is not hexadecimal") from None
    return Facts(dtype, embedding_dtype, weight_group, activation_group, source, digest)


def _described(array: StoredArray) -> dict[str, object]:
    return {
        "name": array.name,
        "dtype": array.dtype,
        "shape": list(array.shape),
        "offset": array.offset,
        "bytes": array.nbytes,
    }


def _checksum(entry: object, array: StoredArray, source: str) -> int:
    """The checksum of an entry that describes `array` and nothing else."""
    values = dict(cast(dict[str, object], entry)) if isinstance(entry, dict) else {}
    checksum = values.pop("checksum", None)
    expected = _described(array)
    # json.dumps tells 1 from 1.0 and true, which == does not.
    if json.dumps(values, sort_keys=True) != json.dumps(expected, sort_keys=True):
        wrong = [key for key, value in expected.items() if values.get(key) != value]
        what = (
            ", ".join(f"{key} {display(repr(values.get(key)))}" for key in wrong)
            or "unknown fields"
        )
        raise CheckpointError(
            f"{source}: an array has {what} where config.json needs {array.name} "
            f"{array.dtype} {list(array.shape)} at {array.offset}"
        )
    return parse_checksum(checksum, f"{source}: {array.name}")
