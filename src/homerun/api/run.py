"""`POST …/ai/run/{model}`: one native request from its bytes to its answer.

Knows the order of the steps; validation, generation and framing are elsewhere.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from homerun.api.disconnect import until_disconnected
from homerun.api.errors import REQUEST_ID_HEADER, error_response, json_response
from homerun.api.guard import read_body
from homerun.api.sse import encode_stream
from homerun.api.validation import parse_request
from homerun.api.wire import result_object, success_envelope
from homerun.errors import HomerunError, RequestAborted
from homerun.types import Finished, TextDelta

if TYPE_CHECKING:
    from homerun.api.app import AppState
    from homerun.service.inference import Generation

IGNORED_HEADER = "homerun-ignored-fields"
OFF_LOOP_BYTES = 1 << 16
"""A longer body is parsed in a thread: a hostile one takes a good part of a second."""
MAX_IGNORED_SHOWN = 16
MAX_NAME_SHOWN = 64


async def run(request: Request) -> Response:
    """Answers one request. A stream starts once the generation is accepted, so that whatever is
    wrong before that has a status of its own.
    """
    request_id: str = request.state.request_id
    try:
        return await _answer(request, request_id)
    except HomerunError as error:
        return error_response(error, request_id)


async def _answer(request: Request, request_id: str) -> Response:
    state: AppState = request.app.state.homerun
    model = state.catalog.find(request.path_params["model"])
    body = await read_body(request, state.settings)
    if len(body) > OFF_LOOP_BYTES:
        parsed = await asyncio.to_thread(parse_request, body, model)
    else:
        parsed = parse_request(body, model)
    generation = await state.inference.start(parsed.request, request.state.identity, request_id)
    headers = {REQUEST_ID_HEADER: request_id, **generation.headers}
    if parsed.ignored:
        headers[IGNORED_HEADER] = ignored_header(parsed.ignored)
    if parsed.request.stream:
        return EventStream(generation, request_id, headers)
    try:
        text, finished = await until_disconnected(request.receive, _whole(generation))
    finally:
        generation.abort()
    return json_response(success_envelope(result_object(text, finished)), headers=headers)


async def _whole(generation: "Generation") -> tuple[str, Finished]:
    parts: list[str] = []
    async for item in generation:
        if isinstance(item, TextDelta):
            parts.append(item.text)
        elif isinstance(item, Finished):
            return "".join(parts), item
    raise RequestAborted


class EventStream(Response):
    """The frames of a generation, until it ends or the client goes away; either way it is over
    when this returns.
    """

    def __init__(self, generation: "Generation", request_id: str, headers: dict[str, str]) -> None:
        self._generation = generation
        self._request_id = request_id
        self.status_code = 200
        self.background = None
        self.init_headers(
            {
                **headers,
                "content-type": "text/event-stream",
                "cache-control": "no-store",
                "x-accel-buffering": "no",
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        try:
            # OSError is how a server may say that nobody reads any more.
            with suppress(RequestAborted, OSError):
                await until_disconnected(receive, self._send_frames(send))
        finally:
            self._generation.abort()

    async def _send_frames(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for frame in encode_stream(self._generation, self._request_id):
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def ignored_header(names: tuple[str, ...]) -> str:
    """`names` as one header value: percent-encoded, long ones cut with `...`, the rest counted."""
    shown = [
        quote(name[:MAX_NAME_SHOWN], safe="[]") + "..." * (len(name) > MAX_NAME_SHOWN)
        for name in names[:MAX_IGNORED_SHOWN]
    ]
    if rest := len(names) - len(shown):
        shown.append(f"and {rest} more")
    return ", ".join(shown)
