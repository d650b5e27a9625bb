"""Requests on a schedule: open loop, one connection each, every read of a socket with its time.

Nothing is decoded while the load runs, so that the client's own work delays nothing.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from homerun.cli.bench.answer import Read
from homerun.cli.bench.traffic import PlannedRequest

LEAD_SECONDS = 0.05
"""Between the start of the run and its first arrival."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    path: str
    token: str | None = None
    timeout: float = 600.0
    """Seconds until a request counts as failed."""

    def encode(self, body: Mapping[str, object]) -> bytes:
        """The bytes of one request; the server is asked to close after it."""
        content = json.dumps(body).encode()
        head = [
            f"POST {self.path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            "Connection: close",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
        ]
        if self.token is not None:
            head.append(f"Authorization: Bearer {self.token}")
        return "\r\n".join([*head, "", ""]).encode() + content


@dataclass(slots=True)
class Exchange:
    """One request as it went; times in seconds of one clock."""

    scheduled: float
    sent: float | None = None
    """Its last byte was given to the socket."""
    reads: list[Read] = field(default_factory=list[Read])
    failure: str | None = None
    """What kept the connection from its regular end."""
    held_back: bool = False
    """It waited for the safety bound on connections."""


async def send(target: Target, body: Mapping[str, object]) -> Exchange:
    """One request, now. Never raises for what the network or the server does."""
    exchange = Exchange(scheduled=time.perf_counter())
    await _exchange(target, target.encode(body), exchange)
    return exchange


async def send_on_schedule(
    target: Target, planned: Sequence[PlannedRequest], cap: int
) -> list[Exchange]:
    """Sends every request at its time, whatever became of the others; at most `cap` at once.

    Returns in the order of `planned`, when all are over.
    """
    gate = asyncio.Semaphore(cap)
    requests = [(one.at - planned[0].at, target.encode(one.body)) for one in planned]
    start = time.perf_counter() + LEAD_SECONDS

    async def one(request: bytes, exchange: Exchange) -> Exchange:
        exchange.held_back = gate.locked()
        async with gate:
            await _exchange(target, request, exchange)
        return exchange

    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[Exchange]] = []
        for at, request in requests:
            exchange = Exchange(scheduled=start + at)
            await asyncio.sleep(max(0.0, exchange.scheduled - time.perf_counter()))
            tasks.append(group.create_task(one(request, exchange)))
    return [task.result() for task in tasks]


async def _exchange(target: Target, request: bytes, exchange: Exchange) -> None:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not over.done():
            over.set_result(None)

    transport: asyncio.BaseTransport | None = None
    try:
        async with asyncio.timeout(target.timeout):
            transport, _ = await loop.create_connection(
                lambda: _Recorder(request, exchange, end), target.host, target.port
            )
            await over
    except TimeoutError:
        exchange.failure = "timeout"
    except ConnectionRefusedError:
        exchange.failure = "refused"
    except OSError as error:
        exchange.failure = type(error).__name__
    finally:
        if transport is not None:
            transport.close()


class _Recorder(asyncio.Protocol):
    """Writes the request, then notes every read."""

    def __init__(self, request: bytes, exchange: Exchange, end: Callable[[], None]) -> None:
        self._request = request
        self._exchange = exchange
        self._end = end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)
        self._exchange.sent = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        self._exchange.reads.append((time.perf_counter(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._exchange.failure = type(exc).__name__
        self._end()
