r"""Many LoRA adapters at once: homerun, llama.cpp's server and PEFT, side by side in one run.

    python benchmarks/compare_lora.py --llama-bin DIR --peer-python PYTHON \
        --shape llama-1.1b --dtype int8 --batch 8 --adapters 8

As many requests as --batch are sent together, request i with adapter i modulo --adapters (rank 16
on q, k, v and o of every layer), or all without one. Counted are generated tokens over the time
from the first request to the last answer, prompts included. homerun and llama.cpp (Q8_0 for int8)
are reached through HTTP by the same client; llama.cpp's server puts only requests with equal
adapters into one batch. PEFT (bfloat16, a mixed batch by `adapter_names`) is called in a process
without HTTP.

Each measurement is a process of its own, and they take turns. `compare_llama_cpp.py` says how
llama.cpp is built; without --llama-bin PEFT is the only peer. homerun's adapters go the whole way:
uploaded, checked, packed, found by name.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import turns
from adapters import TARGETS, generate, post, upload, write_adapter
from serving import (
    free_port,
    homerun_server,
    process,
    servable,
    wait_until_ready,
)

Request = Callable[[int, int], int]
"""(round, number) -> generated tokens."""


def main() -> None:
    options = _options()
    case = turns.case_of(options)
    if options.peer:
        rate = measure_peft(case, options.rank, options.adapters if options.peer == "mixed" else 0)
        print(json.dumps({"tokens_per_s": rate}))
        return
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        subjects = {
            "homerun": lambda: measure_homerun(case, directory, options, with_adapters=False),
            "homerun, adapters": lambda: measure_homerun(
                case, directory, options, with_adapters=True
            ),
            "PEFT": lambda: _peer_process("base"),
            "PEFT, adapters": lambda: _peer_process("mixed"),
        }
        if options.llama_bin:
            subjects["llama.cpp"] = lambda: measure_llama_cpp(case, options, with_adapters=False)
            subjects["llama.cpp, adapters"] = lambda: measure_llama_cpp(
                case, options, with_adapters=True
            )
        runs = turns.take_turns(subjects, options.rounds, quiet=options.json)
    show(case, options, runs)


def together(case: turns.Case, request: Request) -> float:
    """Tokens per second of `case.batch` requests at once; median of the rounds but the first."""
    rates: list[float] = []
    with ThreadPoolExecutor(case.batch) as pool:
        for number in range(case.repeat + 1):
            began = time.perf_counter()
            tokens = sum(pool.map(lambda i, n=number: request(n, i), range(case.batch)))
            rates.append(tokens / (time.perf_counter() - began))
    return statistics.median(rates[1:])


def measure_homerun(
    case: turns.Case, directory: Path, options: argparse.Namespace, *, with_adapters: bool
) -> float:
    if not (directory / "model").exists():
        (directory / "model").mkdir()
        servable(case, directory / "model")
        for number in range(options.adapters):
            write_adapter(directory / f"adapter-{number}", case, options.rank, number)
    with (
        TemporaryDirectory() as home,
        homerun_server(case, directory / "model", {"HOMERUN_HOME": home}) as port,
    ):
        if with_adapters:
            for number in range(options.adapters):
                upload(port, f"adapter-{number}", directory / f"adapter-{number}")

        def request(repeat: int, number: int) -> int:
            lora = f"adapter-{number % options.adapters}" if with_adapters else None
            return generate(port, case, f"{repeat} {number}", 1 + number, lora)

        return together(case, request)


def measure_llama_cpp(
    case: turns.Case, options: argparse.Namespace, *, with_adapters: bool
) -> float:
    model = turns.made_once(
        options.files / f"{case.shape}-{case.dtype}.gguf",
        options.peer_python,
        "random_gguf.py",
        case,
    )
    vocabulary = json.loads(turns.shape_json(str(case.shape)))["vocab_size"]
    with llama_server(case, options, model, adapters=_gguf_adapters(case, options)) as port:

        def request(repeat: int, number: int) -> int:
            rng = np.random.default_rng((repeat, number))
            scales = [
                float(with_adapters and one == number % options.adapters)
                for one in range(options.adapters)
            ]
            body = {
                "prompt": rng.integers(300, vocabulary, case.context).tolist(),
                "n_predict": case.tokens,
                "ignore_eos": True,
                "cache_prompt": False,
                "lora": [{"id": one, "scale": scale} for one, scale in enumerate(scales)],
            }
            return post(port, "/completion", body)["tokens_predicted"]

        return together(case, request)


def _gguf_adapters(case: turns.Case, options: argparse.Namespace) -> list[Path]:
    folder: Path = options.files / f"{case.shape}-lora-r{options.rank}"
    paths = [folder / f"{number}.gguf" for number in range(options.adapters)]
    if not all(path.exists() for path in paths):
        command = [options.peer_python, str(Path(__file__).with_name("random_lora_gguf.py"))]
        command += [str(folder), "--shape-json", turns.shape_json(str(case.shape))]
        command += ["--rank", str(options.rank), "--count", str(options.adapters)]
        turns.output("random_lora_gguf.py", command)
    return paths


@contextmanager
def llama_server(
    case: turns.Case, options: argparse.Namespace, model: Path, adapters: list[Path]
) -> Iterator[int]:
    """A running llama-server's port."""
    port = free_port()
    threads = str(case.threads)
    command = [str(options.llama_bin / "llama-server"), "-m", str(model), "-t", threads]
    command += ["-tb", threads, "-np", str(case.batch), "-fa", "on", "--port", str(port)]
    command += ["-c", str(case.batch * (case.context + case.tokens + 16)), "--no-webui"]
    command += ["--lora-init-without-apply"]
    for path in adapters:
        command += ["--lora", str(path)]
    libraries = {"LD_LIBRARY_PATH": str(options.llama_bin.resolve())}
    with process(command, libraries, quiet=True) as server:
        wait_until_ready(server, port, "/health")
        yield port


