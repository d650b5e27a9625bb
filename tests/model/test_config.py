"""config.json in both spellings, and everything that is refused in plain words."""

import json
from pathlib import Path
from typing import Any

import pytest

from homerun.errors import CheckpointError
from homerun.model.config import ModelConfig, read_config
from homerun.model.rope import RopeConfig

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 512,
    "hidden_act": "silu",
}
GEMMA: dict[str, Any] = LLAMA | {
    "architectures": ["GemmaForCausalLM"],
    "model_type": "gemma",
    "num_key_value_heads": 1,
    "hidden_act": "gelu",
}


def read(directory: Path, config: dict[str, Any], generation: Any = None) -> ModelConfig:
    (directory / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (directory / "generation_config.json").write_text(json.dumps(generation))
    return read_config(directory)


def test_family_defaults(tmp_path: Path) -> None:
    llama = read(tmp_path, LLAMA)
    assert (llama.num_kv_heads, llama.head_dim, llama.tie_word_embeddings) == (4, 16, False)
    assert (llama.activation, llama.dtype, llama.stop_ids) == ("silu", "fp32", frozenset())
    gemma = read(tmp_path, GEMMA)
    assert (gemma.num_kv_heads, gemma.head_dim, gemma.tie_word_embeddings) == (1, 256, True)


@pytest.mark.parametrize(
    "keys",
    [
        {"hidden_act": "gelu"},
        {"hidden_act": "gelu_pytorch_tanh"},
        {"hidden_act": "gelu", "hidden_activation": None},
        {"hidden_act": "silu", "hidden_activation": "gelu_pytorch_tanh"},
        {"hidden_act": None},
    ],
)
def test_gemma_always_means_the_tanh_approximation(keys: dict[str, Any], tmp_path: Path) -> None:
    assert read(tmp_path, GEMMA | keys).activation == "gelu_tanh"


LLAMA3 = {
    "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            {"rope_theta": 500.0},
            {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
            RopeConfig(theta=500.0),
        ),
        (
            {"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 2}},
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}},
            RopeConfig("linear", 500.0, 2.0, 512),
        ),
        (
            {"rope_theta": 500.0, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
            {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500.0, **LLAMA3}},
            RopeConfig("llama3", 500.0, 8.0, 128, 1.0, 4.0),
        ),
    ],
)
def test_both_spellings(old: Any, new: Any, expected: RopeConfig, tmp_path: Path) -> None:
    assert read(tmp_path, LLAMA | old | {"torch_dtype": "bfloat16"}).dtype == "bf16"
    assert read(tmp_path, LLAMA | new | {"dtype": "float16"}).dtype == "fp16"
    assert read(tmp_path, LLAMA | old).rope == read(tmp_path, LLAMA | new).rope == expected


def test_yarn_factor_may_follow_from_the_lengths(tmp_path: Path) -> None:
    rope = {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 128}
    assert read(tmp_path, LLAMA | {"rope_scaling": rope}).rope.factor == 4.0


def test_stop_ids_are_joined(tmp_path: Path) -> None:
    config = read(tmp_path, LLAMA | {"eos_token_id": 2}, {"eos_token_id": [3, 4]})
    assert config.stop_ids == {2, 3, 4}
    assert read(tmp_path, LLAMA | {"eos_token_id": [2]}, {}).stop_ids == {2}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"architectures": ["MistralForCausalLM"]}, "'MistralForCausalLM'"),
    ({"architectures": None, "model_type": "gpt2"}, "'gpt2'"),
    ({"architectures": None, "model_type": None}, "model_type is missing"),
    ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ({"attention_bias": True}, "attention_bias"),
    ({"mlp_bias": True}, "mlp_bias"),
    ({"hidden_act": "relu"}, "'relu'"),
    ({"torch_dtype": "float8_e4m3fn"}, "'float8_e4m3fn'"),
    ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "'dynamic'"),
    ({"rope_scaling": {"rope_type": "longrope"}}, "'longrope'"),
    ({"rope_scaling": {"rope_type": "linear"}}, "factor is missing"),
    ({"rope_scaling": {"rope_type": "linear", "factor": 0.5}}, "factor must be"),
    ({"rope_scaling": {"rope_type": "llama3", "factor": 2, "high_freq_factor": 1}}, "exceed"),
    ({"rope_scaling": 3}, "must be an object"),
    ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
    ({"rope_theta": 0}, "rope_theta must be"),
    ({"rms_norm_eps": -1}, "rms_norm_eps"),
    ({"rms_norm_eps": "small"}, "must be a number"),
    ({"vocab_size": 0}, "vocab_size must be"),
    ({"vocab_size": None}, "vocab_size is missing"),
    ({"hidden_size": -64}, "hidden_size must be"),
    ({"hidden_size": 10**4000}, "hidden_size must be"),
    ({"hidden_size": 64.0}, "must be an integer"),
    ({"hidden_size": True}, "must be an integer"),
    ({"hidden_size": 66}, "no multiple of 4 heads"),
    ({"num_key_value_heads": 3}, "no multiple of the 3 KV heads"),
    ({"num_hidden_layers": 100000}, "num_hidden_layers must be"),
    ({"head_dim": 15}, "must be even"),
    ({"tie_word_embeddings": "yes"}, "must be true or false"),
    ({"eos_token_id": 100}, "eos_token_id"),
    ({"eos_token_id": ["</s>"]}, "eos_token_id"),
    ({"max_position_embeddings": 10**9}, "max_position_embeddings"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED)
def test_refused(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json") as caught:
        read(tmp_path, LLAMA | change)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "is missing"),
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": NaN}', "NaN"),
        ("[" * 100_000, "nested too deeply"),
        ("\ud800", "not valid JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
    ],
)
def test_broken_files(text: str | None, told: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CheckpointError, match=told):
        read_config(tmp_path)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a directory"):
        read_config(tmp_path / "nowhere")
