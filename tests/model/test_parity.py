"""Our float32 logits against transformers' on random tiny checkpoints that it wrote itself."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GemmaConfig, GemmaForCausalLM, LlamaConfig, LlamaForCausalLM

from homerun.model.dtypes import F32
from homerun.model.loader import LoadedModel, load_model
from homerun.native import native_available
from tests.arithmetic import block_sizes
from tests.model.sequences import Sequences, random_ids

TOLERANCE = 1e-4
VOCAB = 384

LLAMA: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-5,
}
CASES: dict[str, dict[str, Any]] = {
    "mha": {},
    "gqa": {"num_key_value_heads": 2},
    "tied": {"tie_word_embeddings": True, "num_key_value_heads": 1},
    "wide_heads": {"head_dim": 24, "num_key_value_heads": 2, "hidden_size": 60},
    "linear": {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}},
    "llama3": {
        "num_key_value_heads": 2,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 128,
        },
    },
    "yarn": {
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "original_max_position_embeddings": 128,
        }
    },
    "yarn_mscale": {
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "original_max_position_embeddings": 128,
            "mscale": 0.8,
            "mscale_all_dim": 0.4,
            "truncate": False,
        }
    },
    "gemma": {},
    "gemma_gqa": {"num_key_value_heads": 2, "num_attention_heads": 4, "head_dim": 32},
}


def build(case: str, directory: Path, **save: Any) -> tuple[Any, LoadedModel]:
    """A random model of `case` in transformers, and the same one loaded from its files."""
    torch.manual_seed(1)
    options = LLAMA | CASES[case]
    if case.startswith("gemma"):
        gemma = {"num_key_value_heads": 1, "num_attention_heads": 2, "head_dim": 256}
        options |= {**gemma, **CASES[case], "hidden_activation": None}
        model = GemmaForCausalLM(GemmaConfig(**options))
    else:
        model = LlamaForCausalLM(LlamaConfig(**options))
    model = model.float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0, 1.4 / parameter.shape[1] ** 0.5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(directory, **save)
    return model, load_model(directory, dtype=None)


def their_logits(model: Any, ids: list[int]) -> F32:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def greatest_difference(model: Any, ours: LoadedModel, ids: list[int], hidden: F32) -> float:
    return float(np.abs(ours.decoder.logits(hidden) - their_logits(model, ids)).max())


@pytest.mark.parametrize("case", CASES)
def test_logits_of_prompts_alone_and_in_mixed_chunks(case: str, tmp_path: Path) -> None:
    theirs, ours = build(case, tmp_path)
    prompts = [random_ids(n, VOCAB, seed=n) for n in (1, 2, 17, 130, 500)]
    alone = Sequences(ours, prompts).run_alone()
    mixed = Sequences(ours, prompts, chance=random.Random(3)).run_mixed(max_chunk=90)
    for ids, one, other in zip(prompts, alone, mixed, strict=True):
        assert greatest_difference(theirs, ours, ids, one) < TOLERANCE
        assert one.tobytes() == other.tobytes()


def test_large_float16_matrices(tmp_path: Path) -> None:
    """All but one as large as AMX splits them, in float16; transformers widens them to float32."""
    torch.manual_seed(1)
    sizes = {"hidden_size": 1024, "intermediate_size": 2304, "vocab_size": 2100}
    model = LlamaForCausalLM(LlamaConfig(**LLAMA | sizes | {"num_hidden_layers": 2})).half()
    model.save_pretrained(tmp_path)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ours = load_model(tmp_path, dtype=None)
    assert ours.config.dtype == "fp16"
    prompts = [random_ids(n, VOCAB, seed=n) for n in (1, 2, 17, 130)]
    alone = Sequences(ours, prompts, kv_dtype="fp32").run_alone()
    mixed = Sequences(ours, prompts, kv_dtype="fp32").run_mixed(max_chunk=90)
    for ids, one, other in zip(prompts, alone, mixed, strict=True):
        assert greatest_difference(theirs, ours, ids, one) < TOLERANCE
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("case", ["gqa", "gemma"])
def test_greedy_tokens(case: str, tmp_path: Path) -> None:
    theirs, ours = build(case, tmp_path)
    for length in (1, 60):
        ids = random_ids(length, VOCAB, seed=length)
        told = [*ids, *[0] * 64]
        sequences = Sequences(ours, [told])
        sequences.step([(0, length)])
        for position in range(length, length + 64):
            logits = ours.decoder.logits(sequences.hidden[0][position - 1 : position])
            told[position] = int(logits.argmax())
            sequences.step([(0, 1)])
        expected = their_logits(theirs, told)
        for position in range(length, length + 64):
            second, first = np.sort(expected[position - 1])[-2:]
            if first - second < 1e-3:
                break
            assert told[position] == int(expected[position - 1].argmax())


def test_sharded_checkpoint(tmp_path: Path) -> None:
    theirs, ours = build("gqa", tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    ids = random_ids(40, VOCAB)
    hidden = Sequences(ours, [ids]).run_alone()[0]
    assert greatest_difference(theirs, ours, ids, hidden) < TOLERANCE


def test_stop_ids_of_both_files(tmp_path: Path) -> None:
    model = LlamaForCausalLM(LlamaConfig(**LLAMA, eos_token_id=[5, 6]))
    model.generation_config.eos_token_id = 9
    model.save_pretrained(tmp_path)
    assert load_model(tmp_path, dtype=None).config.stop_ids == {5, 6, 9}


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(8))
def test_many_random_shapes(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    kv_heads = chance.choice((1, 2, 3))
    CASES["random"] = {
        "num_key_value_heads": kv_heads,
        "num_attention_heads": kv_heads * chance.choice((1, 2, 3, 5)),
        "head_dim": 2 * chance.randint(2, 70),
        "hidden_size": 30 * chance.randint(1, 12),
        "intermediate_size": chance.randint(10, 700),
        "tie_word_embeddings": chance.random() < 0.5,
    }
    CASES["random"]["hidden_size"] *= CASES["random"]["num_attention_heads"]
    theirs, ours = build("random", tmp_path)
    prompts = [random_ids(chance.randint(1, 500), VOCAB, seed=i) for i in range(6)]
    arithmetic = "native" if native_available() else "reference"
    block_size = chance.choice(block_sizes(arithmetic, 1, 8, 32, 256))
    sequences = Sequences(ours, prompts, block_size=block_size, chance=chance)
    for ids, hidden in zip(prompts, sequences.run_mixed(max_chunk=200), strict=True):
        assert greatest_difference(theirs, ours, ids, hidden) < 3 * TOLERANCE
