"""One native request through the handler, with a service that says what the test tells it to."""

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from homerun.api.errors import error_response
from homerun.api.run import MAX_IGNORED_SHOWN, ignored_header, run
from homerun.errors import (
    AdapterNotFound,
    ContextOverflow,
    GenerationFailed,
    HomerunError,
    QueueFull,
)
from homerun.logs import RequestRecord
from homerun.service.catalog import Catalog
from homerun.settings import Settings
from homerun.types import (
    Finished,
    FinishReason,
    Identity,
    Message,
    TextDelta,
    Usage,
    Working,
)

ID = "63371b53-4237-44f1-baec-b690284ac214"
INT8 = "@cf/meta/llama-2-7b-chat-int8"
ROOKIE = "@homerun/rookie"
GEMMA_2B = "@cf/google/gemma-2b-it-lora"
FINISHED = Finished(FinishReason.STOP, Usage(5, 3, cached_tokens=1))
FOREVER = "wait"


class FakeGeneration:
    def __init__(self, items, stand_in=None, has_adapter=False):
        self._items = items
        self.stand_in = stand_in
        self.has_adapter = has_adapter
        self.arithmetic = "0/avx2/int8/bf16/0123456789ab"
        self.seed = 7
        self.queued_seconds = 0.002
        self.usage = Usage(5, 0)
        self.aborts = 0
        self.waiting = asyncio.Event()

    def abort(self):
        self.aborts += 1

    async def __aiter__(self):
        for item in self._items:
            if item is FOREVER:
                self.waiting.set()
                await asyncio.Event().wait()
            elif isinstance(item, Exception):
                raise item
            elif isinstance(item, Finished):
                self.usage = item.usage
            yield item


class FakeInference:
    """Starts one generation of `items`; `refusal` is raised instead, `FOREVER` never starts."""

    def __init__(self, *items, refusal=None, stand_in=None, has_adapter=False):
        self.generation = FakeGeneration(items, stand_in, has_adapter)
        self.refusal = refusal
        self.calls = []
        self.starting = asyncio.Event()
        self.start_cancelled = False

    async def start(self, request, identity, request_id):
        self.calls.append((request, identity, request_id))
        self.starting.set()
        if self.refusal is FOREVER:
            try:
                await asyncio.Event().wait()
            finally:
                self.start_cancelled = True
        if self.refusal is not None:
            raise self.refusal
        return self.generation


def make_app(inference, records):
    app = Starlette(
        routes=[Route("/client/v4/accounts/{account}/ai/run/{model:path}", run, methods=["POST"])],
        exception_handlers={HomerunError: lambda request, error: error_response(error, ID)},
    )
    app.state.homerun = SimpleNamespace(
        settings=Settings(), catalog=Catalog.load(), inference=inference
    )

    async def with_state(scope, receive, send):
        record = RequestRecord(request_id=ID)
        records.append(record)
        scope["state"] = {"request_id": ID, "identity": Identity("local"), "record": record}
        await app(scope, receive, send)

    return with_state


def post(inference, body, model=INT8, headers=None):
    """The answer and the log record."""
    records = []

    async def ask():
        transport = httpx.ASGITransport(make_app(inference, records))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            url = f"/client/v4/accounts/your-account-id/ai/run/{model}"
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await client.post(url, content=content, headers=headers or {})

    return asyncio.run(ask()), records[0]


def test_a_whole_answer():
    inference = FakeInference(Working(), TextDelta("Hé"), TextDelta("llo"), FINISHED)
    answer, record = post(inference, {"prompt": "hi", "max_tokens": 9})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cf-ai-req-id"] == ID
    assert answer.headers["homerun-arithmetic"] == "0/avx2/int8/bf16/0123456789ab"
    assert "homerun-stand-in" not in answer.headers
    assert "homerun-ignored-fields" not in answer.headers
    assert answer.text == (
        '{"result":{"response":"Héllo","usage":{"prompt_tokens":5,"completion_tokens":3,'
        '"total_tokens":8,"prompt_tokens_details":{"cached_tokens":1}},"finish_reason":"stop"},'
        '"success":true,"errors":[],"messages":[]}'
    )
    ((request, identity, request_id),) = inference.calls
    assert (request.model, request.prompt, request.max_tokens) == (INT8, "hi", 9)
    assert (identity.account, request_id) == ("local", ID)
    assert (record.model, record.stream, record.lora, record.seed) == (INT8, False, None, 7)
    assert (record.prompt_tokens, record.cached_tokens, record.completion_tokens) == (5, 1, 3)
    assert (record.finish_reason, record.queue_ms) == ("stop", 2.0)
    assert record.ttft_ms is not None
    assert inference.generation.aborts == 1


