"""Native products of float matrices, and numbers to multiply."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun import _native
from homerun.model.dtypes import F32, FloatDType, from_float32

PANEL, PADDING = 32, 64


def packed(weight: NDArray[Any]) -> NDArray[Any]:
    """[N, K] -> [panel, k, 32], for bfloat16 [panel, k / 2, 32, 2]; padded with zeros."""
    full = np.pad(weight, [(0, -weight.shape[0] % PANEL), (0, -weight.shape[1] % PADDING)])
    n, k = full.shape
    together = 2 if weight.dtype == np.uint16 else 1
    order = full.reshape(n // PANEL, PANEL, k // together, together).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(order)


def native(weight: F32, dtype: FloatDType) -> _native.Linear:
    return _native.Linear(dtype, *weight.shape, packed(from_float32(weight, dtype)), None)


def multiply(x: F32, linear: _native.Linear) -> F32:
    out = np.full((len(x), linear.out_features), -0.0, np.float32)
    _native.linear_add(x, linear, out)
    return out


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def few_bits(*shape: int, seed: int = 0) -> F32:
    """Seven bits and a sign, at several exponents: every dtype holds them."""
    random = np.random.default_rng(seed)
    return (random.integers(-127, 128, shape) / 2.0 ** random.integers(0, 7, shape)).astype(
        np.float32
    )
