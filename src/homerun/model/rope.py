"""Rotary position embedding: inverse frequencies of every supported scaling, cosines and sines.

Knows positions and frequencies; knows nothing of heads, caches or checkpoints' JSON.
Sources: Su et al. 2021 (RoPE), Peng et al. 2023 (YaRN), Meta's Llama 3.1 reference code (llama3).
Arithmetic follows transformers' order in float32, so that positions in the hundreds agree too.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from homerun.model.dtypes import F32, I32

RopeKind = Literal["default", "linear", "llama3", "yarn"]

_FIRST_POSITIONS = 256
"""Of the tables at first; they grow."""

TRAINED = 0
"""RoPE variant as the checkpoint was trained."""
SCALED = 1
"""RoPE variant of a request that goes beyond the trained length."""


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """How positions become angles. Fields beyond `theta` and `factor` are read by one kind each."""

    kind: RopeKind = "default"
    theta: float = 10000.0
    factor: float = 1.0
    original_max_position_embeddings: int = 0
    """llama3 and yarn: the length before scaling."""
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    """yarn: factor on cosines and sines; None = from `factor` and the mscales, as published."""
    mscale: float = 0.0
    mscale_all_dim: float = 0.0
    truncate: bool = True


def inverse_frequencies(config: RopeConfig, head_dim: int) -> tuple[F32, float]:
    """float32 [head_dim / 2] angles per position, and the factor on cosines and sines."""
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    # The power is taken in float64 and rounded once: what a good float32 power returns.
    periods = np.power(config.theta, exponents.astype(np.float64)).astype(np.float32)
    plain = np.float32(1) / periods
    match config.kind:
        case "default":
            return plain, 1.0
        case "linear":
            return plain / np.float32(config.factor), 1.0
        case "llama3":
            return _llama3(config, plain), 1.0
        case "yarn":
            return _yarn(config, periods, head_dim), _yarn_attention_factor(config)


def scaled_beyond_training(config: RopeConfig, trained: int, window: int) -> RopeConfig:
    """The variant for requests beyond `trained` positions in a window of `window` positions.

    YaRN with factor window / trained: it needs no retraining to keep the near positions sharp.
    A checkpoint's own scaling wins, and a window within the trained length needs none.
    """
    if config.kind != "default" or window <= trained:
        return config
    return RopeConfig(
        kind="yarn",
        theta=config.theta,
        factor=window / trained,
        original_max_position_embeddings=trained,
    )


class RopeTables:
    """Cosines and sines for any position of the two RoPE variants."""

    def __init__(self, trained: RopeConfig, scaled: RopeConfig, head_dim: int) -> None:
        variants = [inverse_frequencies(config, head_dim) for config in (trained, scaled)]
        self._frequencies = np.stack([frequencies for frequencies, _ in variants])
        self._factors = np.array([[[factor]] for _, factor in variants], dtype=np.float32)
        self._cosines, self._sines = self._tables(_FIRST_POSITIONS)

    def rotations(self, positions: I32, variants: I32) -> tuple[F32, F32]:
        """Cosines and sines, float32 [M, head_dim / 2] each, for int32 [M] positions and variants.

        The angle is the float32 product; its cosine is taken in float64 and rounded once.
        """
        try:
            return self._cosines[variants, positions], self._sines[variants, positions]
        except IndexError:
            # Once in a while: looked up they cost a fraction of what they take to compute.
            self._cosines, self._sines = self._tables(2 * int(positions.max()) + 2)
            return self._cosines[variants, positions], self._sines[variants, positions]

    def _tables(self, positions: int) -> tuple[F32, F32]:
        """Of the first so many positions: float32 [variant, position, head_dim / 2]."""
        angles = self._frequencies[:, None] * np.arange(positions, dtype=np.float32)[:, None]
        cosines, sines = np.empty_like(angles), np.empty_like(angles)
        np.cos(angles, out=cosines, dtype=np.float64, casting="same_kind")
        np.sin(angles, out=sines, dtype=np.float64, casting="same_kind")
        cosines *= self._factors
        sines *= self._factors
        return cosines, sines


def _llama3(config: RopeConfig, plain: F32) -> F32:
    """Long wavelengths are divided by `factor`, short ones kept, those between blended."""
    length = config.original_max_position_embeddings
    low, high = np.float32(config.low_freq_factor), np.float32(config.high_freq_factor)
    factor = np.float32(config.factor)
    wavelengths = np.float32(2 * math.pi) / plain
    smooth = (np.float32(length) / wavelengths - low) / (high - low)
    blended = (1 - smooth) * plain / factor + smooth * plain
    is_long = wavelengths > np.float32(length / config.low_freq_factor)
    is_short = wavelengths < np.float32(length / config.high_freq_factor)
    return np.where(is_long, plain / factor, np.where(is_short, plain, blended)).astype(np.float32)


def _yarn(config: RopeConfig, periods: F32, head_dim: int) -> F32:
    """Blend of kept and divided frequencies along a ramp over the dimensions."""

    def dimension_turning(rotations: float) -> float:
        length = config.original_max_position_embeddings
        return (
            head_dim * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(config.theta))
        )

    low, high = dimension_turning(config.beta_fast), dimension_turning(config.beta_slow)
    if config.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    if low == high:
        high += 0.001  # the published guard against a ramp of no width
    dimensions = np.arange(head_dim // 2, dtype=np.float32)
    ramp: F32 = np.clip((dimensions - np.float32(low)) / np.float32(high - low), 0, 1)
    kept: F32 = np.float32(1) - ramp
    divided: F32 = np.float32(1) / (np.float32(config.factor) * periods)
    return (divided * (np.float32(1) - kept) + (np.float32(1) / periods) * kept).astype(np.float32)


def _yarn_attention_factor(config: RopeConfig) -> float:
    if config.attention_factor is not None:
        return config.attention_factor
    if config.mscale and config.mscale_all_dim:
        return _mscale(config.factor, config.mscale) / _mscale(config.factor, config.mscale_all_dim)
    return _mscale(config.factor, 1.0)


def _mscale(factor: float, scale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1.0
