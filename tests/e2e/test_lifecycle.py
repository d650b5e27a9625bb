"""Load, leaving clients, signals: the server as a whole goes on, or ends cleanly."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from .server import Server

ROOKIE = "@homerun/rookie"
# What was said once is said again and again: it never comes to the stop token.
ENDLESS = {
    "prompt": "Tell me a story",
    "temperature": 0,
    "frequency_penalty": -2,
    "max_tokens": 1800,
}


def frames(response: requests.Response) -> Iterator[dict[str, object] | str]:
    for line in response.iter_lines():
        if line.startswith(b"data: "):
            data = line[6:].decode()
            yield data if data == "[DONE]" else json.loads(data)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not come true within 20 s"
        time.sleep(0.05)


def test_the_same_bytes_over_http(server: Server) -> None:
    """Alone and one by one; then all at once, half of them streamed."""
    bodies = [
        {"prompt": f"Tell me a story about {i} birds", "seed": i + 1, "max_tokens": 40}
        for i in range(12)
    ]
    first = [server.run(ROOKIE, body) for body in bodies]
    alone = [response.json()["result"] for response in first]
    (arithmetic,) = {response.headers["homerun-arithmetic"] for response in first}

    def again(i: int) -> dict[str, object]:
        if i % 2:
            return server.run(ROOKIE, bodies[i]).json()["result"]
        response = server.run(ROOKIE, {**bodies[i], "stream": True}, stream=True)
        assert response.headers["homerun-arithmetic"] == arithmetic
        *deltas, last, done = list(frames(response))
        assert done == "[DONE]"
        text = "".join(delta["response"] for delta in deltas)  # type: ignore[misc,index]
        return {**last, "response": text}  # type: ignore[dict-item]

    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(again, range(12)))
    for one, other in zip(alone, together, strict=True):
        for result in (one, other):
            result["usage"].pop("prompt_tokens_details")  # type: ignore[attr-defined]
        assert one == other


def test_a_client_that_leaves_stops_the_work(server: Server) -> None:
    with server.run(ROOKIE, {**ENDLESS, "stream": True}, stream=True) as response:
        stream = frames(response)
        next(stream)
        assert server.metric("homerun_running") == 1
    eventually(lambda: server.metric("homerun_cancelled_total") >= 1)
    eventually(lambda: server.metric("homerun_running") == 0)
    eventually(lambda: 'client_disconnected": true' in server.output)


def test_a_client_that_leaves_before_the_answer(server: Server) -> None:
    body = json.dumps(ENDLESS).encode()
    head = (
        f"POST /client/v4/accounts/x/ai/run/{ROOKIE} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    before = server.metric("homerun_cancelled_total")
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.sendall(head + body)
        eventually(lambda: server.metric("homerun_running") >= 1)
    eventually(lambda: server.metric("homerun_cancelled_total") == before + 1)


def test_overload_is_refused_at_once_and_the_rest_is_served(tmp_path: Path) -> None:
    settings = {"HOMERUN_MAX_QUEUE": "4", "HOMERUN_MAX_SEQUENCES": "2"}
    with Server(tmp_path, **settings) as server:
        body = {"prompt": "Tell me a story", "seed": 1, "max_tokens": 60}
        with ThreadPoolExecutor(30) as pool:
            answers = list(pool.map(lambda _: server.run(ROOKIE, body), range(30)))
        served = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(served) + len(refused) == 30
        assert len(served) >= 4
        assert refused
        for answer in refused:
            assert answer.json()["errors"][0]["code"] == 3040
            assert int(answer.headers["retry-after"]) >= 1
        assert len({answer.json()["result"]["response"] for answer in served}) == 1
        assert server.metric("homerun_rejected_total") == len(refused)


def test_waiting_too_long_has_its_own_error(tmp_path: Path) -> None:
    settings = {"HOMERUN_QUEUE_TIMEOUT": "0.2", "HOMERUN_MAX_SEQUENCES": "1"}
    with (
        Server(tmp_path, **settings) as server,
        server.run(ROOKIE, {**ENDLESS, "stream": True}, stream=True) as first,
    ):
        stream = frames(first)  # kept: requests hangs up when the generator goes
        next(stream)
        late = server.run(ROOKIE, {"prompt": "Hello"})
        assert (late.status_code, late.json()["errors"][0]["code"]) == (408, 3007)


def test_drain_lets_streams_finish(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        body = {"prompt": "Tell me a story", "seed": 1, "stream": True, "max_tokens": 120}
        whole = list(frames(server.run(ROOKIE, body, stream=True)))
        with server.run(ROOKIE, body, stream=True) as response:
            stream = frames(response)
            first = next(stream)
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: requests.get(f"{server.url}/readyz", timeout=5).status_code == 503)
            refused = server.run(ROOKIE, {"prompt": "Hello"})
            assert refused.status_code == 429
            rest = list(stream)
        assert rest[-1] == "[DONE]"
        texts = [
            "".join(f["response"] for f in run if f != "[DONE]")  # type: ignore[index]
            for run in (whole, [first, *rest])
        ]
        assert texts[0] == texts[1]
        assert server.process.wait(30) == 0


def test_drain_ends_what_takes_too_long_with_an_error_event(tmp_path: Path) -> None:
    slow = {"HOMERUN_INSTRUCTION_SET": "reference"}  # kernels would be done in time
    with Server(tmp_path, HOMERUN_SHUTDOWN_TIMEOUT="0.5", **slow) as server:
        with server.run(ROOKIE, {**ENDLESS, "stream": True}, stream=True) as response:
            stream = frames(response)
            next(stream)
            server.process.send_signal(signal.SIGTERM)
            last = list(stream)[-1]
        assert isinstance(last, dict)
        assert last["errors"][0]["code"] == 3008  # type: ignore[index]
        assert server.process.wait(30) == 0


def test_two_signals_end_at_once(tmp_path: Path) -> None:
    with (
        Server(tmp_path) as server,
        server.run(ROOKIE, {**ENDLESS, "stream": True}, stream=True) as response,
    ):
        stream = frames(response)
        next(stream)
        for _ in range(2):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        assert server.process.wait(10) == 0
        del stream


@pytest.mark.nightly
def test_a_thousand_clients_that_leave_lose_nothing(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        free = server.metric('homerun_kv_blocks{model="@homerun/rookie",state="free"}')

        def leave(i: int) -> None:
            body = {**ENDLESS, "seed": i + 1, "stream": i % 2 == 0}
            text = json.dumps(body).encode()
            with socket.create_connection(("127.0.0.1", server.port)) as one:
                one.sendall(
                    f"POST /client/v4/accounts/x/ai/run/{ROOKIE} HTTP/1.1\r\n"
                    f"Host: 127.0.0.1\r\nContent-Length: {len(text)}\r\n\r\n".encode()
                    + text
                )
                time.sleep((i * 37 % 100) / 1000)

        threads = [threading.Thread(target=leave, args=(i,)) for i in range(1000)]
        for group in range(0, 1000, 50):
            for thread in threads[group : group + 50]:
                thread.start()
            for thread in threads[group : group + 50]:
                thread.join()
        used = 'homerun_kv_blocks{model="@homerun/rookie",state="used"}'
        eventually(lambda: server.metric(used) == 0)
        assert server.metric('homerun_kv_blocks{model="@homerun/rookie",state="free"}') == free
        assert server.metric("homerun_running") == server.metric("homerun_waiting") == 0
        assert server.run(ROOKIE, {"prompt": "Hello", "max_tokens": 2}).status_code == 200
        assert "Traceback" not in server.output