def test_a_stream():
    inference = FakeInference(Working(), TextDelta("a"), FINISHED, stand_in="@homerun/rookie")
    answer, record = post(inference, {"messages": [{"role": "u", "content": "x"}], "stream": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cf-ai-req-id"] == ID
    assert answer.headers["homerun-arithmetic"] == "0/avx2/int8/bf16/0123456789ab"
    assert answer.headers["homerun-stand-in"] == "@homerun/rookie"
    assert "content-length" not in answer.headers
    working, delta, last, done, rest = answer.text.split("\n\n")
    assert (working, done, rest) == (": working", "data: [DONE]", "")
    assert json.loads(delta.removeprefix("data: "))["response"] == "a"
    assert json.loads(last.removeprefix("data: "))["usage"]["total_tokens"] == 8
    assert inference.calls[0][0].messages == (Message("u", "x"),)
    assert (record.stream, record.completion_tokens, record.internal_code) == (True, 3, None)


@pytest.mark.parametrize(
    ("stand_in", "has_adapter", "said"),
    [(None, True, None), (ROOKIE, False, "not applied"), (ROOKIE, True, None)],
)
def test_an_adapter_that_is_left_alone_is_told(stand_in, has_adapter, said):
    inference = FakeInference(FINISHED, stand_in=stand_in, has_adapter=has_adapter)
    answer, _ = post(inference, {"prompt": "x", "lora": "mine"})
    assert answer.headers.get("homerun-lora") == said


@pytest.mark.parametrize(
    "content_type",
    [None, "application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"],
)
def test_json_whatever_the_content_type(content_type):
    headers = {"content-type": content_type} if content_type else {}
    answer, _ = post(FakeInference(FINISHED), {"prompt": "x"}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("model", [INT8.replace("/", "%2F"), INT8.replace("@", "%40")])
def test_encoded_names(model):
    answer, record = post(FakeInference(FINISHED), {"prompt": "x"}, model)
    assert answer.status_code == 200
    assert record.model == INT8


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("@cf/no/such", 400, 5007),
        ("no/such", 400, 7000),
        ("@cf/..%2f..%2fsecret", 404, 3042),
        ("@cf/a%00b", 404, 3042),
        ("@" + "a" * 300, 404, 3042),
        ("@cf%252Fmeta", 400, 5007),
    ],
)
def test_names_that_name_nothing(model, status, code):
    inference = FakeInference(FINISHED)
    answer, record = post(inference, {"prompt": "x"}, model)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert not inference.calls
    assert record.model is None


def test_each_model_has_its_own_ranges():
    body = {"prompt": "x", "top_p": 2}
    assert post(FakeInference(FINISHED), body, GEMMA_2B)[0].status_code == 200
    answer, _ = post(FakeInference(FINISHED), body, INT8)
    assert answer.status_code == 400
    assert answer.json() == {
        "errors": [
            {
                "message": "AiError: Bad input: Error: oneOf at '/' not met, 0 matches: "
                "'/top_p' must be <= 1",
                "code": 5006,
            }
        ],
        "success": False,
        "result": {},
        "messages": [],
    }


def test_a_large_body_is_checked_too():
    inference = FakeInference(FINISHED)
    assert post(inference, {"prompt": "x" * 100_000})[0].status_code == 200
    assert len(inference.calls[0][0].prompt) == 100_000
    answer, _ = post(inference, {"prompt": "x" * 100_000, "top_k": 0})
    assert answer.status_code == 400


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status"), [(ContextOverflow(9000, 8192), 413), (QueueFull(1), 429)]
)
def test_a_refusal_has_a_status_streamed_or_not(stream, error, status):
    answer, _ = post(FakeInference(refusal=error), {"prompt": "x", "stream": stream})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"


