"""`POST …/ai/run/{model}`: one native request from its bytes to its answer.

Knows the order of the steps; validation, generation and framing are elsewhere.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from homerun.api.disconnect import until_disconnected
from homerun.api.errors import REQUEST_ID_HEADER, describe, json_response
from homerun.api.guard import read_body
from homerun.api.sse import encode_stream
from homerun.api.state import AppState
from homerun.api.validation import parse_request
from homerun.api.wire import result_object, success_envelope
from homerun.errors import BadInput, RequestAborted
from homerun.logs import RequestRecord
from homerun.types import Finished, GenerationItem, TextDelta

STREAM_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
ARITHMETIC_HEADER = "homerun-arithmetic"
STAND_IN_HEADER = "homerun-stand-in"
LORA_HEADER = "homerun-lora"
IGNORED_HEADER = "homerun-ignored-fields"
OFF_LOOP_BYTES = 1 << 14
"""A longer body is parsed in a thread: a hostile one takes about half a microsecond per byte."""
MAX_IGNORED_SHOWN = 16
MAX_NAME_BYTES = 64


async def run(request: Request) -> Response:
    """Answers one request; raises HomerunError for what goes wrong before an answer begins.

    A stream begins once its generation is accepted, so that a refusal has a status of its own.
    """
    state: AppState = request.app.state.homerun
    request_id: str = request.state.request_id
    record: RequestRecord = request.state.record
    model = state.catalog.find(request.path_params["model"])
    record.model = model.name
    if request.query_params.get("queueRequest", "false") != "false":
        raise BadInput("'queueRequest' is not supported by this server yet")
    body = await read_body(request, state.settings)
    if len(body) > OFF_LOOP_BYTES:
        parsed = await asyncio.to_thread(parse_request, body, model)
    else:
        parsed = parse_request(body, model)
    record.stream = parsed.request.stream
    # Waiting in the queue is part of the start: who leaves meanwhile leaves the queue.
    generation = await until_disconnected(
        request.receive,
        state.inference.start(parsed.request, request.state.identity, request_id),
    )

    def end() -> None:
        generation.abort()
        record.prompt_tokens = generation.usage.prompt_tokens
        record.cached_tokens = generation.usage.cached_tokens
        record.completion_tokens = generation.usage.completion_tokens

    # Only now: before an adapter is found, its name may be anything.
    record.seed, record.lora = generation.seed, parsed.request.lora
    record.queue_ms = round(generation.queued_seconds * 1000, 3)
    items = _recorded(generation, record)
    headers = answer_headers(request_id, parsed.ignored)
    headers[ARITHMETIC_HEADER] = generation.arithmetic
    if generation.stand_in is not None:
        headers[STAND_IN_HEADER] = generation.stand_in
        if parsed.request.lora is not None and not generation.has_adapter:
            headers[LORA_HEADER] = "not applied"
    if parsed.request.stream:
        return EventStream(encode_stream(items, request_id), headers, on_end=end)
    try:
        text, finished = await until_disconnected(request.receive, _whole(items))
    finally:
        end()
    return json_response(success_envelope(result_object(text, finished)), headers=headers)


async def _recorded(
    items: AsyncIterable[GenerationItem], record: RequestRecord
) -> AsyncIterator[GenerationItem]:
    """`items`; what they say of the request goes into its log record."""
    try:
        async for item in items:
            if isinstance(item, TextDelta):
                record.first_token()
            elif isinstance(item, Finished):
                record.finish_reason = item.finish_reason
            yield item
    except Exception as error:
        record.internal_code = describe(error, record.request_id).code
        raise


async def _whole(items: AsyncIterable[GenerationItem]) -> tuple[str, Finished]:
    parts: list[str] = []
    finished: Finished | None = None
    async for item in items:
        if isinstance(item, TextDelta):
            parts.append(item.text)
        elif isinstance(item, Finished):
            finished = item
    assert finished is not None, "a generation ends with Finished or an error"
    return "".join(parts), finished


class EventStream(Response):
    """Sends frames until they end or the client goes away, then calls `on_end`."""

    def __init__(
        self, frames: AsyncIterable[bytes], headers: dict[str, str], on_end: Callable[[], None]
    ) -> None:
        self._frames = frames
        self._on_end = on_end
        self.status_code = 200
        self.background = None
        self.init_headers({**headers, **STREAM_HEADERS})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        try:
            # OSError is how a server may say that nobody reads any more.
            with suppress(RequestAborted, OSError):
                await until_disconnected(receive, self._send_frames(send))
        finally:
            self._on_end()

    async def _send_frames(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        async for frame in self._frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def answer_headers(request_id: str, ignored: tuple[str, ...]) -> dict[str, str]:
    """What every successful answer says besides its body: its id, and what was ignored."""
    headers = {REQUEST_ID_HEADER: request_id}
    if ignored:
        headers[IGNORED_HEADER] = ignored_header(ignored)
    return headers


def ignored_header(names: tuple[str, ...]) -> str:
    """`names` as one header value: percent-encoded, long ones cut with `...`, the rest counted."""
    shown = [
        quote(name[:MAX_NAME_BYTES], safe="[]") + "..." * (len(name) > MAX_NAME_BYTES)
        for name in map(str.encode, names[:MAX_IGNORED_SHOWN])
    ]
    if rest := len(names) - len(shown):
        shown.append(f"and {rest} more")
    return ", ".join(shown)
