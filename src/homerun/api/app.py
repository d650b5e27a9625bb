"""The application: which path is answered by what, and what happens around every request.

Knows routes and the order of the layers around them; every decision is made elsewhere.
"""

import logging
import uuid

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homerun.api import finetunes, ops
from homerun.api.errors import describe, error_response
from homerun.api.guard import Guard
from homerun.api.run import run
from homerun.api.state import AppState
from homerun.errors import (
    ConfigurationError,
    HomerunError,
    MethodNotAllowed,
    NoRoute,
    QueueFull,
    QueueTimeout,
    RequestTooLarge,
)
from homerun.logs import RequestRecord

logger = logging.getLogger(__name__)

_REJECTIONS: dict[type[Exception], str] = {
    QueueFull: "queue_full",
    QueueTimeout: "queue_timeout",
    RequestTooLarge: "too_large",
}

OPS_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
"""Neither logged nor counted: they are asked all day. They answer while the server drains."""


def create_app(state: AppState) -> Starlette:
    """The whole HTTP application around `state`."""
    app = Starlette(
        routes=[
            Route("/client/v4/accounts/{account}/ai/run/{model:path}", run, methods=["POST"]),
            *finetunes.routes("/client/v4/accounts/{account}/ai/finetunes"),
            Route("/livez", ops.livez, methods=["GET"]),
            Route("/readyz", ops.readyz, methods=["GET"]),
            Route("/metrics", ops.metrics, methods=["GET"]),
        ],
        middleware=[
            Middleware(Boundary, state=state),
            Middleware(Guard, settings=state.settings, tokens=state.tokens),
        ],
        exception_handlers={HTTPException: _unroutable},
    )
    # A redirect would leave the path that the guard has decided on.
    app.router.redirect_slashes = False
    app.state.homerun = state
    return app


class Boundary:
    """The outermost layer: gives a request its id and its log line, turns errors into answers.

    `request.state` gets `request_id` (made here, never the client's) and `record`, the log line
    that the layers below fill in.
    """

    def __init__(self, app: ASGIApp, state: AppState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(request_id=str(uuid.uuid4()))
        scope.setdefault("state", {}).update(request_id=record.request_id, record=record)
        status: int | None = None
        answered = False

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and not answered:
                record.client_disconnected = True
            return message

        async def watched_send(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                answered = not message.get("more_body", False)
            await send(message)

        try:
            self._refuse_while_draining(scope)
            await self._app(scope, watched_receive, watched_send)
        except Exception as error:
            # A ConfigurationError this late is ours as well: the database broke under us.
            if not isinstance(error, HomerunError) or isinstance(error, ConfigurationError):
                logger.exception(
                    "a request failed", extra={"fields": {"request_id": record.request_id}}
                )
            if status is not None:
                raise  # The answer has begun: only a closed connection can still tell.
            record.internal_code = describe(error, record.request_id).code
            self._count_rejection(error)
            response = error_response(error, record.request_id)
            await response(scope, watched_receive, watched_send)
        finally:
            if scope["path"] not in OPS_PATHS:
                self._report(record, scope, status)

    def _refuse_while_draining(self, scope: Scope) -> None:
        if self._state.draining and scope["path"] not in OPS_PATHS:
            raise QueueFull(retry_after_s=ops.RETRY_SECONDS)

    def _count_rejection(self, error: Exception) -> None:
        reason = _REJECTIONS.get(type(error))
        if reason is not None:
            self._state.metrics.rejected("draining" if self._state.draining else reason)

    def _report(self, record: RequestRecord, scope: Scope, status: int | None) -> None:
        identity = scope["state"].get("identity")
        if identity is not None:
            record.account, record.token_id = identity.account, identity.token_id
        record.finish(status)
        metrics = self._state.metrics
        metrics.request(record.model, status or 0, record.internal_code, record.total_ms / 1000)
        if record.ttft_ms is not None:
            metrics.first_token(record.model, record.ttft_ms / 1000)
        if record.prompt_tokens is not None:
            metrics.tokens(
                record.model,
                record.prompt_tokens,
                record.cached_tokens or 0,
                record.completion_tokens or 0,
            )
        if record.client_disconnected:
            metrics.cancelled("disconnect")


async def _unroutable(request: Request, error: Exception) -> Response:
    """The router's own refusals, in our words."""
    if not (isinstance(error, HTTPException) and error.status_code == 405):
        raise NoRoute
    refusal = MethodNotAllowed(request.method)
    request_id: str = request.state.request_id
    request.state.record.internal_code = describe(refusal, request_id).code
    response = error_response(refusal, request_id)
    response.headers.update(error.headers or {})
    return response
