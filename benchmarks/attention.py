"""Prefill attention of one layer: homerun's kernel and PyTorch's, taking turns in one process.

    python benchmarks/attention.py --heads 32 --head-dim 128 --tokens 2048

Both compute causal attention of `--tokens` queries over the keys and values of the same tokens,
which homerun reads from its paged cache and PyTorch from one tensor of the same dtype
(`scaled_dot_product_attention`, is_causal; queries in the cache's dtype, in float32 for homerun).
The results are compared before anything is timed. HOMERUN_INSTRUCTION_SET is obeyed.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import turns

from homerun.model.config import ModelConfig
from homerun.model.kv_cache import KVCache
from homerun.model.ops.base import Segment
from homerun.model.ops.native import NativeOps
from homerun.model.rope import RopeConfig
from homerun.native import configure, native_available

BLOCK = 16
TORCH_TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
TORCH_TYPES["int8"] = torch.bfloat16  # it has no such cache: against its fastest
TOLERANCE = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 5e-2, "int8": 1e-1}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    configure(options.threads, os.environ.get("HOMERUN_INSTRUCTION_SET"))
    if not native_available():
        raise SystemExit("this times the kernels: HOMERUN_INSTRUCTION_SET=reference has none")
    results = [compare(options, dtype) for dtype in options.kv_dtype]
    if options.json:
        print(json.dumps({**vars(options), "torch": torch.__version__, "results": results}))
        return
    for one in results:
        print(
            f"{one['kv_dtype']}: torch {one['torch_ms']:,.1f} ms, homerun "
            f"{one['homerun_ms']:,.1f} ms: {one['ratio']:.2f} times"
        )


def compare(options: argparse.Namespace, dtype: Any) -> dict[str, Any]:
    """Medians in milliseconds, and how many times homerun is as fast."""
    rng = np.random.default_rng(0)
    shape = (options.tokens, options.heads, options.head_dim)
    kv_shape = (options.tokens, options.kv_heads, options.head_dim)
    queries, keys, values = (
        rng.standard_normal(each, dtype=np.float32) for each in (shape, kv_shape, kv_shape)
    )
    ours = _homerun(options, dtype, queries, keys, values)
    theirs = _torch(dtype, queries, keys, values)
    difference = np.abs(ours() - theirs()).max()
    if difference > TOLERANCE[dtype]:
        raise SystemExit(f"{dtype}: the results differ by {difference:g}")
    times: dict[str, list[float]] = {"torch": [], "homerun": []}
    for _ in range(options.rounds):
        for name, attend in (("torch", theirs), ("homerun", ours)):
            began = time.perf_counter()
            attend()
            times[name].append((time.perf_counter() - began) * 1e3)
    medians = {f"{name}_ms": statistics.median(found) for name, found in times.items()}
    ratio = medians["torch_ms"] / medians["homerun_ms"]
    return {"kv_dtype": dtype, **medians, "ratio": ratio, "difference": float(difference)}


def _homerun(
    options: argparse.Namespace, dtype: Any, queries: Any, keys: Any, values: Any
) -> Callable[[], Any]:
    """The kernel over a cache of one layer that holds the keys and values."""
    blocks = -(-options.tokens // BLOCK)
    cache = KVCache(_config(options), blocks, BLOCK, dtype)

    ops = NativeOps()
    # The cache is written as a server writes it, with an angle of 0 for every rotation.
    rows = np.concatenate([each.reshape(options.tokens, -1) for each in (queries, keys, values)], 1)
    angles = np.zeros((options.tokens, options.head_dim // 2), np.float32)
    slots = np.arange(options.tokens, dtype=np.int64)
    ops.rotate_and_store(rows, np.cos(angles), np.sin(angles), cache, 0, slots)
    table = np.arange(blocks, dtype=np.int32)
    plan = ops.plan_attention([Segment(0, options.tokens, 0, table)], BLOCK)
    return lambda: ops.attention(queries, cache, 0, plan)


def _torch(dtype: str, queries: Any, keys: Any, values: Any) -> Callable[[], Any]:
    kind = TORCH_TYPES[dtype]
    q, k, v = (
        torch.from_numpy(each).to(kind).transpose(0, 1).unsqueeze(0).contiguous()
        for each in (queries, keys, values)
    )
    shared = q.shape[1] != k.shape[1]

    def attend() -> Any:
        with torch.inference_mode():
            mixed = torch.nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=True, enable_gqa=shared
            )
        return mixed[0].transpose(0, 1).reshape(len(queries), -1).float().numpy()

    return attend


def _config(options: argparse.Namespace) -> ModelConfig:
    width = options.heads * options.head_dim
    return ModelConfig(
        family="llama",
        vocab_size=2,
        hidden_size=width,
        intermediate_size=width,
        num_layers=1,
        num_heads=options.heads,
        num_kv_heads=options.kv_heads,
        head_dim=options.head_dim,
        rms_norm_eps=1e-5,
        rope=RopeConfig(theta=10000.0),
        max_position_embeddings=options.tokens,
        tie_word_embeddings=False,
        activation="silu",
        dtype="fp32",
        stop_ids=frozenset(),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv-heads", type=int, help="default: as many as heads")
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument(
        "--kv-dtype", nargs="+", choices=tuple(TORCH_TYPES), default=tuple(TORCH_TYPES)
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=turns.usable_cpus())
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    options.kv_heads = options.kv_heads or options.heads
    return options


if __name__ == "__main__":
    main()
