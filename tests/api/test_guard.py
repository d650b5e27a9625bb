"""Who gets in: the decisions one by one, then the whole application in open and closed mode."""

import json
from pathlib import Path

import pytest

from homerun.api.app import create_app
from homerun.api.guard import (
    PUBLIC,
    FailedTokens,
    account_in_path,
    bearer_token,
    check_host,
    check_origin,
    is_closed,
    is_loopback,
)
from homerun.errors import (
    ConfigurationError,
    MalformedCredentials,
    OriginForbidden,
    TooManyFailures,
)
from homerun.settings import Settings
from homerun.store.database import Database
from homerun.store.tokens import TokenStore
from tests.api.asgi import Answer, ask
from tests.api.fake_inference import MODEL, PATH, FakeInference, make_state

BODY = json.dumps({"prompt": "hi"}).encode()


@pytest.fixture
def tokens(tmp_path: Path):
    store = TokenStore(Database(tmp_path / "homerun.db"))
    yield store
    store.close()


def run_as(app, token: str | None, account: str = "local", **more) -> Answer:
    headers = [("host", "localhost")]
    if token is not None:
        headers.append(("authorization", token))
    path = f"/client/v4/accounts/{account}/ai/run/{MODEL}"
    return ask(app, path, "POST", headers, BODY, **more)


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer abc "])
def test_bearer_token(value: str):
    assert bearer_token([value]) == "abc"


@pytest.mark.parametrize(
    "values",
    [
        [""],
        ["Bearer"],
        ["Bearer "],
        ["Basic abc"],
        ["Bearer a b"],
        ["abc"],
        ["Bearer é"],
        ["Bearer a\x00"],
        ["Bearer a", "Bearer a"],
        ["Bearer a, Bearer b"],
    ],
)
def test_malformed_credentials(values: list[str]):
    with pytest.raises(MalformedCredentials):
        bearer_token(values)


def test_no_credentials():
    assert bearer_token([]) is None


def test_account_in_path():
    assert account_in_path("/client/v4/accounts/a/ai/run/x") == "a"
    assert account_in_path("/client/v4/accounts//ai/run/x") == ""
    assert account_in_path("/client/v4/accounts/a") == "a"
    assert account_in_path("/metrics") is None
    assert account_in_path("/x/client/v4/accounts/a") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "[::1]"])
def test_loopback(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "10.0.0.1", "localhost.evil.com", "127.0.0.1.evil.com", "[::]"]
)
def test_not_loopback(host: str):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1:11787", "[::1]:80", "[::1]", "Box.lan:80"]
)
def test_hosts_that_are_ours(host: str):
    check_host([host], {"box.lan"})


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "evil.com:11787",
        "a/?x=",
        "x/docs?",
        "localhost@evil.com",
        "localhost evil",
        "localhost.evil.com",
        "",
        "localhost:",
        "localhost:99999999",
        "[::1",
        "127.0.0.1/",
        "localhost\n",
    ],
)
def test_hosts_that_are_not(host: str):
    with pytest.raises(OriginForbidden, match="--allow-host"):
        check_host([host], {"box.lan"})


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000",
        "http://127.0.0.1",
        "https://[::1]:8",
        "http://box.lan:1",
        "https://App.example",
    ],
)
def test_origins_that_may_ask(origin: str):
    check_origin([origin], {"box.lan"}, {"https://app.example"})


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.com",
        "http://localhost.evil.com",
        "http://[",
        "https://app.example:8",
        "http://app.example",
        "http://localhost@evil.com",
        "http://evil.com/localhost",
    ],
)
def test_origins_that_may_not(origin: str):
    with pytest.raises(OriginForbidden, match="--allow-origin"):
        check_origin([origin], {"box.lan"}, {"https://app.example"})


def test_failed_tokens_are_counted_per_address_and_minute():
    now = 30.0
    failed = FailedTokens(limit=2, clock=lambda: now)
    failed.add("a")
    failed.add("a")
    with pytest.raises(TooManyFailures) as caught:
        failed.add("a")
    assert caught.value.retry_after_s == 30
    failed.add("b")
    now = 61.0
    failed.add("a")


def test_open_mode_accepts_anything_and_anyone_is_local():
    inference = FakeInference()
    app = create_app(make_state(inference))
    for token in (None, "Bearer None", "Bearer x", "Basic x", "", "nonsense"):
        assert run_as(app, token, "your-account-id").status == 200
    assert {(i.account, i.token_id) for i in inference.identities} == {("local", None)}


def test_closed_mode(tokens: TokenStore):
    inference = FakeInference()
    app = create_app(make_state(inference, tokens=tokens))
    assert run_as(app, None).status == 200
    # The next request already meets a closed server.
    token, text = tokens.create("laptop", "team-a")
    cases = {
        None: (401, 10000),
        "Bearer None": (401, 10000),
        "Bearer " + text[:-1]: (401, 10000),
        f"Bearer hr_{token.id}_{'0' * 64}": (401, 10000),
        "Basic abc": (400, 9106),
        text: (400, 9106),
    }
    for sent, expected in cases.items():
        answer = run_as(app, sent, "team-a")
        assert (answer.status, answer.code) == expected, sent
    assert run_as(app, "Bearer " + text, "team-a").status == 200
    assert inference.identities[-1].account == "team-a"
    assert inference.identities[-1].token_id == token.id
    for other in ("local", "team-b", "TEAM-A", "team-a%00"):
        answer = run_as(app, "Bearer " + text, other)
        assert (answer.status, answer.code) in {(403, 10000), (404, 7003)}, other
    tokens.revoke(token.id)
    assert run_as(app, "Bearer " + text, "team-a").status == 401
    assert run_as(app, None, "team-a").status == 401
    assert len(inference.identities) == 2


