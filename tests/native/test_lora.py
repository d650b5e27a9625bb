"""Native low-rank additions: against their definition in NumPy, in any company.

The twin multiplies numbers of few bits, so that float64 holds each fused multiply-add exactly
before it is rounded to float32: it must have the same bytes. Other numbers have a tolerance.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from homerun.model.config import read_config
from homerun.model.dtypes import F32, DType, FloatDType, Tensor, from_float32
from homerun.model.lora import (
    DOWN,
    GATE_UP,
    OUTPUT,
    QKV,
    PackedAdapter,
    PackedPart,
    PackedPlace,
    pack_a,
    pack_b,
)
from homerun.model.ops.base import AdapterRows, Additions
from homerun.model.ops.native import NativeOps
from homerun.model.ops.reference import ReferenceOps
from homerun.model.packing import pack
from homerun.model.quantize import quantize_weight
from homerun.native import native_available
from tests.checkpoints import write_checkpoint
from tests.random_adapters import pack as pack_adapter
from tests.random_adapters import random_factors

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native
from tests.native.products import few_bits, normal

BEST = _native.instruction_set()
LANES = 16


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    _native.force_instruction_set(BEST)
    _native.set_threads(1)


Module = tuple[int, float, int, F32, F32]
"""Rank, scaling, first column, A, B."""


def packed(dtype: FloatDType, k: int, parts: Sequence[Module]) -> PackedAdapter:
    """One place."""
    pieces = [pack_a(np.concatenate([part[3] for part in parts]), dtype)]
    pieces += [pack_b(part[4], dtype) for part in parts]
    data, offsets = np.zeros(0, np.uint8), []
    for piece in pieces:
        offsets.append(len(data))
        raw = piece.view(np.uint8)
        data = np.concatenate([data, raw, np.zeros(-len(raw) % 64, np.uint8)])
    specs = tuple(
        PackedPart(rank, scaling, first, len(b), offset)
        for (rank, scaling, first, _, b), offset in zip(parts, offsets[1:], strict=True)
    )
    return PackedAdapter(dtype, data, (PackedPlace(k, 0, specs, len(data)),))


def chain(x: F32, matrix: F32, start: F32 | None = None) -> F32:
    """Σ_k x[:, k] · matrix[:, k]ᵀ as fused multiply-adds in order of k."""
    total = np.zeros((len(x), len(matrix)), np.float32)
    for k in range(x.shape[1]):
        product = x[:, k, None].astype(np.float64) * matrix[:, k]
        total = (total + product).astype(np.float32)
    return total


def twin(rows: F32, out: F32, parts: Sequence[Module]) -> None:
    """What `kernels/lora.hpp` says, of one adapter."""
    for _, scaling, first, a, b in parts:
        lanes = [chain(rows[:, lane::LANES], a[:, lane::LANES]) for lane in range(LANES)]
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [lanes[i] + lanes[i + half] for i in range(half)]
        out[:, first : first + len(b)] += chain(lanes[0] * np.float32(scaling), b)


def zero_linear(n: int, k: int) -> object:
    return NativeOps().load_linear(pack(Tensor(np.zeros((n, k), np.float32), "fp32")))


def add(x: F32, n: int, uses: Sequence[tuple[PackedAdapter, Sequence[int]]]) -> F32:
    """The native additions to a product that is zero."""
    ops = NativeOps()
    plan = ops.plan_adapters(
        [AdapterRows(ops.load_adapter(one), np.array(rows, np.int32)) for one, rows in uses]
    )
    out = np.zeros((len(x), n), np.float32)
    ops.linear_add(x, zero_linear(n, x.shape[1]), out, Additions(plan, 0))  # type: ignore[arg-type]
    return out


def modules_of(k: int, ranks: Sequence[int], seed: int, make: object = few_bits) -> list[Module]:
    """Modules side by side, of awkward widths."""
    parts: list[Module] = []
    first = 0
    for i, rank in enumerate(ranks):
        columns = (37, 64, 33)[i]
        a, b = make(rank, k, seed=seed + 2 * i), make(columns, rank, seed=seed + 2 * i + 1)
        parts.append((rank, (0.5, 2.0, 1.0)[i], first, a, b))
        first += columns
    return parts


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize(
    ("rows", "k", "ranks"),
    [(1, 1, [1]), (2, 15, [3]), (7, 33, [4, 5]), (9, 300, [8, 1, 16]), (60, 70, [16, 16, 16])],
)
def test_the_bytes_are_the_definition(
    rows: int, k: int, ranks: list[int], dtype: FloatDType
) -> None:
    x, parts = few_bits(rows, k, seed=9), modules_of(k, ranks, seed=1)
    n = sum((37, 64, 33)[: len(ranks)])
    expected = np.zeros((rows, n), np.float32)
    twin(x, expected, parts)
    for name in _native.instruction_sets():
        _native.force_instruction_set(name)
        found = add(x, n, [(packed(dtype, k, parts), range(rows))])
        np.testing.assert_array_equal(found, expected, name)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_any_numbers_in_any_company(dtype: FloatDType) -> None:
    """Near float64, and the same bytes for any grouping, threads and instruction set."""
    k, n = 1100, 134
    parts = [modules_of(k, ranks, seed, normal) for seed, ranks in ((1, [16, 2, 7]), (50, [32]))]
    adapters = [packed(dtype, k, one) for one in parts]
    x = normal(70, k, seed=5)
    alone = np.concatenate([add(x[i : i + 1], n, [(adapters[0], [0])]) for i in range(70)])
    wide = adapters[0]
    exact = np.zeros((70, n))
    ranks = 0
    for part in wide.places[0].parts:
        a = wide.a(0)[ranks : ranks + part.rank].astype(np.float64)
        ranks += part.rank
        columns = slice(part.first_column, part.first_column + part.columns)
        exact[:, columns] = part.scaling * (x @ a.T) @ wide.b(part).T.astype(np.float64)
    np.testing.assert_allclose(alone, exact, rtol=0, atol=2e-4 * abs(exact).max())
    chance = np.random.default_rng(3)
    for name in _native.instruction_sets():
        _native.force_instruction_set(name)
        for threads in (1, 2, 3) if name == BEST else (2,):
            _native.set_threads(threads)
            chosen = chance.permutation(70)[: chance.integers(1, 71)]
            mine = chosen[chance.random(len(chosen)) < 0.6]
            order = {int(row): place for place, row in enumerate(chosen)}
            others = [order[int(row)] for row in chosen if row not in mine][::2]
            uses = [(adapters[0], [order[int(row)] for row in mine])]
            uses += [(adapters[1], others)] if others else []
            found = add(np.ascontiguousarray(x[chosen]), n, uses)
            for row in mine:
                assert found[order[int(row)]].tobytes() == alone[row].tobytes(), (name, threads)
            base = set(range(len(chosen))) - {row for _, rows in uses for row in rows}
            assert not found[sorted(base)].any()


@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize(
    ("base", "last", "n", "k"),
    [("int8", 37, 1189, 200), ("bf16", 32, 1344, 200), ("fp16", 37, 1189, 1800)],
)
def test_results_are_written_once_with_the_bytes_of_a_row_alone(
    base: DType, last: int, n: int, k: int, dtype: FloatDType, adds: bool
) -> None:
    """Products of many rows add as they write. Long runs of one adapter, short ones, none at all.

    Modules: one over several groups of panels, a gap without adapter, one of too many ranks to be
    widened, and one that ends within the product's last panel, or before it.
    """
    full = normal(n, k, seed=3)
    ops = NativeOps()
    weight = quantize_weight(full) if base == "int8" else Tensor(from_float32(full, base), base)
    linear = ops.load_linear(pack(weight))
    columns = {0: 704, 1024: 128, 1152: last}
    adapters: list[PackedAdapter] = []
    for seed, ranks in ((10, (16, 33, 5)), (30, (5, 0, 16))):
        parts: list[Module] = [
            (rank, 0.5, first, normal(rank, k, seed=seed + i), normal(width, rank, seed=seed - i))
            for i, (rank, (first, width)) in enumerate(zip(ranks, columns.items(), strict=True))
            if rank
        ]
        adapters.append(packed(dtype, k, parts))
    uses = [[*range(10, 200), *range(201, 290, 2)], [*range(5), *range(202, 290, 4), 299]]
    x, residual = normal(300, k, seed=5), normal(300, n, seed=6)

    def outcome(rows: Sequence[int]) -> F32:
        place = {row: at for at, row in enumerate(rows)}
        mine = [[place[row] for row in use if row in place] for use in uses]
        plan = ops.plan_adapters(
            [
                AdapterRows(ops.load_adapter(adapter), np.array(use, np.int32))
                for adapter, use in zip(adapters, mine, strict=True)
                if use
            ]
        )
        if adds:
            out = residual[rows]
            ops.linear_add(x[rows], linear, out, Additions(plan, 0))
            return out
        return ops.norm_linear(x[rows], np.ones(k, np.float32), 1e-5, linear, Additions(plan, 0))

    # As float16 the matrix is large, which AMX alone takes another way with.
    for name in _native.instruction_sets()[-1 if base == "fp16" else 0 :]:
        _native.force_instruction_set(name)
        _native.set_threads(1)
        together = outcome(range(300)).copy()
        _native.set_threads(2)
        assert outcome(range(300)).tobytes() == together.tobytes(), name
        for row in (0, 4, 7, 10, 11, 12, 150, 199, 200, 202, 203, 206, 288, 289, 299):
            assert outcome([row]).tobytes() == together[row].tobytes(), (name, row)
        for few in (range(8, 24), range(195, 204)):
            assert outcome(few).tobytes() == together[few].tobytes(), (name, few)


@pytest.mark.parametrize("site", [QKV, OUTPUT, GATE_UP, DOWN])
@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_what_comes_before_the_product(family: str, site: int, tmp_path: Path) -> None:
    """The input is the float32 row that was not rounded, also for int8; as the reference has it."""
    config = read_config(write_checkpoint(tmp_path, family))
    adapter = pack_adapter(tmp_path, config, random_factors(config, 3, ranks=5), 3)
    place = adapter.places[site]
    n = sum(part.columns for part in place.parts)
    weight = pack(quantize_weight(normal(n, place.k, seed=1) / np.float32(place.k**0.5)))
    x = normal(11, 2 * place.k if site == DOWN else place.k, seed=2)
    norm, residual = normal(place.k, seed=4), normal(11, n, seed=6)
    results: list[F32] = []
    for ops in (ReferenceOps(), NativeOps()):
        rows = np.array([7, 0, 3, 10], np.int32)
        additions = Additions(
            ops.plan_adapters([AdapterRows(ops.load_adapter(adapter), rows)]), site
        )
        linear = ops.load_linear(weight)
        for wanted in (None, additions):
            out = residual.copy()
            if site in (QKV, GATE_UP):
                out = ops.norm_linear(x, norm, 1e-5, linear, wanted).copy()
            elif site == OUTPUT:
                ops.linear_add(x, linear, out, wanted)
            else:
                ops.gated_linear_add(x, config.activation, linear, out, wanted)
            results.append(out)
    base, with_adapter = results[2:]
    others = [row for row in range(11) if row not in (7, 0, 3, 10)]
    assert with_adapter[others].tobytes() == base[others].tobytes()
    delta = results[1] - results[0]
    assert abs(delta).max() > 0.5
    np.testing.assert_allclose(with_adapter - base, delta, atol=2e-4 * abs(delta).max())


def test_bad_arguments() -> None:
    k, parts = 40, modules_of(40, [4], seed=1)
    one = packed("bf16", k, parts)
    with pytest.raises(ValueError, match="used twice"):
        add(few_bits(3, k), 37, [(one, [0]), (one, [1, 0])])
    with pytest.raises(ValueError, match="begin at 0"):
        add(few_bits(3, k), 37, [(one, [-1])])
    with pytest.raises(ValueError, match="rows that the product has not"):
        add(few_bits(3, k), 37, [(one, [3])])
    with pytest.raises(ValueError, match="product's k"):
        add(few_bits(3, 41), 37, [(one, [0])])
    with pytest.raises(ValueError, match="columns that the product has not"):
        add(few_bits(3, k), 36, [(one, [0])])
    handle = NativeOps().load_adapter(one).handle  # type: ignore[attr-defined]
    plan = _native.AdapterPlan([(handle, np.zeros(1, np.int32))])
    with pytest.raises(ValueError, match="no such place"):
        _native.linear_add(
            few_bits(1, k), zero_linear(37, k), np.zeros((1, 37), np.float32), plan, 1
        )  # type: ignore[arg-type]
    data = np.zeros(4096, np.uint8)
    for places, message in [
        ([(16, 0, [(0, 1.0, 0, 4, 0)])], "rank is between"),
        ([(0, 0, [(1, 1.0, 0, 4, 0)])], "k is between"),
        ([(16, 4090, [(1, 1.0, 0, 4, 0)])], "beyond the end"),
        ([(16, 0, [(1, 1.0, 0, 4, 4090)])], "beyond the end"),
        ([(16, -2, [(1, 1.0, 0, 4, 0)])], "beyond the end"),
        ([(16, 1, [(1, 1.0, 0, 4, 0)])], "not aligned"),
        ([(16, 0, [(1, 1.0, -1, 4, 0)])], "columns are between"),
        ([(16, 0, [(1, 1.0, 0, 4, 0), (1, 1.0, 3, 4, 0)])], "share no column"),
        ([(1 << 24, 0, [(1024, 1.0, 0, 1 << 24, 0)])], "beyond the end"),
    ]:
        with pytest.raises(ValueError, match=message):
            _native.Adapter("bf16", data, places)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fp32, fp16 or bf16"):
        _native.Adapter("int8", data, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _native.AdapterPlan([(3, np.zeros(1, np.int32))])  # type: ignore[list-item]
