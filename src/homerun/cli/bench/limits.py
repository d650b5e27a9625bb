"""What this machine can do at most, and what the kernels have done, as the C++ extension tells it.

Without the extension there are none: every function says None or zero, and nothing fails.
"""

import mmap
from dataclasses import asdict, dataclass
from pathlib import Path

from homerun.cli.bench.figures import rounded
from homerun.cli.bench.machine import available_bytes
from homerun.cli.bench.steps import Work
from homerun.native import cpu_features, extension, instruction_set, native_available, threads

PROBED_BYTES = 1 << 30
"""Read by a probe: more than a cache holds."""
PEAKS = {
    "int8": "int8",
    "bf16": "bf16",
    "fp32": "fp32 (fp16 is widened)",
    "amx_int8": "int8, AMX",
    "amx_bf16": "bf16, AMX",
}
AMX_PRODUCTS = {"int8": ("amx_int8", 1), "bf16": ("amx_bf16", 1), "fp16": ("amx_bf16", 3)}
"""The instruction, and how many of its products a product of that dtype takes."""
LARGE_FP16 = 1 << 21
"""Weights of the smallest float16 matrix that runs on AMX: `amx/linear_fp16.cpp` of the kernels."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Measured with all threads."""

    instruction_set: str
    threads: int | None
    probe_gb_per_s: float | None
    peak_gmac_per_s: dict[str, float]
    """By kind; only what the CPU has."""

    def json(self) -> dict[str, object]:
        return {
            **asdict(self),
            "probe_gb_per_s": rounded(self.probe_gb_per_s),
            "peak_gmac_per_s": {k: rounded(v) for k, v in self.peak_gmac_per_s.items()},
        }


def measured_limits() -> Limits:
    """Takes about three seconds and, for one of them, a GiB of memory."""
    read: list[float] = []
    if native_available():
        data = bytes([1]) * min(PROBED_BYTES, available_bytes() // 4)  # zeros would be one page
        read = [_gb_per_s(data) for _ in range(5)]
    kinds = {kind: peak(kind) for kind in PEAKS}
    return Limits(
        instruction_set(),
        threads(),
        max(read, default=None),
        {kind: value for kind, value in kinds.items() if value is not None},
    )


def peak(kind: str) -> float | None:
    """GMAC/s of all threads for a key of `PEAKS`; None if the CPU does not have it."""
    if not native_available():
        return None
    try:
        return extension().peak(kind)
    except ValueError:
        return None


def peak_kind(dtype: str) -> str:
    """The peak that products with weights of `dtype` are held against.

    The best that vector registers do: AMX, where it is used, is told apart. bfloat16 without its
    own instruction is widened to float32, and float16 in vector registers always is.
    """
    if dtype == "bf16" and instruction_set() in ("avx512_bf16", "amx"):
        return "bf16"
    return "int8" if dtype == "int8" else "fp32"


def amx_peak(dtype: str, largest: int) -> float | None:
    """GMAC/s of AMX for products with weights of `dtype`, where the kernels in use run on it.

    `largest`: weights of the model's largest matrix.
    """
    kind, products = AMX_PRODUCTS.get(dtype, ("", 1))
    if instruction_set() != "amx" or not cpu_features().get(kind, False):
        return None
    if dtype == "fp16" and largest < LARGE_FP16:
        return None
    most = peak(kind)
    return None if most is None else most / products


def work_done() -> Work:
    """The counters of the kernels since the process began."""
    if not native_available():
        return Work()
    done = extension().work_done()
    seconds = done["linear_seconds"] + done["attention_seconds"] + done["other_seconds"]
    return Work(seconds, done["linear_seconds"], done["linear_macs"])


class Probe:
    """Reads a GiB of the weights (all of them if they are fewer), as the kernels find them."""

    def __init__(self, data: memoryview | mmap.mmap) -> None:
        """`data`: the mapped file that the weights are views of."""
        self._bytes = memoryview(data)[:PROBED_BYTES]
        self.size = len(self._bytes)

    @classmethod
    def of_file(cls, path: Path) -> "Probe":
        """For weights that were converted from a file: its pages stand for them."""
        with path.open("rb") as file:
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def __call__(self) -> float:
        """GB/s."""
        return _gb_per_s(self._bytes)


def _gb_per_s(data: memoryview | bytes) -> float:
    return len(data) / extension().read_probe(data) * 1e-9
