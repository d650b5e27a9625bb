"""What comes before a native product: the norm and the gated activation, row by row."""

import numpy as np
import pytest

from homerun.model.dtypes import F32
from homerun.native import native_available

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native

M, N, K = 37, 75, 200


def matrix(random: np.random.Generator, n: int = N, k: int = K) -> tuple[F32, _native.Linear]:
    """A float32 matrix [n, k], and the same in panels [panel, k, 32]."""
    weight = random.standard_normal((n, k)).astype(np.float32)
    full = np.pad(weight, [(0, -n % 32), (0, -k % 64)])
    panels = np.ascontiguousarray(full.reshape(-1, 32, full.shape[1]).transpose(0, 2, 1))
    return weight, _native.Linear("fp32", n, k, panels, None, 0, 0)


@pytest.mark.parametrize("rows", [1, 2, M])
def test_norm_linear(rows: int) -> None:
    random = np.random.default_rng(rows)
    weight, native = matrix(random)
    x = random.standard_normal((rows, K)).astype(np.float32)
    norm = random.standard_normal(K).astype(np.float32)
    out = np.full((rows, N), np.nan, np.float32)
    _native.norm_linear(x, norm, 1e-5, native, out)
    wide = x.astype(np.float64)
    wide *= norm / np.sqrt((wide**2).mean(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(out, wide @ weight.T, rtol=0, atol=1e-4)


@pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
def test_gated_linear_add(activation: str) -> None:
    random = np.random.default_rng(5)
    weight, native = matrix(random)
    gate_up = random.standard_normal((M, 2 * K)).astype(np.float32)
    residual = random.standard_normal((M, N)).astype(np.float32)
    gate, up = np.split(gate_up.astype(np.float64), 2, axis=1)
    if activation == "silu":
        active = gate / (1 + np.exp(-gate))
    else:
        active = gate / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
    expected = residual + (active * up) @ weight.T
    _native.gated_linear_add(gate_up, activation, native, residual)  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(residual, expected, rtol=0, atol=1e-4)


def test_a_large_result_does_not_depend_on_where_it_lies() -> None:
    """Results at a cache line may be written past the caches; others and small ones are not."""
    rows, columns, k = 600, 4112, 64
    random = np.random.default_rng(7)
    _, native = matrix(random, columns, k)
    x, norm = random.standard_normal((rows, k)).astype(np.float32), np.ones(k, np.float32)
    memory = np.empty(rows * columns + 32, np.float32)
    first = -memory.ctypes.data // 4 % 16
    results: list[F32] = []
    for begin in (first, first + 1):
        out = memory[begin : begin + rows * columns].reshape(rows, columns)
        out[:] = np.nan
        _native.norm_linear(x, norm, 1e-5, native, out)
        results.append(out.copy())
    assert results[0].tobytes() == results[1].tobytes()
    few = np.empty((20, columns), np.float32)
    _native.norm_linear(x[:20], norm, 1e-5, native, few)
    assert few.tobytes() == results[0][:20].tobytes()


def test_refuses_what_does_not_fit() -> None:
    _, native = matrix(np.random.default_rng(6))
    x, out = np.zeros((2, K), np.float32), np.zeros((2, N), np.float32)
    with pytest.raises(ValueError, match="norm has 3 numbers"):
        _native.norm_linear(x, np.zeros(3, np.float32), 1e-5, native, out)
    with pytest.raises(ValueError, match="silu or gelu_tanh"):
        _native.gated_linear_add(np.zeros((2, 2 * K), np.float32), "relu", native, out)
    with pytest.raises(ValueError, match="rows of 400 expected"):
        _native.gated_linear_add(x, "silu", native, out)
    frozen = out.copy()
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        _native.linear_add(x, native, frozen)
