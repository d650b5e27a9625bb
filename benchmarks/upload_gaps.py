"""What running streams feel of an upload: the gaps between their tokens, with and without one.

    python benchmarks/upload_gaps.py --shape rookie --dtype fp16 --megabytes 150

One server, --batch streams at once, in turns with nothing beside them and with uploads: adapters
of rank 8, each checked and packed, one after the other, and between them a file of --megabytes that
is no adapter and is refused. Gaps are those between two events of a stream, as the client reads
them; the client shares the machine with the server. Beside the percentiles stands whether all
streams said the same with uploads.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import urllib.error
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import turns
from adapters import upload, write_adapter
from serving import MODEL, homerun_server, servable

from homerun.cli.bench.answer import parse_answer
from homerun.cli.bench.sender import Target, send_on_schedule
from homerun.cli.bench.traffic import PlannedRequest
from homerun.cli.client import run_path

ADAPTERS = 200


def main() -> None:
    options = _options()
    case = turns.case_of(options)
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "model").mkdir()
        servable(case, directory / "model")
        write_adapter(directory / "adapter", case, 8, 0)
        large = directory / "large"
        large.mkdir()
        config = (directory / "adapter" / "adapter_config.json").read_bytes()
        (large / "adapter_config.json").write_bytes(config)
        with (large / "adapter_model.safetensors").open("wb") as file:
            for _ in range(options.megabytes):
                file.write(os.urandom(1_000_000))
        environment = {
            "HOMERUN_HOME": str(directory / "home"),
            "HOMERUN_MAX_ADAPTERS": str(options.rounds * ADAPTERS),
        }
        with homerun_server(case, directory / "model", environment) as port:
            result = measure(case, port, directory, options.rounds)
    if options.json:
        json.dump(result, sys.stdout)
        return
    for side in ("alone", "with uploads"):
        line = result[side]
        print(f"{side:14}" + "".join(f"{name} {line[name]:7.1f} ms   " for name in line))
    print(f"{result['uploads']} uploads; the same answers: {result['same_answers']}")


def measure(case: turns.Case, port: int, directory: Path, rounds: int) -> dict[str, Any]:
    """Percentiles of all gaps of a side, in milliseconds."""
    gaps: dict[str, list[float]] = {"alone": [], "with uploads": []}
    said: dict[str, list[Any]] = {"alone": [], "with uploads": []}
    uploads = 0
    context = multiprocessing.get_context("spawn")
    asyncio.run(_streams(case, port))  # warms up
    for number in range(rounds):
        for side, found in gaps.items():
            ended, done = context.Event(), context.Value("i", 0)
            uploader = context.Process(
                target=_upload_until, args=(ended, done, port, directory, number)
            )
            if side == "with uploads":
                uploader.start()
            times, answers = asyncio.run(_streams(case, port))
            ended.set()
            if side == "with uploads":
                uploader.join()
            uploads += done.value
            said[side].append(answers)
            found += [1000 * gap for one in times for gap in np.diff(one)]
    return {
        **{side: _percentiles(found) for side, found in gaps.items()},
        "uploads": uploads,
        "same_answers": said["alone"] == said["with uploads"],
    }


def _upload_until(ended: Any, done: Any, port: int, directory: Path, number: int) -> None:
    """In a process of its own, so that the reading of the streams does not wait for it."""
    for index in range(ADAPTERS):
        if ended.is_set():
            return
        kind = "large" if index % 10 == 1 else "adapter"
        try:
            upload(port, f"{kind}-{number}-{index}", directory / kind)
        except urllib.error.HTTPError as error:
            if kind != "large":
                raise SystemExit(f"an adapter was refused: {error.read().decode()}") from None
        done.value += 1


async def _streams(case: turns.Case, port: int) -> tuple[list[tuple[float, ...]], list[Any]]:
    """All streams once: when their events came, and what they said."""
    planned = [
        PlannedRequest(0.0, f"{stream}" + " x" * case.context, case.tokens, 1 + stream)
        for stream in range(case.batch)
    ]
    target = Target("127.0.0.1", port, run_path("local", MODEL))
    exchanges = await send_on_schedule(target, planned, case.batch)
    answers = [parse_answer(exchange.reads, exchange.failure) for exchange in exchanges]
    for answer in answers:
        if answer.error is not None:
            raise SystemExit(f"a request failed: {answer.error} {answer.message or ''}")
    said = [_text(b"".join(data for _, data in exchange.reads)) for exchange in exchanges]
    return [answer.token_times for answer in answers], said


def _text(body: bytes) -> str:
    """What a stream said; how its text was cut into events may differ."""
    frames = [line[5:].strip() for line in body.split(b"\n") if line.startswith(b"data:")]
    return "".join(json.loads(one).get("response") or "" for one in frames if one != b"[DONE]")


def _percentiles(gaps: list[float]) -> dict[str, float]:
    shares = {"p50": 50, "p99": 99, "p99.9": 99.9, "max": 100}
    return {name: float(np.percentile(gaps, share)) for name, share in shares.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    turns.add_options(parser, ("int8", "bf16", "fp16"))
    parser.set_defaults(shape="rookie", batch=16, tokens=1500, context=32)
    parser.add_argument("--megabytes", type=int, default=150)
    return parser.parse_args()


if __name__ == "__main__":
    main()
