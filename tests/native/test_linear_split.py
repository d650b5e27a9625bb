"""Products with large float16 matrices on AMX: numbers split into two of bfloat16.

The twin multiplies numbers of few bits, so that float64 holds each fused multiply-add exactly
before it is rounded to float32: it must have the same bytes.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from homerun.model.dtypes import F32, bf16_to_float32, float32_to_bf16
from homerun.native import native_available

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native
from tests.native.products import multiply, native, normal

if "amx" not in _native.instruction_sets():
    pytest.skip("this CPU has no AMX, or this build", allow_module_level=True)

N, K = 1100, 1930
"""As few weights as are split, and a little more."""
STEP = 32


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    _native.force_instruction_set("amx")
    yield
    _native.force_instruction_set(_native.instruction_sets()[-1])
    _native.set_threads(1)


def split_rows(x: F32) -> tuple[F32, F32]:
    high = bf16_to_float32(float32_to_bf16(x))
    return high, bf16_to_float32(float32_to_bf16(x - high))


def split_weights(weight: F32) -> tuple[F32, F32]:
    high = (weight.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    return high, weight - high


def chain(x: F32, weight: F32) -> F32:
    """Fused multiply-adds in order of k, from 0."""
    total = np.zeros((len(x), len(weight)), np.float32)
    for k in range(x.shape[1]):
        total = (total + x[:, k, None].astype(np.float64) * weight[:, k]).astype(np.float32)
    return total


def twin(x: F32, weight: F32) -> F32:
    """What `native/kernels/amx/linear_fp16.cpp` says, every product as TDPBF16PS adds it."""
    high_x, low_x = split_rows(x)
    high, low = split_weights(weight)
    total = np.zeros((len(x), len(weight)), np.float32)
    for begin in range(0, x.shape[1], STEP):
        for rows, weights in ((low_x, high), (high_x, high), (high_x, low)):
            even, odd = slice(begin, begin + STEP, 2), slice(begin + 1, begin + STEP, 2)
            total += chain(rows[:, even], weights[:, even]) + chain(rows[:, odd], weights[:, odd])
    return total


def integers(most: int, *shape: int, seed: int) -> F32:
    """With a sign, at several exponents."""
    random = np.random.default_rng(seed)
    numbers = random.integers(-most, most, shape, endpoint=True)
    return (numbers / 2.0 ** random.integers(0, 5, shape)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 5, 35])
def test_the_bytes_are_the_definition(rows: int) -> None:
    """Of more bits of an activation than are kept, and all eleven of a weight."""
    x, weight = integers(2**20, rows, K, seed=1), integers(2**11 - 1, N, K, seed=2)
    np.testing.assert_array_equal(multiply(x, native(weight, "fp16")), twin(x, weight))


def test_the_size_of_a_matrix_decides_and_nothing_else() -> None:
    """Of a smaller one the bytes are those of every other instruction set."""
    x, weight = normal(3, K), normal(N, K, seed=1)
    results = {
        name: [multiply(x, native(weight[:n], "fp16")).tobytes() for n in (N, N - 64)]
        for name in ("avx512_vnni", "amx")
        if _native.force_instruction_set(name)
    }
    assert results["amx"][0] != results["avx512_vnni"][0]
    assert results["amx"][1] == results["avx512_vnni"][1]


def test_any_numbers() -> None:
    """Far nearer than an input rounded to float16 would be. Weights: denormal ones as well."""
    x, weight = normal(20, K), normal(N, K, seed=1)
    x[3] *= np.float32(1e30)
    x[4] *= np.float32(1e-20)
    weight[7] *= np.float32(2.0**-20)
    wide = weight.astype(np.float16).astype(np.float64)
    exact = x.astype(np.float64) @ wide.T
    size = abs(x).astype(np.float64) @ abs(wide).T
    error = abs(multiply(x, native(weight, "fp16")) - exact)
    assert (error <= 2.0**-14 * size).all()
    assert np.sqrt((error**2 / size**2).mean()) < 2.0**-20
    ordinary = [row for row in range(20) if row not in (3, 4)]
    rounded = abs(x[ordinary].astype(np.float16).astype(np.float64) @ wide.T - exact[ordinary])
    assert 20 * error[ordinary].mean() < rounded.mean()


def test_numbers_too_small_or_not_finite() -> None:
    """What is below 2^-90 counts as zero. What is not finite spoils its own row only."""
    weight = normal(N, K, seed=1)
    linear = native(weight, "fp16")
    x = normal(40, K)
    x[2] = 1e-39
    x[3] = np.float32(2.0**-91)
    x[5, 7], x[9, 60], x[11, 0], x[12] = np.nan, np.inf, -np.inf, np.float32(3.4e38)
    for m in (1, 4, 16, 40):
        found = multiply(x[:m], linear)
        for row in range(m):
            if row in (2, 3):
                assert not found[row].any()
            elif row in (5, 9, 11, 12):
                assert not np.isfinite(found[row]).any()
            else:
                assert np.isfinite(found[row]).all()


def test_a_row_does_not_depend_on_its_company_or_the_threads() -> None:
    """Some rows go through ordinary registers, others through tiles, in three orders of loops."""
    x, linear = normal(600, K), native(normal(N, K, seed=1), "fp16")
    x[5, 3], x[9, 60] = np.nan, np.inf
    x[4] *= np.float32(1e-12)
    alone = np.concatenate([multiply(row[None], linear) for row in x[:70]])
    for m in (*range(2, 36), 48, 49, 64, 65, 70, 289, 320, 600):
        _native.set_threads(1 + m % 3)
        together = multiply(x[:m], linear)
        assert together[:70].tobytes() == alone[:m].tobytes(), m
    assert multiply(x[229:], linear).tobytes() == together[229:].tobytes()
    many = multiply(np.concatenate([x[:576]] * 4 + [x[:1]]), linear)  # 1 row is left at the end
    assert many[-1].tobytes() == alone[0].tobytes()
    _native.set_threads(2)
    assert multiply(x[:1], linear).tobytes() == alone[:1].tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_neither_do_numbers_at_the_limits(seed: int) -> None:
    """Parts that are dropped, sums that cancel to the smallest, overflow, NaN."""
    random = np.random.default_rng(seed)
    smallest = random.integers(-3, 4, (N, K)).astype(np.float32) * np.float32(2.0**-24)
    largest = random.choice(np.array([-65504, 65504, 6e-8, 1], np.float32), (N, K))
    exponents = random.integers(-95, -75, (40, K)).astype(np.float32)
    tiny = normal(40, K, seed=seed) * np.exp2(exponents)
    huge = np.clip(normal(40, K, seed=seed), -3.4, 3.4) * np.float32(1e38)
    huge[::3] = np.where(random.random((14, K)) < 0.9, 0, huge[::3])
    huge[7, 5], huge[8, 9] = np.nan, np.inf
    for x, weight in ((tiny, smallest), (tiny, largest), (huge, smallest), (huge, largest)):
        linear = native(weight, "fp16")
        with np.errstate(all="ignore"):
            alone = np.concatenate([multiply(row[None], linear) for row in x])
            for m in (2, 16, 17, 40):
                # Which NaN comes out of a sum that overflowed is the processor's choice.
                np.testing.assert_array_equal(multiply(x[:m], linear), alone[:m], str(m))


@pytest.mark.parametrize("rows", [1, 9, 40])
def test_results_are_added_and_cut_to_the_matrix(rows: int) -> None:
    """The last panel has 12 channels, and the last pair of panels is one."""
    x, linear = normal(rows, K), native(normal(N, K, seed=1), "fp16")
    residual = normal(rows, N, seed=2)
    memory = np.concatenate([residual.reshape(-1), np.full(64, 7, np.float32)])
    out = memory[: rows * N].reshape(rows, N)
    _native.linear_add(x, linear, out)
    assert out.tobytes() == (residual + multiply(x, linear)).tobytes()
    assert (memory[rows * N :] == 7).all()


@pytest.mark.parametrize("rows", [1056, 2305])
def test_results_that_go_past_the_caches(rows: int) -> None:
    """So many, and in whole cache lines. They are as those that do not."""
    channels = 1104
    linear = native(normal(channels, K, seed=1), "fp16")
    x, norm = normal(rows, K), np.ones(K, np.float32)
    memory = np.empty(rows * channels + 16, np.float32)
    begin = -memory.ctypes.data % 64 // 4
    out = memory[begin : begin + rows * channels].reshape(rows, channels)
    _native.norm_linear(x, norm, 1e-6, linear, out)
    for row in (0, 31, 700, 1055, rows - 1):
        alone = np.empty((1, channels), np.float32)
        _native.norm_linear(x[row : row + 1], norm, 1e-6, linear, alone)
        assert out[row].tobytes() == alone.tobytes(), row
