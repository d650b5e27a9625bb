"""Models of random weights: they load and answer, in the shapes of the models they stand for."""

from pathlib import Path

import numpy as np
import pytest

from homerun.model.loader import load_model
from homerun.model.packed_file import read_facts
from homerun.model.random_model import write_random_model
from homerun.model.shapes import SHAPES
from tests.model.sequences import Sequences


def test_random_models(tmp_path: Path) -> None:
    """rookie's shape in every dtype: loads, and answers with finite numbers."""
    for dtype in ("int8", "bf16", "fp16", "fp32"):
        write_random_model(tmp_path / dtype, "rookie", dtype)
        model = load_model(tmp_path / dtype, dtype=dtype)
        hidden = Sequences(model, [[5, 6, 7]]).run_alone()[0]
        logits = model.decoder.logits(hidden)
        assert np.isfinite(logits).all()
        assert logits.std() > 0.01
    write_random_model(tmp_path / "grouped", "rookie", "int8", 1, 128, 64)
    assert read_facts(tmp_path / "grouped").weight_group == 128


def test_shapes_of_random_models() -> None:
    """Weights per shape in billions, as the authors count them (embedding once)."""
    billions = {"llama-2-7b": 6.738, "llama-1.1b": 1.100, "gemma-2b": 2.506, "gemma-7b": 8.538}
    for name, expected in billions.items():
        shape = SHAPES[name]
        hidden, inner, heads = (
            shape["hidden_size"], shape["intermediate_size"], shape["num_attention_heads"],
        )  # fmt: skip
        both = heads + shape["num_key_value_heads"]
        layer = 2 * both * shape["head_dim"] * hidden + 3 * hidden * inner
        tables = shape["vocab_size"] * hidden * (1 if name.startswith("gemma") else 2)
        total = shape["num_hidden_layers"] * layer + tables
        assert round(total / 1e9, 3) == pytest.approx(expected, abs=0.0011)
