"""How throughput, hits and memory follow the number of adapters, with Zipf traffic through HTTP.

    python benchmarks/many_adapters.py --shape llama-1.1b --dtype int8 --counts 10 50 100 200

One server per line of the table. So many adapters (rank 8 on q, k, v and o) are uploaded and
checked; then --batch clients each send one request after the other, whose adapter is drawn by
Zipf's law (the k-th most popular one in proportion to 1 / k). `--adapter-memory` bounds what is
mapped at once.
The line "base" is the same traffic without adapters. All files stay in the page cache.
"""

import argparse
import json
import re
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import turns
from adapters import generate, upload, write_adapter
from serving import homerun_server, servable


def main() -> None:
    options = _options()
    case = turns.case_of(options)
    lines: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "model").mkdir()
        servable(case, directory / "model")
        for number in range(max(options.counts)):
            write_adapter(directory / f"adapter-{number}", case, options.rank, number)
        for count in [0, *options.counts]:
            lines.append(measure(case, directory, count, options))
            if not options.json:
                _print(lines[-1], lines[0])
    if options.json:
        json.dump(lines, sys.stdout)


def measure(
    case: turns.Case, directory: Path, count: int, options: argparse.Namespace
) -> dict[str, Any]:
    """One server with `count` adapters; 0 is the base model alone."""
    rng = np.random.default_rng(count)
    chances = 1 / np.arange(1, max(count, 1) + 1)
    drawn = rng.choice(max(count, 1), options.requests, p=chances / chances.sum())
    with TemporaryDirectory() as home:
        environment = {"HOMERUN_HOME": home, "HOMERUN_MAX_ADAPTERS": str(max(count, 1))}
        if options.adapter_memory:
            environment["HOMERUN_ADAPTER_MEMORY"] = options.adapter_memory
        with homerun_server(case, directory / "model", environment) as port:
            began = time.perf_counter()
            for number in range(count):
                upload(port, f"adapter-{number}", directory / f"adapter-{number}")
            uploading = time.perf_counter() - began

            def request(number: int) -> int:
                lora = f"adapter-{drawn[number]}" if count else None
                return generate(port, case, str(number), 1 + number, lora)

            with ThreadPoolExecutor(case.batch) as clients:
                list(clients.map(request, range(case.batch)))  # warms up
                before = metrics(port)
                began = time.perf_counter()
                tokens = sum(clients.map(request, range(options.requests)))
                seconds = time.perf_counter() - began
            after = metrics(port)
    asked = {
        where: _sum(after, "requests_total", where) - _sum(before, "requests_total", where)
        for where in ("memory", "disk")
    }
    loads = _sum(after, "load_seconds_count")
    return {
        "adapters": count,
        "tokens_per_s": tokens / seconds,
        "hit_rate": asked["memory"] / max(1, sum(asked.values())) if count else None,
        "loads": loads,
        "mean_load_ms": 1000 * _sum(after, "load_seconds_sum") / loads if loads else None,
        "evictions": _sum(after, "evictions_total"),
        "resident_bytes": _sum(after, "bytes"),
        "upload_ms": 1000 * uploading / count if count else None,
        "distinct": len(set(drawn.tolist())) if count else 0,
    }


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        return response.read().decode()


def _sum(text: str, name: str, label: str = "") -> float:
    """All samples of one metric of adapters whose labels hold `label`."""
    pattern = rf"^homerun_adapter_{name}{{(.*?)}} (\S+)$"
    return sum(float(value) for labels, value in re.findall(pattern, text, re.M) if label in labels)


def _print(line: dict[str, Any], base: dict[str, Any]) -> None:
    if not line["adapters"]:
        print(f"base            {line['tokens_per_s']:8,.1f} tokens/s")
        return
    load = line["mean_load_ms"]
    print(
        f"{line['adapters']:4} adapters   {line['tokens_per_s']:8,.1f} tokens/s "
        f"({line['tokens_per_s'] / base['tokens_per_s']:.0%} of base), "
        f"{line['distinct']} of them asked for, hit rate {line['hit_rate']:.0%}, "
        f"{line['loads']:.0f} loads of {load or 0:.1f} ms, {line['evictions']:.0f} evictions, "
        f"{line['resident_bytes'] / 1e6:,.0f} MB in memory, upload {line['upload_ms']:.0f} ms",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    turns.add_options(parser, ("int8", "bf16", "fp16"))
    parser.set_defaults(batch=16, context=32, tokens=32)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 50, 100, 200])
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--adapter-memory", help="as HOMERUN_ADAPTER_MEMORY, e.g. 200M")
    return parser.parse_args()


if __name__ == "__main__":
    main()
