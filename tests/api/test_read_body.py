"""How a body is read: limits, deadlines, encodings, clients that leave."""

import json

import pytest

from homerun.api.app import create_app
from homerun.settings import Settings
from tests.api.asgi import ask
from tests.api.fake_inference import PATH, FakeInference, make_state

BODY = json.dumps({"prompt": "hi"}).encode()


def chunks(*sizes: int, last: bool = True) -> list[dict[str, object]]:
    """ASGI messages with a JSON body padded to the given sizes."""
    return [
        {
            "type": "http.request",
            "body": b" " * size,
            "more_body": not last or index + 1 < len(sizes),
        }
        for index, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("size", [100, 101, 799, 900, 10_000])
@pytest.mark.parametrize("declared", [None, "1", "true"])
def test_the_limit_holds_whatever_is_declared(size: int, declared: str | None):
    app = create_app(make_state(settings=Settings(body_limit=100)))
    headers = [("host", "localhost")]
    if declared:
        headers.append(("content-length", str(size) if declared == "true" else declared))
    answer = ask(app, PATH, "POST", headers, chunks(size // 2, size - size // 2))
    if size == 100:
        assert answer.status == 400  # Blank, but not too large.
    else:
        assert (answer.status, answer.code) == (413, 3006)
        assert answer.json["errors"][0]["message"] == "AiError: Request is too large"


def test_a_client_that_asks_first_is_refused_before_it_sends():
    app = create_app(make_state(settings=Settings(body_limit=100)))
    headers = [("host", "localhost"), ("content-length", "101"), ("expect", "100-continue")]
    assert ask(app, PATH, "POST", headers, []).status == 413


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "zstd"])
def test_compressed_bodies_are_refused(encoding: str):
    app = create_app(make_state())
    headers = [("host", "localhost"), ("content-encoding", encoding)]
    assert ask(app, PATH, "POST", headers, BODY).status == 415


@pytest.mark.parametrize("encoding", ["identity", "IDENTITY", ""])
def test_identity_is_no_compression(encoding: str):
    headers = [("host", "localhost"), ("content-encoding", encoding)]
    assert ask(create_app(make_state()), PATH, "POST", headers, BODY).status == 200


def test_a_slow_body_is_given_up():
    app = create_app(make_state(settings=Settings(body_timeout=0.05)))
    answer = ask(app, PATH, "POST", body=chunks(1, last=False))
    assert (answer.status, answer.code) == (408, 3007)


def test_a_client_that_leaves_while_sending_costs_nothing():
    inference = FakeInference()
    app = create_app(make_state(inference))
    answer = ask(app, PATH, "POST", body=[*chunks(1, last=False), {"type": "http.disconnect"}])
    assert answer.code == 3008
    assert inference.identities == []
