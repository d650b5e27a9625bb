"""Everything a client can get wrong, against a real server: golden bodies, never a 500."""

import json
import re
import socket
from typing import Any

import pytest
import requests

from homerun.service.catalog import Catalog

from .server import Server

ROOKIE = "@homerun/rookie"
INT8 = "@cf/meta/llama-2-7b-chat-int8"
GEMMA = "@cf/google/gemma-2b-it-lora"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def ai_error(message: str, code: int) -> dict[str, Any]:
    return {
        "errors": [{"message": f"AiError: {message}", "code": code}],
        "success": False,
        "result": {},
        "messages": [],
    }


def bad(text: str) -> dict[str, Any]:
    return ai_error(f"Bad input: Error: {text}", 5006)


def platform_error(message: str, code: int) -> dict[str, Any]:
    return {
        "result": None,
        "success": False,
        "errors": [{"code": code, "message": message}],
        "messages": [],
    }


def post(server: Server, body: bytes, model: str = INT8, **options: Any) -> requests.Response:
    url = f"{server.url}/client/v4/accounts/your-account-id/ai/run/{model}"
    return requests.post(url, data=body, timeout=30, **options)


def check(server: Server, response: requests.Response, status: int, body: dict[str, Any]) -> None:
    assert response.headers["content-type"] == "application/json"
    text = re.sub(rf" \({UUID}\)", " (uuid)", response.text)
    assert (response.status_code, json.loads(text)) == (status, body)
    assert list(json.loads(text)) == list(body)
    alive = server.run(ROOKIE, {"prompt": "Hello", "max_tokens": 1})
    assert alive.status_code == 200


ZERO = "oneOf at '/' not met, 0 matches: "
NO_PROMPT = "required properties at '/' are 'prompt'"
NO_MESSAGES = "required properties at '/' are 'messages'"
DEEP = b'{"prompt": "x", "extra": ' + b"[" * 70 + b"]" * 70 + b"}"


