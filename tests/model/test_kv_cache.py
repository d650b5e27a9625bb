"""Memory for KV blocks before their first use."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from homerun import native
from homerun.model import kv_cache
from homerun.model.config import ModelConfig
from homerun.model.dtypes import DType
from homerun.model.kv_cache import KVCache
from homerun.model.shapes import known_config

needs_extension = pytest.mark.skipif(not native.native_available(), reason="no C++ extension")


def populate_all(cache: KVCache) -> int:
    count = 0
    while cache.populate_ahead():
        count += 1
        assert count < 100_000
    return count


@pytest.fixture
def config() -> ModelConfig:
    return known_config("rookie")


Pieces = list[tuple[int, int]]
"""Addresses and bytes."""


@pytest.fixture
def populated(monkeypatch: pytest.MonkeyPatch) -> list[Pieces]:
    """The pieces that were populated together, each time."""
    found: list[Pieces] = []
    populate = kv_cache._populate  # pyright: ignore[reportPrivateUsage]

    def noted(pieces: list[NDArray[np.uint8]]) -> None:
        found.append([(piece.ctypes.data, piece.nbytes) for piece in pieces])
        populate(pieces)

    monkeypatch.setattr(kv_cache, "_populate", noted)
    return found


def arrays_of(cache: KVCache) -> list[NDArray[Any]]:
    return [array for array in (cache.keys, cache.values, cache.scales) if array is not None]


def pieces_of(cache: KVCache, first: int, end: int) -> Pieces:
    """Blocks [first, end) of each layer's keys, values and scales."""
    blocks = [layer[first:end] for array in arrays_of(cache) for layer in array]
    return [(each.ctypes.data, each.nbytes) for each in blocks]


@needs_extension
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
def test_populating_changes_nothing(
    config: ModelConfig, dtype: DType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = KVCache(config, 42, 16, dtype)
    monkeypatch.setattr(kv_cache, "_HUGE_PAGE", 4 * cache.keys[0, :1].nbytes)
    arrays = arrays_of(cache)
    for array in arrays:
        array[:, :17] = 3
    cache.provide(21)
    stripes = 11  # of four blocks, the last of two
    assert populate_all(cache) == (stripes - 6) * config.num_layers * len(arrays)
    for array in arrays:
        assert (array[:, :17] == 3).all()
        assert not array[:, 17:].any()
    assert not cache.populate_ahead(), "what was populated is not populated again"


@needs_extension
@pytest.mark.parametrize("dtype", ["fp16", "int8"])
def test_blocks_that_are_about_to_be_used_are_populated_together_and_once(
    config: ModelConfig, dtype: DType, monkeypatch: pytest.MonkeyPatch, populated: list[Pieces]
) -> None:
    cache = KVCache(config, 42, 16, dtype)
    monkeypatch.setattr(kv_cache, "_HUGE_PAGE", 4 * cache.keys[0, :1].nbytes)
    cache.provide(1)
    cache.provide(4)
    cache.provide(3)
    assert populated == [pieces_of(cache, 0, 4), []], "block 3 is in the stripe of block 0"
    assert cache.populate_ahead()
    assert cache.populate_ahead()
    cache.provide(9)
    second, third = pieces_of(cache, 4, 8), pieces_of(cache, 8, 12)
    expected = [second[:1], second[1:2], second[2:] + third]
    assert populated[2:] == expected, "two stripes but for what an idle server did"
    cache.provide(42)
    assert populated[-1][-1] == pieces_of(cache, 40, 42)[-1]
    assert not cache.populate_ahead()
    pieces = sorted(piece for together in populated for piece in together)
    assert sum(size for _, size in pieces) == sum(size for _, size in pieces_of(cache, 0, 42))
    for (at, size), (following, _) in itertools.pairwise(pieces):
        assert at + size <= following


@needs_extension
def test_populating_keeps_a_distance_ahead_of_use(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = KVCache.bytes_per_block(config, 16, "fp16")
    cache = KVCache(config, 20, 16, "fp16")
    monkeypatch.setattr(kv_cache, "_HUGE_PAGE", 1)  # a piece is one block of one layer
    monkeypatch.setattr(kv_cache, "AHEAD_BYTES", 4 * block)
    stripe = 2 * config.num_layers
    assert populate_all(cache) == 4 * stripe
    cache.provide(1)
    assert populate_all(cache) == stripe, "one block used, one block further"
    cache.provide(10)
    assert populate_all(cache) == 4 * stripe
    cache.provide(20)
    assert populate_all(cache) == 0, "nothing left"
    monkeypatch.setattr(kv_cache, "AHEAD_BYTES", 0)
    cache = KVCache(config, 20, 16, "fp16")
    for block in range(3):
        cache.provide(block)
        assert populate_all(cache) == stripe, "that of the next block in any case"


@needs_extension
def test_populating_leaves_memory_alone_that_is_to_be_spared(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = KVCache(config, 20, 16, "fp16")
    monkeypatch.setattr(kv_cache, "available_memory", lambda: 1000)
    assert not cache.populate_ahead(spare=1000)
    assert cache.populate_ahead(spare=999)
    monkeypatch.setattr(kv_cache, "available_memory", lambda: None)
    assert cache.populate_ahead(spare=1000), "nobody knows, as outside Linux"


def test_without_the_extension_memory_comes_with_the_first_write(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "native_available", lambda: False)
    cache = KVCache(config, 2000, 16, "fp16")
    cache.provide(7)
    assert not cache.populate_ahead()
    assert not cache.keys.any()


@needs_extension
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")
@pytest.mark.parametrize("idle", [True, False])
def test_the_system_has_given_memory_for_populated_blocks(config: ModelConfig, idle: bool) -> None:
    def resident() -> int:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:")) * 1024

    blocks = (100 << 20) // KVCache.bytes_per_block(config, 16, "fp32")
    cache = KVCache(config, blocks, 16, "fp32")
    size = cache.keys.nbytes + cache.values.nbytes
    before = resident()
    if idle:
        populate_all(cache)
    else:
        cache.provide(blocks)
    grown = resident() - before
    assert 0.95 * size < grown < 1.1 * size
    np.testing.assert_array_equal(cache.keys[:, ::97], 0)
