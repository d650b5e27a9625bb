"""A packed adapter: one file with all factors as the kernels read them, mapped as it is.

Knows the format, reading and writing; `lora` knows the layout of the factors. The file is

    a head as `framed_header` has it, "HOMERUNA"
    the factors of each place of the decoder that has any, each place at a multiple of 4 KiB

Where everything lies follows from the base's config and the ranks; a file of any other size is
refused, so that no number in the header needs to be trusted.
"""

import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from homerun import __version__
from homerun.errors import CheckpointError
from homerun.model import framed_header
from homerun.model.checksum import checksum
from homerun.model.config import ModelConfig
from homerun.model.dtypes import (
    F32,
    FP16_MAX,
    DType,
    FloatDType,
    from_float32,
    parse_dtype,
    to_float32,
)
from homerun.model.framed_header import PAGE, FileKind, parse_checksum
from homerun.model.json_fields import Fields, parse_json_object
from homerun.model.lora import (
    FactorShape,
    PackedAdapter,
    PackedPlace,
    arrange,
    modules,
    pack_a,
    pack_b,
)
from homerun.model.packed_file import sync_directory

LAYOUT = "rank-groups-4"
"""Name of the layout of `lora`; another one gets another name."""
RANK_LIMIT = 1024
"""Of all modules of a place together: what the kernels take."""
_KIND = FileKind(b"HOMERUNA", 1, "a packed adapter of homerun", "pack the adapter again")
_HALVES: tuple[FloatDType, ...] = ("fp16", "bf16")


class Factor(Protocol):
    """The change of one linear layer, see `adapter_checkpoint.Factor`."""

    @property
    def rank(self) -> int: ...
    @property
    def scaling(self) -> float: ...
    def a(self) -> F32: ...
    def b(self) -> F32: ...


Factors = Mapping[tuple[int, str], Factor]


@dataclass(frozen=True, slots=True)
class _Header:
    version: str
    dtype: FloatDType
    places: tuple[PackedPlace, ...]
    checksums: tuple[int, ...]
    """Of each place that has factors, with the zeros after it."""


class AdapterFile:
    """An open packed adapter whose header fits `config`. Its views keep the mapping alive.

    So the file may be deleted or replaced by rename while the adapter is in use.
    """

    def __init__(self, path: Path, config: ModelConfig) -> None:
        """Checks everything but the contents, see `verify`. Raises CheckpointError."""
        self.path = path
        try:
            with path.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except FileNotFoundError:
            raise CheckpointError(f"{path.name} is missing") from None
        except OSError as error:
            raise CheckpointError(f"{path.name} cannot be read: {error.strerror}") from None
        text, start = framed_header.read_text(_KIND, memoryview(mapping), path.name)
        self._header = _parse(text, config, path.name)
        expected = start + self._header.places[-1].end
        if size != expected:
            raise CheckpointError(
                f"{path.name} has {size} bytes where its header needs {expected}: {_KIND.advice}"
            )
        self.nbytes = size
        data = np.frombuffer(mapping, np.uint8)[start:]
        self.adapter = PackedAdapter(self._header.dtype, data, self._header.places)

    @property
    def version(self) -> str:
        """Hex digest of the adapter it was packed from."""
        return self._header.version

    def verify(self) -> None:
        """Reads the whole file and compares checksums, place by place. Raises CheckpointError."""
        pieces = _filled(self._header.places)
        for (number, start, place), expected in zip(pieces, self._header.checksums, strict=True):
            part = self.adapter.data[start : place.end]
            # Touched first, by this thread alone: the sum is computed on the kernels' threads,
            # and a step of the engine must not wait there for the disk.
            part[::PAGE].max(initial=0)
            if checksum(part) != expected:
                raise CheckpointError(
                    f"{self.path.name}: the factors of layer {number // 4} are damaged (their "
                    f"checksum is another): {_KIND.advice}, and check the disk and memory"
                )


def write_adapter_file(
    path: Path,
    config: ModelConfig,
    factors: Factors,
    *,
    version: str,
    durable: bool = True,
) -> None:
    """Packs the factors of an adapter that fits `config`; `path` appears when it is complete.

    `config.dtype` is what the base runs in; `version` is a hex digest of the adapter's contents.
    Raises CheckpointError where ranks are beyond the kernels, OSError where the disk is full.
    """
    bytes.fromhex(version)
    dtype = factor_dtype(factors, config.dtype)
    places = arrange(config, dtype, _shapes(factors), PAGE)
    for number, _, place in _filled(places):
        if place.ranks > RANK_LIMIT:
            raise CheckpointError(
                f"the ranks at one place of layer {number // 4} add up to {place.ranks}, over the "
                f"limit of {RANK_LIMIT}"
            )
    checksums = [0] * sum(1 for _ in _filled(places))
    start = len(_encode(config, dtype, factors, version, checksums))
    # Two at once, of one adapter too, do not meet.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.partial")
    try:
        with partial.open("xb") as file:
            for index, (number, begin, place) in enumerate(_filled(places)):
                contents = _contents(config, dtype, factors, number, begin, place)
                checksums[index] = checksum(contents)
                file.seek(start + begin)
                file.write(contents.data)
            file.truncate(start + places[-1].end)
            file.seek(0)
            file.write(_encode(config, dtype, factors, version, checksums))
            file.flush()
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
        if durable:
            sync_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def factor_dtype(factors: Factors, base: DType) -> FloatDType:
    """What factors are kept in: 16 bits where those hold every number exactly.

    Else float32 for a float32 base, and for others the 16 bits that lose less: the smaller sum of
    squared errors, where numbers beyond float16 count as infinite.
    """
    errors = dict.fromkeys(_HALVES, 0.0)
    for factor in factors.values():
        for wide in (factor.a(), factor.b()):
            for half in _HALVES:
                errors[half] += _squared_error(wide, half)
    best = min(_HALVES, key=lambda half: errors[half])
    return "fp32" if base == "fp32" and errors[best] else best


