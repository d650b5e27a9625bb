"""Adapters of the training: what is written, what the engine answers with it, and what is right."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from safetensors.torch import load_file  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from homerun.model.config import read_config  # noqa: E402
from tests.adapters import write_adapter  # noqa: E402
from training import skills  # noqa: E402
from training.adapters import answers_through_peft, train_adapter  # noqa: E402
from training.answers import Speaker  # noqa: E402
from training.checks import OneLabelCheck  # noqa: E402
from training.worlds.adapters import LABELS  # noqa: E402

SHIPPED = ROOT / "src/homerun/data/rookie"
# PEFT calls what transformers has renamed, and reads the `model_type` that Workers AI asks for.
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing`:FutureWarning", "ignore:Unexpected keyword:UserWarning"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model much smaller than rookie, with its tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=2048,
        initializer_range=0.3,
        eos_token_id=2,
        dtype="float32",
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    shutil.copy(SHIPPED / "tokenizer.json", folder)
    return folder


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    train_adapter("label", base, folder, steps=1)
    return folder


def test_what_is_written(adapters: Path) -> None:
    folder = adapters / "label"
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"], config["task_type"]) == (8, 16, "CAUSAL_LM")
    assert (config["model_type"], config["base_model_name_or_path"]) == ("llama", "@homerun/rookie")
    assert config["target_modules"] == sorted(config["target_modules"])
    tensors = load_file(folder / "adapter_model.safetensors")
    assert len(tensors) == 2 * 7 * 2  # both factors of seven matrices in two layers
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert all(tensor.abs().max() > 0 for tensor in tensors.values())  # B began at zero


def test_the_engine_answers_with_an_adapter_as_peft_does(base: Path, tmp_path: Path) -> None:
    talks = [item.turns for item in skills.adapter_items("label", 5)]
    speaker = Speaker(base, "fp32")
    adapter = write_adapter(tmp_path / "strong", read_config(base), lora_alpha=64)
    said = speaker.answer(talks, limit=6, adapter=adapter)
    assert said == answers_through_peft(base, adapter, talks, limit=6)
    assert said != speaker.answer(talks, limit=6)


def test_a_label_is_one_of_the_labels_and_perhaps_the_right_one() -> None:
    check = OneLabelCheck("praise", LABELS)
    for said, style, right in (
        ("praise", 1, 1),
        ("complaint", 1, 0),
        ("praise.", 0, 0),
        ("It is praise", 0, 0),
        ("", 0, 0),
    ):
        assert check(said) == {"adapter style": (style, 1), "adapter label": (right, 1)}
    for item in skills.adapter_items("label", 20):
        assert item.score(item.answer) == {"adapter style": (1, 1), "adapter label": (1, 1)}
