"""A row's bytes do not depend on its neighbours, place, chunk, blocks or the threads."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homerun.model.config import ModelConfig, read_config
from homerun.model.dtypes import F32, DType, Tensor, from_float32
from homerun.model.kv_cache import KVCache
from homerun.model.loader import load_model
from homerun.model.ops import reference, tiles
from homerun.model.ops.base import Segment
from homerun.model.ops.reference import ReferenceOps
from homerun.model.packing import pack
from homerun.model.quantize import quantize_weight
from tests.arithmetic import ARITHMETICS, block_sizes, ops_named
from tests.caches import fill
from tests.checkpoints import write_checkpoint
from tests.model.sequences import Sequences, random_ids

OPS = ReferenceOps()
SHAPES = [(1, 2), (7, 65), (31, 64), (64, 33), (255, 130), (256, 704), (257, 63), (704, 256)]
SHAPES += [(1000, 129), (1100, 300), (2050, 67)]
COUNTS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 33)


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def same_in_any_company(function: Callable[[F32], F32], rows: F32) -> None:
    """`function` maps rows to rows: each must be what it is alone, wherever it stands."""
    expected = np.concatenate([function(rows[i : i + 1]) for i in range(len(rows))])
    chance = random.Random(1)
    for count in COUNTS:
        chosen = [chance.randrange(len(rows)) for _ in range(count)]
        found = function(np.ascontiguousarray(rows[chosen]))
        assert found.tobytes() == expected[chosen].tobytes(), count


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize(("k", "n"), SHAPES)
def test_linear(k: int, n: int, dtype: DType) -> None:
    matrix = normal(n, k) / np.float32(k**0.5)
    if dtype == "int8":
        weight = OPS.load_linear(pack(quantize_weight(matrix)))
    else:
        weight = OPS.load_linear(pack(Tensor(from_float32(matrix, dtype), dtype)))
    same_in_any_company(lambda rows: reference.linear(rows, weight), normal(9, k, seed=1))


@pytest.mark.parametrize("width", [1, 2, 63, 64, 129, 256, 4096, 9000])
def test_row_wise_operations(width: int) -> None:
    weight = normal(width, seed=2)
    rows = normal(9, width, seed=1)
    same_in_any_company(lambda rows: reference.rms_norm(rows, weight, 1e-5), rows)
    rows = normal(9, 2 * width, seed=1) * 8
    same_in_any_company(lambda rows: reference.gated(rows, "silu"), rows)
    same_in_any_company(lambda rows: reference.gated(rows, "gelu_tanh"), rows)


def kv_config(directory: Path, heads: int, kv_heads: int, head_dim: int) -> ModelConfig:
    config = read_config(write_checkpoint(directory, "llama"))
    return replace(config, num_layers=1, num_heads=heads, num_kv_heads=kv_heads, head_dim=head_dim)


@pytest.mark.parametrize("kv_dtype", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize(
    ("heads", "kv_heads", "head_dim"),
    [(1, 1, 2), (6, 2, 20), (8, 1, 256), (4, 4, 80), (5, 1, 48), (16, 8, 32), (18, 2, 128)],
)
def test_attention(
    heads: int, kv_heads: int, head_dim: int, kv_dtype: DType, tmp_path: Path
) -> None:
    """Each row as a segment by itself, and in segments of any length beside other sequences."""
    config = kv_config(tmp_path, heads, kv_heads, head_dim)
    lengths = (1, 20, 255, 257, 300)
    cache = KVCache(config, 200, 8, kv_dtype)
    fill(cache, 0)
    order = np.random.default_rng(0).permutation(200).astype(np.int32)
    tables = [order[i * 40 : i * 40 + 38] for i in range(len(lengths))]
    queries = [normal(n, heads, head_dim, seed=n) for n in lengths]

    def run(pieces: list[tuple[int, int, int]]) -> dict[tuple[int, int], bytes]:
        """(sequence, start, rows) -> the bytes of each row by (sequence, position)."""
        segments: list[Segment] = []
        rows: list[F32] = []
        for sequence, start, count in pieces:
            first = sum(len(part) for part in rows)
            segments.append(Segment(first, count, start, tables[sequence]))
            rows.append(queries[sequence][start : start + count])
        plan = OPS.plan_attention(segments, 8)
        found = OPS.attention(np.concatenate(rows), cache, 0, plan)
        return {
            (sequence, start + i): found[segment.first_row + i].tobytes()
            for (sequence, start, count), segment in zip(pieces, segments, strict=True)
            for i in range(count)
        }

    whole = run([(i, 0, n) for i, n in enumerate(lengths)])
    chance = random.Random(2)
    for _ in range(6):
        pieces = []
        for sequence, length in enumerate(lengths):
            start = chance.randrange(length)
            rows = chance.choice((1, 1, 3, length - start))
            pieces.append((sequence, start, min(rows, length - start)))
        chance.shuffle(pieces)
        for key, row in run(pieces).items():
            assert row == whole[key], key


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("family", ["llama", "gemma"])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
def test_whole_decoder(family: str, dtype: str, arithmetic: str, tmp_path: Path) -> None:
    directory, ops = write_checkpoint(tmp_path, family), ops_named(arithmetic)
    model = load_model(directory, dtype=dtype, max_model_len=512, ops=ops)
    ids = [random_ids(n, 300, seed=n) for n in (1, 5, 33, 130, 290)]
    variants = (0, 1, 0, 1, 1)
    alone = Sequences(model, ids, variants).run_alone()
    for seed in range(2):
        chance = random.Random(seed)
        block_size = chance.choice(block_sizes(arithmetic, 1, 16, 64))
        mixed = Sequences(model, ids, variants, block_size, chance=chance, dirt=float("nan"))
        for one, other in zip(alone, mixed.run_mixed(max_chunk=70), strict=True):
            assert one.tobytes() == other.tobytes()
    rows = np.concatenate(alone)[:40]
    same_in_any_company(lambda some: model.decoder.logits(some).copy(), rows)


def test_one_row_per_tile_where_the_blas_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback gives the same bytes as shared tiles do on a BLAS that needs no fallback."""
    weight = OPS.load_linear(pack(Tensor(normal(70, 300), "fp32")))
    rows = normal(11, 300, seed=1)
    shared = reference.linear(rows, weight)
    monkeypatch.setattr(tiles, "rows_may_share_a_tile", lambda: False)
    assert reference.linear(rows, weight).tobytes() == shared.tobytes()


def digest(directory: Path) -> str:
    """Of hidden rows and logits of a mixed run in every dtype, for comparison between processes."""
    state = hashlib.sha256()
    for dtype in ("fp32", "fp16", "bf16", "int8"):
        model = load_model(directory, dtype=dtype)
        ids = [random_ids(n, 300, seed=n) for n in (3, 40, 270)]
        for hidden in Sequences(model, ids).run_mixed(max_chunk=100):
            state.update(hidden.tobytes())
            state.update(model.decoder.logits(hidden).tobytes())
    # Wide enough that a plain product would be split over threads.
    weight = OPS.load_linear(pack(Tensor(normal(2100, 1300), "fp32")))
    state.update(reference.linear(normal(64, 1300, seed=1), weight).tobytes())
    return state.hexdigest()


def test_number_of_threads(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, "llama")
    code = "import sys; from pathlib import Path; from tests.model.test_same_rows import digest; "
    code += "print(digest(Path(sys.argv[1])))"

    def elsewhere(threads: int) -> str:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        environment["OPENBLAS_NUM_THREADS"] = str(threads)
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=120
        ).stdout

    assert elsewhere(1) == elsewhere(2) == elsewhere(5)
