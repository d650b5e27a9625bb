"""Native int8 products: the same bytes as their definition, on every instruction set.

The twin here is NumPy with int64 sums; it knows nothing of panels, tiles, threads or groups' order
in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from homerun.model.dtypes import F32
from homerun.model.quantize import quantize_rows, take_outliers
from homerun.native import native_available

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native

PANEL, PADDING = 32, 64
SETS = ("portable", "neon", "avx2", "avx512_vnni", "avx512_bf16", "amx")
BEST = _native.instruction_set()
THREADS = _native.threads()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    _native.force_instruction_set(BEST)
    _native.set_threads(THREADS)


@dataclass(frozen=True)
class Case:
    """A matrix, and rows with awkward numbers among them."""

    values: NDArray[np.int8]
    scales: F32
    weight_group: int
    activation_group: int
    rows: F32

    @property
    def native(self) -> _native.Linear:
        n, k = self.values.shape
        return _native.Linear(
            "int8",
            n,
            k,
            packed(self.values),
            panel_scales(self.scales),
            self.weight_group,
            self.activation_group,
        )


def padded(array: NDArray[np.generic], rows: int, columns: int) -> NDArray[np.generic]:
    wanted = [-array.shape[0] % rows, -array.shape[1] % columns]
    return np.pad(array, [(0, extra) for extra in wanted])


def packed(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """int8 [N, K] -> uint8 [panel, k / 4, 32, 4], values + 128."""
    full = (padded(values, PANEL, PADDING).astype(np.int16) + 128).astype(np.uint8)
    n, k = full.shape
    return np.ascontiguousarray(full.reshape(n // PANEL, PANEL, k // 4, 4).transpose(0, 2, 1, 3))


def panel_scales(scales: F32) -> F32:
    """float32 [N, G] -> [panel, G, 32]."""
    full = padded(scales, PANEL, 1)
    n, groups = full.shape
    return np.ascontiguousarray(full.reshape(n // PANEL, PANEL, groups).transpose(0, 2, 1))


def make(
    m: int, n: int, k: int, weight_group: int = 0, activation_group: int = 0, seed: int = 0
) -> Case:
    random = np.random.default_rng([seed, m, n, k])
    rows = random.standard_normal((m, k)).astype(np.float32)
    rows *= np.exp(random.uniform(-30, 30, (m, 1))).astype(np.float32)
    awkward = (np.nan, np.inf, -np.inf, 3e38, 1e-40, 0.0)
    for i, value in enumerate(awkward[: m // 4]):
        rows[4 * i + 1, random.integers(k)] = value
    for i in range(0, m, 3):  # outliers, equal ones among them, sometimes more than 8
        count = int(random.integers(1, 14))
        rows[i, random.integers(k, size=count)] *= random.choice([30, 100, -100], size=count)
    if m > 2:
        rows[m // 2] = 0
        rows[m - 1] *= np.float32(1e-38) / np.abs(rows[m - 1]).max()
    groups = -(-k // weight_group) if weight_group else 1
    return Case(
        random.integers(-127, 128, (n, k)).astype(np.int8),
        random.uniform(1e-4, 1, (n, groups)).astype(np.float32),
        weight_group,
        activation_group,
        rows,
    )


def without_outliers(rows: F32) -> tuple[F32, list[list[tuple[int, np.float32]]]]:
    """The rows with their outliers 0, and those of each row, largest first."""
    rest = rows.copy()
    found: list[list[tuple[int, np.float32]]] = []
    for i, row in enumerate(np.abs(rows)):
        # 64 lanes, then a tree: the order of the sum is part of the definition.
        lanes = np.zeros(64, np.float32)
        for start in range(0, len(row), 64):
            part = row[start : start + 64]
            lanes[: len(part)] += part
        quarters = (lanes[:16] + lanes[16:32]) + (lanes[32:48] + lanes[48:])
        while len(quarters) > 1:
            half = len(quarters) // 2
            quarters = quarters[:half] + quarters[half:]
        limit = quarters[0] * (np.float32(8) / np.float32(len(row)))
        places = [int(j) for j in np.flatnonzero(row > limit)]
        places = sorted(places, key=lambda j: (-row[j], j))[:8]
        found.append([(j, rows[i, j]) for j in places])
        rest[i, places] = 0
    return rest, found


def slices(k: int, group: int) -> list[slice]:
    step = group or k
    return [slice(start, min(start + step, k)) for start in range(0, k, step)]


def twin(case: Case) -> F32:
    """The definition: exact sums of a group, times the row's scale, the channel's; in order."""
    m, k = case.rows.shape
    integers = np.empty((m, k), np.int64)
    row_scales: list[F32] = []
    with np.errstate(all="ignore"):
        rest, outliers = without_outliers(case.rows)
        for part in slices(k, case.activation_group):
            numbers = rest[:, part]
            scale = np.maximum(np.abs(numbers).max(axis=1) / np.float32(127), np.finfo("f4").tiny)
            finite = np.isfinite(numbers).all(axis=1)
            inverse = np.float32(1) / np.where(finite, scale, np.float32(1))
            rounded = np.rint(np.where(finite[:, None], numbers, 0) * inverse[:, None])
            integers[:, part] = rounded.astype(np.int64)
            row_scales.append(np.where(finite, scale, np.float32(np.nan)).astype(np.float32))

        sizes = [g for g in (case.weight_group, case.activation_group) if g]
        total: F32 | None = None
        for part in slices(k, min(sizes, default=0)):
            sums = integers[:, part] @ case.values[:, part].astype(np.int64).T
            row = row_scales[part.start // case.activation_group if case.activation_group else 0]
            column = case.scales[:, part.start // case.weight_group if case.weight_group else 0]
            term = sums.astype(np.float32) * row[:, None] * column[None, :]
            total = term if total is None else total + term
        assert total is not None
        for i, row_outliers in enumerate(outliers):
            for j, value in row_outliers:
                column = case.scales[:, j // case.weight_group if case.weight_group else 0]
                total[i] += value * (case.values[:, j].astype(np.float32) * column)
    return total


def run(case: Case) -> F32:
    out = np.zeros((case.rows.shape[0], case.values.shape[0]), np.float32)
    _native.linear_add(case.rows, case.native, out)
    return out


def equal_bytes(a: F32, b: F32) -> bool:
    """-0 became 0 when it was added to 0; a NaN may have any sign and payload."""
    return np.array_equal(a, b, equal_nan=True)


GROUPS = [(0, 0), (0, 64), (64, 0), (128, 128), (128, 64), (64, 256), (256, 128)]


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize(("weight_group", "activation_group"), GROUPS)
def test_equal_to_the_definition(
    instructions: str, weight_group: int, activation_group: int
) -> None:
    if not _native.force_instruction_set(instructions):
        pytest.skip(f"{instructions} is not in this build or CPU")
    shapes = [(m, 1 + 37 * m % 131, 1 + 61 * m % 700) for m in range(1, 71)]
    for m, n, k in [*shapes, (130, 65, 1030), (300, 33, 257), (5, 2100, 64)]:
        case = make(m, n, k, weight_group, activation_group)
        assert equal_bytes(run(case), twin(case)), (m, n, k)


@pytest.mark.parametrize("instructions", SETS)
def test_wide_sums(instructions: str) -> None:
    """The largest numbers everywhere, over many k: nothing saturates."""
    if not _native.force_instruction_set(instructions):
        pytest.skip(f"{instructions} is not in this build or CPU")
    for sign in (1, -1):
        rows = np.full((20, 11008), sign * 3, np.float32)
        values = np.full((40, 11008), 127, np.int8)
        case = Case(values, np.full((40, 1), 0.5, np.float32), 0, 0, rows)
        assert equal_bytes(run(case), twin(case))


def test_equal_to_quantize_rows() -> None:
    """The rows are quantized as `homerun.model.quantize` says."""
    case = make(23, 70, 333)
    with np.errstate(all="ignore"):
        rest, indices, outliers = take_outliers(case.rows)
        integers, scales = quantize_rows(rest)
        sums = integers.astype(np.int64) @ case.values.astype(np.int64).T
        expected = sums.astype(np.float32) * scales * case.scales.T
        for index, value in zip(indices.T, outliers.T, strict=True):
            columns = case.values.T[index].astype(np.float32) * case.scales.T
            expected += np.where(value[:, None] != 0, value[:, None] * columns, 0)
    assert equal_bytes(run(case), expected)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_each_row_as_if_alone(threads: int) -> None:
    """Neither the other rows nor the number of threads change a row."""
    _native.set_threads(threads)
    for m, n, k, group in [(67, 500, 300, 0), (40, 1000, 520, 128), (300, 200, 4100, 0)]:
        case = make(m, n, k, group, group)
        together = run(case)
        assert equal_bytes(together, twin(case))
        for i in (0, 1, m // 2, m - 1):
            alone = Case(case.values, case.scales, group, group, case.rows[i : i + 1])
            assert equal_bytes(run(alone)[0], together[i])


def test_adds_to_the_residual() -> None:
    case = make(14, 45, 200)
    residual = np.random.default_rng(1).standard_normal((14, 45)).astype(np.float32)
    expected = residual + twin(case)
    _native.linear_add(case.rows, case.native, residual)
    assert equal_bytes(residual, expected)


def test_refuses_what_does_not_fit() -> None:
    case = make(3, 40, 100)
    weight = case.native
    out = np.zeros((3, 40), np.float32)
    with pytest.raises(ValueError, match=r"x is \[3, 99\]"):
        _native.linear_add(np.zeros((3, 99), np.float32), weight, out)
    with pytest.raises(ValueError, match=r"\[3, 40\] expected"):
        _native.linear_add(case.rows, weight, np.zeros((2, 40), np.float32))
    with pytest.raises(TypeError):
        _native.linear_add(case.rows.astype(np.float64), weight, out)
    panels, scales = packed(case.values), panel_scales(case.scales)
    with pytest.raises(ValueError, match="panels has"):
        _native.Linear("int8", 40, 300, panels, scales, 0, 0)
    with pytest.raises(ValueError, match="scales has"):
        _native.Linear("int8", 40, 100, panels, scales, 64, 0)
    with pytest.raises(ValueError, match="multiple of 64"):
        _native.Linear("int8", 40, 100, panels, scales, 0, 32)
    with pytest.raises(ValueError, match="divides"):
        _native.Linear("int8", 40, 100, panels, scales, 128, 192)
    with pytest.raises(ValueError, match="int4"):
        _native.Linear("int4", 40, 100, panels, scales, 0, 0)  # pyright: ignore[reportArgumentType]