def _squared_error(wide: F32, half: FloatDType) -> float:
    if half == "fp16" and np.abs(wide).max(initial=0.0) > FP16_MAX:
        return float("inf")
    with np.errstate(over="ignore"):
        lost = to_float32(from_float32(wide, half), half).astype(np.float64) - wide
    return float((lost * lost).sum())


def _shapes(factors: Factors) -> dict[tuple[int, str], FactorShape]:
    return {key: FactorShape(one.rank, one.scaling) for key, one in factors.items()}


def _filled(places: tuple[PackedPlace, ...]) -> Iterator[tuple[int, int, PackedPlace]]:
    """Number, first byte and place of those that have factors."""
    for number, place in enumerate(places):
        if place.parts:
            yield number, place.offset, place


def _contents(
    config: ModelConfig,
    dtype: FloatDType,
    factors: Factors,
    number: int,
    begin: int,
    place: PackedPlace,
) -> NDArray[np.uint8]:
    """The bytes of one place, up to the next one."""
    contents = np.zeros(place.end - begin, np.uint8)
    layer, site = divmod(number, 4)
    names = [
        one.name for one in modules(config) if one.site == site and (layer, one.name) in factors
    ]
    here = [factors[layer, name] for name in names]

    def put(numbers: NDArray[Any], offset: int) -> None:
        raw = numbers.view(np.uint8)
        contents[offset - begin : offset - begin + raw.size] = raw

    put(pack_a(np.concatenate([one.a() for one in here]), dtype), place.offset)
    for one, part in zip(here, place.parts, strict=True):
        put(pack_b(one.b(), dtype), part.offset)
    return contents


def _encode(
    config: ModelConfig, dtype: FloatDType, factors: Factors, version: str, checksums: list[int]
) -> bytes:
    """The head. Its length does not depend on the values of `checksums`."""
    values: dict[str, object] = {
        "written_by": __version__,
        "layout": LAYOUT,
        "version": version,
        "dtype": dtype,
        "base": _base(config),
        "factors": [[layer, name, one.rank, one.scaling] for (layer, name), one in factors.items()],
        "checksums": [f"{one:016x}" for one in checksums],
    }
    return framed_header.encode(_KIND, values)


def _base(config: ModelConfig) -> list[object]:
    """What the shapes of factors follow from."""
    heads = [config.num_heads, config.num_kv_heads, config.head_dim]
    return [config.family, config.num_layers, config.hidden_size, config.intermediate_size, *heads]


def _parse(text: bytes, config: ModelConfig, source: str) -> _Header:
    fields = Fields(source, parse_json_object(text, f"{source}: the header"))
    layout, version = fields.text("layout"), fields.text("version")
    if layout != LAYOUT:
        raise fields.error("layout", f"is not {LAYOUT!r}: {_KIND.advice}")
    if fields.raw("base") != _base(config):
        raise fields.error("base", "is of a model of another shape than the one that is served")
    dtype = parse_dtype(fields.text("dtype"))
    if dtype is None or dtype == "int8":
        raise fields.error("dtype", "is not fp32, fp16 or bf16")
    places = arrange(config, dtype, _parse_factors(fields, config), PAGE)
    sums = fields.raw("checksums")
    filled = sum(1 for _ in _filled(places))
    if not isinstance(sums, list) or len(cast(list[object], sums)) != filled:
        raise fields.error("checksums", f"are not a list of {filled}")
    checksums = tuple(parse_checksum(one, source) for one in cast(list[object], sums))
    return _Header(version, dtype, places, checksums)


def _parse_factors(fields: Fields, config: ModelConfig) -> dict[tuple[int, str], FactorShape]:
    """At least one; the header was written by us and is undamaged, so one text does for all."""
    entries = fields.raw("factors")
    found: dict[tuple[int, str], FactorShape] = {}
    names = {one.name for one in modules(config)}
    for entry in cast(list[object], entries) if isinstance(entries, list) else []:
        match entry:
            case [int(layer), str(name), int(rank), float() | int() as scaling] if (
                0 <= layer < config.num_layers and name in names and 1 <= rank <= RANK_LIMIT
            ):
                found[layer, name] = FactorShape(rank, float(scaling))
            case _:
                raise fields.error("factors", "names something that the base model has not")
    if not found:
        raise fields.error("factors", "is empty")
    return found
