"""GGUF files of random LoRA adapters for one shape, for llama.cpp.

    python random_lora_gguf.py --shape-json '{"hidden_size": …}' --rank 16 --count 8 DIRECTORY

Runs in an interpreter that has the gguf package and knows nothing of homerun. Adapters change
q, k, v and o of every layer; numbers are float16 and repeat from layer to layer.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np


def write(path: Path, config: dict[str, Any], rank: int, seed: int) -> None:
    hidden, head_dim = config["hidden_size"], config["head_dim"]
    queries = config["num_attention_heads"] * head_dim
    keys = config["num_key_value_heads"] * head_dim
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    shapes = {
        "attn_q": (queries, hidden),
        "attn_k": (keys, hidden),
        "attn_v": (keys, hidden),
        "attn_output": (hidden, queries),
    }
    factors = {
        name: (
            (rng.standard_normal((rank, inputs)) * 0.02).astype(np.float16),
            (rng.standard_normal((outputs, rank)) * 0.02).astype(np.float16),
        )
        for name, (outputs, inputs) in shapes.items()
    }
    for layer in range(config["num_hidden_layers"]):
        for name, (a, b) in factors.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight.lora_a", a)
            writer.add_tensor(f"blk.{layer}.{name}.weight.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--shape-json", type=json.loads, required=True, help="config.json's fields")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        path = options.directory / f"{number}.gguf"
        write(path, options.shape_json, options.rank, number)


if __name__ == "__main__":
    main()
