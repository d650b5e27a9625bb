"""One model under homerun and under transformers, side by side in one run.

Both compute the same shapes on prompts of random tokens and sample at temperature 0.6; the model is
a checkpoint (rookie by default) or random weights of a shape. transformers is driven by a bare loop
over its forward pass and cache, which is faster than its own `generate`.

    python benchmarks/compare_transformers.py --phase decode --batch 4
    python benchmarks/compare_transformers.py --shape llama-1.1b --dtype bf16 --peer-dtype bf16

Needs `pip install homerun[test]` (for torch and transformers). Knows nothing of servers.
"""

import argparse
import json
import statistics
import sys
import time
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import turns

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def main() -> None:
    options = _options()
    case = turns.case_of(options)
    if options.peer:
        print(json.dumps({"tokens_per_s": measure_transformers(case, options)}))
        return
    model = () if options.shape else (f"bench={options.checkpoint}",)
    subjects = {
        "homerun": lambda: turns.homerun(case, *model)["tokens_per_s"],
        "transformers": _peer_process,
    }
    runs = turns.take_turns(subjects, options.rounds, quiet=options.json)
    turns.show(case, runs, f"transformers {options.peer_dtype}", as_json=options.json)


def measure_transformers(case: turns.Case, options: argparse.Namespace) -> float:
    """Tokens per second over the batch: median of the repeats, after one that is dropped."""
    import torch

    torch.set_num_threads(case.threads)
    model = _load(options).eval()
    vocabulary = model.config.vocab_size
    torch.manual_seed(1)

    def forward(ids: Any, past: Any) -> tuple[Any, Any]:
        """The next tokens [batch, 1] and the cache."""
        out = model(ids, past_key_values=past, use_cache=True, logits_to_keep=1)
        chances = torch.softmax(out.logits[:, -1].float() / 0.6, dim=-1)
        return torch.multinomial(chances, 1), out.past_key_values

    def once() -> float:
        past = None
        token = torch.randint(vocabulary, (case.batch, 1))
        if case.context:
            token, past = forward(torch.randint(vocabulary, (case.batch, case.context)), past)
        prompt = torch.randint(vocabulary, (case.batch, case.tokens))
        began = time.perf_counter()
        if case.phase == "prefill":
            forward(prompt, past)
        else:
            for _ in range(case.tokens):
                token, past = forward(token, past)
        return case.batch * case.tokens / (time.perf_counter() - began)

    with torch.inference_mode():
        once()
        return statistics.median(once() for _ in range(case.repeat))


def _load(options: argparse.Namespace) -> Any:
    """The checkpoint, or freshly initialized weights of the shape."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = getattr(torch, DTYPES[options.peer_dtype])
    if not options.shape:
        return AutoModelForCausalLM.from_pretrained(options.checkpoint, dtype=dtype)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(turns.shape_json(options.shape))
        config = AutoConfig.from_pretrained(folder)
    return AutoModelForCausalLM.from_config(config, dtype=dtype)


def _peer_process() -> float:
    """This script again, with the same options, as the peer."""
    command = [sys.executable, *sys.argv, "--peer"]
    return float(json.loads(turns.output("transformers", command))["tokens_per_s"])


def _options() -> argparse.Namespace:
    rookie = Path(str(files("homerun").joinpath("data", "rookie")))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    turns.add_options(parser, ("fp32", "fp16", "bf16", "int8"))
    parser.set_defaults(shape=None)
    parser.add_argument("--checkpoint", type=Path, default=rookie, help="default: rookie")
    parser.add_argument("--peer-dtype", choices=tuple(DTYPES), default="fp32")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
