"""One checkpoint under homerun and under transformers, side by side in one run.

Each measurement is a process of its own, and the two take turns, so that neither shares memory or
caches with the other and a change of the machine's mood meets both. Both compute the same shapes
on prompts of random tokens and sample at temperature 0.6. transformers is driven by a bare loop
over its forward pass and cache, which is faster than its own `generate`.

    python benchmarks/compare_transformers.py --phase decode --batch 4

Needs `pip install homerun[test]` (for torch and transformers). Knows nothing of servers.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def main() -> None:
    options = _options()
    if options.peer:
        print(json.dumps({"tokens_per_s": measure_transformers(options)}))
        return
    runs: dict[str, list[float]] = {"homerun": [], "transformers": []}
    for number in range(options.rounds):
        for name, figures in runs.items():
            figures.append(_process(name, options)["tokens_per_s"])
            if not options.json:
                print(f"round {number + 1}: {name:12} {figures[-1]:10,.1f} tokens/s", flush=True)
    medians = {name: statistics.median(figures) for name, figures in runs.items()}
    ratio = medians["homerun"] / medians["transformers"]
    if options.json:
        asked = {**vars(options), "checkpoint": str(options.checkpoint)}
        del asked["peer"], asked["json"]
        print(json.dumps({**asked, "tokens_per_s": medians, "runs": runs, "ratio": ratio}))
    else:
        print(
            f"{options.phase}, {options.tokens} tokens, context {options.context}, "
            f"batch {options.batch}: homerun {medians['homerun']:,.1f} tokens/s "
            f"({options.dtype}), transformers {medians['transformers']:,.1f} tokens/s "
            f"({options.peer_dtype}): {ratio:.2f} times"
        )


def measure_transformers(options: argparse.Namespace) -> float:
    """Tokens per second over the batch: median of the repeats, after one that is dropped."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, DTYPES[options.peer_dtype])
    model = AutoModelForCausalLM.from_pretrained(options.checkpoint, dtype=dtype).eval()
    vocabulary = model.config.vocab_size
    torch.manual_seed(1)

    def forward(ids: Any, past: Any) -> tuple[Any, Any]:
        """The next tokens [batch, 1] and the cache."""
        out = model(ids, past_key_values=past, use_cache=True, logits_to_keep=1)
        chances = torch.softmax(out.logits[:, -1].float() / 0.6, dim=-1)
        return torch.multinomial(chances, 1), out.past_key_values

    def once() -> float:
        past = None
        token = torch.randint(vocabulary, (options.batch, 1))
        if options.context:
            token, past = forward(torch.randint(vocabulary, (options.batch, options.context)), past)
        prompt = torch.randint(vocabulary, (options.batch, options.tokens))
        began = time.perf_counter()
        if options.phase == "prefill":
            forward(prompt, past)
        else:
            for _ in range(options.tokens):
                token, past = forward(token, past)
        return options.batch * options.tokens / (time.perf_counter() - began)

    with torch.inference_mode():
        once()
        return statistics.median(once() for _ in range(options.repeat))


def _process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    shape = [
        *("--phase", options.phase, "--tokens", str(options.tokens)),
        *("--context", str(options.context), "--batch", str(options.batch)),
        *("--repeat", str(options.repeat)),
    ]
    if name == "homerun":
        command = ["-m", "homerun", "bench", "engine", f"bench={options.checkpoint}", *shape]
        command += ["--dtype", options.dtype, "--json"]
    else:
        command = [__file__, "--peer", "--checkpoint", str(options.checkpoint), *shape]
        command += ["--peer-dtype", options.peer_dtype]
    done = subprocess.run(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the {name} process failed (status {done.returncode})")
    return json.loads(done.stdout)


def _options() -> argparse.Namespace:
    rookie = Path(str(files("homerun").joinpath("data", "rookie")))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=rookie, help="default: rookie")
    parser.add_argument("--phase", choices=("prefill", "decode"), default="decode")
    parser.add_argument("--tokens", type=int, default=128, help="timed, per sequence")
    parser.add_argument("--context", type=int, default=128, help="in the cache before that")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3, help="within a process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each")
    parser.add_argument("--dtype", choices=(*DTYPES, "int8"), default="fp32", help="homerun's")
    parser.add_argument("--peer-dtype", choices=tuple(DTYPES), default="fp32")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
