"""The life of the server process: from a bound socket through signals to a clean end.

Knows when to start, drain and stop; knows nothing of requests.
"""

import asyncio
import re
import resource
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from homerun.api.edge import edge_protocol
from homerun.api.guard import is_closed
from homerun.api.listener import address_of, listen
from homerun.api.state import AppState
from homerun.errors import ConfigurationError
from homerun.metrics import Metrics
from homerun.settings import Settings
from homerun.store.tokens import TokenStore

LAST_WORDS_SECONDS = 2.0
"""How long streams may take to send their error event once they were ended."""
LAG_PROBE_SECONDS = 0.5
OTHER_FILES = 64
"""Open files besides connections: database, libraries, the event loop's own; generously."""


def bind(settings: Settings, tokens: TokenStore | None) -> socket.socket:
    """The listening socket; early, so that a taken port is told before a model is loaded.

    Raises ConfigurationError in words (see `listener.listen`, `allow_connections`).
    """
    allow_connections(settings.max_connections)
    check_static_token(settings.token)
    return listen(settings, closed=is_closed(settings, tokens))


def check_static_token(token: str | None) -> None:
    """Raises ConfigurationError for what no Authorization header can hold."""
    if token is not None and not re.fullmatch("[!-~]+", token):
        raise ConfigurationError("HOMERUN_TOKEN must be ASCII characters without spaces")


def allow_connections(count: int) -> None:
    """Lets this process hold so many connections: beyond its limit of files, accepting one fails.

    Raises ConfigurationError where the system does not allow it.
    """
    needed = count + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        except (OSError, ValueError):
            raise ConfigurationError(
                f"HOMERUN_MAX_CONNECTIONS={count} needs {needed} open files, and this system "
                f"allows {hard} (ulimit -Hn). Lower the one or raise the other."
            ) from None


def serve(
    app: Starlette,
    listener: socket.socket,
    *,
    on_ready: Callable[[str], None] = lambda _: None,
    on_drain: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serves `app` (of `create_app`) on a socket of `bind` until SIGTERM or SIGINT, then returns.

    `on_ready(address)` is called once requests are answered. The first signal makes the server
    not ready at once and calls `on_drain` (take nothing more in); requests in flight go on for up
    to `shutdown_timeout`; then `on_stop` is called, in a thread (end what is still there, each
    with an error). A second signal ends everything at once.
    """
    Server(app, on_ready, on_drain, on_stop).run(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn's server with our way to drain; use `serve`."""

    def __init__(
        self,
        app: Starlette,
        on_ready: Callable[[str], None],
        on_drain: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        self._state: AppState = app.state.homerun
        self._settings = self._state.settings
        self._on_ready = on_ready
        self._on_drain = on_drain
        self._on_stop = on_stop
        super().__init__(
            uvicorn.Config(
                app,
                http=edge_protocol(self._settings),
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """A signal came. uvicorn would raise it again at the end; we end with status 0."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._state.draining = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._lag_probe = asyncio.create_task(probe_loop_lag(self._state.metrics))
        for listener in sockets or ():
            self._on_ready(address_of(listener))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains while still listening, so that probes see "not ready" rather than nothing."""
        self._state.draining = True
        self._on_drain()
        await self._until_idle(self._settings.shutdown_timeout)
        await asyncio.to_thread(self._on_stop)
        await self._until_idle(LAST_WORDS_SECONDS)
        self._lag_probe.cancel()
        if self.force_exit:
            for connection in tuple(self.server_state.connections):
                connection.transport.abort()
        await super().shutdown(sockets)

    async def _until_idle(self, seconds: float) -> None:
        """Waits until no request is being answered; less long after a second signal."""
        deadline = time.monotonic() + seconds
        while self.server_state.tasks and not self.force_exit and time.monotonic() < deadline:
            await asyncio.sleep(0.02)


async def probe_loop_lag(metrics: Metrics) -> None:
    """Measures for ever how late the event loop wakes up: something in it takes too long."""
    while True:
        asked = time.monotonic() + LAG_PROBE_SECONDS
        await asyncio.sleep(LAG_PROBE_SECONDS)
        metrics.loop_lag(max(0.0, time.monotonic() - asked))
