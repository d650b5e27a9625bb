"""Loading: what a checkpoint must have, what is refused and how, dtypes and revisions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from homerun.errors import CheckpointError
from homerun.model.dtypes import DType
from homerun.model.loader import load_model
from tests.checkpoints import HIDDEN, INTERMEDIATE, write_checkpoint
from tests.model.sequences import Sequences

Tensors = dict[str, Any]
Q = "model.layers.1.self_attn.q_proj.weight"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint", "llama")


def change_tensors(directory: Path, change: Any) -> None:
    path = str(directory / "model.safetensors")
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def change_config(directory: Path, **fields: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def refused(directory: Path, told: str, dtype: DType | None = None) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_model(directory, dtype=dtype)
    assert told in str(caught.value)


def test_missing_tensors_are_named(directory: Path) -> None:
    change_tensors(directory, lambda tensors: tensors.pop(Q))
    refused(directory, f"lacks {Q}")
    change_config(directory, num_hidden_layers=3)
    refused(directory, "and 7 more")


def test_unexpected_tensors_are_named(directory: Path) -> None:
    bias = np.zeros(3, np.float32)
    change_tensors(directory, lambda tensors: tensors.update({"model.layers.0.bias": bias}))
    refused(directory, "holds model.layers.0.bias, which a llama model of 2 layers does not have")


def test_old_rotary_buffers_are_ignored(directory: Path) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    change_tensors(directory, lambda tensors: tensors.update({name: np.zeros(10, np.float32)}))
    load_model(directory, dtype=None)


def test_shapes_are_compared_with_the_config(directory: Path) -> None:
    change_config(directory, intermediate_size=64)
    told = f"[{INTERMEDIATE}, {HIDDEN}] where config.json needs [64, {HIDDEN}]"
    refused(directory, f"gate_proj.weight has shape {told}")


def test_missing_head_of_an_untied_model(directory: Path) -> None:
    change_tensors(directory, lambda tensors: tensors.pop("lm_head.weight"))
    refused(directory, "tie_word_embeddings")
    change_config(directory, tie_word_embeddings=True)
    load_model(directory, dtype=None)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_damaged_numbers(value: float, directory: Path) -> None:
    def damage(tensors: Tensors) -> None:
        tensors[Q][0, 3] = value

    change_tensors(directory, damage)
    refused(directory, f"{Q} holds NaN or infinity")


def test_numbers_beyond_float16(directory: Path) -> None:
    def enlarge(tensors: Tensors) -> None:
        tensors[Q][0, 3] = 1e6

    change_tensors(directory, enlarge)
    load_model(directory, dtype="bf16")
    refused(directory, "beyond float16's 65504", dtype="fp16")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.gguf", "consolidated.00.pth"])
def test_other_formats_are_refused(name: str, directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / name)
    refused(directory, f"has its weights in {name}")


def test_no_weights_at_all(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    refused(directory, "has neither model.safetensors nor model.safetensors.index.json")


def make_index(directory: Path, weight_map: Any) -> None:
    (directory / "model.safetensors").rename(directory / "part.safetensors")
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize(
    "name",
    ["../part.safetensors", "/etc/passwd", "a/part.safetensors", "..", ".safetensors", 3, None, [],
     "part.bin", "part\n.safetensors", "a\\part.safetensors", "x" * 300 + ".safetensors"],
)  # fmt: skip
def test_shards_stay_in_the_directory(name: Any, directory: Path) -> None:
    make_index(directory, {Q: name})
    refused(directory, "which is no file beside the index")


@pytest.mark.parametrize(
    ("weight_map", "told"),
    [
        ({}, "weight_map is missing or empty"),
        (None, "weight_map is missing or empty"),
        ([], "must be an object"),
        ({Q: "gone.safetensors"}, "gone.safetensors is missing"),
    ],
)
def test_broken_indexes(weight_map: Any, told: str, directory: Path) -> None:
    make_index(directory, weight_map)
    refused(directory, told)


def test_a_tensor_in_two_shards(directory: Path) -> None:
    make_index(directory, {Q: "part.safetensors", "x": "more.safetensors"})
    (directory / "more.safetensors").write_bytes((directory / "part.safetensors").read_bytes())
    refused(directory, "is in more.safetensors and part.safetensors")


def test_weights_run_as_stored_unless_told_otherwise(directory: Path) -> None:
    assert load_model(directory, dtype=None).config.dtype == "fp32"
    assert load_model(directory, dtype="int8").config.dtype == "int8"

    def halve(tensors: Tensors) -> None:
        tensors.update({name: tensor.astype(np.float16) for name, tensor in tensors.items()})

    change_tensors(directory, halve)
    assert load_model(directory, dtype=None).config.dtype == "fp16"


def test_revision_is_the_content(directory: Path) -> None:
    first = load_model(directory, dtype=None).revision
    assert load_model(directory, dtype=None).revision == first
    assert load_model(directory, dtype="bf16").revision != first
    assert load_model(directory, dtype=None, max_model_len=999).revision != first
    change_config(directory, eos_token_id=[7, 8])
    assert load_model(directory, dtype=None).revision == first

    def touch(tensors: Tensors) -> None:
        tensors[Q][0, 0] += 1

    change_tensors(directory, touch)
    assert load_model(directory, dtype=None).revision != first


def test_tensors_at_odd_bytes(directory: Path) -> None:
    """The format does not align tensors."""
    expected = Sequences(load_model(directory, dtype=None), [[1, 2, 3]]).run_alone()[0]
    path = directory / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].rstrip() + b" " * (1 + length % 2)
    header += b" " * (1 - len(header) % 2)
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    for dtype in (None, "bf16", "int8"):
        found = Sequences(load_model(directory, dtype=dtype), [[1, 2, 3]]).run_alone()[0]
        assert dtype or found.tobytes() == expected.tobytes()


def test_packing_lets_go_of_the_file(directory: Path) -> None:
    """A model is in use while its file is replaced by rename, as an upgrade does it."""
    model = load_model(directory, dtype=None)
    before = Sequences(model, [[1, 2, 3]]).run_alone()[0]
    (directory / "new").write_bytes(b"other")
    (directory / "new").rename(directory / "model.safetensors")
    assert Sequences(model, [[1, 2, 3]]).run_alone()[0].tobytes() == before.tobytes()
