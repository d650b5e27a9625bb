"""Log lines: one JSON object per line, or one readable line on a terminal. Never a prompt, never
a token. Knows what a request's line holds, not where its values come from.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

_TOKEN = re.compile(r"(hr_[0-9a-f]{12}_)[0-9a-f]+|(Bearer )[^\s\"]+", re.IGNORECASE)
_REDACTED = "[redacted]"

requests = logging.getLogger("homerun.requests")


@dataclass(slots=True)
class RequestRecord:
    """What one request's line says; filled in along its way. Never holds text of the request."""

    request_id: str
    account: str | None = None
    token_id: str | None = None
    model: str | None = None
    """A served model's name, never what the client wrote."""
    lora: str | None = None
    stream: bool | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    queue_ms: float | None = None
    ttft_ms: float | None = None
    total_ms: float = 0.0
    finish_reason: str | None = None
    status: int | None = None
    internal_code: int | None = None
    client_disconnected: bool = False
    seed: int | None = None
    began: float = field(default_factory=time.monotonic)
    """Monotonic seconds; not logged."""

    def first_token(self) -> None:
        """To be called when the first text is there; later calls change nothing."""
        if self.ttft_ms is None:
            self.ttft_ms = milliseconds_since(self.began)

    def finish(self, status: int | None) -> None:
        """The last word on the request: writes its line. `status` None: no answer was begun."""
        self.status = status
        self.total_ms = milliseconds_since(self.began)
        values = asdict(self)
        del values["began"]
        requests.info("request", extra={"fields": values})


def milliseconds_since(began: float) -> float:
    """`began` in monotonic seconds -> milliseconds, three decimals."""
    return round((time.monotonic() - began) * 1000, 3)


class JsonFormatter(logging.Formatter):
    """`{"ts": …, "level": …, "event": …, …}`: one line of ASCII, control characters escaped."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        """`secrets`: texts that are replaced wherever they would appear."""
        super().__init__()
        # Longest first, so that a secret within a secret leaves no rest.
        self._secrets = sorted((json.dumps(text)[1:-1] for text in secrets if text), key=len)[::-1]

    def format(self, record: logging.LogRecord) -> str:
        line = self._line(_values(record))
        for secret in self._secrets:
            line = line.replace(secret, _REDACTED)
        return _TOKEN.sub(lambda match: (match[1] or match[2]) + _REDACTED, line)

    def _line(self, values: dict[str, Any]) -> str:
        return json.dumps(values, default=str)


class TerminalFormatter(JsonFormatter):
    """`12:00:01 info request model=… total_ms=…`, for a person; what is None is left out."""

    def _line(self, values: dict[str, Any]) -> str:
        clock = datetime.fromisoformat(values.pop("ts")).astimezone().strftime("%H:%M:%S")
        words = [clock, values.pop("level"), json.dumps(values.pop("event"))[1:-1]]
        words += [f"{key}={_plain(value)}" for key, value in values.items() if value is not None]
        return " ".join(words)


def configure_logging(
    level: str = "info", *, secrets: Collection[str] = (), stream: TextIO | None = None
) -> None:
    """Sends all logging to `stream` (stderr): readable on a terminal, JSON elsewhere.

    Raises ValueError for a level that logging does not know.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = TerminalFormatter if handler.stream.isatty() else JsonFormatter
    handler.setFormatter(formatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn narrates its own start and stop; what matters of it we say ourselves.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _values(record: logging.LogRecord) -> dict[str, Any]:
    values: dict[str, Any] = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": record.getMessage(),
        **getattr(record, "fields", {}),
    }
    if record.name != requests.name:
        values["logger"] = record.name
    if record.exc_info and record.exc_info[1] is not None:
        values["traceback"] = list(_frames(record.exc_info[1]))
    return values


def _frames(error: BaseException) -> Iterator[str]:
    """Types and places of an exception and its causes, innermost first.

    Not their messages: those often quote the value that broke something, which may be a prompt.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _frames(cause)
    yield type(error).__qualname__
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"{frame.filename}:{frame.lineno} {frame.name}"


def _plain(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, default=str)
    plain = text.isascii() and text.isprintable() and not any(char in text for char in ' "\\')
    return text if plain else json.dumps(text)
