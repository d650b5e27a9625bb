"""Symmetric int8: weights per output channel at load, activations per row while running (W8A8).

Knows rounding and scales; knows nothing of layers or kernels. The group size 0 stands for one
scale over the whole of K; groups along K would add a dimension of scales, nothing else.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homerun.model.dtypes import F32

LARGEST = np.float32(127)
SMALLEST_SCALE = np.float32(np.finfo(np.float32).tiny)
"""Keeps value / scale finite for rows of zeros and of denormal numbers."""


@dataclass(frozen=True, slots=True)
class QuantizedMatrix:
    """A weight matrix [N, K] as int8 times scales."""

    values: NDArray[np.int8]
    """int8 [N, K] in [-127, 127]."""
    scales: F32
    """float32 [N, G], G = 1 for group size 0."""
    weight_group: int = 0
    activation_group: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape[0], self.values.shape[1]


def quantize_weight(weight: F32) -> QuantizedMatrix:
    """float32 [N, K] -> int8 with one scale max|w| / 127 per output channel (row of the matrix)."""
    quantized, scales = quantize_rows(weight)
    return QuantizedMatrix(quantized.astype(np.int8), scales)


def quantize_rows(rows: F32) -> tuple[F32, F32]:
    """float32 [M, K] -> integers in [-127, 127] kept as float32 [M, K], and scales [M, 1].

    scale = max(max|row| / 127, smallest normal), integer = row · (1 / scale), rounded half to even
    (a product, because kernels divide slowly). A row
    with an infinity or NaN becomes zeros with that scale, so that its products are NaN.
    """
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scales: F32 = np.maximum(largest / LARGEST, SMALLEST_SCALE)
    finite = np.isfinite(scales)
    integers: F32 = np.rint(rows * np.reciprocal(np.where(finite, scales, np.float32(1))))
    if not finite.all():
        integers = np.where(finite, integers, np.float32(0))
        scales = np.where(finite, scales, np.float32(np.nan))
    return integers, scales
