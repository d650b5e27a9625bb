"""Tiny random checkpoints, written without PyTorch: awkward sizes, text that wanders.

Matrices are drawn with 1.4 / sqrt(fan-in), so that greedy decoding does not fall into a loop.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

VOCAB, HIDDEN, INTERMEDIATE, LAYERS = 300, 200, 424, 2


def write_checkpoint(directory: Path, family: str) -> Path:
    """A Llama (GQA, head_dim 20) or Gemma (MQA, head_dim 32, tied) in float32."""
    llama = family == "llama"
    heads, kv_heads, head_dim = (6, 2, 20) if llama else (4, 1, 32)
    config = {
        "architectures": ["LlamaForCausalLM" if llama else "GemmaForCausalLM"],
        "model_type": family,
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu" if llama else "gelu_pytorch_tanh",
        "tie_word_embeddings": not llama,
        "eos_token_id": 2,
        "bos_token_id": 1,
        "torch_dtype": "float32",
    }
    rng = np.random.default_rng(5)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.normal(size=(rows, columns)) * 1.4 / columns**0.5).astype(np.float32)

    def norm() -> np.ndarray:
        return (rng.normal(size=HIDDEN) * 0.1 + llama).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(VOCAB, HIDDEN), "model.norm.weight": norm()}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        tensors |= {
            name + "input_layernorm.weight": norm(),
            name + "post_attention_layernorm.weight": norm(),
            name + "self_attn.q_proj.weight": matrix(heads * head_dim, HIDDEN),
            name + "self_attn.k_proj.weight": matrix(kv_heads * head_dim, HIDDEN),
            name + "self_attn.v_proj.weight": matrix(kv_heads * head_dim, HIDDEN),
            name + "self_attn.o_proj.weight": matrix(HIDDEN, heads * head_dim),
            name + "mlp.gate_proj.weight": matrix(INTERMEDIATE, HIDDEN),
            name + "mlp.up_proj.weight": matrix(INTERMEDIATE, HIDDEN),
            name + "mlp.down_proj.weight": matrix(HIDDEN, INTERMEDIATE),
        }
    if llama:
        tensors["lm_head.weight"] = matrix(VOCAB, HIDDEN)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 3]}))
    save_file(tensors, str(directory / "model.safetensors"), metadata={"format": "pt"})
    return directory


def write_shards(source: Path, directory: Path, count: int) -> Path:
    """The checkpoint in `source` with its tensors in `count` files and an index."""
    shutil.copytree(source, directory)
    tensors = load_file(str(directory / "model.safetensors"))
    (directory / "model.safetensors").unlink()
    weight_map: dict[str, str] = {}
    for number in range(count):
        shard = f"model-{number + 1:05}-of-{count:05}.safetensors"
        part = dict(list(tensors.items())[number::count])
        save_file(part, str(directory / shard), metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return directory
