"""The operations in NumPy: plain, portable, and the definition the others are held to.

Knows arithmetic; knows nothing of files or requests. fp16, bf16 and int8 weights are kept as
float32 working copies (4 bytes per weight), because NumPy has no fast product for them: an int8
model takes as much memory here as a float32 one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from homerun.model.config import Activation
from homerun.model.dtypes import F32, I32, I64, Tensor, from_float32, round_to_bf16, to_float32
from homerun.model.kv_cache import KVCache
from homerun.model.lora import PackedAdapter
from homerun.model.ops.attention import Group, attend, group_segments, to_cache
from homerun.model.ops.base import (
    AdapterPlan,
    AdapterRows,
    AdapterWeight,
    Additions,
    AttentionPlan,
    Layers,
    LayerWeights,
    LinearWeight,
    Segment,
)
from homerun.model.ops.layers import OneByOne
from homerun.model.ops.lora import ReferenceAdapter, add_adapters
from homerun.model.ops.tiles import multiply, pack_blocks
from homerun.model.packing import PackedMatrix, unpack
from homerun.model.quantize import QuantizedMatrix, quantize_rows, sum_group, take_outliers

EXACT_K = 1024
"""127 · 127 · 1024 < 2^24: float32 holds every partial sum of so many int8 products exactly."""


@dataclass(frozen=True, slots=True)
class FloatLinear:
    """A matrix widened to float32, in blocks of `tiles.pack_blocks`."""

    in_features: int
    out_features: int
    blocks: F32
    rounds_input: bool
    """bf16: the activations are rounded to bfloat16 first."""


@dataclass(frozen=True, slots=True)
class Int8Linear:
    """int8 values as float32 [K, N] and scales [G, N] per group and output channel."""

    in_features: int
    out_features: int
    values: F32
    scales: F32
    weight_group: int
    activation_group: int


class ReferenceOps:
    """`base.Ops` in NumPy. Has no state: safe to share between decoders and threads."""

    @property
    def instruction_set(self) -> str:
        return "reference"

    def load_linear(self, matrix: PackedMatrix) -> LinearWeight:
        n, k, weight = matrix.n, matrix.k, unpack(matrix)
        if isinstance(weight, QuantizedMatrix):
            values = np.ascontiguousarray(weight.values.T, dtype=np.float32)
            scales = np.ascontiguousarray(weight.scales.T)
            return Int8Linear(k, n, values, scales, weight.weight_group, weight.activation_group)
        blocks = pack_blocks(to_float32(weight.data, weight.dtype))
        return FloatLinear(k, n, blocks, rounds_input=weight.dtype == "bf16")

    def load_adapter(self, adapter: PackedAdapter) -> AdapterWeight:
        return ReferenceAdapter(adapter)

    def load_layers(
        self, layers: Sequence[LayerWeights], eps: float, activation: Activation
    ) -> Layers:
        return OneByOne(self, layers, eps, activation)

    def plan_adapters(self, uses: Sequence[AdapterRows]) -> AdapterPlan:
        return tuple(uses)

    def embed(self, table: Tensor, token_ids: I32, scale: float) -> F32:
        rows = to_float32(table.data[token_ids], table.dtype)
        if scale == 1.0:
            return rows
        return to_float32(from_float32(rows * np.float32(scale), table.dtype), table.dtype)

    def norm_linear(
        self,
        x: F32,
        norm: F32,
        eps: float,
        weight: LinearWeight,
        additions: Additions | None = None,
    ) -> F32:
        rows = rms_norm(x, norm, eps)
        result = linear(rows, weight)
        add_adapters(additions, rows, result)
        return result

    def linear_add(
        self, x: F32, weight: LinearWeight, residual: F32, additions: Additions | None = None
    ) -> None:
        residual += linear(x, weight)
        add_adapters(additions, x, residual)

    def gated_linear_add(
        self,
        gate_up: F32,
        activation: Activation,
        weight: LinearWeight,
        residual: F32,
        additions: Additions | None = None,
    ) -> None:
        rows = gated(gate_up, activation)
        residual += linear(rows, weight)
        add_adapters(additions, rows, residual)

    def rotate_and_store(
        self, qkv: F32, cosines: F32, sines: F32, cache: KVCache, layer: int, slots: I64
    ) -> F32:
        count = qkv.shape[0]
        kv_heads, head_dim = cache.keys.shape[2:4]
        rotated_width = qkv.shape[1] - kv_heads * head_dim
        heads = qkv[:, :rotated_width].reshape(count, -1, head_dim)
        half = head_dim // 2
        first, second = heads[:, :, :half], heads[:, :, half:]
        cos, sin = cosines[:, None, :], sines[:, None, :]
        rotated = np.empty_like(heads)
        rotated[:, :, :half] = first * cos - second * sin
        rotated[:, :, half:] = second * cos + first * sin
        num_heads = rotated.shape[1] - kv_heads
        values = qkv[:, rotated_width:].reshape(count, kv_heads, head_dim)
        blocks, offsets = np.divmod(slots, cache.block_size)
        stored_keys, key_scales = to_cache(rotated[:, num_heads:], cache.dtype)
        stored_values, value_scales = to_cache(values, cache.dtype)
        cache.keys[layer, blocks, :, :, offsets] = stored_keys
        cache.values[layer, blocks, :, offsets] = stored_values
        if cache.scales is not None:
            cache.scales[layer, blocks, :, 0, offsets] = key_scales
            cache.scales[layer, blocks, :, 1, offsets] = value_scales
        return rotated[:, :num_heads]

    def plan_attention(self, segments: Sequence[Segment], block_size: int) -> AttentionPlan:
        return tuple(group_segments(segments, block_size))

    def attention(self, queries: F32, cache: KVCache, layer: int, plan: AttentionPlan) -> F32:
        count, heads, head_dim = queries.shape
        result = np.empty((count, heads * head_dim), np.float32)
        for group in cast(tuple[Group, ...], plan):
            result[group.rows] = attend(queries[group.rows], cache, layer, group)
        return result


def rms_norm(x: F32, weight: F32, eps: float) -> F32:
    """x / sqrt(mean(x²) + eps) · weight per row; x [M, H], weight float32 [H]."""
    squares = np.add.reduce(x * x, axis=1, keepdims=True)
    mean = squares / np.float32(x.shape[1])
    root: F32 = np.sqrt(mean + np.float32(eps))
    return x * np.reciprocal(root) * weight


def gated(gate_up: F32, activation: Activation) -> F32:
    """activation(gate) · up: [M, 2 · I] (gates, then ups) -> [M, I]."""
    width = gate_up.shape[1] // 2
    gate, up = gate_up[:, :width], gate_up[:, width:]
    if activation == "silu":
        return gate / (np.float32(1) + np.exp(-gate)) * up
    inner = np.float32(math.sqrt(2 / math.pi)) * (
        gate + np.float32(0.044715) * (gate * gate * gate)
    )
    return np.float32(0.5) * gate * (np.float32(1) + np.tanh(inner)) * up


def linear(x: F32, weight: LinearWeight) -> F32:
    """x · weightᵀ: [M, K] -> float32 [M, N], multiplied as `base.Ops.norm_linear` says."""
    if isinstance(weight, FloatLinear):
        rows = round_to_bf16(x) if weight.rounds_input else x
        return multiply(rows, weight.blocks, weight.out_features)
    assert isinstance(weight, Int8Linear)
    return _int8_linear(x, weight)


def _int8_linear(x: F32, weight: Int8Linear) -> F32:
    k = weight.in_features
    rest, indices, outliers = take_outliers(x)
    integers, row_scales = quantize_rows(rest, weight.activation_group)
    length = sum_group(weight.weight_group, weight.activation_group) or k
    result: F32 | None = None
    for start in range(0, k, length):
        end = min(start + length, k)
        sums = _integer_sums(integers[:, start:end], weight.values[start:end])
        row_group = start // (weight.activation_group or k)
        channel_group = start // (weight.weight_group or k)
        product = sums * row_scales[:, row_group, None] * weight.scales[channel_group]
        result = product if result is None else result + product
    assert result is not None
    for place in range(int(np.count_nonzero(outliers, axis=1).max(initial=0))):
        index, value = indices[:, place], outliers[:, place, None]
        channels = weight.values[index] * weight.scales[index // (weight.weight_group or k)]
        result = np.where(value != 0, result + value * channels, result)
    return result


def _integer_sums(integers: F32, values: F32) -> F32:
    """Exact sums, hence free of any order, rounded to float32 once.

    K is taken in pieces whose float32 sums are integers below 2^24.
    """
    sums: F32 = integers[:, :EXACT_K] @ values[:EXACT_K]
    if len(values) <= EXACT_K:
        return sums
    total = sums.astype(np.int32)
    for start in range(EXACT_K, len(values), EXACT_K):
        piece = integers[:, start : start + EXACT_K] @ values[start : start + EXACT_K]
        total += piece.astype(np.int32)
    return total.astype(np.float32)