def test_golden_refusals(tokens: TokenStore):
    app = create_app(make_state(tokens=tokens))
    _, text = tokens.create("x")
    answer = run_as(app, None)
    assert answer.body == (
        b'{"result":null,"success":false,'
        b'"errors":[{"code":10000,"message":"Authentication error"}],"messages":[]}'
    )
    assert run_as(app, "Bearer").body == (
        b'{"result":null,"success":false,'
        b'"errors":[{"code":9106,"message":"Authentication failed (status: 400)"}],"messages":[]}'
    )
    assert run_as(app, f"Bearer {text}", "other").json == answer.json


def test_a_static_token_closes_the_server_without_a_database():
    inference = FakeInference()
    settings = Settings(token="s3cret")
    assert is_closed(settings, None)
    app = create_app(make_state(inference, settings))
    assert run_as(app, None).status == 401
    assert run_as(app, "Bearer s3cre").status == 401
    assert run_as(app, "Bearer s3cret").status == 200
    assert run_as(app, "Bearer s3cret", "other").status == 403
    assert inference.identities[0].token_id == "static"


def test_every_route_is_closed_unless_public():
    app = create_app(make_state(settings=Settings(token="s3cret")))
    paths = [getattr(route, "path", "") for route in app.routes]
    assert len(paths) >= 4
    for path in [*paths, "/", "/docs", "/openapi.json", "/client/v4", "//livez", "/livez/x"]:
        concrete = path.replace("{account}", "local").replace("{model:path}", MODEL)
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            status = ask(app, concrete, method).status
            if concrete in PUBLIC:
                assert status in (200, 405), (method, concrete)
            else:
                assert status == 401, (method, concrete)


@pytest.mark.parametrize(
    "path",
    [
        "/livez/../metrics",
        "/livez/..%2fmetrics",
        "/livez%2f..%2fmetrics",
        "/%2e%2e/metrics",
        "/LIVEZ",
        "/livez/",
        "//livez",
        "/livez%00",
        "/livez;x",
        "/livez%252f..",
        "http://x/livez",
        "/metrics?/livez",
        "/metrics#/livez",
        "/livez%3Fx",
        "*",
        "",
    ],
)
@pytest.mark.parametrize("host", ["localhost", "a/?x=", "x/livez?", "localhost/livez?"])
def test_no_spelling_reaches_a_protected_handler(path: str, host: str):
    app = create_app(make_state(settings=Settings(token="s3cret")))
    answer = ask(app, path, headers=[("host", host)])
    assert answer.status == 401
    assert answer.code == 10000


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("host", "localhost")], 200),
        ([], 200),
        ([("host", "evil.com:11787")], 403),
        ([("host", "box.lan")], 200),
        ([("host", "localhost"), ("host", "evil.com")], 403),
        ([("host", "localhost"), ("origin", "https://evil.com")], 403),
        ([("host", "localhost"), ("origin", "null")], 403),
        ([("host", "localhost"), ("origin", "http://localhost:5173")], 200),
        ([("host", "localhost"), ("origin", "https://app.example")], 200),
        (
            [("host", "localhost"), ("origin", "https://evil.com"), ("origin", "http://localhost")],
            403,
        ),
    ],
)
def test_open_mode_is_closed_to_other_sites(headers: list[tuple[str, str]], status: int):
    settings = Settings(allow_host=("Box.lan",), allow_origin=("https://app.example/",))
    inference = FakeInference()
    app = create_app(make_state(inference, settings))
    answer = ask(app, PATH, "POST", headers, BODY)
    assert answer.status == status
    assert len(inference.identities) == (status == 200)
    assert "access-control-allow-origin" not in answer.headers


def test_closed_mode_asks_for_the_token_whatever_the_host():
    app = create_app(make_state(settings=Settings(token="s3cret")))
    headers = [("host", "ai.example.com"), ("origin", "https://ai.example.com")]
    assert ask(app, PATH, "POST", headers, BODY).status == 401
    headers.append(("authorization", "Bearer s3cret"))
    assert ask(app, PATH, "POST", headers, BODY).status == 200


@pytest.mark.parametrize(
    "account",
    ["", "%7BACCOUNT_ID%7D", "{ACCOUNT_ID}", "..", "%2e%2e", "a%20b", "a" * 65, "%00", "é"],
)
def test_a_malformed_account_is_7003(account: str):
    answer = run_as(create_app(make_state()), None, account)
    assert (answer.status, answer.code) == (404, 7003)
    message = answer.json["errors"][0]["message"]
    assert message.startswith("Could not route to /client/v4/accounts/")
    assert message.endswith("perhaps your object identifier is invalid?")


def test_brute_force_is_held_back_and_good_tokens_are_not():
    app = create_app(make_state(settings=Settings(token="s3cret")))
    statuses = [run_as(app, f"Bearer wrong{number}").status for number in range(25)]
    assert set(statuses[:20]) == {401}
    assert statuses[-1] == 429
    answer = run_as(app, "Bearer wrong")
    assert answer.code == 10000
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert run_as(app, "Bearer s3cret").status == 200
    assert run_as(app, "Bearer wrong", client="10.0.0.2").status == 401


def test_a_broken_database_closes_the_server(tokens: TokenStore, monkeypatch):
    def fail(self: TokenStore) -> bool:
        raise ConfigurationError("disk")

    app = create_app(make_state(tokens=tokens))
    monkeypatch.setattr(TokenStore, "exists", fail)
    assert run_as(app, None).status == 500
    assert ask(app, "/livez").status == 200
    assert ask(app, "/readyz").json["reasons"] == ["the database cannot be read"]


# The body.
