"""HTTP on raw sockets: what is ambiguous, too large or too slow is refused, the server goes on."""

import contextlib
import json
import logging
import socket
import time
from collections.abc import Iterator

import h11
import pytest

from homerun.api.edge import MAX_HEAD_BYTES, MAX_HEADERS, READ_BYTES, EdgeProtocol, check_head
from homerun.api.state import AppState
from homerun.settings import Settings
from tests.api.fake_inference import PATH, FakeInference, make_state
from tests.api.live_server import LiveServer, live_server, read_all, read_until

BODY = json.dumps({"prompt": "hi"}).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
POST = b"POST " + PATH.encode() + b" HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
GET = b"GET /livez HTTP/1.1\r\n"
CLOSE = b"Connection: close\r\n"

REFUSED = {
    "both lengths": POST + HOST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, other order": POST + HOST + b"transfer-encoding: chunked\r\n" + LENGTH + b"\r\n",
    "two lengths": POST + HOST + LENGTH + b"Content-Length: 1\r\n\r\n" + BODY,
    "the same length twice": POST + HOST + LENGTH + LENGTH + b"\r\n" + BODY,
    "a list of lengths": POST + HOST + b"Content-Length: 16, 16\r\n\r\n" + BODY,
    "a negative length": POST + HOST + b"Content-Length: -1\r\n\r\n",
    "a length that is no number": POST + HOST + b"Content-Length: 0x10\r\n\r\n" + BODY,
    "two transfer encodings": POST + HOST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n",
    "an unknown transfer encoding": POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "two hosts": GET + HOST + HOST + b"\r\n",
    "two different hosts": GET + HOST + b"Host: evil.com\r\n\r\n",
    "no host": GET + b"\r\n",
    "no host, HTTP/1.0": b"GET /livez HTTP/1.0\r\n\r\n",
    "an empty host": GET + b"Host:\r\n\r\n",
    "a path in the host": GET + b"Host: a/?x=\r\n\r\n",
    "a user in the host": GET + b"Host: a@b\r\n\r\n",
    "lone LF": b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    "lone LF in the middle": GET + b"Host: localhost\nX: y\r\n\r\n",
    "lone CR": GET + b"Host: localhost\rX: y\r\n\r\n",
    "space before the colon": GET + b"Host : localhost\r\n\r\n",
    "a folded line": GET + HOST + b"X: y\r\n z\r\n\r\n",
    "a folded first line": GET + b" X: y\r\n" + HOST + b"\r\n",
    "a header without colon": GET + HOST + b"nonsense\r\n\r\n",
    "NUL in a header": GET + HOST + b"X: a\x00b\r\n\r\n",
    "no version": b"GET /livez\r\n" + HOST + b"\r\n",
    "a blank first line": b"\r\n" + GET + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a bad chunk size": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "lone LF after a chunk size": POST
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n1\n{\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    settings = Settings(
        port=0, header_timeout=0.3, body_timeout=0.3, keepalive_timeout=0.3, body_limit=1000
    )
    with live_server(make_state(settings=settings)) as running:
        yield running
        assert b" 200 OK\r\n" in running.talk(GET + HOST + CLOSE + b"\r\n")


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
def test_refused(server: LiveServer, request_bytes: bytes):
    answer = server.talk(request_bytes)
    assert answer.split(b" ")[1] in (b"400", b"431", b"501"), answer
    assert b"connection: close\r\n" in answer.lower()
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_good_request(server: LiveServer):
    answer = server.talk(POST + HOST + LENGTH + CLOSE + b"\r\n" + BODY)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-type: application/json\r\n" in answer
    assert b"server:" not in answer


def test_byte_by_byte(server: LiveServer):
    request = POST + HOST + LENGTH + CLOSE + b"\r\n" + BODY
    answer = server.talk(*(request[i : i + 1] for i in range(len(request))))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_chunked(server: LiveServer):
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    request = POST + HOST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    assert server.talk(request).startswith(b"HTTP/1.1 200 OK\r\n")


def test_pipelined_requests_are_answered_in_order(server: LiveServer):
    one = POST + HOST + LENGTH + b"\r\n" + BODY
    answer = server.talk(one + GET + HOST + b"\r\n" + one + GET + HOST + CLOSE + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert answer.endswith(b'{"alive":true}')


def test_a_smuggled_request_after_a_good_one(server: LiveServer):
    answer = server.talk(GET + HOST + b"\r\n" + REFUSED["both lengths"])
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 400 " in answer


@pytest.mark.parametrize("length", [MAX_HEAD_BYTES, 200_000, 3_000_000])
def test_a_head_that_is_too_large(server: LiveServer, length: int):
    answer = server.talk(GET + HOST + b"X: " + b"a" * length + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_head_that_is_just_not_too_large(server: LiveServer):
    answer = server.talk(GET + HOST + CLOSE + b"X: " + b"a" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("number", "status"), [(MAX_HEADERS - 2, b"200"), (MAX_HEADERS - 1, b"431")]
)
def test_many_headers(server: LiveServer, number: int, status: bytes):
    answer = server.talk(GET + HOST + CLOSE + b"X: y\r\n" * number + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(b"", b""), (b"GET", b"HTTP/1.1 408 "), (GET + HOST, b"HTTP/1.1 408 ")],
)
def test_a_slow_head(server: LiveServer, sent: bytes, answered: bytes):
    began = time.monotonic()
    answer = server.talk(sent)
    assert 0.2 < time.monotonic() - began < 2
    assert answer.startswith(answered)
    assert bool(answer) == bool(answered)


def drip(server: LiveServer, head: bytes, drop: bytes) -> float:
    """Sends `drop` again and again; returns the seconds until the server has had enough."""
    began = time.monotonic()
    with server.connect() as connection, contextlib.suppress(OSError):
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(drop)
            time.sleep(0.02)
    return time.monotonic() - began


def test_a_dripping_head_gets_no_more_time(server: LiveServer):
    assert drip(server, GET, b"X: y\r\n") < 2


def test_an_idle_connection_is_closed(server: LiveServer):
    with server.connect() as connection:
        connection.sendall(GET + HOST + b"\r\n")
        began = time.monotonic()
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")
        assert 0.2 < time.monotonic() - began < 2


def test_the_second_head_has_the_same_deadline(server: LiveServer):
    with server.connect() as connection:
        connection.sendall(GET + HOST + b"\r\n")
        read_until(connection, b"}")
        connection.sendall(b"GET /li")
        began = time.monotonic()
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")
        assert 0.2 < time.monotonic() - began < 2


def test_a_slow_body(server: LiveServer):
    answer = server.talk(POST + HOST + b"Content-Length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":3007' in answer


def test_a_body_nobody_reads_is_not_waited_for(server: LiveServer):
    head = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 999999\r\n\r\n"
    assert drip(server, head, b"x") < 2


def test_a_body_over_the_limit_by_length(server: LiveServer):
    with server.connect() as connection:
        connection.sendall(POST + HOST + b"Content-Length: 100000\r\n\r\n")
        answer = read_until(connection, b"]}")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":3006' in answer


def test_a_body_over_the_limit_in_chunks(server: LiveServer):
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    request = POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"0\r\n\r\n"
    answer = server.talk(request)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_lies_about_its_length(server: LiveServer):
    request = POST + HOST + b"Content-Length: 5\r\n\r\n" + BODY + b"\r\n\r\n"
    answer = server.talk(request)
    assert answer.count(b"HTTP/1.1 400 ") == 2


def test_a_client_that_leaves_halfway(server: LiveServer):
    with server.connect() as connection:
        connection.sendall(POST + HOST + b"Content-Length: 500\r\n\r\n{")


def test_expect_100_continue(server: LiveServer):
    expect = HOST + b"Expect: 100-continue\r\n"
    with server.connect() as connection:
        connection.sendall(POST + expect + LENGTH + CLOSE + b"\r\n")
        assert read_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")
    answer = server.talk(POST + expect + b"Content-Length: 2000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_other_protocols_are_not_spoken(
    server: LiveServer, protocol: bytes, caplog: pytest.LogCaptureFixture
):
    upgrade = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n"
    answer = server.talk(b"GET /chat HTTP/1.1\r\n" + HOST + upgrade + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "pgrade" not in caplog.text


@pytest.mark.parametrize("name", ["a bad chunk size", "TLS"])
def test_refusals_show_no_internals(server: LiveServer, name: str):
    assert b"bytearray" not in server.talk(REFUSED[name])


def test_a_body_that_breaks_the_protocol_after_its_answer(
    server: LiveServer, caplog: pytest.LogCaptureFixture
):
    chunked = HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    answer = server.talk(b"POST /nowhere HTTP/1.1\r\n" + chunked)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_flood_of_tiny_chunks_is_read_in_small_portions(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
):
    portions: list[int] = []
    receive = EdgeProtocol.data_received

    def watched(self: EdgeProtocol, data: bytes) -> None:
        portions.append(len(data))
        receive(self, data)

    monkeypatch.setattr(EdgeProtocol, "data_received", watched)
    head = POST + HOST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = server.talk(head + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    assert b" 413 " in answer
    assert max(portions) <= READ_BYTES


# Clients that go away or stop reading while they are answered.


def cancelled(state: AppState) -> bool:
    """Whether a request was, within 5 s, given up because its client left."""
    deadline = time.monotonic() + 5
    while b'homerun_cancelled_total{reason="disconnect"} 1.0' not in state.metrics.render():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("late", [b"", b"\r\n", GET + HOST + b"\r\n", b"x" * 50_000])
@pytest.mark.parametrize("upgrade", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"])
def test_a_client_that_leaves_is_noticed_whatever_it_sent_before(late: bytes, upgrade: bytes):
    state = make_state(FakeInference(words=1000, pause=0.02), Settings(port=0))
    with live_server(state) as server:
        with server.connect() as connection:
            connection.sendall(POST + HOST + LENGTH + upgrade + b"\r\n" + BODY)
            time.sleep(0.2)
            connection.sendall(late)
            time.sleep(0.2)
        assert cancelled(state)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="needs Linux")
def test_a_client_that_stops_reading_is_cut_off_and_disturbs_nobody():
    inference = FakeInference(words=500, word="x" * 100_000)
    state = make_state(inference, Settings(port=0, send_timeout=0.5))
    body = json.dumps({"prompt": "hi", "stream": True}).encode()
    with live_server(state) as server, server.connect() as connection:
        connection.sendall(POST + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        assert server.talk(GET + HOST + CLOSE + b"\r\n").startswith(b"HTTP/1.1 200 ")
        assert cancelled(state)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="needs Linux")
def test_a_client_that_only_waits_is_not_cut_off():
    state = make_state(FakeInference(words=1, pause=1.5), Settings(port=0, send_timeout=0.3))
    with live_server(state) as server:
        answer = server.talk(POST + HOST + LENGTH + CLOSE + b"\r\n" + BODY)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_the_cap_on_connections():
    settings = Settings(port=0, max_connections=2)
    with live_server(make_state(settings=settings)) as server, server.connect() as first:
        with server.connect() as second:
            for connection in (first, second):
                connection.sendall(GET + HOST + b"\r\n")
                read_until(connection, b"}")
            refused = server.talk()
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"connection: close\r\n" in refused
            first.sendall(GET + HOST + b"\r\n")
            assert b" 200 OK" in read_until(first, b"}")
        time.sleep(0.1)
        assert server.talk(GET + HOST + CLOSE + b"\r\n").startswith(b"HTTP/1.1 200 ")


def test_check_head_accepts_every_beginning_of_a_good_head():
    head = POST + HOST + LENGTH + b"X-Y: z\r\n\r\n" + b"{}\n\r"
    for end in range(len(head)):
        check_head(head[:end])
    with pytest.raises(h11.RemoteProtocolError):
        check_head(b"GET / HTTP/1.1\n")
