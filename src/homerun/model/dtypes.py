"""Storage dtypes of weights and caches and the exact way to float32 and back.

Knows bits and rounding; knows nothing of files, layers or kernels.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from homerun.errors import ConfigurationError

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

FloatDType = Literal["fp32", "fp16", "bf16"]
DType = Literal["fp32", "fp16", "bf16", "int8"]

NUMPY_TYPES: dict[FloatDType, np.dtype[Any]] = {
    "fp32": np.dtype("<f4"),
    "fp16": np.dtype("<f2"),
    "bf16": np.dtype("<u2"),  # NumPy has no bfloat16: the upper half of a float32, as bits
}

FP16_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class Tensor:
    """An array together with what its bits mean."""

    data: NDArray[Any]
    """float32, float16, or uint16 holding bfloat16 bits; may be a read-only view of a file."""
    dtype: FloatDType

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape


def parse_dtype(name: str) -> DType | None:
    """`name` if it is a storage dtype of ours, else None."""
    return name if name in ("fp32", "fp16", "bf16", "int8") else None


def chosen_dtype(flag: str, text: str | None) -> DType | None:
    """What a person asked for with `flag`; None if nothing. Raises ConfigurationError."""
    dtype = None if text is None else parse_dtype(text)
    if text is not None and dtype is None:
        raise ConfigurationError(f"{flag} {text!r} is none of int8, bf16, fp16, fp32")
    return dtype


def kv_dtype_for(dtype: DType) -> FloatDType:
    """The cache's dtype unless a setting overrides it: bfloat16 for int8, else the weights' own."""
    return "bf16" if dtype == "int8" else dtype


def bf16_to_float32(bits: NDArray[np.uint16]) -> F32:
    """bfloat16 bits -> the same numbers as float32 (exact), of the same shape."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def float32_to_bf16(values: F32) -> NDArray[np.uint16]:
    """float32 -> bfloat16 bits, to nearest even; NaN stays NaN, too large becomes infinity."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded = ((bits + half) >> np.uint32(16)).astype(np.uint16)
    # Rounding could carry a NaN's payload into the sign or to infinity: keep it, made quiet.
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    if is_nan.any():
        quiet = ((bits >> np.uint32(16)) | np.uint32(0x40)).astype(np.uint16)
        rounded = np.where(is_nan, quiet, rounded)
    return rounded


def round_to_bf16(values: F32) -> F32:
    """float32 -> the nearest bfloat16 numbers, as float32."""
    return bf16_to_float32(float32_to_bf16(values))


def fp16_to_float32(values: NDArray[np.float16]) -> F32:
    """float16 -> the same numbers as float32 (exact), several times faster than NumPy's own cast.

    The bits move to their places in a float32, whose exponent is biased by 112 more.
    """
    bits = values.view(np.int16)
    if ((bits & np.int16(0x7C00)) == 0x7C00).any():  # infinity or NaN: has no such place
        return values.astype(np.float32)
    # Widened with its sign; the mask takes the copies of the sign off the exponent.
    wide = (bits.astype(np.int32) << np.int32(13)) & np.int32(-0x70002000)
    return wide.view(np.float32) * np.float32(2.0**112)


def to_float32(data: NDArray[Any], dtype: FloatDType) -> F32:
    """Numbers stored as `dtype` -> float32 (exact). float32 input comes back as it is."""
    if dtype == "bf16":
        return bf16_to_float32(data)
    if dtype == "fp16":
        return fp16_to_float32(data)
    return data.astype(np.float32, copy=False)


def from_float32(values: F32, dtype: FloatDType) -> NDArray[Any]:
    """float32 -> numbers stored as `dtype`, rounded to nearest even.

    Finite numbers beyond float16's range become its largest finite number: an infinity in a KV
    cache would turn masked positions (0 × infinity) into NaN.
    """
    if dtype == "bf16":
        return float32_to_bf16(values)
    if dtype == "fp16":
        return np.clip(values, -FP16_MAX, FP16_MAX).astype(np.float16)
    return values
