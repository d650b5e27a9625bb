"""One measurement of OpenVINO GenAI's batching pipeline: prints {"tokens_per_s": …}.

Runs in an interpreter that has openvino-genai; `compare_openvino.py` starts it. Requests hold
random tokens and are answered greedily, which costs the peer less than sampling. Figures are
medians over the rounds, after one that is dropped.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai

END_ID = 2  # there must be one, though it is ignored
CACHE_ELEMENT_BYTES = 4  # float32 at most


def main() -> None:
    options = _options()
    config = json.loads((options.directory / "config.json").read_text())
    prefill = options.phase == "prefill"
    # A prefill generates the one token that ends it; a decode one that ends its prompt.
    prompt, generated = (options.tokens, 1) if prefill else (options.context, options.tokens + 1)
    pipeline = _pipeline(options, config, prompt + generated)
    rng = np.random.default_rng(1)
    count = iter(range(1 << 30))

    def once() -> float:
        wanted = openvino_genai.GenerationConfig()
        wanted.max_new_tokens = wanted.min_new_tokens = generated
        wanted.set_eos_token_id(END_ID)
        wanted.ignore_eos = True
        wanted.do_sample = False
        handles = [
            pipeline.add_request(
                next(count),
                ov.Tensor(rng.integers(3, config["vocab_size"], (1, prompt), dtype=np.int64)),
                wanted,
            )
            for _ in range(options.batch)
        ]
        seconds: list[float] = []
        while pipeline.has_non_finished_requests():
            began = time.perf_counter()
            pipeline.step()
            seconds.append(time.perf_counter() - began)
        del handles
        if prefill:
            return options.batch * prompt / sum(seconds)
        assert len(seconds) == generated, "the prompts were not computed in one step"
        return options.batch * options.tokens / sum(seconds[1:])

    once()
    tokens_per_s = statistics.median(once() for _ in range(options.repeat))
    print(json.dumps({"tokens_per_s": tokens_per_s, "version": openvino_genai.__version__}))


def _pipeline(
    options: argparse.Namespace, config: dict[str, int], length: int
) -> openvino_genai.ContinuousBatchingPipeline:
    width = config["num_key_value_heads"] * config["head_dim"] * config["num_hidden_layers"]
    cache = 2 * width * options.batch * (length + 64) * CACHE_ELEMENT_BYTES
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.max_num_batched_tokens = max(2048, options.batch * length)
    scheduler.max_num_seqs = max(64, options.batch)
    scheduler.cache_size = math.ceil(cache / 2**30)
    scheduler.enable_prefix_caching = False
    scheduler.dynamic_split_fuse = True
    properties = {"INFERENCE_NUM_THREADS": options.threads}
    return openvino_genai.ContinuousBatchingPipeline(
        str(options.directory), scheduler, "CPU", properties
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--phase", choices=("prefill", "decode"), required=True)
    for name in ("tokens", "context", "batch", "repeat", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
