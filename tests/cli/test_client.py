"""The client of `homerun run` against a server that repeats what it was asked."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from homerun.cli.client import Client, ServerError


class Handler(BaseHTTPRequestHandler):
    paths: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.paths.append(self.path)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'data: {"response":"Hi"}\n\n')
        if "whole" in self.path:
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def client() -> Iterator[Client]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Client("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()


def test_names_are_written_so_that_they_arrive(client: Client) -> None:
    events = list(client.stream("@my/whole model?#\n", {"prompt": "x"}, "a/b"))
    assert events == [{"response": "Hi"}]
    expected = "/client/v4/accounts/a%2Fb/ai/run/@my/whole%20model%3F%23%0A"
    assert Handler.paths[-1] == expected


def test_a_stream_that_breaks_off(client: Client) -> None:
    with pytest.raises(ServerError, match="broke off"):
        list(client.stream("part", {"prompt": "x"}, "local"))
