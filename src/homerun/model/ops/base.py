"""The protocol of a decoder's operations: what each computes, to the rounding.

Knows shapes, dtypes and order; implementations (`reference.py` and others) know how.

Rules that hold for every operation:

- Activations between operations are float32, one row per token: `[M, width]`, C-contiguous.
- A row of a result depends on that row of the input (for attention: on its own sequence) and on
  nothing else: not on M, its index, other rows, the chunk it arrived in, the numbers of its
  blocks, or the number of threads. "Depends" means bytes.
- Sums are float32 unless said otherwise. Their order is the implementation's, but always the same.
- Rounding is to nearest, ties to even.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from homerun.model.config import Activation
from homerun.model.dtypes import F32, I32, I64, Tensor
from homerun.model.kv_cache import KVCache
from homerun.model.lora import PackedAdapter
from homerun.model.packing import PackedMatrix


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rows of a batch that belong to one sequence."""

    first_row: int
    rows: int
    start: int
    """Absolute position of `first_row`; the others follow one by one."""
    block_table: I32
    """int32 [≥ ceil((start + rows) / block_size)]: the sequence's blocks in order of position."""


class LinearWeight(Protocol):
    """A weight matrix [out_features, in_features] in the layout an implementation wants."""

    @property
    def in_features(self) -> int: ...
    @property
    def out_features(self) -> int: ...


class AttentionPlan(Protocol):
    """The segments of a batch in the form an implementation wants."""


class AdapterWeight(Protocol):
    """An adapter's factors in the layout an implementation wants."""


@dataclass(frozen=True, slots=True)
class AdapterRows:
    """The rows of a batch that use one adapter."""

    adapter: AdapterWeight
    rows: I32
    """int32 [n], in any order; no row is used twice in a batch."""


class AdapterPlan(Protocol):
    """The adapters of a batch in the form an implementation wants."""


@dataclass(frozen=True, slots=True)
class Additions:
    """What the adapters of a batch add to one product; some of them perhaps nothing."""

    plan: AdapterPlan
    place: int
    """Layer · 4 + site, see `model.lora`."""


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer. Norm weights are float32 [hidden], Gemma's with the 1 added."""

    input_norm: F32
    qkv: LinearWeight
    """[(heads + 2 · kv_heads) · head_dim, hidden]: queries, keys, values."""
    output: LinearWeight
    post_attention_norm: F32
    gate_up: LinearWeight
    """[2 · intermediate, hidden]: gates, ups."""
    down: LinearWeight


@dataclass(frozen=True, slots=True)
class Step:
    """What the layers need to know of a batch."""

    cosines: F32
    """float32 [M, head_dim / 2]; so are `sines`."""
    sines: F32
    cache: KVCache
    slots: I64
    """int64 [M], see `Ops.rotate_and_store`."""
    attention: AttentionPlan
    adapters: AdapterPlan | None
    """None where no row uses one."""


class Layers(Protocol):
    """The layers of a decoder, in the form an implementation wants."""

    def run(self, x: F32, step: Step) -> None:
        """x float32 [M, hidden] through all layers, in place; writes keys and values.

        By definition what `layers.OneByOne` does, to the byte.
        """
        ...


