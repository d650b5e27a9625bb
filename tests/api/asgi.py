"""One request to an ASGI application, without a socket and with any header one likes."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """Code of the first error."""
        return self.json["errors"][0]["code"]


def ask(
    app: Any,
    path: str,
    method: str = "GET",
    headers: list[tuple[str, str]] | None = None,
    body: bytes | list[dict[str, Any]] = b"",
    client: str = "127.0.0.1",
) -> Answer:
    """`path` as on the wire. `body`: bytes, or the ASGI messages that bring it."""
    headers = [("host", "localhost:11787")] if headers is None else headers
    if isinstance(body, bytes):
        body = [{"type": "http.request", "body": body, "more_body": False}]
    raw_path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": (client, 1234),
        "server": ("127.0.0.1", 11787),
        "state": {},
    }
    return asyncio.run(_ask(app, scope, list(body)))


async def _ask(app: Any, scope: Any, incoming: list[dict[str, Any]]) -> Answer:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        # As of a server: once the client is gone, it stays gone.
        if incoming and incoming[0]["type"] != "http.disconnect":
            return incoming.pop(0)
        if not incoming:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, b"".join(part.get("body", b"") for part in sent[1:]))
