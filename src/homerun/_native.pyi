"""Types of the C++ extension; `native/module.cpp` is the other half."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from typing_extensions import Buffer

import numpy as np
from numpy.typing import NDArray

def cpu_features() -> dict[str, bool]: ...
def instruction_set() -> Literal["avx512_vnni", "avx2", "neon", "portable"]: ...
<<<<<<< HEAD

# native/bindings/machine.cpp
def threads() -> int: ...
def read_probe(array: Buffer) -> float: ...
def peak(kind: str) -> float: ...
def work_done() -> dict[str, float]: ...
=======

def cpu_features() -> dict[str, bool]: ...
def instruction_set() -> Literal["avx512_vnni", "avx2", "neon", "portable"]: ...
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
>>>>>>> ef63d91 (Norm, gated activations and embedding on lanes: one order of sums on every instruction set)
def checksum(data: NDArray[np.uint8]) -> int: ...
