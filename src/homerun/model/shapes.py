"""The architectures of well-known models, as their config.json has them.

One source for the catalog, which checks adapters of models whose weights are not here, and for
the benchmarks' random models. Knows numbers; knows nothing of weights.
"""

from typing import Any

from homerun.model.config import ModelConfig, parse_config
from homerun.model.json_fields import Fields

SHAPES: dict[str, dict[str, Any]] = {
    "llama-2-7b": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
        "head_dim": 128, "max_position_embeddings": 4096,
    },
    "llama-1.1b": {
        "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632,
        "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
        "head_dim": 64, "max_position_embeddings": 2048,
    },
    "gemma-2b": {
        "vocab_size": 256000, "hidden_size": 2048, "intermediate_size": 16384,
        "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1,
        "head_dim": 256, "max_position_embeddings": 8192,
    },
    "gemma-7b": {
        "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 16,
        "head_dim": 256, "max_position_embeddings": 8192,
    },
    "rookie": {
        "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 704,
        "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 64, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    },
}  # fmt: skip
"""config.json of each shape, as far as it differs."""


def config_json(shape: str) -> dict[str, Any]:
    """A whole config.json of one of `SHAPES`. KeyError for any other name."""
    gemma = shape.startswith("gemma")
    return {
        "architectures": ["GemmaForCausalLM" if gemma else "LlamaForCausalLM"],
        "model_type": "gemma" if gemma else "llama",
        "hidden_act": "gelu_pytorch_tanh" if gemma else "silu",
        "rms_norm_eps": 1e-6 if gemma else 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": gemma,
        "bos_token_id": 2 if gemma else 1,
        "eos_token_id": 1 if gemma else 2,
        "torch_dtype": "bfloat16" if gemma else "float16",
        **SHAPES[shape],
    }


def known_config(shape: str) -> ModelConfig:
    """The config of one of `SHAPES`. KeyError for any other name."""
    return parse_config(Fields(shape, config_json(shape)))
