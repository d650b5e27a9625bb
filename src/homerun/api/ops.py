"""What watches the server asks: `/livez`, `/readyz`, `/metrics`. Knows no accounts."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from homerun.api.errors import json_response
from homerun.api.state import AppState
from homerun.engine.loop import Health
from homerun.errors import ConfigurationError
from homerun.metrics import CONTENT_TYPE

RETRY_SECONDS = 1


def not_ready(
    health: Health, *, models: Sequence[str], draining: bool, database: bool
) -> tuple[str, ...]:
    """Why the server should get no requests now; empty when it should."""
    reasons = {
        "the engine does not answer": not health.alive,
        "the server is shutting down": draining or health.draining,
        "no model is loaded": not models,
        "the database cannot be read": not database,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


async def livez(_: Request) -> Response:
    """200 as long as the process answers at all."""
    return json_response({"alive": True})


async def readyz(request: Request) -> Response:
    """200, or 503 with the reasons."""
    state: AppState = request.app.state.homerun
    reasons = not_ready(
        state.health(),
        models=state.models,
        draining=state.draining,
        database=_database_answers(state),
    )
    if reasons:
        headers = {"retry-after": str(RETRY_SECONDS)}
        return json_response({"ready": False, "reasons": reasons}, 503, headers)
    return json_response({"ready": True, "reasons": []})


async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    state: AppState = request.app.state.homerun
    state.inference.report_load()
    return Response(state.metrics.render(), headers={"content-type": CONTENT_TYPE})


def _database_answers(state: AppState) -> bool:
    try:
        if state.tokens is not None:
            state.tokens.exists()
    except ConfigurationError:
        return False
    return True
