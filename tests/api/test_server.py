"""The life of the server: binding, refusing to bind, draining, ending."""

import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from homerun.api import listener as listener_module
from homerun.api.listener import address_of, holder_of, listen
from homerun.api.server import OTHER_FILES, allow_connections, bind
from homerun.errors import ConfigurationError
from homerun.settings import Settings
from homerun.store.database import Database
from homerun.store.tokens import TokenStore
from tests.api.fake_inference import PATH, FakeInference, make_state
from tests.api.live_server import live_server, read_all, read_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
ROOT = Path(__file__).parents[2]


def post(stream: bool, close: bool = False) -> bytes:
    body = json.dumps({"prompt": "hi", "stream": stream}).encode()
    connection = "close" if close else "keep-alive"
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


# Binding.


def test_the_limit_of_open_files_is_raised_for_all_connections(monkeypatch: pytest.MonkeyPatch):
    chosen: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: chosen.append(limits))
    allow_connections(900)
    assert chosen == []
    allow_connections(1024)
    assert chosen == [(1024 + OTHER_FILES, 4096)]


def test_more_connections_than_the_system_allows_are_refused():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no limit here")
    with pytest.raises(ConfigurationError, match=f"allows {hard} "):
        bind(Settings(port=0, max_connections=hard), None)


@linux
def test_a_taken_port_is_reported_with_the_process_that_holds_it():
    with bind(Settings(port=0), None) as held:
        port = held.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            bind(Settings(port=port), None)
    text = str(caught.value)
    assert f"Port {port} is taken by process {os.getpid()} (" in text
    assert "pytest" in text
    assert "--port" in text
    assert holder_of(port) is None


def test_a_taken_port_elsewhere_is_reported_plainly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(listener_module, "_PROC", tmp_path)
    with bind(Settings(port=0), None) as held:
        port = held.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} is taken by another process"):
            bind(Settings(port=port), None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.1.2.3"])
def test_an_open_server_stays_on_loopback(host: str):
    with pytest.raises(ConfigurationError, match="homerun tokens create"):
        bind(Settings(host=host, port=0), None)


def test_a_closed_server_goes_anywhere(tmp_path: Path):
    bind(Settings(host="0.0.0.0", port=0, token="s3cret"), None).close()
    store = TokenStore(Database(tmp_path / "homerun.db"))
    with pytest.raises(ConfigurationError):
        bind(Settings(host="0.0.0.0", port=0), store)
    store.create("first")
    bind(Settings(host="0.0.0.0", port=0), store).close()
    store.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "::1"])
def test_loopback_names(host: str):
    try:
        listener = bind(Settings(host=host, port=0), None)
    except ConfigurationError as error:
        pytest.skip(str(error))  # No IPv6 here.
    assert address_of(listener).startswith(("http://127.", "http://[::1]:"))
    listener.close()


@pytest.mark.parametrize("token", ["", "a b", "ä", "a\n"])
def test_a_static_token_that_no_header_can_carry(token: str):
    with pytest.raises(ConfigurationError, match="HOMERUN_TOKEN"):
        bind(Settings(port=0, token=token), None)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(port: int):
    with pytest.raises(ConfigurationError, match="between 0 and 65535"):
        listen(Settings(port=port), closed=False)


@pytest.mark.parametrize("host", ["no such host", "a" * 300, "1.2.3.4.5"])
def test_a_host_that_is_none(host: str):
    with pytest.raises(ConfigurationError, match="is not an address"):
        listen(Settings(host=host), closed=False)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EADDRNOTAVAIL, errno.EIO])
def test_other_failures_have_words(number: int):
    assert "OSError" not in listener_module._explain(OSError(number, "no"), "127.0.0.1", 80)


# Serving and ending.


def test_it_opens_serves_and_closes():
    inference = FakeInference()
    with live_server(make_state(inference, Settings(port=0))) as server:
        assert b'{"ready":true,' in server.talk(get("/readyz"))
        assert b"homerun_build_info" in server.talk(get("/metrics"))
    assert (inference.drained, inference.closed) == (1, 1)
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_an_idle_server_ends_at_once():
    with live_server(make_state(settings=Settings(port=0))) as server:
        with server.connect() as idle:
            idle.sendall(get("/livez").replace(b"close", b"keep-alive"))
            read_until(idle, b"}")
            began = time.monotonic()
            server.signal()
            assert server.join()
            assert read_all(idle) == b""
        assert time.monotonic() - began < 1


def test_draining_lets_a_stream_finish_and_takes_nothing_more():
    inference = FakeInference(words=8, pause=0.1)
    with live_server(make_state(inference, Settings(port=0))) as server:
        with server.connect() as stream:
            stream.sendall(post(stream=True))
            beginning = read_until(stream, b"word0")
            server.signal()
            ready = server.talk(get("/readyz"))
            assert ready.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: " in ready
            assert b"the server is shutting down" in ready
            refused = server.talk(post(stream=False, close=True))
            assert refused.startswith(b"HTTP/1.1 429 ")
            assert b'"code":3040' in refused
            assert b" 200 OK" in server.talk(get("/livez"))
            everything = beginning + read_all(stream)
        assert b"word7" in everything
        assert b"[DONE]" in everything
        assert server.join()
    assert len(inference.identities) == 1


def test_what_is_not_done_in_time_gets_an_error_event():
    inference = FakeInference(words=1000, pause=0.05)
    settings = Settings(port=0, shutdown_timeout=0.2)
    with live_server(make_state(inference, settings)) as server, server.connect() as stream:
        stream.sendall(post(stream=True))
        beginning = read_until(stream, b"word0")
        server.signal()
        everything = beginning + read_all(stream)
        assert b"3008" in everything
        assert b"[DONE]" not in everything
        assert server.join(3)


def test_a_second_signal_ends_at_once():
    inference = FakeInference(words=1000, pause=10)
    with live_server(make_state(inference, Settings(port=0))) as server, server.connect() as stream:
        stream.sendall(post(stream=True))
        read_until(stream, b"word0")
        began = time.monotonic()
        server.signal()
        server.signal()
        assert server.join(3)
        assert time.monotonic() - began < 2


SCRIPT = """
import sys
from homerun.api.app import create_app
from homerun.api.server import bind, serve
from homerun.settings import Settings
from tests.api.fake_inference import FakeInference, make_state

settings = Settings(port=0)
state = make_state(FakeInference(words=20, pause=0.05), settings)
serve(create_app(state), bind(settings, None), on_ready=lambda address: print(address, flush=True))
print("over", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_of_a_real_process(number: signal.Signals):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
            stream.sendall(post(stream=True))
            beginning = read_until(stream, b"word0")
            process.send_signal(number)
            assert b"[DONE]" in beginning + read_all(stream)
        assert process.wait(5) == 0
        assert process.stdout.read() == "over\n"


def test_many_streams_at_once():
    inference = FakeInference(words=5, pause=0.02)
    with live_server(make_state(inference, Settings(port=0))) as server:
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(server.talk(post(True, close=True))))
            for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 30
    assert all(answer.count(b"[DONE]") == 1 for answer in answers)
