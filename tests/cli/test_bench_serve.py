"""The load generator against a small server of our own on loopback: structure, never speed."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterator

import pytest
from typer.testing import CliRunner

from homerun.cli.bench.answer import parse_answer
from homerun.cli.bench.sender import Exchange, Target, send_on_schedule
from homerun.cli.bench.traffic import PlannedRequest
from homerun.cli.main import app

Respond = Callable[[dict[str, object], asyncio.StreamWriter], Awaitable[None]]
PATH = "/client/v4/accounts/local/ai/run/@homerun/rookie"


class FakeServer:
    """Speaks just enough HTTP; keeps what it was asked."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.heads: list[bytes] = []
        self.bodies: list[dict[str, object]] = []
        self.open = 0
        self.most_open = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            self.heads.append(head)
            self.bodies.append(body)
            await self.respond(body, writer)
        finally:
            self.open -= 1
            writer.close()


async def answer_words(body: dict[str, object], writer: asyncio.StreamWriter) -> None:
    """One token per word of the prompt and 7 for the template; max_tokens tokens of answer."""
    number = int(str(body["max_tokens"]))
    usage = {
        "prompt_tokens": len(str(body["prompt"]).split()) + 7,
        "completion_tokens": number,
        "prompt_tokens_details": {"cached_tokens": 7},
    }
    frames: list[object] = [{"response": "a", "p": ""}] * number
    frames.append({"response": "", "usage": usage, "finish_reason": "length"})
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for data in [*(json.dumps(one) for one in frames), "[DONE]"]:
        line = f"data: {data}\n\n".encode()
        writer.write(b"%x\r\n%b\r\n" % (len(line), line))
        await writer.drain()
        await asyncio.sleep(0.001)
    writer.write(b"0\r\n\r\n")


async def refuse(body: dict[str, object], writer: asyncio.StreamWriter) -> None:
    content = b'{"errors":[{"message":"no","code":3040}]}'
    writer.write(b"HTTP/1.1 429 No\r\ncontent-length: %d\r\n\r\n" % len(content) + content)


