"""Exchanges to figures: the definitions of everything `homerun bench serve` says.

All times are taken at the client, when a socket is read or written.

- TTFT: from the last byte of the request to the first event with text (for an answer without
  text: its usage frame).
- ITL: gap between two consecutive events with text of one answer, over all answers. An event may
  hold more than one token where a character took several.
- e2e: from the last byte of the request to `[DONE]`.
- TPOT: (e2e - TTFT) / (output tokens - 1), per answer with at least two output tokens.
- Duration: from the schedule's first measured arrival to the last `[DONE]`; the rates are over
  it, so they include the time in which the last answers run out.
- Output and total tokens/s: tokens of complete answers, by their usage frames, per second.
- Goodput: complete answers per second whose TTFT and TPOT are both within their limits.
- Lateness: from a request's scheduled time to its last byte: what the client could not keep up
  with, connecting and the bound on connections included. TTFT does not contain it.

Failed requests count under `errors` and nowhere else.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from homerun.cli.bench.answer import Answer, parse_answer
from homerun.cli.bench.figures import Summary, rounded, summarize, table
from homerun.cli.bench.sender import Exchange

LATE_MS = 10.0
"""Lateness beyond which a request is counted as late."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Service-level objectives in milliseconds."""

    ttft_ms: float
    tpot_ms: float


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The figures of one run, in the unit of their names."""

    requests: int
    completed: int
    errors: dict[str, int]
    messages: dict[str, str]
    """One message of the server per error."""
    finish_reasons: dict[str, int]
    duration_s: float
    requests_per_s: float
    output_tokens_per_s: float
    total_tokens_per_s: float
    goodput_per_s: float
    goodput_share: float
    """Of all requests sent."""
    slo: Limits
    ttft_ms: Summary
    itl_ms: Summary
    tpot_ms: Summary
    e2e_ms: Summary
    lateness_ms: Summary
    late: int
    """Requests sent more than 10 ms after their time."""
    held_back: int
    """Requests that waited for the bound on connections: the loop was not open for them."""
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int
    """Prompt tokens that the server's prefix cache answered."""

    def as_json(self) -> dict[str, Any]:
        """The report as JSON: floats have three digits after the point."""
        values: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value: Any = getattr(self, name)
            if isinstance(value, Summary):
                value = value.rounded()
            elif isinstance(value, Limits):
                value = asdict(value)
            values[name] = rounded(value) if isinstance(value, float) else value
        return values

    def as_table(self) -> str:
        """The report for a person."""
        names = ("mean", "p50", "p90", "p99", "max")
        times = [
            (label, *(getattr(summary, name) for name in names))
            for label, summary in (
                ("time to first token", self.ttft_ms),
                ("inter-token latency", self.itl_ms),
                ("time per output token", self.tpot_ms),
                ("end to end", self.e2e_ms),
                ("lateness", self.lateness_ms),
            )
        ]
        rates = [
            ("requests", self.requests_per_s),
            ("output tokens", self.output_tokens_per_s),
            ("all tokens", self.total_tokens_per_s),
            ("goodput", self.goodput_per_s),
        ]
        lines = [
            f"{self.completed} of {self.requests} requests answered in {self.duration_s:.1f} s",
            f"{self.prompt_tokens:,} prompt tokens ({self.cached_tokens:,} cached), "
            f"{self.output_tokens:,} output tokens; ended by: {_counts(self.finish_reasons)}",
            "",
            table([("ms", *names), *times]),
            "",
            table([("per second", ""), *rates]),
            "",
            f"goodput: time to first token <= {self.slo.ttft_ms:g} ms and "
            f"time per output token <= {self.slo.tpot_ms:g} ms: {self.goodput_share:.0%}",
        ]
        if self.late or self.held_back:
            lines.append(
                f"{self.late} requests were sent more than {LATE_MS:g} ms late, "
                f"{self.held_back} waited for --concurrency-cap"
            )
        lines += [
            f"error {code}: {number} ({self.messages.get(code, 'no answer')})"
            for code, number in self.errors.items()
        ]
        return "\n".join(lines)


def report(exchanges: Sequence[Exchange], slo: Limits) -> LoadReport:
    """The figures of the measured exchanges (at least one)."""
    pairs = [(one, parse_answer(one.reads, one.failure)) for one in exchanges]
    good = [_Timed(one, answer) for one, answer in pairs if answer.error is None]
    failed = [answer for _, answer in pairs if answer.error is not None]
    begin = min(one.scheduled for one in exchanges)
    end = max((one.ended for one in good), default=begin)
    duration = end - begin
    lateness = [(one.sent - one.scheduled) * 1e3 for one in exchanges if one.sent is not None]
    output_tokens = sum(one.answer.output_tokens for one in good)
    prompt_tokens = sum(one.answer.prompt_tokens for one in good)
    within = sum(one.meets(slo) for one in good)

    def rate(number: int) -> float:
        return number / duration if duration > 0 else 0.0

    return LoadReport(
        requests=len(exchanges),
        completed=len(good),
        errors=dict(Counter(str(answer.error) for answer in failed).most_common()),
        messages={str(a.error): a.message for a in failed if a.message is not None},
        finish_reasons=dict(Counter(one.answer.finish_reason for one in good).most_common()),
        duration_s=duration,
        requests_per_s=rate(len(good)),
        output_tokens_per_s=rate(output_tokens),
        total_tokens_per_s=rate(prompt_tokens + output_tokens),
        goodput_per_s=rate(within),
        goodput_share=within / len(exchanges),
        slo=slo,
        ttft_ms=summarize([one.ttft_ms for one in good]),
        itl_ms=summarize([gap for one in good for gap in one.gaps_ms]),
        tpot_ms=summarize([one.tpot_ms for one in good if one.tpot_ms is not None]),
        e2e_ms=summarize([one.e2e_ms for one in good]),
        lateness_ms=summarize(lateness),
        late=sum(value > LATE_MS for value in lateness),
        held_back=sum(one.held_back for one in exchanges),
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        cached_tokens=sum(one.answer.cached_tokens for one in good),
    )


class _Timed:
    """The times of one complete answer."""

    def __init__(self, exchange: Exchange, answer: Answer) -> None:
        assert exchange.sent is not None
        assert answer.ended is not None
        times = answer.token_times
        self.answer = answer
        self.ended = answer.ended
        self.ttft_ms = (times[0] - exchange.sent) * 1e3
        self.e2e_ms = (answer.ended - exchange.sent) * 1e3
        self.gaps_ms = [(after - before) * 1e3 for before, after in pairwise(times)]
        self.tpot_ms = (
            (self.e2e_ms - self.ttft_ms) / (answer.output_tokens - 1)
            if answer.output_tokens > 1
            else None
        )

    def meets(self, slo: Limits) -> bool:
        return self.ttft_ms <= slo.ttft_ms and (self.tpot_ms or 0.0) <= slo.tpot_ms


def _counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items()) or "nothing"
