"""The operations by the C++ kernels. Knows their calls and memory; computes nothing itself."""

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from homerun import native
from homerun.model.config import Activation
from homerun.model.dtypes import F32, I32, I64, Tensor
from homerun.model.kv_cache import KVCache
from homerun.model.ops.base import AttentionPlan, LinearWeight, Segment
from homerun.model.packing import PackedMatrix


class NativeOps:
    """`base.Ops` by `homerun._native`. One thread at a time: its results share memory.

    A result's memory is used again once nobody holds the result.
    """

    def __init__(self) -> None:
        """Raises ConfigurationError where the extension is absent."""
        self._native = native.extension()
        self._memory = Memory()

    @property
    def instruction_set(self) -> str:
        return native.instruction_set()

    def load_linear(self, matrix: PackedMatrix) -> LinearWeight:
        return self._native.Linear(
            matrix.dtype,
            matrix.n,
            matrix.k,
            matrix.panels,
            matrix.scales,
            matrix.weight_group,
            matrix.activation_group,
        )

    def embed(self, table: Tensor, token_ids: I32, scale: float) -> F32:
        out = self._memory.empty(len(token_ids), table.shape[1])
        self._native.embed(table.data, table.dtype, token_ids, scale, out)
        return out

    def norm_linear(self, x: F32, norm: F32, eps: float, weight: LinearWeight) -> F32:
        out = self._memory.empty(x.shape[0], weight.out_features)
        self._native.norm_linear(x, norm, eps, weight, out)
        return out

    def linear_add(self, x: F32, weight: LinearWeight, residual: F32) -> None:
        self._native.linear_add(x, weight, residual)

    def gated_linear_add(
        self, gate_up: F32, activation: Activation, weight: LinearWeight, residual: F32
    ) -> None:
        self._native.gated_linear_add(gate_up, activation, weight, residual)

    def rotate_and_store(
        self, qkv: F32, cosines: F32, sines: F32, cache: KVCache, layer: int, slots: I64
    ) -> F32:
        rows, width = qkv.shape
        kv_heads, head_dim = cache.keys.shape[2:4]
        heads = width // head_dim - 2 * kv_heads
        out = self._memory.empty(rows, heads * head_dim).reshape(rows, heads, head_dim)
        self._native.rotate_and_store(
            qkv,
            cosines,
            sines,
            cache.keys,
            cache.values,
            cache.dtype,
            layer,
            slots,
            out,
            cache.scales,
        )
        return out

    def plan_attention(self, segments: Sequence[Segment], block_size: int) -> AttentionPlan:
        return self._native.AttentionPlan(segments, block_size)

    def attention(self, queries: F32, cache: KVCache, layer: int, plan: AttentionPlan) -> F32:
        rows, heads, head_dim = queries.shape
        out = self._memory.empty(rows, heads * head_dim)
        self._native.attention(
            queries, cache.keys, cache.values, cache.dtype, layer, plan, out, cache.scales
        )
        return out


class Memory:
    """Float32 arrays whose memory is used again when nothing refers to them any more.

    Fresh large arrays would cost a page fault per 4 KiB in every operation of every step; for small
    ones malloc does the same, and faster.
    """

    SMALL = 1 << 13

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.float32]] = [np.empty(1, np.float32)]
        # What is said of an array that only the list and the question refer to.
        self._unused = sys.getrefcount(self._arrays[0])

    def empty(self, rows: int, columns: int) -> F32:
        """An array [rows, columns] with undefined contents."""
        size = rows * columns
        if size <= self.SMALL:
            return np.empty((rows, columns), np.float32)
        for index in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[index]) == self._unused:
                if self._arrays[index].size < size:
                    self._arrays[index] = np.empty(size, np.float32)
                return self._arrays[index][:size].reshape(rows, columns)
        self._arrays.append(np.empty(size, np.float32))
        return self._arrays[-1].reshape(rows, columns)
