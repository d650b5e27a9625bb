"""Native attention and cache writes: against the reference, and their own bytes in any company."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from homerun.model.config import ModelConfig, read_config
from homerun.model.dtypes import F32, DType, from_float32, to_float32
from homerun.model.kv_cache import KVCache
from homerun.model.ops.base import Segment
from homerun.model.ops.reference import ReferenceOps
from homerun.native import native_available
from tests.caches import fill
from tests.checkpoints import write_checkpoint

if not native_available():
    pytest.skip("the C++ extension is not built", allow_module_level=True)

from homerun import _native

REFERENCE = ReferenceOps()
BLOCK = 16
DTYPES: tuple[DType, ...] = ("fp32", "fp16", "bf16", "int8")
SETS = ("portable", "neon", "avx2", "avx512_vnni", "avx512_bf16", "amx")
SHAPES = [(1, 1, 2), (6, 2, 20), (8, 1, 256), (4, 4, 80), (5, 1, 48), (16, 8, 32), (18, 2, 128)]
SHAPES += [(3, 3, 64), (9, 1, 66), (2, 2, 288), (150, 1, 6), (32, 4, 64)]
LENGTHS = (1, 20, 255, 257, 300, 530)


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """The best instruction set and one thread again after each test."""
    best = _native.instruction_set()
    yield
    _native.force_instruction_set(best)
    _native.set_threads(1)


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def base_config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    return read_config(write_checkpoint(tmp_path_factory.mktemp("checkpoint"), "llama"))


@dataclass
class Case:
    """Sequences of LENGTHS whose cache is full of numbers, with queries for every position."""

    config: ModelConfig
    heads: int
    kv_heads: int
    head_dim: int
    dtype: DType
    lengths: Sequence[int] = LENGTHS

    def __post_init__(self) -> None:
        config = replace(
            self.config, num_layers=2, num_kv_heads=self.kv_heads, head_dim=self.head_dim
        )
        counts = [-(-length // BLOCK) for length in self.lengths]
        order = np.random.default_rng(0).permutation(sum(counts) + 2).astype(np.int32)
        ends = np.cumsum(counts)
        self.tables = [order[end - n : end] for end, n in zip(ends, counts, strict=True)]
        self.cache = KVCache(config, sum(counts) + 2, BLOCK, self.dtype)
        keys, values = self.cache.keys, self.cache.values
        # Layer 0 is what an earlier owner left: nobody may look there, nor beyond a length.
        dirt = {"bf16": 0x7FC0, "int8": 99}.get(self.dtype, np.nan)
        keys[:], values[:] = dirt, dirt
        fill(self.cache, 1)
        for table, length in zip(self.tables, self.lengths, strict=True):
            if rest := length % BLOCK:
                keys[1, table[-1], :, :, rest:] = dirt
                values[1, table[-1], :, rest:] = dirt
                if self.cache.scales is not None:
                    self.cache.scales[1, table[-1], :, :, rest:] = np.nan
        self.queries = [
            normal(length, self.heads, self.head_dim, seed=length) for length in self.lengths
        ]

    def batch(self, pieces: Sequence[tuple[int, int, int]]) -> tuple[list[Segment], F32]:
        """(sequence, start, rows) -> segments and their queries."""
        segments: list[Segment] = []
        first = 0
        for sequence, start, rows in pieces:
            segments.append(Segment(first, rows, start, self.tables[sequence]))
            first += rows
        parts = [self.queries[i][start : start + rows] for i, start, rows in pieces]
        return segments, np.ascontiguousarray(np.concatenate(parts))

    def native(self, pieces: Sequence[tuple[int, int, int]]) -> F32:
        segments, queries = self.batch(pieces)
        out = np.full((len(queries), self.heads * self.head_dim), np.nan, np.float32)
        plan = _native.AttentionPlan(segments, BLOCK)
        cache = self.cache
        _native.attention(
            queries, cache.keys, cache.values, cache.dtype, 1, plan, out, cache.scales
        )
        return out

    def reference(self, pieces: Sequence[tuple[int, int, int]]) -> F32:
        segments, queries = self.batch(pieces)
        plan = REFERENCE.plan_attention(segments, BLOCK)
        return REFERENCE.attention(queries, self.cache, 1, plan)

    def whole(self) -> list[tuple[int, int, int]]:
        return [(i, 0, length) for i, length in enumerate(self.lengths)]

    def some(self, chance: random.Random, most: int = 10_000) -> list[tuple[int, int, int]]:
        """A piece of each sequence, in any order: single rows and chunks up to `most`."""
        pieces = []
        for sequence, length in enumerate(self.lengths):
            start = chance.choice((length - 1, chance.randrange(length)))
            rows = chance.choice((1, 1, 3, length - start))
            pieces.append((sequence, start, min(rows, length - start, most)))
        chance.shuffle(pieces)
        return pieces


def in_parts(dtype: DType, head_dim: int) -> bool:
    """Whether AMX multiplies such numbers as sums of bfloat16 numbers, in an order of its own."""
    return dtype in ("fp32", "fp16") and head_dim > 64


def assert_close(found: F32, expected: F32, dtype: DType, head_dim: int) -> None:
    """With bf16 and int8 a weight between two bfloat16 numbers may become either of them."""
    difference = np.abs(found - expected)
    on_amx = _native.instruction_set() == "amx"
    if dtype == "fp16" and on_amx and in_parts(dtype, head_dim):
        # Queries and weights have sixteen bits.
        assert difference.mean() < 3e-6
        assert difference.max() < 1e-4
    elif dtype in ("fp32", "fp16"):
        assert difference.max() < 3e-6
    else:
        assert np.median(difference) < 1e-6
        assert difference.mean() < 3e-5
        assert difference.max() < 2**-8 * 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), SHAPES)
def test_against_the_reference(
    heads: int, kv_heads: int, head_dim: int, dtype: DType, base_config: ModelConfig
) -> None:
    """Both read the same rounded cache: only the order of sums and powers may differ."""
    case = Case(base_config, heads, kv_heads, head_dim, dtype, LENGTHS[:5])
    expected = case.reference(case.whole())
    assert_close(case.native(case.whole()), expected, dtype, head_dim)
    pieces = case.some(random.Random(0))
    assert_close(case.native(pieces), case.reference(pieces), dtype, head_dim)


@pytest.mark.parametrize(
    ("dtype", "head_dim", "factor", "tolerance"),
    [
        ("fp32", 64, 8, 1e-5),
        ("fp32", 128, 1, 1e-6),
        ("fp16", 64, 8, 1e-5),
        ("fp16", 128, 1, 4e-6),
        ("bf16", 64, 1, 1e-3),
        ("int8", 64, 1, 1e-3),
    ],
)
def test_in_float64(
    dtype: DType, head_dim: int, factor: int, tolerance: float, base_config: ModelConfig
) -> None:
    """The last of 1,100 positions, whose scores differ by up to 60."""
    case = Case(base_config, 6, 2, head_dim, dtype, (1100,))
    case.queries[0] *= np.float32(factor)
    keys, values = (
        array[1][case.tables[0]].astype(np.float64)
        if dtype == "int8"
        else to_float32(array[1][case.tables[0]], dtype)
        for array in (case.cache.keys, case.cache.values)
    )
    if case.cache.scales is not None:
        scales = case.cache.scales[1][case.tables[0]]
        keys, values = keys * scales[:, :, :1], values * scales[:, :, 1, :, None]
    keys = keys.transpose(0, 3, 1, 2).reshape(-1, 2, head_dim)[:1100]
    values = values.transpose(0, 2, 1, 3).reshape(-1, 2, head_dim)[:1100]
    q = torch.from_numpy(case.queries[0][-1]).double()
    k, v = (torch.from_numpy(x).double().repeat_interleave(3, dim=1) for x in (keys, values))
    weights = (torch.einsum("hd,khd->hk", q, k) / head_dim**0.5).softmax(-1)
    expected = torch.einsum("hk,khd->hd", weights, v).reshape(-1)
    for rows in (1, 20):  # by lanes, by tiles
        found = case.native([(0, 1100 - rows, rows)])[-1]
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("heads", "kv_heads", "head_dim"), [(6, 2, 128), (4, 4, 20), (1, 1, 64), (13, 1, 48)]
)
def test_same_bytes(
    heads: int, kv_heads: int, head_dim: int, dtype: DType, base_config: ModelConfig
) -> None:
    """Rows in any company, any chunks, on any number of threads and every instruction set."""
    case = Case(base_config, heads, kv_heads, head_dim, dtype)
    starts = np.cumsum([0, *LENGTHS])
    chance = random.Random(2)
    by_order: dict[bool, F32] = {}
    for name in reversed(SETS):  # the fast ones first
        if not _native.force_instruction_set(name):
            continue
        own_order = name == "amx" and in_parts(dtype, head_dim)
        if own_order not in by_order:
            by_order[own_order] = case.native(case.whole())
        expected = by_order[own_order]
        assert np.isfinite(expected).all()
        slow = name == "portable"  # emulates fma
        for threads in (2,) if slow else (1, 2, 3, 5):
            _native.set_threads(threads)
            pieces = case.some(chance, 3 if slow else max(LENGTHS))
            rows = np.concatenate(
                [np.arange(starts[i] + first, starts[i] + first + n) for i, first, n in pieces]
            )
            assert case.native(pieces).tobytes() == expected[rows].tobytes(), (name, threads)
            alone = chance.choice(pieces)
            row = starts[alone[0]] + alone[1]
            one = case.native([(alone[0], alone[1], 1)])
            assert one.tobytes() == expected[row : row + 1].tobytes(), (name, threads)


def test_same_bytes_of_values_of_all_sizes(base_config: ModelConfig) -> None:
    """No product of float32's parts may be denormal, which tiles flush to zero and lanes do not."""
    case = Case(base_config, 4, 2, 128, "fp32", (40, 300))
    values = case.cache.values[1]
    values *= np.exp2(np.random.default_rng(3).integers(-126, 30, values.shape))
    expected = case.native(case.whole())
    assert np.isfinite(expected).all()
    starts = (0, 40)
    for sequence, length in enumerate(case.lengths):
        for row in range(0, length, 7):
            at = starts[sequence] + row
            alone = case.native([(sequence, row, 1)])
            assert alone.tobytes() == expected[at : at + 1].tobytes(), (sequence, row)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("head_dim", [32, 96])