def measure_peft(case: turns.Case, rank: int, adapters: int) -> float:
    """Tokens per second of one batch: prompt, then `case.tokens` greedy steps, no HTTP."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(case.threads)
    torch.manual_seed(1)
    with TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(turns.shape_json(str(case.shape)))
        config = AutoConfig.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    extra: dict[str, Any] = {}
    if adapters:
        lora = LoraConfig(
            r=rank, lora_alpha=rank, target_modules=list(TARGETS), init_lora_weights=False
        )
        model = get_peft_model(model, lora, adapter_name="0")
        for number in range(1, adapters):
            model.add_adapter(str(number), lora)
        model = model.to(torch.bfloat16)
        extra["adapter_names"] = [str(number % adapters) for number in range(case.batch)]
    model.eval()
    rates: list[float] = []
    with torch.inference_mode():
        for _ in range(case.repeat + 1):
            ids = torch.randint(model.config.vocab_size, (case.batch, case.context))
            past = None
            began = time.perf_counter()
            for _ in range(case.tokens):
                out = model(ids, past_key_values=past, use_cache=True, logits_to_keep=1, **extra)
                ids, past = out.logits[:, -1].argmax(-1, keepdim=True), out.past_key_values
            rates.append(case.batch * case.tokens / (time.perf_counter() - began))
    return statistics.median(rates[1:])


def show(case: turns.Case, options: argparse.Namespace, runs: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(figures) for name, figures in runs.items()}
    ours = medians["homerun, adapters"]
    ratios = {
        name: ours / median
        for name, median in medians.items()
        if name.endswith(", adapters") and not name.startswith("homerun")
    }
    kept = {
        name: median / medians[name.removesuffix(", adapters")]
        for name, median in medians.items()
        if name.endswith(", adapters")
    }
    if options.json:
        print(json.dumps({"tokens_per_s": medians, "runs": runs, "ratios": ratios, "kept": kept}))
        return
    print(
        f"\n{case.shape} {case.dtype}, {case.batch} requests of {case.context} + {case.tokens} "
        f"tokens, {options.adapters} adapters of rank {options.rank}, {case.threads} threads"
    )
    for name, figures in runs.items():
        share = f"  {kept[name]:.0%} of without" if name in kept else ""
        print(
            f"{name:24} {medians[name]:8,.1f} tokens/s  ({min(figures):,.1f} to "
            f"{max(figures):,.1f} over {len(figures)} processes){share}"
        )
    for name, ratio in ratios.items():
        print(f"homerun with adapters is {ratio:.1f} times as fast as {name}")


def _peer_process(kind: str) -> float:
    command = [sys.executable, *sys.argv, "--peer", kind]
    return float(json.loads(turns.output("PEFT", command))["tokens_per_s"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    turns.add_options(parser, ("int8", "bf16", "fp16"))
    parser.set_defaults(batch=8, context=32, tokens=48, repeat=2, rounds=2)
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--llama-bin", type=Path, help="directory of llama-server")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with gguf")
    parser.add_argument("--files", type=Path, default=Path("peer-files"), help="of the peer")
    parser.add_argument("--peer", choices=("base", "mixed"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
