"""Norm, gated activations and embedding of the extension against NumPy in float64."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from homerun import native
from homerun.model.dtypes import NUMPY_TYPES, Tensor, from_float32
from homerun.model.ops.reference import ReferenceOps

if not native.native_available():
    pytest.skip("the C++ extension is not built", allow_module_level=True)

from homerun import _native

WIDTHS = [1, 2, 15, 16, 17, 31, 48, 63, 64, 65, 100, 255, 1000, 4096, 11009]


def numbers(seed: int, *shape: int, scale: float = 1.0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def rms_norm(x: NDArray[np.float32], weight: NDArray[np.float32], eps: float) -> Any:
    out = np.full_like(x, np.nan)
    _native.rms_norm(x, weight, eps, out)
    return out


def gated(gate_up: NDArray[np.float32], activation: Any) -> Any:
    out = np.full((gate_up.shape[0], gate_up.shape[1] // 2), np.nan, np.float32)
    _native.gated(gate_up, activation, out)
    return out


def expected_gate(gate: NDArray[np.float32], activation: str) -> NDArray[np.float64]:
    x = gate.astype(np.float64)
    if activation == "silu":
        with np.errstate(over="ignore"):
            return x / (1 + np.exp(-x))
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize("width", WIDTHS)
def test_rms_norm(width: int) -> None:
    x, weight = numbers(1, 5, width, scale=3.0), numbers(2, width)
    x[1] *= 1e-4
    x[2] = 0
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).mean(axis=1, keepdims=True) + 1e-5) * weight
    np.testing.assert_allclose(rms_norm(x, weight, 1e-5), expected, rtol=2e-6)


def test_the_order_of_the_sum_of_squares() -> None:
    """Four accumulators of sixteen lanes, then (a0 + a1) + (a2 + a3), then halves: as written."""
    x = numbers(3, 1, 197)
    padded = np.zeros(256, np.float32)
    padded[:197] = x[0]
    accumulators = np.zeros((4, 16))
    for vector, values in enumerate(padded.reshape(16, 16).astype(np.float64)):
        # A product of two float32 is exact in float64, their sum nearly always: one rounding.
        sums = accumulators[vector % 4] + values * values
        accumulators[vector % 4] = sums.astype(np.float32)
    a = accumulators.astype(np.float32)
    lanes = (a[0] + a[1]) + (a[2] + a[3])
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    mean = lanes[0] / np.float32(197)
    expected = x * (np.float32(1) / np.sqrt(mean + np.float32(1e-6)))
    assert (rms_norm(x, np.ones(197, np.float32), 1e-6) == expected).all()


@pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_gated(activation: str, width: int) -> None:
    gate_up = numbers(width, 3, 2 * width, scale=4.0)
    gate, up = gate_up[:, :width], gate_up[:, width:]
    expected = expected_gate(gate, activation) * up
    np.testing.assert_allclose(gated(gate_up, activation), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
def test_activations_over_all_magnitudes(activation: str) -> None:
    """Relative error of the activation itself: small x, large x, both signs."""
    size = np.logspace(-30, 1.5, 4000)
    gate = np.concatenate([size, -size[size < 5], [0.0, -0.0]]).astype(np.float32)
    gate_up = np.concatenate([gate, np.ones_like(gate)])[None]
    expected = expected_gate(gate, activation)
    np.testing.assert_allclose(gated(gate_up, activation)[0], expected, rtol=2e-6, atol=1e-30)


def test_tanh_inside_gelu() -> None:
    """1 + tanh(z), taken out of gelu again, is within 1e-6 of float64."""
    gate = np.concatenate([np.linspace(-12, 12, 4001), np.logspace(-8, 0, 500)])
    gate = gate[gate != 0].astype(np.float32)
    found = gated(np.concatenate([gate, np.ones_like(gate)])[None], "gelu_tanh")[0]
    x = gate.astype(np.float64)
    tanh = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    assert np.abs(found / x * 2 - 1 - tanh).max() <= 1e-6


@pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
def test_extremes(activation: str) -> None:
    gate = np.array([-100, -1e4, -3e38, 100, 3e38], np.float32)
    found = gated(np.concatenate([gate, np.ones_like(gate)])[None], activation)[0]
    assert np.abs(found[:3]).max() < 1e-35
    assert found[3:].tolist() == gate[3:].tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_broken_number_stays_in_its_row(bad: float) -> None:
    x, weight = numbers(5, 3, 70), numbers(6, 70)
    gate_up = numbers(7, 3, 140)
    clean = [rms_norm(x, weight, 1e-5), gated(gate_up, "silu"), gated(gate_up, "gelu_tanh")]
    x[1, 69] = gate_up[1, 3] = gate_up[1, 139] = bad
    broken = [rms_norm(x, weight, 1e-5), gated(gate_up, "silu"), gated(gate_up, "gelu_tanh")]
    for before, after in zip(clean, broken, strict=True):
        assert before[[0, 2]].tobytes() == after[[0, 2]].tobytes()
    if np.isnan(bad):
        assert all(np.isnan(result[1]).any() for result in broken)


def test_rows_do_not_depend_on_how_many() -> None:
    """Enough rows for several threads; each the bytes it has alone."""
    x, weight, gate_up = numbers(8, 70, 1025), numbers(9, 1025), numbers(10, 70, 2050)
    normed, active = rms_norm(x, weight, 1e-5), gated(gate_up, "gelu_tanh")
    for row in (0, 1, 33, 69):
        one = slice(row, row + 1)
        assert rms_norm(x[one], weight, 1e-5).tobytes() == normed[one].tobytes()
        assert gated(gate_up[one], "gelu_tanh").tobytes() == active[one].tobytes()


@pytest.mark.parametrize("instructions", ["portable", "avx2", "avx512_vnni", "neon"])
def test_every_instruction_set_has_the_same_bytes(instructions: str) -> None:
    x, weight = numbers(13, 4, 1003, scale=5.0), numbers(14, 1003)
    gate_up = numbers(15, 4, 2006, scale=30.0)

    def everything() -> bytes:
        table, ids = numbers(16, 3, 77).astype(np.float16), np.array([2, 0], np.int32)
        rows = np.empty((2, 77), np.float32)
        _native.embed(table, "fp16", ids, 45.25, rows)
        results = [rms_norm(x, weight, 1e-5), rows]
        results += [gated(gate_up, name) for name in ("silu", "gelu_tanh")]
        return b"".join(result.tobytes() for result in results)

    best, wanted = _native.instruction_set(), everything()
    if not _native.force_instruction_set(instructions):
        pytest.skip(f"no {instructions} here")
    try:
        assert everything() == wanted
    finally:
        _native.force_instruction_set(best)


@pytest.mark.parametrize("scale", [1.0, 45.254833995939045, 0.3])
@pytest.mark.parametrize("width", [1, 16, 40, 2048])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_embed(dtype: Any, width: int, scale: float) -> None:
    values = numbers(11, 50, width, scale=2.0)
    values[3] = 6e4  # times 45: beyond float16
    table = from_float32(values, dtype).astype(NUMPY_TYPES[dtype])
    ids = np.array([0, 49, 3, 3, 17, 8], np.int32)
    out = np.full((6, width), np.nan, np.float32)
    _native.embed(table, dtype, ids, scale, out)
    assert (out == ReferenceOps().embed(Tensor(table, dtype), ids, scale)).all()


def test_embed_refuses_what_is_no_row() -> None:
    table, out = numbers(12, 4, 8), np.zeros((1, 8), np.float32)
    for bad in (-1, 4, 2**31 - 1):
        with pytest.raises(ValueError, match="token id"):
            _native.embed(table, "fp32", np.array([bad], np.int32), 1.0, out)
    with pytest.raises(TypeError, match="float16"):
        _native.embed(table, "fp16", np.array([0], np.int32), 1.0, out)
    with pytest.raises(ValueError, match="out"):
        _native.embed(table, "fp32", np.array([0, 1], np.int32), 1.0, out)
