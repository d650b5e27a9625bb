"""Memory for KV blocks before their first use."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from homerun import native
from homerun.model import kv_cache
from homerun.model.config import ModelConfig
from homerun.model.dtypes import DType
from homerun.model.kv_cache import KVCache
from homerun.model.shapes import known_config


def populate_all(cache: KVCache) -> int:
    count = 0
    while cache.populate_ahead():
        count += 1
        assert count < 100_000
    return count


@pytest.fixture
def config() -> ModelConfig:
    return known_config("rookie")


@pytest.fixture
def populated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pieces were populated together, each time."""
    found: list[int] = []
    populate = kv_cache._populate  # pyright: ignore[reportPrivateUsage]

    def noted(pieces: list[NDArray[np.uint8]]) -> None:
        found.append(len(pieces))
        populate(pieces)

    monkeypatch.setattr(kv_cache, "_populate", noted)
    return found


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
def test_populating_changes_nothing(
    config: ModelConfig, dtype: DType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = KVCache(config, 42, 16, dtype)
    monkeypatch.setattr(kv_cache, "_HUGE_PAGE", 4 * cache.keys[0, :1].nbytes)
    arrays = [a for a in (cache.keys, cache.values, cache.scales) if a is not None]
    for array in arrays:
        array[:, :17] = 3
    cache.provide(21)
    rows = 11  # of four blocks, the last of two
    assert populate_all(cache) == (rows - 6) * config.num_layers * len(arrays)
    for array in arrays:
        assert (array[:, :17] == 3).all()
        assert not array[:, 17:].any()
    assert not cache.populate_ahead(), "what was populated is not populated again"


def test_blocks_that_are_about_to_be_used_are_populated_together_and_once(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch, populated: list[int]
) -> None:
    cache = KVCache(config, 42, 16, "fp16")
    monkeypatch.setattr(kv_cache, "_HUGE_PAGE", 4 * cache.keys[0, :1].nbytes)
    row = 2 * config.num_layers
    cache.provide(1)
    cache.provide(4)
    cache.provide(3)
    assert populated == [row, 0], "block 3 is in the row of block 0"
    for _ in range(3):
        assert cache.populate_ahead()
    cache.provide(9)
    assert populated[2:] == [1, 1, 1, 2 * row - 3], "two rows but for what an idle server did"
    cache.provide(42)
    assert sum(populated) == 11 * row, "the last row has two blocks"
    assert not cache.populate_ahead()


def test_populating_keeps_a_distance_ahead_of_use(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = KVCache.bytes_per_block(config, 16, "fp16")
    cache = KVCache(config, 20, 16, "fp16")
    monkeypatch.setattr(kv_cache, "_HUGE_PAGE", 1)  # a piece is one block of one layer
    monkeypatch.setattr(kv_cache, "AHEAD_BYTES", 4 * block)
    row = 2 * config.num_layers
    assert populate_all(cache) == 4 * row
    cache.provide(1)
    assert populate_all(cache) == row, "one block used, one block further"
    cache.provide(10)
    assert populate_all(cache) == 4 * row
    cache.provide(20)
    assert populate_all(cache) == 0, "nothing left"
    monkeypatch.setattr(kv_cache, "AHEAD_BYTES", 0)
    assert populate_all(KVCache(config, 20, 16, "fp16")) == row, "the next one in any case"


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
    assert populate_all(cache) > 0
    assert not cache.keys.any()


@pytest.mark.skipif(not native.native_available(), reason="no C++ extension")
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