def test_what_is_not_finite_stays_where_it_is(
    head_dim: int, bad: float, dtype: DType, base_config: ModelConfig
) -> None:
    """In one chunk a later position of the same sequence does not reach the rows before it."""
    case = Case(base_config, 4, 2, head_dim, dtype, (300, 20))
    expected = case.native(case.whole())
    block, offset = case.tables[0][270 // BLOCK], 270 % BLOCK
    if case.cache.scales is not None:
        case.cache.scales[1, block, :, :, offset] = bad
    else:
        bits = from_float32(np.float32([bad]), dtype if dtype == "bf16" else "fp32")
        case.cache.keys[1, block, 0, :, offset] = bits
        case.cache.values[1, block, :, offset] = bits
    found = case.native(case.whole())
    assert found[:270].tobytes() == expected[:270].tobytes()
    assert found[300:].tobytes() == expected[300:].tobytes()
    assert not np.isfinite(found[270:300]).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("heads", "kv_heads", "head_dim", "rows"), [(4, 2, 128, 5), (3, 1, 20, 70), (2, 2, 2, 1)]
)
def test_rotate_and_store(
    heads: int, kv_heads: int, head_dim: int, rows: int, dtype: DType, base_config: ModelConfig
) -> None:
    """Every operation is rounded as in the reference: equal bytes, NaN and overflow included."""
    config = replace(base_config, num_layers=2, num_kv_heads=kv_heads, head_dim=head_dim)
    qkv = normal(rows, (heads + 2 * kv_heads) * head_dim) * np.float32(10)
    qkv[0, -1], qkv[0, 0] = 1e6, 3e38  # beyond float16, and infinite once it is rotated
    qkv[-1, -2:] = 1e-17, -1e-39  # too small for bfloat16 caches
    qkv[-1, (heads + kv_heads) * head_dim :][:head_dim] *= np.float32(1e-30)
    if rows > 1:
        qkv[1, heads * head_dim] = np.nan
    angles = normal(rows, head_dim // 2, seed=1) * np.float32(100)
    cosines, sines = np.cos(angles), np.sin(angles)
    slots = np.random.default_rng(2).permutation(6 * BLOCK)[:rows].astype(np.int64)
    ours, theirs = (KVCache(config, 6, BLOCK, dtype) for _ in range(2))
    with np.errstate(over="ignore"):
        expected = REFERENCE.rotate_and_store(qkv, cosines, sines, theirs, 1, slots)
    for name in SETS:
        if not _native.force_instruction_set(name):
            continue
        for threads in (1, 3):
            _native.set_threads(threads)
            ours.keys[:], ours.values[:] = 0, 0
            queries = np.empty((rows, heads, head_dim), np.float32)
            _native.rotate_and_store(
                qkv, cosines, sines, ours.keys, ours.values, dtype, 1, slots, queries, ours.scales
            )
            assert queries.tobytes() == expected.tobytes()
            if ours.scales is not None and theirs.scales is not None:
                assert ours.scales.tobytes() == theirs.scales.tobytes()
                ours.scales[:] = 0
            assert ours.keys.tobytes() == theirs.keys.tobytes()
            assert ours.values.tobytes() == theirs.values.tobytes()


def test_bad_arguments(base_config: ModelConfig, tmp_path: Path) -> None:
    case = Case(base_config, 4, 2, 32, "fp16", (20,))
    cache, table = case.cache, case.tables[0]
    plan = _native.AttentionPlan([Segment(0, 1, 3, table)], BLOCK)
    queries, out = normal(1, 4, 32), np.empty((1, 128), np.float32)

    def attention(**changed: object) -> None:
        arguments = {
            "queries": queries,
            "keys": cache.keys,
            "values": cache.values,
            "dtype": "fp16",
            "layer": 1,
            "plan": plan,
            "out": out,
        }
        _native.attention(**{**arguments, **changed})

    attention()
    with pytest.raises(ValueError, match="another number of rows"):
        attention(queries=normal(2, 4, 32), out=np.empty((2, 128), np.float32))
    with pytest.raises(ValueError, match="heads a multiple"):
        attention(queries=normal(1, 3, 32), out=np.empty((1, 96), np.float32))
    with pytest.raises(ValueError, match="no such layer"):
        attention(layer=2)
    with pytest.raises(TypeError, match="bf16"):
        attention(dtype="bf16")
    with pytest.raises(ValueError, match="out must be"):
        attention(out=np.empty((1, 64), np.float32))
    with pytest.raises(ValueError, match="blocks of 16"):
        attention(keys=cache.keys[..., :8].copy(), values=cache.values[:, :, :, :8].copy())
    scales = np.ones((*cache.keys.shape[:3], 2, BLOCK), np.float32)
    with pytest.raises(ValueError, match="has scales"):
        attention(scales=scales)
    integers = {
        "dtype": "int8",
        "keys": np.zeros(cache.keys.shape, np.int8),
        "values": np.zeros(cache.values.shape, np.int8),
    }
    attention(**integers, scales=scales)
    with pytest.raises(ValueError, match="has scales"):
        attention(**integers)
    with pytest.raises(TypeError, match="int8 cache are int8"):
        attention(**{**integers, "keys": cache.keys}, scales=scales)
    with pytest.raises(ValueError, match="scales are"):
        attention(**integers, scales=scales[:1])
    far = _native.AttentionPlan([Segment(0, 1, 3, table + 100)], BLOCK)
    with pytest.raises(ValueError, match="beyond the cache"):
        attention(plan=far)

    with pytest.raises(ValueError, match="blocks of 16"):
        _native.AttentionPlan([Segment(0, 1, 3, table)], 8)
    with pytest.raises(ValueError, match="shorter"):
        _native.AttentionPlan([Segment(0, 1, 40, table)], BLOCK)
    with pytest.raises(ValueError, match="follow each other"):
        _native.AttentionPlan([Segment(1, 1, 3, table)], BLOCK)
    with pytest.raises(ValueError, match="negative"):
        _native.AttentionPlan([Segment(0, 1, 3, table - 100)], BLOCK)

    qkv, angles = normal(1, 8 * 32), normal(1, 16)
    for slot, words in ((10**6, "slot"), (-1, "slot")):
        slots = np.array([slot], np.int64)
        with pytest.raises(ValueError, match=words):
            _native.rotate_and_store(
                qkv, angles, angles, cache.keys, cache.values, "fp16", 0, slots, normal(1, 4, 32)
            )
