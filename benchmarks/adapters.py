"""Random LoRA adapters in PEFT's format, and a small client that brings them to a server.

Knows files and the finetune endpoints; what is measured with them is the benchmarks' to say.
"""

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import turns
from safetensors.numpy import save_file
from serving import MODEL

from homerun.cli.client import run_path

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")


def write_adapter(folder: Path, case: turns.Case, rank: int, seed: int) -> None:
    """A random adapter as PEFT writes them, in float16."""
    config = json.loads(turns.shape_json(str(case.shape)))
    hidden, head_dim = config["hidden_size"], config["head_dim"]
    queries = config["num_attention_heads"] * head_dim
    keys = config["num_key_value_heads"] * head_dim
    sizes = {
        "q_proj": (queries, hidden),
        "k_proj": (keys, hidden),
        "v_proj": (keys, hidden),
        "o_proj": (hidden, queries),
    }
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for layer in range(config["num_hidden_layers"]):
        for name, (outputs, inputs) in sizes.items():
            key = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            a, b = rng.standard_normal((rank, inputs)), rng.standard_normal((outputs, rank))
            tensors[f"{key}.lora_A.weight"] = (a * 0.02).astype(np.float16)
            tensors[f"{key}.lora_B.weight"] = (b * 0.02).astype(np.float16)
    folder.mkdir()
    save_file(tensors, str(folder / "adapter_model.safetensors"))
    values = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "model_type": config["model_type"],
        "r": rank,
        "lora_alpha": rank,
        "target_modules": list(TARGETS),
    }
    (folder / "adapter_config.json").write_text(json.dumps(values))


def upload(port: int, name: str, folder: Path) -> None:
    """As any client of the finetune endpoints does."""
    base = "/client/v4/accounts/local/ai/finetunes"
    made = post(port, base, {"model": MODEL, "name": name})["result"]["id"]
    for path in sorted(folder.iterdir()):
        mark = "----homerun-benchmark"
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="file_name"\r\n\r\n{path.name}\r\n'
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + path.read_bytes() + f"\r\n--{mark}--\r\n".encode()
        send(port, f"{base}/{made}/finetune-assets", body, f"multipart/form-data; boundary={mark}")


def generate(port: int, case: turns.Case, start: str, seed: int, lora: str | None) -> int:
    """One request of about `case.context` tokens that begins with `start`: tokens generated."""
    body: dict[str, Any] = {
        "prompt": start + " x" * (case.context - len(start.split())),
        "raw": True,
        "max_tokens": case.tokens,
        "seed": seed,
    }
    if lora is not None:
        body["lora"] = lora
    answer = post(port, run_path("local", MODEL), body)
    return answer["result"]["usage"]["completion_tokens"]


def post(port: int, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return send(port, path, json.dumps(body).encode(), "application/json")


def send(port: int, path: str, body: bytes, kind: str) -> dict[str, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=600) as response:
        return json.loads(response.read())
