"""Low-rank additions in NumPy, as `base.Ops.norm_linear` defines them.

Knows factors and rows; knows nothing of layers. Factors are kept as float32 working copies.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from homerun.model.dtypes import F32
from homerun.model.lora import PackedAdapter
from homerun.model.ops.base import AdapterRows, Additions
from homerun.model.ops.tiles import multiply, pack_blocks


@dataclass(frozen=True, slots=True)
class _Part:
    """One module: which ranks of t are its own, where its B adds, and B in blocks."""

    ranks: slice
    columns: slice
    b: F32


@dataclass(frozen=True, slots=True)
class _Place:
    a: F32
    """In blocks of `tiles.pack_blocks`, [ranks, k]."""
    scalings: F32
    parts: tuple[_Part, ...]


class ReferenceAdapter:
    """An adapter's factors by place."""

    def __init__(self, adapter: PackedAdapter) -> None:
        self.by_place: dict[int, _Place] = {}
        for number, place in enumerate(adapter.places):
            if not place.parts:
                continue
            parts: list[_Part] = []
            scalings: list[float] = []
            for part in place.parts:
                ranks = slice(len(scalings), len(scalings) + part.rank)
                columns = slice(part.first_column, part.first_column + part.columns)
                parts.append(_Part(ranks, columns, pack_blocks(adapter.b(part))))
                scalings += [part.scaling] * part.rank
            a = pack_blocks(adapter.a(number))
            self.by_place[number] = _Place(a, np.array(scalings, np.float32), tuple(parts))


def add_adapters(additions: Additions | None, rows: F32, result: F32) -> None:
    """Adds to `result` [M, N] what the adapters make of `rows` [M, K], the product's input."""
    if additions is None:
        return
    for use in cast(tuple[AdapterRows, ...], additions.plan):
        assert isinstance(use.adapter, ReferenceAdapter)
        place = use.adapter.by_place.get(additions.place)
        if place is None:
            continue
        t = multiply(rows[use.rows], place.a, len(place.scalings)) * place.scalings
        for part in place.parts:
            width = part.columns.stop - part.columns.start
            added = multiply(np.ascontiguousarray(t[:, part.ranks]), part.b, width)
            result[use.rows, part.columns] += added