@pytest.mark.parametrize(
    ("body", "status", "golden"),
    [
        (b"", 400, ai_error("Request is missing headers or body: body", 3003)),
        (b"[]", 400, bad("Type mismatch of '/', 'object' not in 'array'")),
        (b"{}", 400, bad(f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}")),
        (b'{"prompt": ""}', 400, bad(ZERO + "Length of '/prompt' must be >= 1, " + NO_MESSAGES)),
        (
            b'{"prompt": 5}',
            400,
            bad(ZERO + "Type mismatch of '/prompt', 'string' not in 'integer', " + NO_MESSAGES),
        ),
        (
            b'{"prompt": "x", "messages": [{"role": "user", "content": "x"}]}',
            400,
            bad("oneOf at '/' not met, 2 matches"),
        ),
        (b'{"messages": []}', 400, bad(ZERO + NO_PROMPT + ", Length of '/messages' must be >= 1")),
        (
            b'{"messages": [{"role": "user"}]}',
            400,
            bad(ZERO + NO_PROMPT + ", required properties at '/messages/0' are 'role,content'"),
        ),
        (
            b'{"messages": [{"role": "user", "content": null}]}',
            400,
            bad(
                ZERO
                + NO_PROMPT
                + ", Type mismatch of '/messages/0/content', 'string' not in 'null'"
            ),
        ),
        (
            b'{"messages": [{"role": "wizard", "content": "x"}]}',
            400,
            bad("enum wizard not in system,user,assistant,tool at '/messages/0/role'"),
        ),
        (
            b'{"messages": [{"role": "tool", "content": "x"}]}',
            400,
            bad("'/messages/0/role' must not be tool before an assistant message"),
        ),
        (b'{"prompt": "x", "temperature": 5.1}', 400, bad(ZERO + "'/temperature' must be <= 5")),
        (b'{"prompt": "x", "top_k": 0}', 400, bad(ZERO + "'/top_k' must be >= 1")),
        (b'{"prompt": "x", "max_tokens": 0}', 400, bad(ZERO + "'/max_tokens' must be >= 1")),
        (b'{"prompt": "x", "max_tokens": -1}', 400, bad(ZERO + "'/max_tokens' must be >= 1")),
        (
            b'{"prompt": "x", "max_tokens": 9223372036854775808}',
            400,
            bad(ZERO + "'/max_tokens' must be <= 2147483648"),
        ),
        (
            b'{"prompt": "x", "max_tokens": 2.5}',
            400,
            bad(ZERO + "Type mismatch of '/max_tokens', 'integer' not in 'number'"),
        ),
        (
            b'{"prompt": "x", "stream": 1}',
            400,
            bad(ZERO + "Type mismatch of '/stream', 'boolean' not in 'integer'"),
        ),
        (
            b'{"prompt": "x", "stream": "yes"}',
            400,
            bad(ZERO + "Type mismatch of '/stream', 'boolean' not in 'string'"),
        ),
        (
            b'{"prompt": "x", "temperature": NaN}',
            400,
            bad("invalid JSON: invalid character (byte 31)"),
        ),
        (b'{"prompt": "x", "temperature": 1e999}', 400, bad("invalid JSON: number out of range")),
        (b'{"prompt": "\\ud800"}', 400, bad("invalid JSON: lone surrogate (byte 12)")),
        (b'{"prompt": "\xff"}', 400, bad("invalid JSON: not UTF-8 (byte 12)")),
        (b'{"prompt": "x"', 400, bad("invalid JSON: Input data was truncated (byte 14)")),
        (DEEP, 400, bad("invalid JSON: nested deeper than 64 levels")),
        (
            b'{"prompt": "x", "tools": [{"a": 1}]}',
            400,
            bad("'/tools' is not supported by this server yet"),
        ),
        (
            b'{"prompt": "x", "functions": [{"name": "f", "code": "c"}]}',
            400,
            bad("'/functions' is not supported by this server yet"),
        ),
        (
            b'{"prompt": "x", "response_format": {"type": "json_object"}}',
            400,
            ai_error("This model doesn't support JSON Schema", 5025),
        ),
        (
            b'{"prompt": "x", "lora": "mine"}',
            405,
            ai_error(f"LoRA unsupported: The model {INT8} does not support LoRA inference", 5005),
        ),
    ],
)
def test_bodies(body: bytes, status: int, golden: dict[str, Any], server: Server) -> None:
    check(server, post(server, body), status, golden)


def test_unknown_adapter(server: Server) -> None:
    golden = ai_error("AiError: Finetune mine not found (uuid)", 3037)
    check(server, post(server, b'{"prompt": "x", "lora": "mine"}', GEMMA), 404, golden)


def test_context_overflow(server: Server) -> None:
    response = post(server, b'{"prompt": "x", "max_tokens": 9000}')
    text = response.json()["errors"][0]["message"]
    tokens = re.search(r"\((\d+)\)", text)
    assert tokens
    golden = ai_error(
        "AiError: The estimated number of input and maximum output tokens "
        f"({tokens[1]}) exceeded this model context window limit (8192) (uuid)",
        5021,
    )
    assert 9000 < int(tokens[1]) < 9050
    check(server, response, 413, golden)


@pytest.mark.parametrize("chunked", [False, True])
def test_body_over_the_limit(chunked: bool, server: Server) -> None:
    body = b'{"prompt": "' + b"a" * (1 << 20) + b'"}'
    data: Any = iter([body[:1000], body[1000:]]) if chunked else body
    check(server, post(server, data), 413, ai_error("Request is too large", 3006))


@pytest.mark.parametrize(
    ("model", "status", "golden"),
    [
        ("@cf/no/such", 400, ai_error("No such model @cf/no/such or task", 5007)),
        ("nothing", 400, platform_error("No route for that URI", 7000)),
        ("@cf/..%2f..%2fetc", 404, ai_error("The model name is invalid", 3042)),
        ("@cf/a%00b", 404, ai_error("The model name is invalid", 3042)),
        ("@" + "a" * 300, 404, ai_error("The model name is invalid", 3042)),
    ],
)
def test_models(model: str, status: int, golden: dict[str, Any], server: Server) -> None:
    check(server, post(server, b'{"prompt": "x"}', model), status, golden)


@pytest.mark.parametrize(
    ("method", "path", "status", "golden"),
    [
        ("GET", "/", 400, platform_error("No route for that URI", 7000)),
        ("POST", "/client/v4/accounts/x/ai", 400, platform_error("No route for that URI", 7000)),
        (
            "GET",
            f"/client/v4/accounts/x/ai/run/{ROOKIE}",
            405,
            platform_error("GET not supported for requested URI.", 7001),
        ),
        (
            "POST",
            f"/client/v4/accounts/$%7BID%7D/ai/run/{ROOKIE}",
            404,
            platform_error(
                f"Could not route to /client/v4/accounts/$%7BID%7D/ai/run/{ROOKIE}, "
                "perhaps your object identifier is invalid?",
                7003,
            ),
        ),
    ],
)
def test_paths_and_methods(
    method: str, path: str, status: int, golden: dict[str, Any], server: Server
) -> None:
    response = requests.request(method, server.url + path, data=b'{"prompt":"x"}', timeout=30)
    check(server, response, status, golden)


def test_every_bound_of_every_model_from_both_sides(server: Server) -> None:
    for model in Catalog.load():
        for name, rule in model.input_schema["oneOf"][0]["properties"].items():
            for bound, step in (("minimum", -1), ("maximum", 1)):
                if bound not in rule:
                    continue
                limit = rule[bound]
                beyond = limit + step if rule["type"] == "integer" else limit + step * 1e-6
                body = {"prompt": "Hi", "max_tokens": 1}
                inside = server.run(model.name, {**body, name: limit})
                assert inside.status_code == 200, (model.name, name, limit, inside.text)
                outside = server.run(model.name, {**body, name: beyond})
                sign = ">=" if bound == "minimum" else "<="
                text = f"'/{name}' must be {sign} {limit}"
                assert outside.json() == bad(ZERO + text), (model.name, name, beyond)
                assert outside.status_code == 400


def test_asking_for_a_queue_is_refused(server: Server) -> None:
    url = f"{server.url}/client/v4/accounts/x/ai/run/{INT8}?queueRequest=true"
    response = requests.post(url, json={"requests": [{"prompt": "Hi"}]}, timeout=30)
    check(server, response, 400, bad("'queueRequest' is not supported by this server yet"))


def test_null_for_an_optional_field_is_absent(server: Server) -> None:
    for name in ("max_tokens", "temperature", "stream", "lora", "tools", "response_format", "seed"):
        answer = server.run(INT8, {"prompt": "Hi", "max_tokens": 2, name: None})
        assert answer.status_code == 200, (name, answer.text)


def test_unknown_fields_pass_and_are_named(server: Server) -> None:
    answer = server.run(INT8, {"prompt": "Hi", "max_tokens": 2, "stop": ["x"], "best_of": 3})
    assert answer.status_code == 200
    assert answer.headers["homerun-ignored-fields"] == "stop, best_of"


def test_tokens_wrong_and_missing(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("closed")
    with Server(home, HOMERUN_TOKEN="secret-of-the-team") as closed:
        url = f"{closed.url}/client/v4/accounts/local/ai/run/{ROOKIE}"
        body = {"prompt": "Hi", "max_tokens": 1}

        def ask(authorization: str | None, where: str = url) -> tuple[int, dict[str, Any]]:
            headers = {} if authorization is None else {"Authorization": authorization}
            answer = requests.post(where, json=body, headers=headers, timeout=30)
            return answer.status_code, answer.json()

        refused = platform_error("Authentication error", 10000)
        assert ask("Bearer secret-of-the-team")[0] == 200
        assert ask(None) == (401, refused)
        assert ask("Bearer None") == (401, refused)
        malformed = platform_error("Authentication failed (status: 400)", 9106)
        assert ask("Basic x") == (400, malformed)
        other = url.replace("/local/", "/other/")
        assert ask("Bearer secret-of-the-team", other) == (403, refused)
        assert requests.get(f"{closed.url}/metrics", timeout=10).status_code == 401
        assert requests.get(f"{closed.url}/livez", timeout=10).status_code == 200


def test_a_connection_that_breaks_off_in_its_body(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.sendall(
            f"POST /client/v4/accounts/x/ai/run/{ROOKIE} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            'Content-Length: 500\r\n\r\n{"prompt": "x'.encode()
        )
    assert server.run(ROOKIE, {"prompt": "Hi", "max_tokens": 1}).status_code == 200


def test_nothing_of_the_above_was_an_error_of_ours(server: Server) -> None:
    assert '"status": 500' not in server.output
    assert "Traceback" not in server.output
