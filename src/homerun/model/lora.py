"""Low-rank adapters of a decoder: where their factors go, and how they lie in memory.

LoRA (Hu et al. 2021, arXiv 2106.09685) adds scaling · B (A x) to a linear layer's result, with A
[rank, in_features], B [out_features, rank]. Knows the layout of `native/kernels/lora.hpp`; knows
nothing of files or of how they are multiplied.

A place is one product of the decoder, numbered layer · 4 + site. The modules that are joined in one
matrix share its input: their A lie one after the other, and each B adds to its own columns.

    A   [rank / 4][k / 16][4][16], the last group with the ranks that are left; k padded with zeros
    B   [column / 32][rank][32], columns padded with zeros
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32, NUMPY_TYPES, FloatDType, from_float32, to_float32

QKV, OUTPUT, GATE_UP, DOWN = range(4)
SITES = 4
RANK_GROUP = 4
RANK_STEP = 16
PANEL = 32
ALIGNMENT = 64
"""Bytes; every factor begins at a multiple of it."""


@dataclass(frozen=True, slots=True)
class Module:
    """A linear layer of every decoder layer, as part of the product at its site."""

    name: str
    site: int
    in_features: int
    first_column: int
    columns: int


@dataclass(frozen=True, slots=True)
class FactorShape:
    """What is known of a module's factors without their numbers."""

    rank: int
    scaling: float


@dataclass(frozen=True, slots=True)
class PackedPart:
    """The factors of one module at a place."""

    rank: int
    scaling: float
    first_column: int
    columns: int
    offset: int
    """Of B, in bytes."""


@dataclass(frozen=True, slots=True)
class PackedPlace:
    """What an adapter adds to one product; without parts nothing."""

    k: int
    offset: int
    """Of A, in bytes."""
    parts: tuple[PackedPart, ...]
    end: int
    """Bytes where the next place may begin."""

    @property
    def ranks(self) -> int:
        return sum(part.rank for part in self.parts)


@dataclass(frozen=True, slots=True)
class PackedAdapter:
    """All factors of an adapter. `data` may be a view of a file, and keeps it mapped."""

    dtype: FloatDType
    data: NDArray[np.uint8]
    places: tuple[PackedPlace, ...]

    def a(self, place: int) -> F32:
        """float32 [ranks, k]: A of all parts, one after the other."""
        at = self.places[place]
        return unpack_a(
            self._numbers(at.offset, a_size(at.ranks, at.k)), at.ranks, at.k, self.dtype
        )

    def b(self, part: PackedPart) -> F32:
        """float32 [columns, rank]."""
        size = b_size(part.rank, part.columns)
        return unpack_b(self._numbers(part.offset, size), part.rank, part.columns, self.dtype)

    def _numbers(self, offset: int, count: int) -> NDArray[Any]:
        kind = NUMPY_TYPES[self.dtype]
        return self.data[offset : offset + count * kind.itemsize].view(kind)


def modules(config: ModelConfig) -> tuple[Module, ...]:
    """The linear layers that can have factors, in the order of the joined matrices."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_heads * config.head_dim
    keys = config.num_kv_heads * config.head_dim
    return (
        Module("q_proj", QKV, hidden, 0, queries),
        Module("k_proj", QKV, hidden, queries, keys),
        Module("v_proj", QKV, hidden, queries + keys, keys),
        Module("o_proj", OUTPUT, queries, 0, hidden),
        Module("gate_proj", GATE_UP, hidden, 0, inner),
        Module("up_proj", GATE_UP, hidden, inner, inner),
        Module("down_proj", DOWN, inner, 0, hidden),
    )


def arrange(
    config: ModelConfig,
    dtype: FloatDType,
    factors: Mapping[tuple[int, str], FactorShape],
    unit: int = ALIGNMENT,
) -> tuple[PackedPlace, ...]:
    """Where all factors lie: of each place A and then every B. Places begin at `unit` bytes."""
    size = NUMPY_TYPES[dtype].itemsize
    known = modules(config)
    places: list[PackedPlace] = []
    end = 0
    for place in range(config.num_layers * SITES):
        layer, site = divmod(place, SITES)
        here = [one for one in known if one.site == site and (layer, one.name) in factors]
        shapes = [factors[layer, one.name] for one in here]
        k = next(one.in_features for one in known if one.site == site)
        offset = end
        end = _up(end + size * a_size(sum(shape.rank for shape in shapes), k), ALIGNMENT)
        parts: list[PackedPart] = []
        for one, shape in zip(here, shapes, strict=True):
            parts.append(PackedPart(shape.rank, shape.scaling, one.first_column, one.columns, end))
            end = _up(end + size * b_size(shape.rank, one.columns), ALIGNMENT)
        end = _up(end, unit)
        places.append(PackedPlace(k, offset, tuple(parts), end))
    return tuple(places)


def a_size(ranks: int, k: int) -> int:
    """Numbers of a packed A [ranks, k]."""
    return ranks * _up(k, RANK_STEP)


def b_size(rank: int, columns: int) -> int:
    """Numbers of a packed B [columns, rank]."""
    return rank * _up(columns, PANEL)


def pack_a(a: F32, dtype: FloatDType) -> NDArray[Any]:
    """float32 [ranks, k] -> its packed numbers, one-dimensional."""
    ranks, k = a.shape
    steps = _up(k, RANK_STEP) // RANK_STEP
    padded = np.zeros((ranks, steps * RANK_STEP), np.float32)
    padded[:, :k] = a
    rows = from_float32(padded, dtype).reshape(ranks, steps, RANK_STEP)
    groups = [
        rows[start : start + RANK_GROUP].swapaxes(0, 1).reshape(-1)
        for start in range(0, ranks, RANK_GROUP)
    ]
    return np.concatenate(groups)


def unpack_a(numbers: NDArray[Any], ranks: int, k: int, dtype: FloatDType) -> F32:
    """What `pack_a` was given, to the rounding."""
    steps = _up(k, RANK_STEP) // RANK_STEP
    rows = np.empty((ranks, steps, RANK_STEP), numbers.dtype)
    for start in range(0, ranks, RANK_GROUP):
        count = min(RANK_GROUP, ranks - start)
        first = start * steps * RANK_STEP
        group = numbers[first : first + count * steps * RANK_STEP]
        rows[start : start + count] = group.reshape(steps, count, RANK_STEP).swapaxes(0, 1)
    return to_float32(np.ascontiguousarray(rows.reshape(ranks, -1)[:, :k]), dtype)


def pack_b(b: F32, dtype: FloatDType) -> NDArray[Any]:
    """float32 [columns, rank] -> its packed numbers, one-dimensional."""
    columns, rank = b.shape
    padded = np.zeros((_up(columns, PANEL), rank), np.float32)
    padded[:columns] = b
    panels = from_float32(padded, dtype).reshape(-1, PANEL, rank).swapaxes(1, 2)
    return np.ascontiguousarray(panels).reshape(-1)


def unpack_b(numbers: NDArray[Any], rank: int, columns: int, dtype: FloatDType) -> F32:
    """What `pack_b` was given, to the rounding."""
    rows = numbers.reshape(-1, rank, PANEL).swapaxes(1, 2).reshape(-1, rank)[:columns]
    return to_float32(np.ascontiguousarray(rows), dtype)


def _up(n: int, unit: int) -> int:
    return -(-n // unit) * unit
