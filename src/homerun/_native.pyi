"""Types of the C++ extension; `native/bindings/` is the other half."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

# bindings/module.cpp
def cpu_features() -> dict[str, bool]: ...
def instruction_set() -> Literal[
    "amx", "avx512_bf16", "avx512_vnni", "avx2", "neon", "portable"
]: ...
def force_instruction_set(name: str) -> bool: ...
def instruction_sets() -> list[str]: ...
def set_threads(threads: int) -> None: ...
def share_out(pieces: int, seconds: float = 0.0) -> list[int]: ...

# bindings/machine.cpp
def threads() -> int: ...
def read_probe(array: Buffer) -> float: ...
def peak(kind: str) -> float: ...
def work_done() -> dict[str, float]: ...

# bindings/lora.cpp
class Adapter:
    def __init__(
        self,
        dtype: Literal["fp32", "fp16", "bf16"],
        data: NDArray[np.uint8],
        places: Sequence[tuple[int, int, Sequence[tuple[int, float, int, int, int]]]],
    ) -> None: ...

class AdapterPlan:
    def __init__(self, uses: Sequence[tuple[Adapter, NDArray[np.int32]]]) -> None: ...

# bindings/linear.cpp
class Linear:
    def __init__(
        self,
        dtype: Literal["fp32", "fp16", "bf16", "int8"],
        n: int,
        k: int,
        panels: NDArray[Any],
        scales: NDArray[np.float32] | None,
        weight_group: int = 0,
        activation_group: int = 0,
    ) -> None: ...
    @property
    def in_features(self) -> int: ...
    @property
    def out_features(self) -> int: ...

def norm_linear(
    x: NDArray[np.float32],
    norm: NDArray[np.float32],
    eps: float,
    weight: Linear,
    out: NDArray[np.float32],
    adapters: AdapterPlan | None = None,
    place: int = 0,
) -> None: ...
def linear_add(
    x: NDArray[np.float32],
    weight: Linear,
    residual: NDArray[np.float32],
    adapters: AdapterPlan | None = None,
    place: int = 0,
) -> None: ...
def gated_linear_add(
    gate_up: NDArray[np.float32],
    activation: Literal["silu", "gelu_tanh"],
    weight: Linear,
    residual: NDArray[np.float32],
    adapters: AdapterPlan | None = None,
    place: int = 0,
) -> None: ...

# bindings/elementwise.cpp
def embed(
    table: NDArray[Any],
    dtype: Literal["fp32", "fp16", "bf16"],
    token_ids: NDArray[np.int32],
    scale: float,
    out: NDArray[np.float32],
) -> None: ...
def rms_norm(
    x: NDArray[np.float32], weight: NDArray[np.float32], eps: float, out: NDArray[np.float32]
) -> None: ...
def gated(
    gate_up: NDArray[np.float32],
    activation: Literal["silu", "gelu_tanh"],
    out: NDArray[np.float32],
) -> None: ...

# bindings/checksum.cpp
def checksum(data: Buffer) -> int: ...

# bindings/memory.cpp
def populate(pieces: list[NDArray[np.uint8]], by_writes: bool = False) -> None: ...

# bindings/attention.cpp
class _Segment(Protocol):
    """`model.ops.base.Segment`, which this base module does not know."""

    @property
    def first_row(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def block_table(self) -> NDArray[np.int32]: ...

class AttentionPlan:
    def __init__(self, segments: Sequence[_Segment], block_size: int) -> None: ...

def attention(
    queries: NDArray[np.float32],
    keys: NDArray[Any],
    values: NDArray[Any],
    dtype: Literal["fp32", "fp16", "bf16", "int8"],
    layer: int,
    plan: AttentionPlan,
    out: NDArray[np.float32],
    scales: NDArray[np.float32] | None = None,
) -> None: ...

class DecoderLayers:
    """bindings/layers.cpp"""

    def __init__(
        self,
        layers: Sequence[
            tuple[NDArray[np.float32], Linear, Linear, NDArray[np.float32], Linear, Linear]
        ],
        eps: float,
        activation: Literal["silu", "gelu_tanh"],
    ) -> None: ...
    def run(
        self,
        x: NDArray[np.float32],
        cosines: NDArray[np.float32],
        sines: NDArray[np.float32],
        keys: NDArray[Any],
        values: NDArray[Any],
        dtype: Literal["fp32", "fp16", "bf16", "int8"],
        slots: NDArray[np.int64],
        plan: AttentionPlan,
        scales: NDArray[np.float32] | None,
        adapters: AdapterPlan | None,
    ) -> None: ...

def rotate_and_store(
    qkv: NDArray[np.float32],
    cosines: NDArray[np.float32],
    sines: NDArray[np.float32],
    keys: NDArray[Any],
    values: NDArray[Any],
    dtype: Literal["fp32", "fp16", "bf16", "int8"],
    layer: int,
    slots: NDArray[np.int64],
    queries_out: NDArray[np.float32],
    scales: NDArray[np.float32] | None = None,
) -> None: ...

# bindings/sampling.cpp
class Sampling:
    def __init__(
        self,
        temperature: float,
        top_p: float | None,
        top_k: int | None,
        repetition_penalty: float | None,
        frequency_penalty: float | None,
        presence_penalty: float | None,
        seed: int,
        choice: int,
    ) -> None: ...

def sample_rows(
    logits: NDArray[np.float32],
    rows: list[
        tuple[Sampling, int, NDArray[np.int32] | memoryview | None, int, NDArray[np.int32] | None]
    ],
) -> list[int]: ...
def uniform(seed: int, position: int, choice: int, purpose: int) -> float: ...
