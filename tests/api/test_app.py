"""What happens around every request: routes, ids, errors, the log line, the metrics."""

import io
import json
import logging
import uuid
from pathlib import Path

import pytest

from homerun import logs
from homerun.api.app import create_app
from homerun.errors import GenerationFailed, QueueFull
from homerun.settings import Settings
from homerun.store.database import Database
from homerun.store.tokens import TokenStore
from tests.api.asgi import Answer, ask
from tests.api.fake_inference import MODEL, PATH, FakeInference, make_state

CANARY = "canary-7f3a"


def post(app, body: object, path: str = PATH, **more) -> Answer:
    return ask(app, path, "POST", body=json.dumps(body).encode(), **more)


@pytest.fixture
def log():
    """Everything that is logged, as JSON lines."""
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure_logging(stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/client/v4/accounts/a",
        "/client/v4/accounts/a/ai/run",
        "/docs",
        "/livez/",
        "//livez",
        "/client/v4/accounts/a/ai/runs/x",
        "/client/v4/accounts/a%2Fb/ai/run/x",
        "/%00",
        "/é",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "BREW"])
def test_no_route(path: str, method: str):
    answer = ask(create_app(make_state()), path, method)
    assert answer.status == 400
    assert answer.body == (
        b'{"result":null,"success":false,'
        b'"errors":[{"code":7000,"message":"No route for that URI"}],"messages":[]}'
    )


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [(PATH, "GET", {"POST"}), (PATH, "DELETE", {"POST"}), ("/livez", "POST", {"GET", "HEAD"})],
)
def test_wrong_method(path: str, method: str, allow: set[str]):
    answer = ask(create_app(make_state()), path, method)
    assert (answer.status, answer.code) == (405, 7001)
    assert answer.json["errors"][0]["message"] == f"{method} not supported for requested URI."
    assert set(answer.headers["allow"].split(", ")) == allow


@pytest.mark.parametrize("model", [MODEL, MODEL.replace("/", "%2F"), MODEL.replace("/", "%2f")])
def test_models_with_encoded_slashes(model: str):
    path = f"/client/v4/accounts/your-account-id/ai/run/{model}"
    answer = post(create_app(make_state()), {"prompt": "hi"}, path)
    assert answer.json["result"]["response"] == "word0 word1 word2 "
    assert answer.headers["content-type"] == "application/json"


def test_every_answer_has_an_id_of_ours():
    app = create_app(make_state())
    headers = [("host", "localhost"), ("cf-ai-req-id", "mine"), ("x-request-id", "mine")]
    ids = {ask(app, path, "POST", headers).headers["cf-ai-req-id"] for path in (PATH, "/x", PATH)}
    assert len({uuid.UUID(text).version for text in ids}) == 1
    assert len(ids) == 3


def test_an_unexpected_exception_tells_the_caller_nothing(log: io.StringIO):
    inference = FakeInference()
    inference.error = ZeroDivisionError(f"broken by {CANARY}")
    answer = post(create_app(make_state(inference)), {"prompt": CANARY})
    assert (answer.status, answer.code) == (500, 3043)
    assert b"Traceback" not in answer.body
    assert CANARY.encode() not in answer.body
    failure = next(line for line in lines(log) if line["event"] == "a request failed")
    assert failure["request_id"] == answer.headers["cf-ai-req-id"]
    assert "ZeroDivisionError" in failure["traceback"]
    assert any("fake_inference.py" in frame for frame in failure["traceback"])
    assert CANARY not in log.getvalue()
    assert post(create_app(make_state()), {"prompt": "hi"}).status == 200


def test_a_prompt_is_nowhere_in_logs_metrics_or_errors(log: io.StringIO, tmp_path: Path):
    store = TokenStore(Database(tmp_path / "homerun.db"))
    inference = FakeInference()
    state = make_state(inference, tokens=store)
    app = create_app(state)
    answers = []
    for error in (None, GenerationFailed(), QueueFull(3), ValueError(CANARY)):
        inference.error = error
        for body in (
            {"prompt": CANARY},
            {"prompt": CANARY, "stream": True},
            {"messages": [{"role": "user", "content": CANARY}]},
            {"messages": [{"role": CANARY, "content": 1}]},
            {"prompt": CANARY, "max_tokens": -1},
        ):
            answers.append(post(app, body))
    _, text = store.create("x")
    headers = [("host", "localhost"), ("authorization", f"Bearer {text}")]
    answers.append(ask(app, PATH, "POST", headers, json.dumps({"prompt": CANARY}).encode()))
    assert len({answer.status for answer in answers}) >= 4
    assert CANARY not in log.getvalue()
    assert text not in log.getvalue()
    assert CANARY not in state.metrics.render().decode()
    assert all(CANARY.encode() not in answer.body for answer in answers)
    store.close()