def test_a_failure_midway():
    inference = FakeInference(TextDelta("a"), GenerationFailed())
    answer, record = post(inference, {"prompt": "x"})
    assert (answer.status_code, record.internal_code) == (500, 3043)
    assert inference.generation.aborts == 1
    inference = FakeInference(TextDelta("a"), GenerationFailed())
    answer, record = post(inference, {"prompt": "x", "stream": True})
    assert (answer.status_code, record.internal_code) == (200, 3043)
    assert "[DONE]" not in answer.text
    assert '"code":3043' in answer.text
    assert inference.generation.aborts == 1


def test_ignored_fields_are_named():
    body = {"prompt": "x", "stop": ["a"], "naïve\r\nset-cookie: x": 1}
    answer, _ = post(FakeInference(FINISHED), body)
    assert answer.headers["homerun-ignored-fields"] == "stop, na%C3%AFve%0D%0Aset-cookie%3A%20x"


def test_an_adapter_is_logged_once_it_is_found():
    body = {"prompt": "x", "lora": "mine"}
    _, record = post(FakeInference(FINISHED), body, GEMMA_2B)
    assert record.lora == "mine"
    body["lora"] = "anything a caller may write\n" * 1000
    answer, record = post(FakeInference(refusal=AdapterNotFound(body["lora"])), body, GEMMA_2B)
    assert (answer.status_code, record.lora) == (404, None)
    assert len(answer.content) < 300


def test_many_and_long_ignored_fields():
    assert ignored_header(("a" * 65, "messages[].name")) == "a" * 64 + "..., messages[].name"
    # Proxies hold headers of 4 KiB and less.
    assert len(ignored_header(tuple(f"{i}" + "😀" * 64 for i in range(99)))) < 4000
    names = tuple(map(str, range(MAX_IGNORED_SHOWN + 3)))
    assert ignored_header(names).endswith("15, and 3 more")


# A client that goes away, at the level of ASGI.


async def converse(inference, body, until, *, send_fails=False):
    """Sends `body`, goes away once `until` is set; returns what was sent and the log record."""
    sent, records, asked = [], [], []
    path = f"/client/v4/accounts/a/ai/run/{INT8}"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }

    async def receive():
        if not asked:
            asked.append(True)
            return {"type": "http.request", "body": json.dumps(body).encode()}
        await until.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if send_fails and message["type"] == "http.response.body":
            raise OSError("gone")
        sent.append(message)

    async with asyncio.timeout(5):
        await make_app(inference, records)(scope, receive, send)
    return sent, records[0]


def test_a_client_that_leaves_during_a_stream():
    async def scenario():
        inference = FakeInference(TextDelta("a"), FOREVER)
        body = {"prompt": "x", "stream": True}
        sent, _ = await converse(inference, body, inference.generation.waiting)
        assert inference.generation.aborts == 1
        assert sent[0]["status"] == 200
        assert not any(b"[DONE]" in message.get("body", b"") for message in sent)

    asyncio.run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_during_the_prefill(stream):
    async def scenario():
        inference = FakeInference(FOREVER)
        body = {"prompt": "x", "stream": stream}
        _, record = await converse(inference, body, inference.generation.waiting)
        assert inference.generation.aborts == 1
        assert (record.prompt_tokens, record.completion_tokens) == (5, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_the_queue(stream):
    async def scenario():
        inference = FakeInference(refusal=FOREVER)
        sent, _ = await converse(inference, {"prompt": "x", "stream": stream}, inference.starting)
        assert inference.start_cancelled
        assert sent[0]["status"] == 408
        assert b'"code":3008' in sent[1]["body"]

    asyncio.run(scenario())


def test_a_server_whose_send_fails():
    async def scenario():
        inference = FakeInference(TextDelta("a"), FINISHED)
        await converse(inference, {"prompt": "x", "stream": True}, asyncio.Event(), send_fails=True)
        assert inference.generation.aborts == 1

    asyncio.run(scenario())
