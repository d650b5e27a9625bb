"""Symmetric int8: weights per output channel at load, activations per row while running (W8A8).

Knows rounding, scales and groups; knows nothing of layers or kernels. A group is so many
consecutive elements along K that share a scale; the last one may be shorter, and the size 0 stands
for one scale over the whole of K.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homerun.model.dtypes import F32

GROUP_MULTIPLE = 64
"""Group sizes are multiples of this: kernels pad K to it."""
GROUP_LIMIT = 1 << 20
"""More than any row has."""
DEFAULT_GROUPS = (0, 0)
"""Groups of weights and of activations where nothing else is asked for."""
LARGEST = np.float32(127)
SMALLEST_SCALE = np.float32(np.finfo(np.float32).tiny)
"""Keeps value / scale finite for rows of zeros and of denormal numbers."""
OUTLIERS = 8
"""At most so many numbers of a row stay out of its quantization."""
OUTLIER_FACTOR = np.float32(8)
"""A number is an outlier if it is so many times as large as its row's mean magnitude."""
_SLAB_ELEMENTS = 1 << 18
"""Weights that are quantized at a time: their temporary copies stay in the CPU's cache."""


@dataclass(frozen=True, slots=True)
class QuantizedMatrix:
    """A weight matrix [N, K] as int8 times scales."""

    values: NDArray[np.int8]
    """int8 [N, K] in [-127, 127]."""
    scales: F32
    """float32 [N, G], G = `group_count(K, weight_group)`."""
    weight_group: int = 0
    activation_group: int = 0
    """Elements of an input row per scale, when a row meets this matrix."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape[0], self.values.shape[1]


def check_groups(weight_group: int, activation_group: int) -> None:
    """Raises ValueError unless both are 0 or multiples of 64 up to 2^20, one dividing the other."""
    for name, group in (("weight group", weight_group), ("activation group", activation_group)):
        if not 0 <= group <= GROUP_LIMIT or group % GROUP_MULTIPLE:
            raise ValueError(
                f"the {name} is 0 or a multiple of {GROUP_MULTIPLE} up to {GROUP_LIMIT}, "
                f"not {group}"
            )
    small, large = sorted((weight_group, activation_group))
    if small and large % small:
        raise ValueError(
            f"a weight group of {weight_group} and an activation group of {activation_group} "
            "do not fit: one must divide the other"
        )


def sum_group(weight_group: int, activation_group: int) -> int:
    """Elements along K whose integer products are summed before scales apply; 0 = all of K."""
    return min(weight_group, activation_group) or max(weight_group, activation_group)


def group_count(k: int, group: int) -> int:
    """Number of groups of `group` elements in K."""
    return -(-k // group) if group else 1


def quantize_weight(
    weight: F32, weight_group: int = 0, activation_group: int = 0
) -> QuantizedMatrix:
    """float32 [N, K] -> int8 with scales per output channel (row of the matrix) and group."""
    check_groups(weight_group, activation_group)
    n, k = weight.shape
    values = np.empty((n, k), np.int8)
    scales = np.empty((n, group_count(k, weight_group)), np.float32)
    step = max(1, _SLAB_ELEMENTS // k)
    for start in range(0, n, step):
        slab = slice(start, start + step)
        values[slab], scales[slab] = quantize_rows(weight[slab], weight_group)
    return QuantizedMatrix(values, scales, weight_group, activation_group)


def quantize_rows(rows: F32, group: int = 0, least: np.float32 = SMALLEST_SCALE) -> tuple[F32, F32]:
    """float32 [M, K] -> integers in [-127, 127] kept as float32 [M, K], and scales [M, G].

    scale = max(max|group| / 127, least), integer = x · (1 / scale), rounded half to even
    (a product, because kernels divide slowly). A group with an infinity or NaN becomes zeros with
    the scale NaN, so that the row's products are NaN.
    """
    m, k = rows.shape
    if not group or group >= k:
        return _quantize_group(rows, least)
    whole = k - k % group
    integers, scales = _quantize_group(rows[:, :whole].reshape(-1, group), least)
    integers, scales = integers.reshape(m, whole), scales.reshape(m, -1)
    if whole < k:
        rest, rest_scales = _quantize_group(rows[:, whole:], least)
        integers, scales = np.hstack([integers, rest]), np.hstack([scales, rest_scales])
    return integers, scales


def take_outliers(rows: F32) -> tuple[F32, NDArray[np.intp], F32]:
    """float32 [M, K] -> the rows with their outliers set to 0, and those: indices, values [M, 8].

    Outliers are the largest magnitudes above 8 · mean magnitude, at most 8 of a row, largest
    first and among equals the lower index. Places without one have index 0 and value 0. Trained
    models have a few channels 100 times as large as the others; left in a row, they would set its
    scale and round everything else to zero.
    """
    magnitudes = np.abs(rows)
    with np.errstate(invalid="ignore", over="ignore"):
        limits = sum_in_lanes(magnitudes) * (OUTLIER_FACTOR / np.float32(rows.shape[1]))
        large = magnitudes > limits[:, None]
    indices = np.zeros((len(rows), OUTLIERS), np.intp)
    values = np.zeros((len(rows), OUTLIERS), np.float32)
    if not large.any():
        return rows, indices, values
    rest = rows.copy()
    for row in np.flatnonzero(large.any(axis=1)):
        found = np.flatnonzero(large[row])
        found = found[np.argsort(-magnitudes[row, found], kind="stable")][:OUTLIERS]
        indices[row, : len(found)] = found
        values[row, : len(found)] = rows[row, found]
        rest[row, found] = 0
    return rest, indices, values


def sum_in_lanes(rows: F32) -> F32:
    """Row sums [M] in the order that kernels take on any CPU.

    64 lanes, element i in lane i % 64, added up in order; then lanes l, l + 16, l + 32, l + 48 as
    (0 + 1) + (2 + 3), then of 16 the upper half to the lower until one is left.
    """
    m, k = rows.shape
    padded = np.zeros((m, -(-k // 64), 4, 16), np.float32)
    padded.reshape(m, -1)[:, :k] = rows
    four = np.add.reduce(padded, axis=1)
    lanes = (four[:, 0] + four[:, 1]) + (four[:, 2] + four[:, 3])
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def _quantize_group(rows: F32, least: np.float32) -> tuple[F32, F32]:
    """One scale per row: integers [M, K], scales [M, 1]."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scales: F32 = np.maximum(largest / LARGEST, least)
    finite = np.isfinite(scales)
    integers: F32 = np.rint(rows * np.reciprocal(np.where(finite, scales, np.float32(1))))
    if not finite.all():
        integers = np.where(finite, integers, np.float32(0))
        scales = np.where(finite, scales, np.float32(np.nan))
    return integers, scales
