"""Weight matrices in panels: the one layout that every CPU's kernels read.

Knows the layout of `native/kernels/linear.hpp`; knows nothing of files, layers or products. A
panel is 32 output channels side by side, K inside is padded with zeros to a multiple of 64:

    fp32, fp16  [panel][k][32]
    bf16        [panel][k / 2][32][2]
    int8        [panel][k / 4][32][4], as value + 128, unsigned; scales float32 [panel][group][32]

bf16 pairs and int8 quads of one channel lie together because the instructions that multiply them
take them so.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.model.dtypes import F32, NUMPY_TYPES, DType, Tensor
from homerun.model.quantize import QuantizedMatrix, group_count

LAYOUT = "panels-32"
"""Name of the layout; another one gets another name."""
PANEL = 32
PADDING = 64
_INT8_ZERO = np.uint8(128)
_TOGETHER: dict[DType, int] = {"fp32": 1, "fp16": 1, "bf16": 2, "int8": 4}
"""Consecutive k of one channel that lie together."""
_STORED: dict[DType, np.dtype[Any]] = {**NUMPY_TYPES, "int8": np.dtype("u1")}


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """A matrix [N, K] in panels. Arrays may be read-only views of a file."""

    dtype: DType
    n: int
    k: int
    panels: NDArray[Any]
    """Of `panels_shape`; bf16 as uint16 bits."""
    scales: F32 | None = None
    """int8: float32 of `scales_shape`; 0 for padded channels."""
    weight_group: int = 0
    activation_group: int = 0

    @property
    def nbytes(self) -> int:
        return self.panels.nbytes + (0 if self.scales is None else self.scales.nbytes)


def stored_type(dtype: DType) -> np.dtype[Any]:
    """NumPy's type of the panels' elements."""
    return _STORED[dtype]


def panels_shape(dtype: DType, n: int, k: int) -> tuple[int, ...]:
    """Shape of the array of a matrix [n, k]."""
    together = _TOGETHER[dtype]
    shape = (-(-n // PANEL), -(-k // PADDING) * PADDING // together, PANEL)
    return shape if together == 1 else (*shape, together)


def scales_shape(n: int, k: int, weight_group: int) -> tuple[int, int, int]:
    """Shape of an int8 matrix's scales: [panels, groups, 32]."""
    return -(-n // PANEL), group_count(k, weight_group), PANEL


def pack(weight: Tensor | QuantizedMatrix) -> PackedMatrix:
    """A matrix [N, K] of plain rows -> panels. The result is a copy, C-contiguous."""
    n, k = weight.shape
    if isinstance(weight, Tensor):
        return PackedMatrix(weight.dtype, n, k, _to_panels(weight.data, weight.dtype))
    panels = _to_panels(weight.values.view(np.uint8), "int8")
    panels ^= _INT8_ZERO  # + 128 of a two's complement byte; padding becomes 128 as well
    panel_count, groups, _ = scales_shape(n, k, weight.weight_group)
    padded = np.zeros((panel_count * PANEL, groups), np.float32)
    padded[:n] = weight.scales
    scales = np.ascontiguousarray(padded.reshape(panel_count, PANEL, groups).transpose(0, 2, 1))
    return PackedMatrix("int8", n, k, panels, scales, weight.weight_group, weight.activation_group)


def unpack(matrix: PackedMatrix) -> Tensor | QuantizedMatrix:
    """What `pack` was given, in a fresh array."""
    n, k, together = matrix.n, matrix.k, _TOGETHER[matrix.dtype]
    count = matrix.panels.shape[0]
    wide = matrix.panels.reshape(count, -1, PANEL, together).transpose(0, 2, 1, 3)
    rows = np.ascontiguousarray(wide.reshape(count * PANEL, -1)[:n, :k])
    if matrix.dtype != "int8":
        return Tensor(rows, matrix.dtype)
    assert matrix.scales is not None
    scales = matrix.scales.transpose(0, 2, 1).reshape(count * PANEL, -1)[:n]
    values = (rows ^ _INT8_ZERO).view(np.int8)
    return QuantizedMatrix(
        values, np.ascontiguousarray(scales), matrix.weight_group, matrix.activation_group
    )


def _to_panels(rows: NDArray[Any], dtype: DType) -> NDArray[Any]:
    """[N, K] of bits -> zero-padded panels."""
    n, k = rows.shape
    shape = panels_shape(dtype, n, k)
    together = _TOGETHER[dtype]
    panels = np.zeros(shape, stored_type(dtype))
    # Elements that lie together move as one number: a transpose of 2 or 4 byte items.
    unit = np.dtype(f"u{together * panels.itemsize}")
    target = panels.reshape(shape[0], -1).view(unit).reshape(shape[0], shape[1], PANEL)
    padded_k = shape[1] * together
    slab = np.zeros((PANEL, padded_k), panels.dtype)
    for panel in range(shape[0]):
        part = rows[panel * PANEL : (panel + 1) * PANEL]
        slab[: len(part), :k] = part
        slab[len(part) :] = 0
        target[panel] = slab.view(unit).T
    return panels
