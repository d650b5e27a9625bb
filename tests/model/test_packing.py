"""The panel layout element by element, and int8 groups against sums in plain integers."""

from typing import Any

import numpy as np
import pytest

from homerun.model.dtypes import F32, DType, Tensor, from_float32
from homerun.model.ops import reference
from homerun.model.ops.reference import ReferenceOps
from homerun.model.packing import PackedMatrix, pack, panels_shape, unpack
from homerun.model.quantize import (
    QuantizedMatrix,
    check_groups,
    quantize_rows,
    quantize_weight,
    sum_group,
)

SHAPES = [(1, 1), (31, 63), (32, 64), (33, 65), (70, 130), (96, 320)]


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def matrix(n: int, k: int, dtype: DType, groups: tuple[int, int] = (0, 0)) -> Any:
    weight = normal(n, k, seed=n + k)
    if dtype == "int8":
        return quantize_weight(weight, *groups)
    return Tensor(from_float32(weight, dtype), dtype)


def element(packed: PackedMatrix, n: int, k: int) -> Any:
    """Element (n, k) as `native/kernels/linear.hpp` says where it lies."""
    panel, channel = divmod(n, 32)
    if packed.dtype == "bf16":
        return packed.panels[panel, k // 2, channel, k % 2]
    if packed.dtype == "int8":
        return int(packed.panels[panel, k // 4, channel, k % 4]) - 128
    return packed.panels[panel, k, channel]


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize(("n", "k"), SHAPES)
def test_every_element_is_where_the_layout_has_it(n: int, k: int, dtype: DType) -> None:
    weight = matrix(n, k, dtype)
    plain = weight.values if isinstance(weight, QuantizedMatrix) else weight.data
    packed = pack(weight)
    assert packed.panels.flags.c_contiguous
    assert packed.panels.shape == panels_shape(dtype, n, k)
    padded_n, padded_k = -(-n // 32) * 32, -(-k // 64) * 64
    assert packed.panels.size == padded_n * padded_k
    for row in range(padded_n):
        for column in range(padded_k):
            inside = row < n and column < k
            assert element(packed, row, column) == (plain[row, column] if inside else 0)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize(("n", "k"), SHAPES)
def test_unpacking_gives_back_what_was_packed(n: int, k: int, dtype: DType) -> None:
    weight = matrix(n, k, dtype, (64, 128))
    again = unpack(pack(weight))
    if isinstance(again, Tensor):
        assert again.dtype == dtype
        np.testing.assert_array_equal(again.data, weight.data)
    else:
        np.testing.assert_array_equal(again.values, weight.values)
        np.testing.assert_array_equal(again.scales, weight.scales)
        assert (again.weight_group, again.activation_group) == (64, 128)


@pytest.mark.parametrize("layout", ["columns", "odd bytes"])
def test_arrays_of_any_memory_order_are_packed(layout: str) -> None:
    plain = normal(40, 100)
    if layout == "columns":
        other = np.asfortranarray(plain)
    else:
        other = np.frombuffer(b"." + plain.tobytes(), np.uint8)[1:].view(np.float32)
        other = other.reshape(plain.shape)
    expected = pack(Tensor(plain, "fp32")).panels
    np.testing.assert_array_equal(pack(Tensor(other, "fp32")).panels, expected)


def test_scales_lie_beside_their_panels() -> None:
    weight = quantize_weight(normal(70, 300), 64)
    scales = pack(weight).scales
    assert scales is not None
    assert scales.shape == (3, 5, 32)
    for n in range(96):
        expected = weight.scales[n] if n < 70 else np.zeros(5)
        np.testing.assert_array_equal(scales[n // 32, :, n % 32], expected)


@pytest.mark.parametrize("k", [64, 100, 128, 300, 2200])
@pytest.mark.parametrize(
    ("weight_group", "activation_group"),
    [(0, 0), (64, 0), (0, 64), (128, 64), (64, 128), (128, 128), (1088, 64), (0, 2048)],
)
def test_groups_as_the_protocol_has_them(k: int, weight_group: int, activation_group: int) -> None:
    """Scales per group by the definition, integer sums in int64, scaled and added in order."""
    x, weight = normal(5, k), normal(40, k, seed=1)
    x[0], weight[0] = 1, -1
    found = reference.linear(
        x,
        ReferenceOps().load_linear(pack(quantize_weight(weight, weight_group, activation_group))),
    )

    def quantized(row: F32, group: int) -> tuple[list[int], list[np.float32]]:
        integers: list[int] = []
        scales: list[np.float32] = []
        for start in range(0, k, group or k):
            part = row[start : start + (group or k)]
            scale = max(abs(part).max() / np.float32(127), np.finfo(np.float32).tiny)
            integers += np.rint(part * (np.float32(1) / scale)).astype(int).tolist()
            scales.append(scale)
        return integers, scales

    length = min(weight_group, activation_group) or max(weight_group, activation_group) or k
    assert (sum_group(weight_group, activation_group) or k) == length
    rows = [quantized(row, activation_group) for row in x]
    channels = [quantized(row, weight_group) for row in weight]
    for m, (row, row_scales) in enumerate(rows):
        for n, (channel, channel_scales) in enumerate(channels):
            total: np.float32 | None = None
            for start in range(0, k, length):
                end = start + length
                exact = sum(a * b for a, b in zip(row[start:end], channel[start:end], strict=True))
                product = np.float32(exact) * row_scales[start // (activation_group or k)]
                product *= channel_scales[start // (weight_group or k)]
                total = product if total is None else total + product
            assert found[m, n] == total


def test_a_group_that_is_not_finite_stays_by_itself() -> None:
    rows = normal(2, 200)
    rows[1, 70] = np.inf
    integers, scales = quantize_rows(rows, 64)
    assert scales.shape == (2, 4)
    np.testing.assert_array_equal(np.isnan(scales[1]), [False, True, False, False])
    assert not integers[1, 64:128].any()
    assert integers[1, 128:].any()


@pytest.mark.parametrize("groups", [(1, 0), (0, 32), (-64, 0), (128, 192), (192, 64 * 5)])
def test_groups_that_do_not_fit_are_refused(groups: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="group"):
        check_groups(*groups)
