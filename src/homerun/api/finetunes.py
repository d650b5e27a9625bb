"""`…/ai/finetunes`: LoRA adapters made, listed, uploaded and deleted over HTTP.

Knows paths, fields and the JSON of a finetune; what may be done with one is the service's to say.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from homerun.api.errors import json_response
from homerun.api.guard import body_chunks, is_closed, read_body
from homerun.api.multipart import FORM_BYTES, AssetForm
from homerun.api.run import answer_headers
from homerun.api.schema import violations
from homerun.api.state import AppState
from homerun.api.validation import decode_object
from homerun.api.wire import success_envelope
from homerun.errors import AdapterRefused, BadInput, RequestTooLarge
from homerun.service.adapters import check_asset_name
from homerun.store.adapter_files import NewFile
from homerun.store.adapters import StoredAdapter

CREATE_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "model": {"type": "string", "minLength": 1},
        "name": {"type": "string", "minLength": 1},
        "description": {"type": "string"},
        "public": {"type": "boolean"},
    },
    "required": ["model", "name"],
}
ORDERS: Mapping[str, Callable[[StoredAdapter], object]] = {
    "created_at": lambda one: one.created_at,
    "modified_at": lambda one: one.modified_at,
    "name": lambda one: one.name,
    "id": lambda one: one.id,
}
MAX_LISTED = 1000
WRITE_BYTES = 1 << 20
"""Written to the disk at a time: a thread is not worth its switch for less."""

_T = TypeVar("_T")


def routes(prefix: str) -> list[BaseRoute]:
    """All endpoints under `prefix`, each with and without a slash at its end."""
    table: list[tuple[str, Callable[..., Any], str]] = [
        ("", create, "POST"),
        ("", list_own, "GET"),
        ("/public", list_public, "GET"),
        ("/{finetune}", show, "GET"),
        ("/{finetune}", delete, "DELETE"),
        ("/{finetune}/finetune-assets", upload, "POST"),
    ]
    # One route per path: the router answers another method of the first that fits.
    found: dict[str, dict[str, Callable[..., Any]]] = {}
    for path, endpoint, method in table:
        found.setdefault(path, {})[method] = endpoint
    return [
        Route(f"{prefix}{path}{slash}", _by_method(endpoints), methods=list(endpoints))
        for path, endpoints in found.items()
        for slash in ("", "/")
    ]


def _by_method(endpoints: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    async def endpoint(request: Request) -> Response:
        return await endpoints[request.method if request.method != "HEAD" else "GET"](request)

    return endpoint


async def create(request: Request) -> Response:
    """Makes a finetune that has no files yet."""
    state = _state(request)
    fields = {
        name: value
        for name, value in decode_object(await read_body(request, state.settings)).items()
        if value is not None
    }
    if sentence := next(violations(CREATE_SCHEMA, fields), None):
        raise BadInput(sentence)
    public: bool = fields.get("public", False)
    if public and is_closed(state.settings, state.tokens):
        # There is no token that speaks for all accounts.
        raise AdapterRefused(
            "Public finetunes are made by whoever runs the server: homerun adapters add --public"
        )
    adapter = await asyncio.to_thread(
        partial(
            state.adapters.create,
            _account(request),
            fields["name"],
            fields["model"],
            fields.get("description", ""),
            public=public,
        )
    )
    ignored = tuple(name for name in fields if name not in CREATE_SCHEMA["properties"])
    return _answer(request, finetune_object(adapter), ignored)


async def list_own(request: Request) -> Response:
    """The account's finetunes, oldest first."""
    adapters = await asyncio.to_thread(_state(request).adapters.all, _account(request))
    return _answer(request, [finetune_object(one) for one in adapters])


