"""A small client of the native API, for the commands that talk to a running server.

Knows the wire; uses the standard library only, so that `homerun run` starts quickly.
"""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from homerun.errors import HomerunError, NoRoute

TIMEOUT = 600.0


class ServerError(HomerunError):
    """What the server said instead of an answer."""


def run_path(account: str, model: str) -> str:
    """The path that runs `model`, with what is no part of a path escaped."""
    return f"/client/v4/accounts/{quote(account, safe='')}/ai/run/{quote(model, safe='@/')}"


class Client:
    """One server's address and token."""

    def __init__(self, host: str, port: int, token: str | None = None) -> None:
        self._address = (host, port)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def alive(self, timeout: float = 0.5) -> bool:
        """Whether a homerun server answers at the address."""
        connection = http.client.HTTPConnection(*self._address, timeout=timeout)
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def not_ready(self, timeout: float = 2.0) -> list[str]:
        """Why the homerun server at the address takes no requests; empty when it does.

        Raises ServerError if none answers there.
        """
        connection = http.client.HTTPConnection(*self._address, timeout=timeout)
        try:
            connection.request("GET", "/readyz")
            answer = json.loads(connection.getresponse().read())
            return [str(reason) for reason in answer["reasons"]]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise ServerError(f"no homerun answers: {error}") from error
        finally:
            connection.close()

    def stream(self, model: str, body: dict[str, Any], account: str) -> Iterator[dict[str, Any]]:
        """The events of a streamed generation, as decoded JSON, without `[DONE]`.

        Raises ServerError with the server's own text, also for a stream that breaks off.
        """
        connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
        try:
            connection.request(
                "POST",
                run_path(account, model),
                json.dumps({**body, "stream": True}),
                {**self._headers, "Content-Type": "application/json"},
            )
            response = connection.getresponse()
            if response.status != 200:
                message = _message(json.loads(response.read()))
                if message == str(NoRoute()):
                    message = f"the server on {':'.join(map(str, self._address))} has no {model}"
                raise ServerError(message)
            yield from _events(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServerError(f"the server broke off: {error}") from error
        finally:
            connection.close()


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in response:
        if not line.startswith(b"data: "):
            continue
        data = line[6:].strip()
        if data == b"[DONE]":
            return
        event = json.loads(data)
        if event.get("errors"):
            raise ServerError(_message(event))
        yield event
    raise ServerError("the answer broke off")


def _message(body: dict[str, Any]) -> str:
    errors = body.get("errors") or [{"message": "no message"}]
    return "; ".join(str(error.get("message")) for error in errors)
