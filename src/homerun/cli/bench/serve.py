"""`homerun bench serve`: load against a running server, and what came of it."""

import asyncio
import json
import math
import random
import sys
from dataclasses import asdict, replace
from typing import Any

from homerun import __version__
from homerun.cli.bench.answer import parse_answer
from homerun.cli.bench.load_report import Limits, LoadReport, report
from homerun.cli.bench.sender import Exchange, Target, send, send_on_schedule
from homerun.cli.bench.traffic import PROFILES, Traffic, WordCost, make_prompt, plan
from homerun.cli.client import ServerError, run_path

PROBE_WORDS = (20, 100)


def target_of(host: str, port: int, token: str | None, account: str, model: str) -> Target:
    """The native endpoint of `model`, to be streamed from."""
    return Target(host, port, run_path(account, model), token)


def serve(
    model: str, target: Target, traffic: Traffic, slo: Limits, *, cap: int, as_json: bool
) -> None:
    """Sends the traffic and prints the report.

    Raises ServerError when nobody answers, when the server refuses the model, and when not one
    request was answered (after the report).
    """
    measured, sent = asyncio.run(_run(target, traffic, slo, cap))
    if as_json:
        print(json.dumps(_json(model, measured, traffic, cap)))
    else:
        print(measured.as_table())
    if measured.completed == 0:
        raise ServerError(f"none of {sent} requests was answered: {_worst(measured)}")


async def _run(target: Target, traffic: Traffic, slo: Limits, cap: int) -> tuple[LoadReport, int]:
    cost = await _word_cost(target)
    planned = plan(traffic, cost)
    note = f"{len(planned)} requests over {planned[-1].at - planned[0].at:.1f} s"
    print(f"homerun: sending {note} to {target.host}:{target.port}", file=sys.stderr)
    exchanges = await send_on_schedule(target, planned, cap)
    return report(exchanges[traffic.warmup :], slo), len(planned)


async def _word_cost(target: Target) -> WordCost:
    """Two requests of known length, one after the other. Raises ServerError if one fails."""
    measured: list[tuple[int, int]] = []
    for words in PROBE_WORDS:
        prompt = make_prompt(words, random.Random(words))
        exchange = await send(target, {"prompt": prompt, "max_tokens": 1, "stream": True})
        measured.append((words, _prompt_tokens(exchange, target)))
    return WordCost.fit(*measured)


def _prompt_tokens(exchange: Exchange, target: Target) -> int:
    if exchange.failure is not None and not exchange.reads:
        raise ServerError(
            f"no server answers at {target.host}:{target.port} ({exchange.failure}); "
            "start one with: homerun serve"
        )
    answer = parse_answer(exchange.reads, exchange.failure)
    if answer.error is not None:
        raise ServerError(f"the first request failed: {answer.error} {answer.message or ''}")
    return answer.prompt_tokens


def _json(model: str, measured: LoadReport, traffic: Traffic, cap: int) -> dict[str, Any]:
    shape = traffic.shape or PROFILES[traffic.profile].shape
    load: dict[str, Any] = asdict(replace(traffic, shape=shape))
    load["rate"] = None if math.isinf(traffic.rate) else traffic.rate
    load["concurrency_cap"] = cap
    return {"homerun": __version__, "model": model, "load": load, **measured.as_json()}


def _worst(measured: LoadReport) -> str:
    code = next(iter(measured.errors))
    return f"{code} {measured.messages.get(code, '')}".rstrip()