async def list_public(request: Request) -> Response:
    """The finetunes that every account may use."""
    limit = _number(request, "limit", MAX_LISTED)
    offset = _number(request, "offset", 0)
    order = request.query_params.get("orderBy", "created_at")
    if order not in ORDERS:
        raise BadInput(f"enum {order[:64]} not in {','.join(ORDERS)} at '/orderBy'")
    adapters = await asyncio.to_thread(_state(request).adapters.public)
    adapters.sort(key=ORDERS[order])  # pyright: ignore[reportArgumentType]
    return _answer(request, [finetune_object(one) for one in adapters[offset : offset + limit]])


async def show(request: Request) -> Response:
    """One finetune with its state, and why it failed."""
    adapter = await asyncio.to_thread(_state(request).adapters.get, *_named(request))
    return _answer(request, finetune_object(adapter))


async def delete(request: Request) -> Response:
    """Deletes a finetune; requests that use it finish."""
    adapter = await asyncio.to_thread(_state(request).adapters.delete, *_named(request))
    return _answer(request, {"id": adapter.id})


async def upload(request: Request) -> Response:
    """One of the two files, straight to the disk; with the second one the adapter is checked."""
    state = _state(request)
    service = state.adapters
    adapter = await asyncio.to_thread(service.open_upload, *_named(request))
    form = AssetForm(request.headers.get("content-type", ""))
    with ExitStack() as stack:
        file = stack.enter_context(service.new_file())
        await _receive(request, form, file)
        if not form.complete:
            raise BadInput("the form is cut off")
        asset = form.file_name
        if asset is None or not form.has_file:
            raise BadInput("required properties at '/' are 'file_name,file'")
        # Whatever becomes of this request, the thread that has the file also closes it.
        held = stack.pop_all()

    def finish() -> StoredAdapter:
        with held:
            return service.finish_upload(adapter, asset, file)

    adapter = await _in_thread(state, finish)
    return _answer(request, finetune_object(adapter), tuple(form.ignored))


async def _receive(request: Request, form: AssetForm, file: NewFile) -> None:
    """Brings the body's file to the disk; in memory is never more than one piece of it."""
    state = _state(request)
    settings, service = state.settings, state.adapters
    waiting: list[bytes] = []
    size = written = 0
    async for chunk in body_chunks(
        request,
        service.asset_limit(None) + FORM_BYTES,
        pause=settings.body_timeout,
        total=settings.upload_timeout,
    ):
        pieces = form.feed(chunk)
        if pieces and form.file_name is not None:
            check_asset_name(form.file_name)  # before it has all come
        waiting += pieces
        size += sum(map(len, pieces))
        if size > service.asset_limit(form.file_name):
            raise RequestTooLarge("Request is too large")
        if size - written >= WRITE_BYTES:
            await _in_thread(state, partial(file.write, b"".join(waiting)))
            waiting, written = [], size
    await _in_thread(state, partial(file.write, b"".join(waiting)))


async def _in_thread(state: AppState, call: Callable[[], _T]) -> _T:
    """In one of the threads of uploads, so that a large one keeps no prompt waiting."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(state.upload_threads, call)


def finetune_object(adapter: StoredAdapter) -> dict[str, object]:
    """A finetune as the public service shows it, and our state, reason and version."""
    return {
        "id": adapter.id,
        "name": adapter.name,
        "description": adapter.description,
        "created_at": _timestamp(adapter.created_at),
        "modified_at": _timestamp(adapter.modified_at),
        "public": int(adapter.public),
        "model": adapter.model,
        "state": adapter.state.value,
        "reason": adapter.reason,
        "version": adapter.version,
    }


def _timestamp(milliseconds: int) -> str:
    """`2024-05-08 02:23:55.897`, in UTC."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{milliseconds % 1000:03d}"


def _answer(request: Request, result: object, ignored: tuple[str, ...] = ()) -> Response:
    headers = answer_headers(request.state.request_id, None, ignored)
    return json_response(success_envelope(result), headers=headers)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise BadInput(f"'/{name}' must be >= 0")
    return int(text)


def _state(request: Request) -> AppState:
    return request.app.state.homerun


def _account(request: Request) -> str:
    return request.state.identity.account


def _named(request: Request) -> tuple[str, str]:
    return _account(request), request.path_params["finetune"]
