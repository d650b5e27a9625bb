"""The operations by the C++ kernels. Knows their calls and memory; computes nothing itself."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun import native
from homerun.model.config import Activation
from homerun.model.dtypes import F32, I32, I64, Tensor
from homerun.model.kv_cache import KVCache
from homerun.model.lora import PackedAdapter
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
    Step,
)
from homerun.model.packing import PackedMatrix


@dataclass(frozen=True, slots=True)
class NativeAdapter:
    """An adapter of the extension."""

    handle: Any


@dataclass(frozen=True, slots=True)
class NativeLayers:
    """All layers in one call: between single ones other threads would take the GIL again."""

    handle: Any

    def run(self, x: F32, step: Step) -> None:
        cache = step.cache
        self.handle.run(
            x,
            step.cosines,
            step.sines,
            cache.keys,
            cache.values,
            cache.dtype,
            step.slots,
            step.attention,
            cache.scales,
            step.adapters,
        )


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

    def load_adapter(self, adapter: PackedAdapter) -> AdapterWeight:
        specs = [
            (
                place.k,
                place.offset,
                [
                    (part.rank, part.scaling, part.first_column, part.columns, part.offset)
                    for part in place.parts
                ],
            )
            for place in adapter.places
        ]
        return NativeAdapter(self._native.Adapter(adapter.dtype, adapter.data, specs))

    def load_layers(
        self, layers: Sequence[LayerWeights], eps: float, activation: Activation
    ) -> Layers:
        specs = [
            (
                layer.input_norm,
                layer.qkv,
                layer.output,
                layer.post_attention_norm,
                layer.gate_up,
                layer.down,
            )
            for layer in layers
        ]
        return NativeLayers(self._native.DecoderLayers(specs, eps, activation))

    def plan_adapters(self, uses: Sequence[AdapterRows]) -> AdapterPlan:
        pairs: list[tuple[Any, I32]] = []
        for use in uses:
            assert isinstance(use.adapter, NativeAdapter)
            pairs.append((use.adapter.handle, use.rows))
        return self._native.AdapterPlan(pairs)

    def embed(self, table: Tensor, token_ids: I32, scale: float) -> F32:
        out = self._memory.empty(len(token_ids), table.shape[1])
        self._native.embed(table.data, table.dtype, token_ids, scale, out)
        return out

    def norm_linear(
        self,
        x: F32,
        norm: F32,
        eps: float,
        weight: LinearWeight,
        additions: Additions | None = None,
    ) -> F32:
        out = self._memory.empty(x.shape[0], weight.out_features)
        self._native.norm_linear(x, norm, eps, weight, out, *_more(additions))
        return out

    def linear_add(
        self, x: F32, weight: LinearWeight, residual: F32, additions: Additions | None = None
    ) -> None:
        self._native.linear_add(x, weight, residual, *_more(additions))

    def gated_linear_add(
        self,
        gate_up: F32,
        activation: Activation,
        weight: LinearWeight,
        residual: F32,
        additions: Additions | None = None,
    ) -> None:
        self._native.gated_linear_add(gate_up, activation, weight, residual, *_more(additions))

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


def _more(additions: Additions | None) -> tuple[Any, ...]:
    """The last arguments of a product."""
    return () if additions is None else (additions.plan, additions.place)


class Memory:
    """Float32 arrays whose memory is used again when nothing refers to them any more.

    Fresh large arrays would cost a page fault per 4 KiB in every operation of every step; for small
    ones malloc does the same, and faster. Large ones begin at a cache line, so that kernels may
    write them past the caches.
    """

    SMALL = 1 << 13
    _LINE = 64 // 4

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.float32]] = []
        self._firsts: list[int] = []
        """Where in an array the first cache line begins."""
        self._append(1)
        # What is said of an array that only the list and the question refer to.
        self._unused = sys.getrefcount(self._arrays[0])

    def empty(self, rows: int, columns: int) -> F32:
        """An array [rows, columns] with undefined contents."""
        size = rows * columns
        if size <= self.SMALL:
            return np.empty((rows, columns), np.float32)
        index = self._unused_array(size)
        first = self._firsts[index]
        # A view of a view refers to the array in the list itself.
        return self._arrays[index][first : first + size].reshape(rows, columns)

    def _unused_array(self, size: int) -> int:
        for index in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[index]) == self._unused:
                if self._arrays[index].size < size + self._LINE:
                    self._arrays[index], self._firsts[index] = self._aligned(size)
                return index
        self._append(size)
        return len(self._arrays) - 1

    def _append(self, size: int) -> None:
        array, first = self._aligned(size)
        self._arrays.append(array)
        self._firsts.append(first)

    def _aligned(self, size: int) -> tuple[NDArray[np.float32], int]:
        array = np.empty(size + self._LINE, np.float32)
        return array, -array.ctypes.data // 4 % self._LINE