async def hang(body: dict[str, object], writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await asyncio.sleep(30)


def planned(number: int, gap: float = 0.0) -> list[PlannedRequest]:
    return [PlannedRequest(i * gap, f"word{i} " * 3, 4, seed=i + 1) for i in range(number)]


def load(server: FakeServer, requests: list[PlannedRequest], **options: float) -> list[Exchange]:
    """Sends the requests to the server, both in one loop."""

    async def both() -> list[Exchange]:
        running = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        port = running.sockets[0].getsockname()[1]
        target = Target("127.0.0.1", port, PATH, "secret", timeout=options.get("timeout", 30.0))
        try:
            return await send_on_schedule(target, requests, int(options.get("cap", 100)))
        finally:
            running.close()

    return asyncio.run(both())


def test_every_request_goes_out_at_or_after_its_time_and_is_read_in_order() -> None:
    server = FakeServer(answer_words)
    requests = planned(12, gap=0.002)
    exchanges = load(server, requests)
    assert [e.scheduled - exchanges[0].scheduled for e in exchanges] == pytest.approx(
        [one.at for one in requests]
    )
    for exchange, request in zip(exchanges, requests, strict=True):
        assert exchange.sent is not None
        assert exchange.sent >= exchange.scheduled
        times = [time for time, _ in exchange.reads]
        assert times == sorted(times)
        assert times[0] >= exchange.sent
        answer = parse_answer(exchange.reads, exchange.failure)
        assert (answer.error, len(answer.token_times)) == (None, 4)
        assert (answer.prompt_tokens, answer.output_tokens) == (10, 4)
        assert request.body in server.bodies


def test_the_wire() -> None:
    server = FakeServer(answer_words)
    load(server, planned(1))
    lines = server.heads[0].decode().split("\r\n")
    assert lines[0] == f"POST {PATH} HTTP/1.1"
    assert {"Connection: close", "Authorization: Bearer secret"} <= set(lines)
    assert server.bodies == [
        {"prompt": "word0 word0 word0 ", "max_tokens": 4, "seed": 1, "stream": True}
    ]


def test_the_loop_is_open() -> None:
    """No answer ends before every request is there: a closed loop would never finish."""
    everybody = asyncio.Event()

    async def wait_for_all(body: dict[str, object], writer: asyncio.StreamWriter) -> None:
        if len(server.bodies) == 8:
            everybody.set()
        await everybody.wait()
        await answer_words(body, writer)

    server = FakeServer(wait_for_all)
    exchanges = load(server, planned(8))
    assert [parse_answer(e.reads, e.failure).error for e in exchanges] == [None] * 8
    assert not any(e.held_back for e in exchanges)


def test_the_bound_holds_and_is_told() -> None:
    server = FakeServer(answer_words)
    exchanges = load(server, planned(8), cap=2)
    assert server.most_open <= 2
    assert exchanges[2].held_back
    assert not exchanges[0].held_back
    assert len(server.bodies) == 8


def test_a_server_that_never_ends_is_a_timeout() -> None:
    (exchange,) = load(FakeServer(hang), planned(1), timeout=0.2)
    assert parse_answer(exchange.reads, exchange.failure).error == "timeout"


# The command.


@pytest.fixture
def command() -> Iterator[Callable[..., tuple[int, str, str, FakeServer]]]:
    """Runs `homerun bench serve` against a fake server on a thread of its own."""
    import threading

    stops: list[Callable[[], None]] = []

    def invoke(respond: Respond, *arguments: str) -> tuple[int, str, str, FakeServer]:
        server = FakeServer(respond)
        started = threading.Event()
        ports: list[int] = []
        loop = asyncio.new_event_loop()
        over = asyncio.Event()

        async def run() -> None:
            running = await asyncio.start_server(server.handle, "127.0.0.1", 0)
            ports.append(running.sockets[0].getsockname()[1])
            started.set()
            await over.wait()
            running.close()

        def main() -> None:
            loop.run_until_complete(run())
            loop.close()

        thread = threading.Thread(target=main)
        thread.start()

        def stop() -> None:
            loop.call_soon_threadsafe(over.set)
            thread.join()

        stops.append(stop)
        started.wait()
        result = CliRunner().invoke(
            app, ["bench", "serve", "--port", str(ports[0]), "--rate", "500", *arguments]
        )
        message = str(result.exception) if result.exception else ""
        return result.exit_code, result.stdout, message, server

    yield invoke
    for stop in stops:
        stop()


def test_json_is_exactly_one_object(
    command: Callable[..., tuple[int, str, str, FakeServer]],
) -> None:
    status, out, _, server = command(
        answer_words,
        *("--requests", "6", "--warmup", "2", "--prompt-tokens", "50", "--output-tokens", "3"),
        "--json",
    )
    assert status == 0
    assert len(out.splitlines()) == 1
    values = json.loads(out)
    assert (values["requests"], values["completed"], values["errors"]) == (6, 6, {})
    # Measured by two requests: 7 tokens of template, so 43 words.
    assert (values["prompt_tokens"], values["output_tokens"]) == (300, 18)
    assert values["cached_tokens"] == 42
    assert values["model"] == "@homerun/rookie"
    assert values["load"]["warmup"] == 2
    assert len(server.bodies) == 2 + 2 + 6


def test_infinite_rate_is_valid_json(
    command: Callable[..., tuple[int, str, str, FakeServer]],
) -> None:
    _, out, _, _ = command(answer_words, "--rate", "inf", "--requests", "3", "--json")

    def refuse_constant(name: str) -> float:
        raise AssertionError(name)

    values = json.loads(out, parse_constant=refuse_constant)
    assert values["load"]["rate"] is None
    assert math.isfinite(values["duration_s"])


def test_table(command: Callable[..., tuple[int, str, str, FakeServer]]) -> None:
    status, out, _, _ = command(answer_words, "--requests", "3", "--warmup", "0")
    assert status == 0
    assert "3 of 3 requests answered" in out
    assert "time to first token" in out


def test_a_refused_model_ends_the_command(
    command: Callable[..., tuple[int, str, str, FakeServer]],
) -> None:
    status, out, message, _ = command(refuse, "--requests", "3", "--json")
    assert status == 1
    assert out == ""
    assert "429/3040 no" in message


def test_when_all_requests_fail_the_report_comes_first(
    command: Callable[..., tuple[int, str, str, FakeServer]],
) -> None:
    async def after_the_probes(body: dict[str, object], writer: asyncio.StreamWriter) -> None:
        await (answer_words if body["max_tokens"] == 1 else refuse)(body, writer)

    status, out, message, _ = command(
        after_the_probes, "--requests", "3", "--output-tokens", "2", "--json"
    )
    assert status == 1
    assert json.loads(out)["errors"] == {"429/3040": 3}
    assert "none of 8 requests was answered: 429/3040 no" in message


def test_nobody_there() -> None:
    import socket

    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["bench", "serve", "--port", str(port)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"no server answers at 127.0.0.1:{port}" in str(result.exception)
    assert "homerun serve" in str(result.exception)
