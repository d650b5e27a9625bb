"""KV caches full of numbers."""

import numpy as np

from homerun.model.kv_cache import KVCache
from homerun.model.ops.attention import to_cache


def fill(cache: KVCache, layer: int) -> None:
    """Normal numbers everywhere, as the cache's dtype holds them."""
    numbers = np.random.default_rng(0).standard_normal((2, *cache.values.shape[1:]), np.float32)
    stored, scales = to_cache(numbers.reshape(-1, 1, numbers.shape[-1]), cache.dtype)
    stored = stored.reshape(numbers.shape)
    cache.keys[layer], cache.values[layer] = stored[0].swapaxes(-1, -2), stored[1]
    if cache.scales is not None:
        assert scales is not None
        cache.scales[layer] = np.moveaxis(scales.reshape(numbers.shape[:-1]), 0, -2)
