"""Bytes of one HTTP answer, each read with its time, to what the benchmark needs of it.

Knows HTTP/1.1 framing and the native stream's frames; touches no socket and no clock.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Read = tuple[float, bytes]
"""Seconds and bytes of one read of the socket."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One finished request. Times are those of the reads that completed an event, in seconds."""

    token_times: tuple[float, ...] = ()
    """Events with text, in order. An event may hold several tokens (or end a held-back one)."""
    ended: float | None = None
    """The read of `[DONE]`; None for a request that failed."""
    error: str | None = None
    """`STATUS/CODE`, `stream/CODE` for an error after the first frame, "broken" for an answer that
    ends early, or what the connection met ("refused", "timeout", ...)."""
    message: str | None = None
    """The server's own words for the error."""
    prompt_tokens: int = 0
    output_tokens: int = 0
    """As the usage frame counts: a stop id is one of them, though it has no event."""
    cached_tokens: int = 0
    finish_reason: str = ""


def parse_answer(reads: Sequence[Read], failure: str | None = None) -> Answer:
    """`failure`: what ended the connection, if something did; a complete answer stands anyway."""
    body = _Body()
    events: list[tuple[float, Any]] = []
    ended: float | None = None
    rest = b""
    try:
        for time, data in reads:
            rest += body.feed(data)
            if body.status != 200:
                continue  # one piece of JSON, not a stream
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if not line.startswith(b"data:"):
                    continue
                if line[5:].strip() == b"[DONE]":
                    ended = time
                else:
                    events.append((time, json.loads(line[5:])))
        if body.status not in (None, 200):
            return _refusal(body.status, rest)
        return _stream(events, ended, failure)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        return Answer(error="malformed", message=f"{type(error).__name__}: {error}")


def _refusal(status: int | None, body: bytes) -> Answer:
    """An error before the first frame; what stands between may answer with another body."""
    try:
        first: dict[str, Any] = json.loads(body)["errors"][0]
    except (ValueError, KeyError, TypeError, IndexError):
        return Answer(error=str(status), message=body[:200].decode(errors="replace"))
    return Answer(error=f"{status}/{first['code']}", message=str(first["message"]))


def _stream(events: list[tuple[float, Any]], ended: float | None, failure: str | None) -> Answer:
    for _, event in events:
        if errors := event.get("errors"):
            return Answer(error=f"stream/{errors[0]['code']}", message=errors[0]["message"])
    if ended is None:
        return Answer(error=failure or "broken")
    last = events[-1][1]
    usage: dict[str, Any] = last["usage"]
    details: dict[str, Any] = usage.get("prompt_tokens_details") or {}
    return Answer(
        # An answer without a word still has a first sign of life: its usage frame.
        token_times=tuple(time for time, event in events if event.get("response"))
        or (events[-1][0],),
        ended=ended,
        prompt_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cached_tokens=details.get("cached_tokens", 0),
        finish_reason=str(last.get("finish_reason")),
    )


class _Body:
    """Head and chunks taken off, as far as the bytes go."""

    def __init__(self) -> None:
        self.status: int | None = None
        self._chunked = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that `data` completes. Raises ValueError for what is no HTTP."""
        self._rest += data
        if self.status is None:
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return b""
            self._rest = rest
            status_line, *fields = head.lower().split(b"\r\n")
            self.status = int(status_line.split()[1])
            self._chunked = any(
                field.startswith(b"transfer-encoding:") and field.endswith(b"chunked")
                for field in fields
            )
        body, self._rest = _unchunk(self._rest) if self._chunked else (self._rest, b"")
        return body


def _unchunk(data: bytes) -> tuple[bytes, bytes]:
    """The contents of the complete chunks, and what is left."""
    parts: list[bytes] = []
    while True:
        line, end, rest = data.partition(b"\r\n")
        size = int(line.split(b";")[0], 16) if end else 0
        if not size or len(rest) < size + 2:
            return b"".join(parts), data
        parts.append(rest[:size])
        data = rest[size + 2 :]