def test_the_log_line_of_a_request(log: io.StringIO):
    state = make_state(settings=Settings(token="s3cret"))
    headers = [("host", "localhost"), ("authorization", "Bearer s3cret")]
    body = json.dumps({"prompt": "hi", "stream": True}).encode()
    answer = ask(create_app(state), PATH, "POST", headers, body)
    (line,) = [line for line in lines(log) if line["event"] == "request"]
    assert line["level"] == "info"
    assert line["request_id"] == answer.headers["cf-ai-req-id"]
    expected = {
        "account": "local",
        "token_id": "static",
        "model": MODEL,
        "lora": None,
        "stream": True,
        "prompt_tokens": 7,
        "cached_tokens": 2,
        "completion_tokens": 3,
        "finish_reason": "stop",
        "status": 200,
        "internal_code": None,
        "client_disconnected": False,
    }
    assert {key: line[key] for key in expected} == expected
    assert 0 < line["ttft_ms"] <= line["total_ms"]
    assert {"ts", "queue_ms", "seed"} <= set(line)


def test_refusals_are_logged_with_their_code(log: io.StringIO):
    app = create_app(make_state())
    ask(app, "/nowhere")
    ask(app, PATH, "GET")
    post(app, {"prompt": "hi"}, PATH.replace("int8", "nope"))
    codes = [line["internal_code"] for line in lines(log) if line["event"] == "request"]
    assert codes == [7000, 7001, 5007]


def test_probes_are_not_logged(log: io.StringIO):
    app = create_app(make_state())
    for path in ("/livez", "/readyz", "/metrics"):
        ask(app, path)
    assert log.getvalue() == ""


def test_metrics_of_requests():
    state = make_state()
    app = create_app(state)
    post(app, {"prompt": "hi"})
    post(app, {"prompt": "hi"}, PATH.replace("int8", "nope"))
    ask(app, "/" + CANARY)
    text = state.metrics.render().decode()
    assert f'homerun_requests_total{{code="200",internal_code="0",model="{MODEL}"}} 1.0' in text
    assert 'homerun_requests_total{code="400",internal_code="5007",model="other"} 1.0' in text
    assert 'homerun_requests_total{code="400",internal_code="7000",model="other"} 1.0' in text
    assert f'homerun_prompt_tokens_total{{model="{MODEL}"}} 7.0' in text
    assert f'homerun_cached_prompt_tokens_total{{model="{MODEL}"}} 2.0' in text
    assert f'homerun_completion_tokens_total{{model="{MODEL}"}} 3.0' in text
    assert f'homerun_time_to_first_token_seconds_count{{model="{MODEL}"}} 1.0' in text
    assert "nope" not in text


def test_rejections_are_counted():
    inference = FakeInference()
    inference.error = QueueFull(3)
    state = make_state(inference)
    answer = post(create_app(state), {"prompt": "hi"})
    assert (answer.status, answer.code) == (429, 3040)
    assert answer.headers["retry-after"] == "3"
    assert 'homerun_rejected_total{reason="queue_full"} 1.0' in state.metrics.render().decode()


def test_a_server_that_drains_answers_probes_only():
    inference = FakeInference()
    state = make_state(inference)
    state.draining = True
    app = create_app(state)
    assert (post(app, {"prompt": "hi"}).status, ask(app, "/livez").status) == (429, 200)
    assert ask(app, "/readyz").status == 503
    assert inference.identities == []
    assert 'homerun_rejected_total{reason="draining"} 1.0' in state.metrics.render().decode()


def test_a_client_that_leaves_is_noted(log: io.StringIO):
    body = json.dumps({"prompt": "hi"}).encode()
    messages = [
        {"type": "http.request", "body": body, "more_body": False},
        {"type": "http.disconnect"},
    ]
    state = make_state(FakeInference(words=100, pause=0.1))
    ask(create_app(state), PATH, "POST", body=messages)
    (line,) = [line for line in lines(log) if line["event"] == "request"]
    assert line["client_disconnected"] is True
    assert 'homerun_cancelled_total{reason="disconnect"} 1.0' in state.metrics.render().decode()
