"""Inverse frequencies and rotations against transformers, and the scaled variant."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from homerun.model.rope import (
    SCALED,
    TRAINED,
    RopeConfig,
    RopeTables,
    inverse_frequencies,
    scaled_beyond_training,
)

YARN = {"factor": 4.0, "original_max_position_embeddings": 4096}
LLAMA3 = {
    **{"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    "original_max_position_embeddings": 8192,
}
CASES: list[dict[str, Any]] = [
    {"kind": "default"},
    {"kind": "default", "theta": 500000.0},
    {"kind": "linear", "factor": 2.5},
    {"kind": "llama3", "theta": 500000.0, **LLAMA3},
    {"kind": "yarn", **YARN},
    {"kind": "yarn", **YARN, "beta_fast": 16.0, "beta_slow": 2.0, "truncate": False},
    {"kind": "yarn", **YARN, "attention_factor": 0.7},
    {"kind": "yarn", **YARN, "mscale": 1.0, "mscale_all_dim": 0.5},
]


@pytest.mark.parametrize("head_dim", [2, 64, 128])
@pytest.mark.parametrize("case", CASES)
def test_rotations_agree_with_transformers(case: dict[str, Any], head_dim: int) -> None:
    config = RopeConfig(**case)
    parameters = {"rope_type": config.kind, "rope_theta": config.theta}
    parameters |= {name: value for name, value in case.items() if name not in ("kind", "theta")}
    theirs = LlamaRotaryEmbedding(
        LlamaConfig(
            hidden_size=head_dim * 2, num_attention_heads=2, head_dim=head_dim,
            max_position_embeddings=16384, rope_parameters=parameters,
        )
    )  # fmt: skip
    frequencies, factor = inverse_frequencies(config, head_dim)
    np.testing.assert_allclose(frequencies, theirs.inv_freq.numpy(), rtol=3e-7)
    assert factor == pytest.approx(theirs.attention_scaling)

    positions = np.array([0, 1, 17, 500, 4095, 16000], np.int32)
    tables = RopeTables(config, config, head_dim)
    cosines, sines = tables.rotations(positions, np.zeros(6, np.int32))
    their_cosines, their_sines = theirs(torch.zeros(1), torch.from_numpy(positions)[None].long())
    # One unit in the last place of a frequency turns into position × 6e-8 of angle.
    allowed = 1e-6 + positions[:, None] * 1.3e-7
    assert (np.abs(cosines - their_cosines[0, :, : head_dim // 2].numpy()) < allowed).all()
    assert (np.abs(sines - their_sines[0, :, : head_dim // 2].numpy()) < allowed).all()


def test_scaled_variant_is_yarn_over_the_window() -> None:
    trained = RopeConfig(theta=10000.0)
    assert scaled_beyond_training(trained, trained=4096, window=8192) == RopeConfig(
        kind="yarn", theta=10000.0, factor=2.0, original_max_position_embeddings=4096
    )
    assert scaled_beyond_training(trained, trained=4096, window=4096) == trained
    own = RopeConfig(kind="linear", factor=2.0)
    assert scaled_beyond_training(own, trained=4096, window=8192) == own


def test_variants_are_chosen_per_row() -> None:
    trained = RopeConfig()
    tables = RopeTables(trained, scaled_beyond_training(trained, 1000, 2000), 64)
    positions = np.array([700, 700], np.int32)
    cosines, _ = tables.rotations(positions, np.array([TRAINED, SCALED], np.int32))
    alone, _ = tables.rotations(positions[:1], np.array([SCALED], np.int32))
    assert cosines[1].tobytes() == alone[0].tobytes() != cosines[0].tobytes()


def test_a_later_position_changes_no_earlier_one() -> None:
    tables = RopeTables(RopeConfig(), RopeConfig(), 32)
    position, variant = np.array([200], np.int32), np.zeros(1, np.int32)
    before = tables.rotations(position, variant)
    tables.rotations(np.array([5000], np.int32), variant)
    after = tables.rotations(position, variant)
    assert [one.tobytes() for one in before] == [one.tobytes() for one in after]
