"""Recorded reads to figures: every time is written down here, so every figure is exact."""

import json

import pytest

from homerun.cli.bench.answer import Answer, Read, parse_answer
from homerun.cli.bench.load_report import Limits, report
from homerun.cli.bench.sender import Exchange

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
SLO = Limits(ttft_ms=200.0, tpot_ms=50.0)
KEYS = {
    "requests", "completed", "errors", "messages", "finish_reasons", "duration_s",
    "requests_per_s", "output_tokens_per_s", "total_tokens_per_s", "goodput_per_s",
    "goodput_share", "slo", "ttft_ms", "itl_ms", "tpot_ms", "e2e_ms", "lateness_ms", "late",
    "held_back", "prompt_tokens", "output_tokens", "cached_tokens",
}  # fmt: skip


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def frame(text: str) -> bytes:
    return b"data: " + json.dumps({"response": text, "p": "x"}).encode() + b"\n\n"


def last(prompt: int, output: int, cached: int = 0) -> bytes:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    event = {"response": "", "usage": usage, "finish_reason": "stop"}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def stream(*times: float, ended: float, prompt: int, output: int, cached: int = 0) -> list[Read]:
    """One event with text per time, then usage and the end."""
    return [
        (times[0] - 0.001, HEAD),
        *((time, chunk(frame("a"))) for time in times),
        (ended, chunk(last(prompt, output, cached)) + chunk(DONE) + b"0\r\n\r\n"),
    ]


def test_an_answer_in_any_cuts_is_the_same_but_for_times() -> None:
    whole = b"".join(data for _, data in stream(1.0, 1.1, 1.2, ended=1.3, prompt=9, output=4))
    expected = parse_answer([(5.0, whole)])
    assert expected == Answer((5.0,) * 3, 5.0, None, None, 9, 4, 0, "stop")
    for size in (1, 2, 3, 7, 50):
        reads = [(5.0, whole[i : i + size]) for i in range(0, len(whole), size)]
        assert parse_answer(reads) == expected


def test_an_event_has_the_time_of_the_read_that_completes_it() -> None:
    text = chunk(frame("a"))
    reads = [(1.0, HEAD + text[:9]), (2.0, text[9:] + text), (3.0, chunk(last(1, 2) + DONE))]
    assert parse_answer(reads).token_times == (2.0, 2.0)


def test_comments_and_events_without_text_are_no_tokens() -> None:
    body = b": working\n\n" + frame("") + frame("a")
    answer = parse_answer([(1.0, HEAD), (2.0, chunk(body)), (3.0, chunk(last(1, 1) + DONE))])
    assert answer.token_times == (2.0,)


def test_an_answer_without_text_has_its_usage_frame_as_first_token() -> None:
    answer = parse_answer([(1.0, HEAD), (2.0, chunk(last(5, 1))), (3.0, chunk(DONE))])
    assert (answer.error, answer.token_times, answer.ended) == (None, (2.0,), 3.0)


def test_a_body_without_chunks() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    answer = parse_answer([(1.0, head + frame("a") + last(5, 1) + DONE)])
    assert (answer.error, answer.output_tokens) == (None, 1)


def refusal(status: bytes, body: bytes) -> list[Read]:
    return [(1.0, b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)]


ERROR = b'{"errors":[{"message":"busy","code":3040}],"success":false,"result":{},"messages":[]}'


@pytest.mark.parametrize(
    ("reads", "failure", "error"),
    [
        (refusal(b"429 Too Many", ERROR), None, "429/3040"),
        (refusal(b"502 Bad Gateway", b"<html>no</html>"), None, "502"),
        ([(1.0, HEAD + chunk(b'data: {"errors":[{"code":3043,"message":"m"}]}\n\n'))], None,
         "stream/3043"),
        ([(1.0, HEAD + chunk(frame("a")))], None, "broken"),
        ([(1.0, HEAD + chunk(frame("a")))], "timeout", "timeout"),
        ([], "refused", "refused"),
        ([], None, "broken"),
        ([(1.0, b"SSH-2.0-OpenSSH\r\n\r\n")], None, "malformed"),
        ([(1.0, HEAD + chunk(b"data: {no json\n\n"))], None, "malformed"),
        ([(1.0, HEAD + chunk(DONE))], None, "malformed"),
    ],
)  # fmt: skip
def test_errors_have_a_name(reads: list[Read], failure: str | None, error: str) -> None:
    assert parse_answer(reads, failure).error == error


def test_a_complete_answer_stands_even_if_the_connection_broke() -> None:
    reads = stream(1.0, ended=2.0, prompt=1, output=1)
    assert parse_answer(reads, "ConnectionResetError").error is None


def test_figures_of_known_times() -> None:
    exchanges = [
        # TTFT 100 ms, gaps 20 and 40 ms, e2e 180 ms, TPOT 80 / 4 = 20 ms: within the limits.
        Exchange(10.0, 10.002, stream(10.102, 10.122, 10.162, ended=10.182, prompt=30, output=5)),
        # TTFT 300 ms: complete, but late for goodput; one output token, so no TPOT.
        Exchange(
            10.5, 10.55, stream(10.85, ended=12.0, prompt=10, output=1, cached=4), held_back=True
        ),
        Exchange(11.0, None, [], "refused"),
        Exchange(11.5, 11.5, refusal(b"429 Too Many", ERROR)),
    ]
    measured = report(exchanges, SLO)
    assert (measured.requests, measured.completed) == (4, 2)
    assert measured.errors == {"refused": 1, "429/3040": 1}
    assert measured.messages == {"429/3040": "busy"}
    assert measured.finish_reasons == {"stop": 2}
    assert measured.duration_s == pytest.approx(2.0)
    assert measured.requests_per_s == pytest.approx(1.0)
    assert measured.output_tokens_per_s == pytest.approx(3.0)
    assert measured.total_tokens_per_s == pytest.approx(23.0)
    assert measured.goodput_per_s == pytest.approx(0.5)
    assert measured.goodput_share == 0.25
    assert measured.ttft_ms.p50 == pytest.approx(200.0)
    assert measured.ttft_ms.max == pytest.approx(300.0)
    assert measured.itl_ms.mean == pytest.approx(30.0)
    assert measured.itl_ms.max == pytest.approx(40.0)
    assert measured.tpot_ms.mean == pytest.approx(20.0)
    assert measured.e2e_ms.max == pytest.approx(1450.0)
    assert measured.lateness_ms.max == pytest.approx(50.0)
    assert (measured.late, measured.held_back) == (1, 1)
    assert (measured.prompt_tokens, measured.output_tokens, measured.cached_tokens) == (40, 6, 4)


def test_json_has_the_documented_keys_and_nothing_that_json_lacks() -> None:
    good = Exchange(0.0, 0.0, stream(0.1, 0.2, ended=0.3, prompt=3, output=3))
    for exchanges in ([good], [Exchange(0.0, None, [], "refused")]):
        measured = report(exchanges, SLO)
        values = json.loads(json.dumps(measured.as_json(), allow_nan=False))
        assert set(values) == KEYS
        assert set(values["ttft_ms"]) == {"mean", "p50", "p90", "p99", "max"}
        assert values["slo"] == {"ttft_ms": 200.0, "tpot_ms": 50.0}
        assert "requests answered" in measured.as_table()
