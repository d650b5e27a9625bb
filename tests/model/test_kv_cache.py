"""Memory for KV blocks before their first use."""

from pathlib import Path

import numpy as np
import pytest

from homerun.model import kv_cache
from homerun.model.config import ModelConfig
from homerun.model.dtypes import DType
from homerun.model.kv_cache import KVCache
from homerun.model.shapes import known_config


def populate_all(cache: KVCache, unused: int) -> int:
    count = 0
    while cache.populate(unused):
        count += 1
        assert count < 100_000
    return count


@pytest.fixture
def config() -> ModelConfig:
    return known_config("rookie")


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
def test_populating_changes_nothing(
    config: ModelConfig, dtype: DType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = KVCache(config, 42, 16, dtype)
    monkeypatch.setattr(kv_cache, "_HUGE_PAGE", 4 * cache.keys[0, :1].nbytes)
    used = 17  # of a row of four blocks
    arrays = [a for a in (cache.keys, cache.values, cache.scales) if a is not None]
    for array in arrays:
        array[:, :used] = 3
    rows = 7  # to the end, the last of two blocks
    assert populate_all(cache, used) == rows * config.num_layers * len(arrays)
    for array in arrays:
        assert (array[:, :used] == 3).all()
        assert not array[:, used:].any()
    assert not cache.populate(used), "what was populated is not populated again"


def test_populating_keeps_a_distance_ahead_of_use(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = KVCache.bytes_per_block(config, 16, "fp16")
    cache = KVCache(config, 20, 16, "fp16")
    monkeypatch.setattr(kv_cache, "_HUGE_PAGE", 1)  # a piece is one block of one layer
    monkeypatch.setattr(kv_cache, "AHEAD_BYTES", 4 * block)
    row = 2 * config.num_layers
    assert populate_all(cache, 0) == 4 * row
    assert populate_all(cache, 1) == row, "one block used, one block further"
    assert cache.populate(2)
    assert populate_all(cache, 10) == 4 * row, "jumps over those that use has overtaken"
    assert populate_all(cache, 20) == 0, "nothing left"
    monkeypatch.setattr(kv_cache, "AHEAD_BYTES", 0)
    assert populate_all(KVCache(config, 20, 16, "fp16"), 7) == row, "the next one in any case"


def test_populating_leaves_memory_alone_that_is_to_be_spared(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = KVCache(config, 20, 16, "fp16")
    monkeypatch.setattr(kv_cache, "available_memory", lambda: 1000)
    assert not cache.populate(0, spare=1000)
    assert cache.populate(0, spare=999)
    monkeypatch.setattr(kv_cache, "available_memory", lambda: None)
    assert cache.populate(0, spare=1000), "nobody knows, as outside Linux"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")
def test_the_system_has_given_memory_for_populated_blocks(config: ModelConfig) -> None:
    def resident() -> int:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:")) * 1024

    blocks = (100 << 20) // KVCache.bytes_per_block(config, 16, "fp32")
    cache = KVCache(config, blocks, 16, "fp32")
    size = cache.keys.nbytes + cache.values.nbytes
    before = resident()
    populate_all(cache, 0)
    grown = resident() - before
    assert 0.95 * size < grown < 1.1 * size
    np.testing.assert_array_equal(cache.keys[:, ::97], 0)
