"""Each operation of the reference against the plain formula in float64, per dtype."""

from pathlib import Path

import numpy as np
import pytest
import torch

from homerun.model.config import read_config
from homerun.model.dtypes import F32, DType, Tensor, from_float32, round_to_bf16, to_float32
from homerun.model.kv_cache import KVCache
from homerun.model.loader import load_model
from homerun.model.ops import reference
from homerun.model.ops.base import LinearWeight, Segment
from homerun.model.ops.reference import ReferenceOps
from homerun.model.packing import pack
from homerun.model.quantize import quantize_rows, quantize_weight
from tests.checkpoints import write_checkpoint
from tests.model.sequences import Sequences, random_ids

OPS = ReferenceOps()


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def packed(matrix: F32, dtype: DType) -> LinearWeight:
    if dtype == "int8":
        return OPS.load_linear(pack(quantize_weight(matrix)))
    return OPS.load_linear(pack(Tensor(from_float32(matrix, dtype), dtype)))


@pytest.mark.parametrize(("k", "n"), [(3, 5), (256, 64), (300, 100), (1025, 70), (4100, 8)])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_float_linear(k: int, n: int, dtype: DType) -> None:
    """Exact but for the order of float32 sums, given the inputs rounded as the dtype says."""
    assert dtype != "int8"
    x, matrix = normal(4, k), normal(n, k, seed=1) / np.float32(k**0.5)
    stored = to_float32(from_float32(matrix, dtype), dtype)
    used = round_to_bf16(x) if dtype == "bf16" else x
    expected = used.astype(np.float64) @ stored.T.astype(np.float64)
    np.testing.assert_allclose(reference.linear(x, packed(matrix, dtype)), expected, atol=3e-6)


@pytest.mark.parametrize("k", [5, 1024, 1025, 5000])
def test_int8_linear_is_exact(k: int) -> None:
    """Integer sums by PyTorch, then the two float32 factors: equal to the last bit."""
    x, matrix = normal(7, k), normal(30, k, seed=1)
    x[0], matrix[0] = 1, 1  # all 127: the largest possible sum
    integers, row_scales = quantize_rows(x)
    weight = quantize_weight(matrix)
    sums = torch.from_numpy(integers).long() @ torch.from_numpy(weight.values).long().T
    assert int(sums[0, 0]) == 127 * 127 * k
    expected = (sums.float().numpy() * row_scales) * weight.scales[:, 0]
    found = reference.linear(x, OPS.load_linear(pack(weight)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("fp32", 1e-6), ("fp16", 2e-3), ("bf16", 1.5e-2), ("int8", 4e-2)]
)
def test_error_of_a_linear_per_dtype(dtype: DType, tolerance: float) -> None:
    """Root mean square error against unrounded numbers, relative to the result's own size."""
    x, matrix = normal(32, 700), normal(100, 700, seed=1)
    expected = x.astype(np.float64) @ matrix.T.astype(np.float64)
    error = reference.linear(x, packed(matrix, dtype)) - expected
    assert np.sqrt((error**2).mean() / (expected**2).mean()) < tolerance


def test_rows_that_are_not_finite_stay_by_themselves() -> None:
    x = normal(3, 300)
    x[1, 5] = np.inf
    for dtype in ("fp32", "bf16", "int8"):
        with np.errstate(invalid="ignore"):
            found = reference.linear(x, packed(normal(10, 300, seed=1), dtype))
        assert np.isfinite(found[[0, 2]]).all()
        assert not np.isfinite(found[1]).any()


