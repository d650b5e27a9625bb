"""How much of an engine's speed is left when it is reached through HTTP, streams side by side.

    python benchmarks/through_http.py --shape rookie --dtype fp16 --batch 16

A server process and `homerun bench engine` take turns with the same random weights. The load client
of `homerun bench serve` opens as many streams at once as the engine has sequences; counted is the
time between the moment when the last stream has begun and the first one ends, so that both sides
are timed while all sequences decode. The client shares the machine with the server, as a user's
would on their own machine. Speculation is off on both sides: random text says nothing of it.

Streams come one round right after the other, and each round needs KV blocks that nobody had before.
`--rest` lets the server be idle before each, so that it can populate their memory.
"""

import argparse
import asyncio
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import turns
from serving import MODEL, homerun_server, servable

from homerun.cli.bench.answer import Answer, parse_answer
from homerun.cli.bench.sender import Target, send_on_schedule
from homerun.cli.bench.traffic import PlannedRequest
from homerun.cli.client import run_path

ATTEMPTS = 10


def main() -> None:
    options = _options()
    case = turns.case_of(options)
    if case.phase != "decode":
        raise SystemExit("streams are compared while they decode: leave out --phase")
    with TemporaryDirectory() as folder:
        directory = servable(case, Path(folder))
        subjects = {
            "homerun": lambda: measure_server(case, directory, options.rest),
            "the engine alone": lambda: turns.homerun(case)["tokens_per_s"],
        }
        runs = turns.take_turns(subjects, options.rounds, quiet=options.json)
    turns.show(case, runs, f"{case.batch} streams through HTTP", as_json=options.json)


def measure_server(case: turns.Case, directory: Path, rest: float) -> float:
    """Tokens per second of one server process over all streams; median of the repeats.

    `rest`: seconds without a request before each of them.
    """
    with homerun_server(case, directory) as port:
        figures: list[float] = []
        for number in range(ATTEMPTS * (case.repeat + 1)):
            time.sleep(rest)
            answers = asyncio.run(_round(case, port, number))
            if all(answer.finish_reason == "length" for answer in answers):
                figures.append(all_at_once(answers))
            if len(figures) > case.repeat:
                return median(figures[1:])  # the first one warms up
    raise SystemExit("random weights ended a stream too often: ask for fewer --tokens")


async def _round(case: turns.Case, port: int, number: int) -> list[Answer]:
    """All streams once. Random weights may draw a stop id, which ends one early."""
    target = Target("127.0.0.1", port, run_path("local", MODEL))
    planned = [
        PlannedRequest(0.0, _prompt(case.context, f"{number} {stream}"), case.tokens, 1 + stream)
        for stream in range(case.batch)
    ]
    exchanges = await send_on_schedule(target, planned, case.batch)
    answers = [parse_answer(exchange.reads, exchange.failure) for exchange in exchanges]
    for answer in answers:
        if answer.error is not None:
            raise SystemExit(f"a request failed: {answer.error} {answer.message or ''}")
    return answers


def all_at_once(answers: list[Answer]) -> float:
    """Tokens per second while every stream was going: the sum of the streams' own rates there.

    A rate is taken between a stream's own first and last event of that time. To count all tokens
    up to the end of the first stream instead would lose the tokens which that very step brings to
    the others a moment later: of 20 tokens one interval in 19.
    """
    began = max(answer.token_times[0] for answer in answers)
    ended = min(answer.token_times[-1] for answer in answers)
    rates = 0.0
    for answer in answers:
        inside = [at for at in answer.token_times if began <= at <= ended]
        if len(inside) < 3:
            raise SystemExit("the streams hardly overlap: ask for more --tokens or less --context")
        # An event may hold several tokens.
        tokens_per_event = answer.output_tokens / len(answer.token_times)
        rates += (len(inside) - 1) * tokens_per_event / (inside[-1] - inside[0])
    return rates


def _prompt(tokens: int, start: str) -> str:
    """About so many tokens: a letter and a space are one in a vocabulary of this kind."""
    return start + " x" * max(1, tokens - 2)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    turns.add_options(parser, ("int8", "bf16", "fp16"))
    parser.add_argument("--rest", type=float, default=0.0, help="idle seconds before each round")
    parser.set_defaults(shape="rookie", batch=16, tokens=128, context=128)
    return parser.parse_args()


if __name__ == "__main__":
    main()
