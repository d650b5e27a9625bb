"""bfloat16 bits and the int8 quantizer against PyTorch and plain definitions."""

import numpy as np
import pytest
import torch

from homerun.model.dtypes import (
    F32,
    bf16_to_float32,
    float32_to_bf16,
    from_float32,
    kv_dtype_for,
    to_float32,
)
from homerun.model.quantize import quantize_rows, quantize_weight


def awkward_floats() -> F32:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 200_000, dtype=np.uint32)
    ties = (np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)) | np.uint32(0x8000)
    edges = np.array([0, 0x80000000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 1], np.uint32)
    return np.concatenate([bits, ties, ties + np.uint32(1), edges]).view(np.float32)


def test_bf16_rounds_as_torch_does() -> None:
    values = awkward_floats()
    numbers = values[~np.isnan(values)]
    expected = torch.from_numpy(numbers).bfloat16().view(torch.uint16).numpy()
    np.testing.assert_array_equal(float32_to_bf16(numbers), expected)
    assert np.isnan(bf16_to_float32(float32_to_bf16(values[np.isnan(values)]))).all()


def test_every_bf16_survives_the_way_there_and_back() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    numbers = ~np.isnan(bf16_to_float32(bits))
    np.testing.assert_array_equal(float32_to_bf16(bf16_to_float32(bits))[numbers], bits[numbers])


def test_every_fp16_is_widened_exactly() -> None:
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = values[np.isfinite(values)]
    for part in (values, finite, finite[::-3]):  # with and without infinities and NaN
        ours = to_float32(part, "fp16")
        np.testing.assert_array_equal(ours.view(np.uint32), part.astype(np.float32).view(np.uint32))


def test_fp16_keeps_finite_numbers_finite() -> None:
    values = np.array([70000, -1e30, 65504, 1.0, np.inf], np.float32)
    stored = to_float32(from_float32(np.clip(values, -1e38, 1e38), "fp16"), "fp16")
    np.testing.assert_array_equal(stored, [65504, -65504, 65504, 1, 65504])


@pytest.mark.parametrize(
    ("weights", "cache"), [("fp32", "fp32"), ("fp16", "fp16"), ("bf16", "bf16"), ("int8", "bf16")]
)
def test_cache_dtype(weights: str, cache: str) -> None:
    assert kv_dtype_for(weights) == cache  # type: ignore[arg-type]


def test_quantized_rows_are_nearest_and_symmetric() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 300), dtype=np.float32)
    integers, scales = quantize_rows(rows)
    assert (np.abs(integers).max(axis=1) == 127).all()
    assert (np.abs(rows - integers * scales) <= scales * 0.5001).all()
    np.testing.assert_array_equal(quantize_rows(-rows)[0], -integers)


def test_rows_of_zeros_denormals_and_infinities() -> None:
    rows = np.array([[0, 0], [1e-45, -1e-45], [np.inf, 1], [np.nan, 1], [3e38, -3e38]], np.float32)
    integers, scales = quantize_rows(rows)
    assert np.isfinite(integers).all()
    assert np.isnan(scales[2:4]).all()
    assert np.isfinite(scales[[0, 1, 4]]).all()
    np.testing.assert_array_equal(integers[[0, 4]], [[0, 0], [127, -127]])


def test_one_scale_per_output_channel() -> None:
    weight = np.array([[1, -2, 0.5], [100, 0, 50]], np.float32)
    matrix = quantize_weight(weight)
    assert matrix.values.dtype == np.int8
    np.testing.assert_array_equal(matrix.values, [[64, -127, 32], [127, 0, 64]])
    np.testing.assert_allclose(matrix.scales[:, 0], np.array([2, 100]) / 127, rtol=1e-7)
    assert (matrix.weight_group, matrix.activation_group) == (0, 0)
