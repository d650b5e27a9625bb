"""Native products with float32, float16 and bfloat16 weights: against their definition in NumPy.

The twin multiplies numbers of few bits, so that float64 holds each fused multiply-add exactly
before it is rounded to float32: it must have the same bytes. Other numbers have a tolerance.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from homerun.model.dtypes import F32, FloatDType, from_float32, to_float32
from homerun.native import native_available

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native
from tests.native.products import few_bits, multiply, native, normal

SUM_BLOCK = 256
SETS = ("portable", "neon", "avx2", "avx512_vnni", "avx512_bf16", "amx")
PORTABLE_ROWS = (1, 6, 7, 13, 70)
"""Slow where the compiler has no fused multiply-add: fewer cases."""
OWN_BF16 = ("avx512_bf16", "amx")
"""Sets whose bfloat16 products are an instruction's, in its own order."""
DTYPES: tuple[FloatDType, ...] = ("fp32", "fp16", "bf16")
SHAPES = [(1, 1, 1), (2, 33, 63), (3, 130, 257), (7, 31, 300), (13, 65, 520), (40, 97, 1030)]
SHAPES += [(70, 200, 129)]
BEST = _native.instruction_set()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    _native.force_instruction_set(BEST)
    _native.set_threads(1)


def usable(sets: tuple[str, ...]) -> Iterator[str]:
    for name in sets:
        if _native.force_instruction_set(name):
            yield name


def lanes_sets(dtype: FloatDType) -> tuple[str, ...]:
    return tuple(name for name in SETS if dtype != "bf16" or name not in OWN_BF16)


def rounded(x: F32, dtype: FloatDType) -> NDArray[np.float64]:
    return to_float32(from_float32(x, dtype), dtype).astype(np.float64)


def twin(x: F32, weight: F32) -> F32:
    """One fma chain in order of k per block, the blocks added in order."""
    total = None
    for begin in range(0, x.shape[1], SUM_BLOCK):
        block = np.zeros((len(x), len(weight)), np.float32)
        for k in range(begin, min(begin + SUM_BLOCK, x.shape[1])):
            product = x[:, k, None].astype(np.float64) * weight[:, k]
            block = (block + product).astype(np.float32)
        total = block if total is None else total + block
    assert total is not None
    return total


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("m", "n", "k"), SHAPES)
def test_the_bytes_are_the_definition(m: int, n: int, k: int, dtype: FloatDType) -> None:
    x, weight = few_bits(m, k), few_bits(n, k, seed=1)
    expected = twin(x, weight)
    for name in usable(lanes_sets(dtype)):
        np.testing.assert_array_equal(multiply(x, native(weight, dtype)), expected, name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("m", "n", "k"), SHAPES)
def test_any_numbers(m: int, n: int, k: int, dtype: FloatDType) -> None:
    x, weight = normal(m, k), normal(n, k, seed=1)
    rounded_x = rounded(x, "bf16" if dtype == "bf16" else "fp32")
    rounded_weight = rounded(weight, dtype)
    exact = rounded_x @ rounded_weight.T
    # Each of k + k/256 roundings is off by 2^-24 at most, of a sum that is never larger than this.
    bound = 2.0**-24 * (k + 8) * (abs(rounded_x) @ abs(rounded_weight.T))
    results: dict[str, F32] = {}
    for name in usable(SETS):
        results[name] = multiply(x, native(weight, dtype))
        assert (abs(results[name] - exact) <= bound).all(), name
    lanes = [results[name].tobytes() for name in lanes_sets(dtype) if name in results]
    assert len(set(lanes)) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [70, 600])
def test_a_row_does_not_depend_on_its_company(k: int, dtype: FloatDType) -> None:
    x, linear = normal(300, k), native(normal(140, k, seed=1), dtype)
    x[5, 3], x[9, 60] = np.nan, np.inf
    for name in usable(SETS):
        alone = np.concatenate([multiply(row[None], linear) for row in x[:70]])
        assert np.isfinite(np.delete(alone, [5, 9], axis=0)).all()
        for m in (*PORTABLE_ROWS, 300) if name == "portable" else (*range(1, 71), 300):
            together = multiply(x[:m], linear)
            assert together[:70].tobytes() == alone[:m].tobytes(), (name, m)
        late = multiply(x[229:], linear)
        assert late.tobytes() == together[229:].tobytes(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_change_nothing(dtype: FloatDType) -> None:
    x, linear = normal(300, 300), native(normal(600, 300, seed=1), dtype)
    for name in usable(SETS[1:]):
        results = set[bytes]()
        for threads in (1, 2, 3):
            _native.set_threads(threads)
            results.add(multiply(x[:33], linear).tobytes() + multiply(x, linear).tobytes())
        assert len(results) == 1, name


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_product_is_rounded_before_it_is_added(dtype: FloatDType) -> None:
    x, linear = normal(19, 700), native(normal(45, 700, seed=1), dtype)
    residual = normal(19, 45, seed=2)
    for name in usable(SETS):
        out = residual.copy()
        _native.linear_add(x, linear, out)
        assert out.tobytes() == (residual + multiply(x, linear)).tobytes(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_norm_then_product(dtype: FloatDType) -> None:
    x, norm, weight = normal(9, 130), normal(130, seed=3), normal(50, 130, seed=1)
    scaled = x / np.sqrt((x.astype(np.float64) ** 2).mean(axis=1, keepdims=True) + 1e-5) * norm
    for name in usable(SETS):
        out = np.empty((9, 50), np.float32)
        _native.norm_linear(x, norm, 1e-5, native(weight, dtype), out)
        tolerance = {"fp32": 1e-5, "fp16": 5e-3, "bf16": 4e-2}[dtype]
        error = abs(out - scaled @ weight.astype(np.float64).T)
        assert (error <= tolerance * (abs(scaled) @ abs(weight.T))).all(), name