def test_norm_embedding_and_activations() -> None:
    x, weight = normal(5, 300), normal(300, seed=1)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).mean(1, keepdims=True) + 1e-5) * weight
    np.testing.assert_allclose(reference.rms_norm(x, weight, 1e-5), expected, rtol=2e-6, atol=1e-7)

    ids = np.array([4, 0, 4], np.int32)
    table = Tensor(from_float32(x, "bf16"), "bf16")
    np.testing.assert_array_equal(OPS.embed(table, ids, 1.0), round_to_bf16(x)[ids])
    scaled = (torch.from_numpy(x).bfloat16() * torch.tensor(17.25).bfloat16()).float().numpy()
    np.testing.assert_array_equal(OPS.embed(table, ids, 17.25), scaled[ids])

    gate, up = torch.from_numpy(x[:, :150] * 20), torch.from_numpy(x[:, 150:])
    both = np.concatenate([gate.numpy(), up.numpy()], axis=1)
    with np.errstate(over="ignore"):
        silu = reference.gated(both, "silu")
    expected_silu = torch.nn.functional.silu(gate.double()) * up
    np.testing.assert_allclose(silu, expected_silu, rtol=1e-6, atol=1e-30)
    gelu = torch.nn.functional.gelu(gate.double(), approximate="tanh") * up
    np.testing.assert_allclose(reference.gated(both, "gelu_tanh"), gelu, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("start", [0, 255, 300])
def test_attention_in_float64(start: int, tmp_path: Path) -> None:
    heads, kv_heads, head_dim, rows = 6, 2, 20, 60
    config = read_config(write_checkpoint(tmp_path, "llama"))
    cache = KVCache(config, 64, 16, "fp32")
    length = start + rows
    keys, values = normal(length, kv_heads, head_dim), normal(length, kv_heads, head_dim, seed=1)
    queries = normal(rows, heads, head_dim, seed=2)
    table = np.random.default_rng(0).permutation(64).astype(np.int32)[: -(-length // 16)]
    slots = np.repeat(table, 16)[:length] * 16 + np.arange(length) % 16
    cache.keys[1].transpose(0, 3, 1, 2)[slots // 16, slots % 16] = keys
    cache.values[1].transpose(0, 2, 1, 3)[slots // 16, slots % 16] = values
    plan = OPS.plan_attention([Segment(0, rows, start, table)], 16)
    found = OPS.attention(queries, cache, 1, plan)

    wide = [torch.from_numpy(part).double() for part in (queries, keys, values)]
    q, k, v = wide[0], *(part.repeat_interleave(3, dim=1) for part in wide[1:])
    scores = torch.einsum("qhd,khd->hqk", q, k) / head_dim**0.5
    hidden = torch.arange(length)[None] > start + torch.arange(rows)[:, None]
    weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
    expected = torch.einsum("hqk,khd->qhd", weights, v).reshape(rows, -1)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_other_dtypes_stay_near_float32(family: str, tmp_path: Path) -> None:
    """Logits of a random model: bounds on the error relative to the logits' spread."""
    directory = write_checkpoint(tmp_path, family)
    ids = random_ids(80, 300)

    def logits(dtype: str) -> F32:
        model = load_model(directory, dtype=dtype)
        return model.decoder.logits(Sequences(model, [ids]).run_alone()[0])

    expected = logits("fp32")
    for dtype, tolerance in (("fp16", 0.01), ("bf16", 0.06), ("int8", 0.12)):
        error = logits(dtype) - expected
        assert np.sqrt((error**2).mean()) < tolerance * expected.std(), dtype


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
def test_cache_geometry(dtype: DType, tmp_path: Path) -> None:
    config = read_config(write_checkpoint(tmp_path, "llama"))
    cache = KVCache(config, 5, 16, dtype)
    total = cache.keys.nbytes + cache.values.nbytes
    total += 0 if cache.scales is None else cache.scales.nbytes
    assert KVCache.bytes_per_block(config, 16, dtype) * 5 == total
    assert cache.keys.shape == (*cache.keys.shape[:3], config.head_dim, 16)
    assert cache.values.shape == (*cache.keys.shape[:3], 16, config.head_dim)
    for array in (cache.keys, cache.values):
        assert array.ctypes.data % 64 == 0
        assert not array.any()
    with pytest.raises(ValueError, match="does not divide 256"):
        KVCache(config, 5, 24, "fp16")
