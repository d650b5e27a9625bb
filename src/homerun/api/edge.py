"""HTTP/1.1 on the socket, stricter than the parser under it: what is ambiguous or slow ends here.

Knows bytes, headers and deadlines; knows nothing of paths, tokens or what a request asks for.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from homerun.settings import Settings

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together."""
MAX_HEADERS = 100
READ_BYTES = 8 * 1024
"""Taken from a socket at once: chunks of one byte cost the parser 2 us per byte, and asyncio's own
256 KiB of them would keep the event loop from everybody else for half a second."""

_LONE_CR_OR_LF = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_HOST_VALUE = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?")


def check_head(received: bytes) -> None:
    """`received`: what has come of a request so far, from its first byte, perhaps more than it.

    Raises h11.RemoteProtocolError for what a proxy in front might have read differently: two
    lengths, two hosts, lone CR or LF, folded lines; and for a head that is too large.
    """
    head, end, _ = received.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD_BYTES:
        raise h11.RemoteProtocolError("The request's headers are too large", 431)
    # Of an incomplete head the last byte may be half a line break.
    if _LONE_CR_OR_LF.search(head if end else head.removesuffix(b"\r")):
        raise h11.RemoteProtocolError("Lines must end with CR LF")
    if not end:
        return
    lines = head.split(b"\r\n")[1:]
    if len(lines) > MAX_HEADERS:
        raise h11.RemoteProtocolError(f"More than {MAX_HEADERS} headers", 431)
    if any(line[:1] in (b" ", b"\t") for line in lines):
        raise h11.RemoteProtocolError("Header lines must not be folded")
    headers = [line.partition(b":") for line in lines]
    lengths = [
        value
        for name, _, value in headers
        if name.lower() in (b"content-length", b"transfer-encoding")
    ]
    if len(lengths) > 1 or any(b"," in value for value in lengths):
        raise h11.RemoteProtocolError("More than one statement of the body's length")
    hosts = [value.strip(b" \t") for name, _, value in headers if name.lower() == b"host"]
    if len(hosts) != 1 or not _HOST_VALUE.fullmatch(hosts[0]):
        raise h11.RemoteProtocolError("Exactly one valid Host is needed")


class StrictConnection(h11.Connection):
    """h11's state machine with `check_head` before it; remembers why it refused."""

    refusal: h11.RemoteProtocolError | None = None

    @property
    def at_head(self) -> bool:
        """Whether the next bytes belong to a request's head."""
        return self.their_state is h11.IDLE

    def next_event(self) -> Any:
        try:
            if self.at_head:
                check_head(self.trailing_data[0])
            return super().next_event()
        except h11.RemoteProtocolError as error:
            self.refusal = error
            raise


class EdgeProtocol(H11Protocol):
    """uvicorn's h11 protocol with a cap on connections and a deadline for whatever comes in.

    uvicorn itself bounds only the idle time between requests. Bodies that a handler reads have
    their deadline there; here are heads, and bodies that nobody reads after an early answer.
    """

    settings: Settings
    """Set by `edge_protocol`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn: StrictConnection = StrictConnection(h11.SERVER, MAX_HEAD_BYTES)
        self.timeout_keep_alive = self.settings.keepalive_timeout  # type: ignore[assignment]
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.settings.max_connections:
            transport.write(
                b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"
                b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport = transport
            transport.close()
            return
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._clear_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waits = not self.conn.at_head and self.conn.their_state is not h11.SEND_BODY
        if waits and len(self.conn.trailing_data[0]) <= MAX_HEAD_BYTES:
            # uvicorn stops reading at the first byte of a next request; then nobody would see
            # the client of this one go away.
            self.flow.resume_reading()
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Tells a peer that broke the protocol so, unless an answer has begun, and hangs up."""
        if self.cycle and not self.cycle.response_complete:
            # Whoever is at work on the request shall not answer as well.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        error = self.conn.refusal
        status = error.error_status_hint if error else HTTPStatus.BAD_REQUEST
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._answer(status, str(error or msg).partition(": bytearray")[0])
        self.transport.close()

    def _should_upgrade(self) -> bool:
        # There is nothing to upgrade to; uvicorn would log advice for every such request.
        return False

    def _watch(self) -> None:
        """Keeps the deadline running exactly while the peer owes us bytes that nobody awaits."""
        # Between two requests the keep-alive timer of uvicorn runs instead.
        owes_head = self.conn.at_head and self.timeout_keep_alive_task is None
        owes_body = self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE
        if not (owes_head or owes_body):
            self._clear_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.settings.header_timeout, self._expire)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        if self.conn.at_head and self.conn.trailing_data[0]:
            self._answer(HTTPStatus.REQUEST_TIMEOUT, "The request's headers did not arrive in time")
        self.transport.close()

    def _answer(self, status: int, text: str) -> None:
        body = text.encode("ascii", "replace")
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        reason = HTTPStatus(status).phrase
        events = (
            h11.Response(status_code=int(status), headers=headers, reason=reason),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")


def edge_protocol(settings: Settings) -> type[EdgeProtocol]:
    """The protocol class to give to uvicorn, which makes its instances itself."""

    class ConfiguredProtocol(EdgeProtocol):
        pass

    ConfiguredProtocol.settings = settings
    return ConfiguredProtocol
