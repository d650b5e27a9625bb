"""Types of the C++ extension; `native/bindings/` is the other half."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

# bindings/module.cpp
def cpu_features() -> dict[str, bool]: ...
def instruction_set() -> Literal[
    "amx", "avx512_bf16", "avx512_vnni", "avx2", "neon", "portable"
]: ...
def force_instruction_set(name: str) -> bool: ...
def set_threads(threads: int) -> None: ...

# bindings/machine.cpp
def threads() -> int: ...
def read_probe(array: Buffer) -> float: ...
def peak(kind: str) -> float: ...
def work_done() -> dict[str, float]: ...

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
def checksum(data: NDArray[np.uint8]) -> int: ...
