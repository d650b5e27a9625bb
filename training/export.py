"""Knows the Hugging Face checkpoint layout; refuses to know how the weights came about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.corpus import BOS, END, PAD, SPECIALS
from training.model import ModelConfig, Rookie

CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] in ['system', 'user', 'assistant', 'tool'] %}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- else %}{{- raise_exception('unknown role: ' + message['role']) }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def public_weights(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our parameters under their Hugging Face names, in float16; the tied head is not stored.

    Rounded to bfloat16 first, as the forward pass of the training has them: three bits fewer of
    each, which a repository or a wheel does not have to keep. Norms that training leaves at one are
    written as ones.
    """
    heads, shared = config.num_attention_heads, config.num_key_value_heads
    ones = torch.ones(config.hidden_size)
    weights = {
        "model.embed_tokens.weight": state["embed_tokens"],
        "model.norm.weight": state["norm"],
    }
    for number in range(config.num_hidden_layers):
        ours, theirs = f"layers.{number}.", f"model.layers.{number}."
        sizes = [count * config.head_dim for count in (heads, shared, shared)]
        q, k, v = state[ours + "qkv_proj"].split(sizes)
        gate, up = state[ours + "gate_up_proj"].chunk(2)
        weights |= {
            theirs + "input_layernorm.weight": ones,
            theirs + "post_attention_layernorm.weight": ones,
            theirs + "self_attn.q_proj.weight": q,
            theirs + "self_attn.k_proj.weight": k,
            theirs + "self_attn.v_proj.weight": v,
            theirs + "self_attn.o_proj.weight": state[ours + "o_proj"],
            theirs + "mlp.gate_proj.weight": gate,
            theirs + "mlp.up_proj.weight": up,
            theirs + "mlp.down_proj.weight": state[ours + "down_proj"],
        }
    return {name: one.to(torch.bfloat16).to(torch.float16) for name, one in weights.items()}


def _write(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def export_checkpoint(state_path: Path, tokenizer_path: Path, target: Path) -> None:
    """Writes config, tokenizer and float16 weights; the tied head is not stored."""
    target.mkdir(parents=True, exist_ok=True)
    state = torch.load(state_path, map_location="cpu", weights_only=True)
    weights = public_weights(state["model"], ModelConfig())
    save_file(weights, str(target / "model.safetensors"), metadata={"format": "pt"})
    # The library writes the file for its owner alone; a package has to be readable by all.
    (target / "model.safetensors").chmod(0o644)
    _write(
        target / "config.json",
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            **asdict(ModelConfig()),
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "mlp_bias": False,
            "initializer_range": 0.02,
            "rope_scaling": None,
            "use_cache": True,
            "tie_word_embeddings": True,
            "bos_token_id": BOS,
            "eos_token_id": END,
            "pad_token_id": PAD,
            "torch_dtype": "float16",
            "dtype": "float16",
        },
    )
    _write(
        target / "generation_config.json",
        {
            "bos_token_id": BOS,
            "eos_token_id": END,
            "pad_token_id": PAD,
            "do_sample": True,
            "temperature": 0.6,
        },
    )
    shutil.copyfile(tokenizer_path, target / "tokenizer.json")
    _write(
        target / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": SPECIALS[BOS],
            "eos_token": SPECIALS[END],
            "pad_token": SPECIALS[PAD],
            "model_max_length": 2048,
            "clean_up_tokenization_spaces": False,
            "add_prefix_space": False,
            "added_tokens_decoder": {
                str(place): {
                    "content": text,
                    "lstrip": False,
                    "normalized": False,
                    "rstrip": False,
                    "single_word": False,
                    "special": True,
                }
                for place, text in enumerate(SPECIALS)
            },
            "chat_template": CHAT_TEMPLATE,
        },
    )


def load_checkpoint(folder: Path) -> Rookie:
    """Our model in float32 with the weights of an exported checkpoint, of whatever sizes.

    Norms that are not one go into the matrices after them, which gives the same logits.
    """
    sizes = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = ModelConfig(**{one.name: sizes[one.name] for one in fields(ModelConfig)})
    halves = load_file(folder / "model.safetensors")
    stored = {name: weight.float() for name, weight in halves.items()}
    state = {
        "embed_tokens": stored["model.embed_tokens.weight"],
        "norm": stored["model.norm.weight"],
    }
    for number in range(config.num_hidden_layers):
        layer = f"model.layers.{number}."
        mix = [stored[f"{layer}self_attn.{name}_proj.weight"] for name in "qkv"]
        feed = [stored[f"{layer}mlp.{name}_proj.weight"] for name in ("gate", "up")]
        before, after = (
            stored[f"{layer}{name}_layernorm.weight"] for name in ("input", "post_attention")
        )
        state |= {
            f"layers.{number}.qkv_proj": torch.cat(mix) * before,
            f"layers.{number}.o_proj": stored[layer + "self_attn.o_proj.weight"],
            f"layers.{number}.gate_up_proj": torch.cat(feed) * after,
            f"layers.{number}.down_proj": stored[layer + "mlp.down_proj.weight"],
        }
    model = Rookie(config)
    model.load_state_dict(state)
    return model.eval()