class Ops(Protocol):
    """One implementation of the operations."""

    @property
    def instruction_set(self) -> str:
        """What arithmetic runs: answers keep their bytes as long as this does not change."""
        ...

    def load_linear(self, matrix: PackedMatrix) -> LinearWeight:
        """A packed matrix [N, K] in the form the products below take; may keep views of it."""
        ...

    def load_adapter(self, adapter: PackedAdapter) -> AdapterWeight:
        """Packed factors in the form a plan takes; may keep views of them. From any thread."""
        ...

    def load_layers(
        self, layers: Sequence[LayerWeights], eps: float, activation: Activation
    ) -> Layers:
        """The layers of a decoder; their matrices come from `load_linear`."""
        ...

    def plan_adapters(self, uses: Sequence[AdapterRows]) -> AdapterPlan:
        """What the products need to know of a batch's adapters, worked out once for all layers."""
        ...

    def embed(self, table: Tensor, token_ids: I32, scale: float) -> F32:
        """Rows `token_ids` (int32 [M]) of `table` [vocab, hidden] as float32, times `scale`.

        The product is rounded to the table's dtype when `scale` is not 1.
        """
        ...

    def norm_linear(
        self,
        x: F32,
        norm: F32,
        eps: float,
        weight: LinearWeight,
        additions: Additions | None = None,
    ) -> F32:
        """y · weightᵀ, y = x / sqrt(mean(x²) + eps) · norm: [M, K] -> float32 [M, N].

        norm float32 [K]. What is multiplied depends on the weight's dtype:
        fp32, fp16: float32 y with the weight widened to float32. (Large fp16 weights on AMX:
        sixteen bits of y, see `native/kernels/amx/linear_fp16.cpp`.)
        bf16: y rounded to bfloat16 with the weight; products and sums float32.
        int8: y less its outliers (`quantize.take_outliers`) is quantized per row or group of a row
        (`quantize.quantize_rows`). For each group of
        `quantize.sum_group` in order: the exact integer sum as float32, times the row's scale,
        times the channel's, each product rounded, is added to the sum of the groups before; then,
        in their order, outlier · (weight · channel's scale).

        Then `additions`, here and in the other products: for each row of an adapter and each of its
        modules at the place, t = scaling · (A · y) with the float32 y that was not rounded, and the
        module's columns += B · t. Factors are widened, products and sums are float32, and a row is
        added to once per module. Without `additions` nothing else is done than without adapters.
        """
        ...

    def linear_add(
        self, x: F32, weight: LinearWeight, residual: F32, additions: Additions | None = None
    ) -> None:
        """residual += x · weightᵀ, multiplied as `norm_linear` does: x [M, K], residual [M, N]."""
        ...

    def gated_linear_add(
        self,
        gate_up: F32,
        activation: Activation,
        weight: LinearWeight,
        residual: F32,
        additions: Additions | None = None,
    ) -> None:
        """residual += (activation(gate) · up) · weightᵀ; gate_up [M, 2 · K]: gates, then ups.

        silu: x / (1 + exp(-x)). gelu_tanh: x/2 · (1 + tanh(sqrt(2/π) · (x + 0.044715 x³))).
        """
        ...

    def rotate_and_store(
        self, qkv: F32, cosines: F32, sines: F32, cache: KVCache, layer: int, slots: I64
    ) -> F32:
        """Rotates queries and keys, writes keys and values to the cache, returns the queries.

        qkv [M, (heads + 2 · kv_heads) · head_dim]: queries, keys, values. With a and b the first
        and second half of a head: (a·cos - b·sin, b·cos + a·sin), cosines and sines
        [M, head_dim / 2]. Row i goes to slot slots[i] of `layer`, rounded to the cache's dtype
        (beyond float16's range: its largest number; bfloat16 below 2^-55: 0). int8: a head's key,
        and its value, is quantized with a scale of its own (`quantize.quantize_rows`, scale at
        least 2^-64). Returns float32 [M, heads, head_dim].
        """
        ...

    def plan_attention(self, segments: Sequence[Segment], block_size: int) -> AttentionPlan:
        """What `attention` needs to know of a batch, worked out once for all layers."""
        ...

    def attention(self, queries: F32, cache: KVCache, layer: int, plan: AttentionPlan) -> F32:
        """softmax(q · kᵀ / sqrt(head_dim)) · v over a sequence's positions up to the row's own.

        queries [M, heads, head_dim] -> [M, heads · head_dim]; head h reads KV head
        h // (heads / kv_heads). Reads keys and values from the cache only, which holds those of
        these rows already. Positions are taken in tiles of `ATTENTION_TILE` counted from 0. A tile
        t by itself gives m_t = max(score), l_t = sum of p = exp(score - m_t), o_t = sum of p · v,
        unrounded float32 over the positions that the row may see. They are combined in order:
        m' = max(m, m_t), a = exp(m - m'), b = exp(m_t - m'), l = l · a + l_t · b, o = o · a +
        o_t · b. Output = o / l. So who computes a tile, and when, does not show.
        Powers may be taken to base 2: then queries are scaled by log2(e) / sqrt(head_dim).
        bf16: the scaled queries and, in o_t only, p are rounded to bfloat16. int8: a score is the
        product of the rounded query with the key's integers, times the key's scale; o_t sums
        p · (the value's scale), rounded to bfloat16, times the value's integers. The sums of these
        products have one order in all C++ kernels, that of Intel's TDPBF16PS: of every 32 features,
        or positions of a tile, those of even and of odd index are summed from 0 by themselves, then
        both sums, and that is added to the sum so far.
        Every row is in one segment of the plan.
        """
        ...
