"""Knows the Hugging Face checkpoint layout; refuses to know how the weights came about."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
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
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_MLP = ("gate_proj", "up_proj", "down_proj")


def public_name(name: str) -> str:
    """The Hugging Face name of one of our parameters."""
    parts = name.split(".")
    if parts[0] == "norm":
        return "model.norm.weight"
    if parts[0] == "layers":
        if parts[2] in _ATTENTION:
            parts.insert(2, "self_attn")
        elif parts[2] in _MLP:
            parts.insert(2, "mlp")
        else:
            parts.append("weight")
    return "model." + ".".join(parts)


def _write(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def export_checkpoint(state_path: Path, tokenizer_path: Path, target: Path) -> None:
    """Writes config, tokenizer and float16 weights; the tied head is not stored."""
    target.mkdir(parents=True, exist_ok=True)
    state = torch.load(state_path, map_location="cpu", weights_only=True)
    weights = {
        public_name(name): value.to(torch.float16).contiguous()
        for name, value in state["model"].items()
    }
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
    """Our model in float32 with the weights of an exported checkpoint."""
    stored: dict[str, Tensor] = load_file(str(folder / "model.safetensors"))
    model = Rookie(ModelConfig())
    model.load_state_dict({name: stored[public_name(name)].float() for name in model.state_dict()})
    return model.eval()
