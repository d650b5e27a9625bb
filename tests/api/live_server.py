"""The real server on a free port in a thread of its own, and raw sockets to talk to it."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from homerun.api.app import create_app
from homerun.api.server import Server, bind
from homerun.api.state import AppState


class LiveServer:
    """A running server; `stop` does what a first signal does."""

    def __init__(self, state: AppState) -> None:
        self.listener = bind(state.settings, state.tokens)
        self.port: int = self.listener.getsockname()[1]
        ready = threading.Event()
        self.server = Server(
            create_app(state),
            lambda address: ready.set(),
            state.inference.drain,
            state.inference.close,
        )
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        assert ready.wait(10)

    def signal(self) -> None:
        self.server.handle_exit(15, None)

    def join(self, timeout: float = 10) -> bool:
        self.thread.join(timeout)
        return not self.thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def talk(self, *parts: bytes) -> bytes:
        """Sends `parts` and returns everything that comes until the server closes."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def read_until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        data = connection.recv(65536)
        assert data, received
        received += data
    return received


@contextlib.contextmanager
def live_server(state: AppState) -> Iterator[LiveServer]:
    server = LiveServer(state)
    try:
        yield server
    finally:
        server.signal()
        if not server.join(0.5):
            server.signal()
            assert server.join()
