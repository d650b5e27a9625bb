"""`…/ai/finetunes` as clients call it: the wire's shapes, uploads in pieces, hostile forms."""

import json
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import save

from homerun.api.app import create_app
from homerun.api.finetunes import WRITE_BYTES
from homerun.api.state import AppState
from homerun.model.config import ModelConfig, read_config
from homerun.service.adapters import MAX_DESCRIPTION, MAX_NAME, AdapterService
from homerun.settings import Settings
from homerun.store.adapters import AdapterStore
from homerun.store.database import FILE_NAME, Database
from homerun.store.tokens import TokenStore
from tests.adapters import adapter_config, adapter_files, adapter_tensors
from tests.api.asgi import Answer, ask
from tests.api.fake_inference import make_state

ROOT = "/client/v4/accounts/local/ai/finetunes"
ROOKIE = "@homerun/rookie"
GEMMA = "@cf/google/gemma-2b-it-lora"
INT8 = "@cf/meta/llama-2-7b-chat-int8"
BASE: ModelConfig = read_config(Path(str(files("homerun").joinpath("data", "rookie"))))
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def make(home: Path, tokens: TokenStore | None = None, **settings: Any) -> AppState:
    chosen = Settings(home=home, **settings)
    state = make_state(settings=chosen, tokens=tokens)
    store = AdapterStore(home)
    state.adapters = AdapterService(store, state.catalog, {ROOKIE: BASE}, chosen)
    return state


@pytest.fixture
def app(tmp_path: Path):
    return create_app(make(tmp_path))


def create(app: Any, path: str = ROOT, headers: Any = None, **fields: Any) -> Answer:
    body = json.dumps({"model": ROOKIE, "name": "mine", **fields}).encode()
    return ask(app, path, "POST", headers, body)


def form(file_name: str, data: bytes, **more: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body as a client makes them."""
    request = httpx.Request(
        "POST", "http://x", data={"file_name": file_name, **more}, files={"file": ("blob", data)}
    )
    return [
        ("host", "localhost"),
        ("content-type", request.headers["content-type"]),
        ("content-length", request.headers["content-length"]),
    ], request.read()


def upload(app: Any, file_name: str, data: bytes, key: str = "mine", **more: str) -> Answer:
    headers, body = form(file_name, data, **more)
    return ask(app, f"{ROOT}/{key}/finetune-assets", "POST", headers, body)


def upload_all(app: Any, found: dict[str, bytes], key: str = "mine") -> Answer:
    for name in found:
        answer = upload(app, name, found[name], key)
    return answer


def stored(home: Path) -> list[str]:
    return sorted(os.listdir(home / "adapters")) if (home / "adapters").exists() else []


# Shapes of the wire.


def test_a_finetune_from_its_name_to_its_end(app: Any):
    made = create(app, description="for tests")
    assert made.status == 200
    assert made.headers["content-type"] == "application/json"
    assert list(made.json) == ["result", "success", "errors", "messages"]
    result = made.json["result"]
    assert re.fullmatch(r"[0-9a-f-]{36}", result["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", result["created_at"])
    assert result["modified_at"] == result["created_at"]
    assert {name: result[name] for name in ("name", "description", "public", "model", "state")} == {
        **{"name": "mine", "description": "for tests", "public": 0},
        **{"model": ROOKIE, "state": "new"},
    }
    assert ask(app, ROOT).json["result"] == [result]
    for key in ("mine", result["id"]):
        assert ask(app, f"{ROOT}/{key}").json["result"] == result
    assert upload_all(app, adapter_files(BASE)).json["success"] is True
    ready = ask(app, f"{ROOT}/mine").json["result"]
    assert (ready["state"], ready["reason"], len(ready["version"])) == ("ready", None, 64)
    assert ask(app, f"{ROOT}/mine", "DELETE").json["result"] == {"id": result["id"]}
    gone = ask(app, f"{ROOT}/mine")
    assert (gone.status, gone.code) == (404, 3037)
    assert ask(app, ROOT).json["result"] == []


def test_every_path_has_its_twin_with_a_slash(app: Any):
    assert create(app, f"{ROOT}/").status == 200
    for path in ("", "/public", "/mine"):
        assert ask(app, f"{ROOT}{path}").json == ask(app, f"{ROOT}{path}/").json
    headers, body = form(CONFIG, b"{}")
    assert ask(app, f"{ROOT}/mine/finetune-assets/", "POST", headers, body).status == 200
    assert ask(app, f"{ROOT}/mine/", "DELETE").status == 200
    for path, method in (("", "DELETE"), ("/mine", "PUT"), ("/mine/finetune-assets", "GET")):
        assert ask(app, f"{ROOT}{path}", method).code == 7001
    assert ask(app, f"{ROOT}/a/b").code == 7000


@pytest.mark.parametrize(
    ("fields", "code", "told"),
    [
        ({"name": None}, 5006, "required properties at '/' are 'model,name'"),
        ({"model": None}, 5006, "required properties at '/' are 'model,name'"),
        ({"name": 5}, 5006, "Type mismatch of '/name', 'string' not in 'integer'"),
        ({"name": ""}, 5006, "Length of '/name' must be >= 1"),
        ({"name": "x" * (MAX_NAME + 1)}, 5006, f"Length of '/name' must be <= {MAX_NAME}"),
        ({"description": "x" * (MAX_DESCRIPTION + 1)}, 5006, "Length of '/description' must be"),
        ({"description": 1}, 5006, "Type mismatch of '/description'"),
        ({"public": 1}, 5006, "Type mismatch of '/public', 'boolean' not in 'integer'"),
        ({"name": "a/b"}, 5006, "'/name' must be printable"),
        ({"name": ".."}, 5006, "'/name' must be printable"),
        ({"name": "a\n"}, 5006, "'/name' must be printable"),
        ({"name": " a"}, 5006, "'/name' must be printable"),
        ({"name": "public"}, 5006, "not 'public'"),
        ({"name": "39fb185c-762a-4633-a2ad-7a4462940608"}, 5006, "no UUID"),
        ({"name": "cf-public-x"}, 5006, "begin with cf-public- are reserved"),
        ({"name": "homerun-public-x"}, 5006, "Names of public finetunes begin with"),
        ({"name": "x", "public": True}, 5006, "Names of public finetunes begin with"),
        ({"model": "@cf/no/model"}, 5007, "No such model @cf/no/model"),
        ({"model": INT8}, 5005, f"The model {INT8} does not support LoRA inference"),
        ({"model": "../x"}, 3042, "The model name is invalid"),
    ],
)
def test_what_cannot_be_created(fields: dict[str, Any], code: int, told: str, app: Any):
    answer = create(app, **fields)
    assert answer.code == code
    assert told in answer.json["errors"][0]["message"]
    assert ask(app, ROOT).json["result"] == []


def test_bodies_that_are_no_objects(app: Any):
    for body, code in ((b"", 3003), (b"[]", 5006), (b"{", 5006), (b"\xff", 5006)):
        assert ask(app, ROOT, "POST", body=body).code == code


def test_unknown_fields_are_named_and_names_are_taken_once(app: Any):
    first = create(app, colour="red", description=None)
    assert first.headers["homerun-ignored-fields"] == "colour"
    again = create(app)
    assert (again.status, again.code) == (400, 5006)
    assert "called mine exists already" in again.json["errors"][0]["message"]


def test_the_number_of_finetunes_is_limited(tmp_path: Path):
    app = create_app(make(tmp_path, max_adapters=2))
    assert [create(app, name=name).status for name in "abc"] == [200, 200, 400]


def test_public_ones_are_listed_in_order(app: Any):
    for name in ("b", "a", "c"):
        key = f"homerun-public-{name}"
        assert create(app, name=key, public=True).json["result"]["public"] == 1
        upload_all(app, adapter_files(BASE), key)
    create(app, name="homerun-public-unready", public=True)

    def names(query: str) -> str:
        found = ask(app, f"{ROOT}/public{query}").json["result"]
        return "".join(one["name"][-1] for one in found)

    assert names("") == "bac"
    assert names("?orderBy=name") == "abc"
    assert names("?orderBy=name&limit=1&offset=1") == "b"
    assert names("?limit=0") == ""
    assert names("?offset=5") == ""
    for query in ("?limit=-1", "?limit=x", "?offset=1e9", "?orderBy=size"):
        assert ask(app, f"{ROOT}/public{query}").code == 5006


def test_tokens_keep_accounts_apart(tmp_path: Path):
    tokens = TokenStore(Database(tmp_path / FILE_NAME))
    headers = {
        account: [("authorization", f"Bearer {tokens.create('t', account)[1]}")]
        for account in ("one", "two")
    }
    app = create_app(make(tmp_path, tokens))
    roots = {name: f"/client/v4/accounts/{name}/ai/finetunes" for name in ("one", "two")}
    made = create(app, roots["one"], headers["one"])
    assert made.status == 200
    one = made.json["result"]["id"]
    assert ask(app, roots["one"], headers=headers["two"]).code == 10000
    assert ask(app, roots["two"]).status == 401
    for key in (one, "mine"):
        assert ask(app, f"{roots['two']}/{key}", headers=headers["two"]).code == 3037
        assert ask(app, f"{roots['two']}/{key}", "DELETE", headers["two"]).code == 3037
    assert create(app, roots["two"], headers["two"]).status == 200
    refused = create(app, roots["two"], headers["two"], name="homerun-public-x", public=True)
    assert "homerun adapters add --public" in refused.json["errors"][0]["message"]
    assert ask(app, f"{roots['one']}/{one}", headers=headers["one"]).status == 200


# Uploads.


@pytest.mark.parametrize("piece", [1, 7, 4096])
@pytest.mark.parametrize("file_first", [False, True])
def test_a_form_in_any_pieces_and_order(piece: int, file_first: bool, tmp_path: Path):
    app = create_app(make(tmp_path))
    create(app)
    data = os.urandom(3000).replace(b"\r\n--", b"....") + b"\r\n--\r\n--bound"
    parts = [
        b'content-disposition: form-data; name="file_name"\r\n\r\n' + WEIGHTS.encode(),
        b'content-disposition: form-data; name="file"; filename="../../x"\r\n'
        b"content-type: application/octet-stream\r\n\r\n" + data,
    ]
    if file_first:
        parts.reverse()
    body = b"".join(b"--boundary\r\n" + part + b"\r\n" for part in parts) + b"--boundary--\r\n"
    cuts = [body[at : at + piece] for at in range(0, len(body), piece)]
    messages = [{"type": "http.request", "body": cut, "more_body": True} for cut in cuts]
    headers = [("host", "localhost"), ("content-type", 'multipart/form-data; boundary="boundary"')]
    end = {"type": "http.request", "body": b"", "more_body": False}
    path = f"{ROOT}/mine/finetune-assets"
    answer = ask(app, path, "POST", headers, [*messages, end])
    assert answer.json["result"]["state"] == "uploading"
    (name,) = stored(tmp_path)
    assert (tmp_path / "adapters" / name).read_bytes() == data


def test_both_orders_of_files_and_large_ones(tmp_path: Path):
    app = create_app(make(tmp_path))
    large = adapter_files(BASE, rank=32, target_modules=["q_proj", "down_proj", "up_proj"])
    assert len(large[WEIGHTS]) > WRITE_BYTES
    for name, order in (("a", (CONFIG, WEIGHTS)), ("b", (WEIGHTS, CONFIG))):
        create(app, name=name)
        states = [upload(app, asset, large[asset], name).json["result"]["state"] for asset in order]
        assert states == ["uploading", "ready"]
        refused = upload(app, CONFIG, large[CONFIG], name)
        assert (refused.status, refused.code) == (400, 5006)
        assert "assets cannot be edited" in refused.json["errors"][0]["message"]
    assert len(stored(tmp_path)) == 4


def test_other_fields_of_a_form_are_named(app: Any):
    create(app)
    answer = upload(app, CONFIG, b"{}", comment="hi")
    assert answer.headers["homerun-ignored-fields"] == "comment"


def bad_tensors(**changes: np.ndarray) -> bytes:
    return save({**adapter_tensors(BASE), **changes})


Q0_B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
GOOD = adapter_files(BASE)


@pytest.mark.parametrize(
    ("found", "code", "told"),
    [
        ({CONFIG: b"r: 4"}, 3039, "adapter_config.json is not valid JSON"),
        (
            {CONFIG: json.dumps(adapter_config(BASE, model_type=None)).encode()},
            3039,
            "model_type is missing",
        ),
        (
            {CONFIG: json.dumps(adapter_config(BASE, model_type="gemma")).encode()},
            3030,
            "the base model is a llama model",
        ),
        (
            {CONFIG: json.dumps(adapter_config(BASE, rank=64)).encode()},
            3039,
            "r is 64, over this server's limit of 32",
        ),
        ({WEIGHTS: b"\x80\x04pickle"}, 3039, "not a safetensors file|too short"),
        ({WEIGHTS: GOOD[WEIGHTS][:-1]}, 3039, "cut off"),
        (
            {WEIGHTS: bad_tensors(**{Q0_B: np.full((256, 4), np.nan, np.float32)})},
            3039,
            "holds nan",
        ),
        (
            {WEIGHTS: bad_tensors(**{Q0_B: np.zeros((128, 4), np.float32)})},
            3030,
            r"shape \[128, 4\] where the base model needs \[256, 4\]",
        ),
    ],
)
def test_a_refused_adapter_says_why_and_can_be_put_right(
    found: dict[str, bytes], code: int, told: str, app: Any
):
    create(app)
    answer = upload_all(app, {**GOOD, **found})
    assert (answer.status, answer.code) == (400, code)
    message = answer.json["errors"][0]["message"]
    assert re.search(told, message)
    shown = ask(app, f"{ROOT}/mine").json["result"]
    assert (shown["state"], shown["version"]) == ("failed", None)
    assert shown["reason"] in message
    for name in found:
        assert upload(app, name, GOOD[name]).status == 200
    assert ask(app, f"{ROOT}/mine").json["result"]["state"] == "ready"


def test_an_adapter_is_held_to_its_catalog_model_where_the_weights_are_not_here(app: Any):
    create(app, model=GEMMA)
    answer = upload_all(app, {**GOOD, CONFIG: GOOD[CONFIG].replace(b'"llama"', b'"gemma"')})
    assert answer.code == 3030
    assert "where the base model needs [4, 2048]" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd", "/etc/passwd", "model.safetensors", "adapter_config.json\0", ""),
        *("a" * 999, "..\\x", "ADAPTER_CONFIG.JSON", " adapter_config.json"),
    ],
)
def test_only_the_two_names_are_taken(name: str, app: Any, tmp_path: Path):
    create(app)
    answer = upload(app, name, b"{}")
    assert (answer.status, answer.code) == (400, 5006)
    assert "not in adapter_config.json,adapter_model.safetensors" in answer.body.decode()
    assert stored(tmp_path) == []
    assert ask(app, f"{ROOT}/mine").json["result"]["state"] == "new"


def part(name: str, data: str = "x") -> str:
    return f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{data}\r\n'


@pytest.mark.parametrize(
    ("content_type", "body", "told"),
    [
        ("application/json", "{}", "must be multipart/form-data"),
        ("multipart/form-data", "x", "must be multipart/form-data with a boundary"),
        (f"multipart/form-data; boundary={'b' * 300}", "x", "the form cannot be read"),
        ("multipart/form-data; boundary=b", "", "the form is cut off"),
        ("multipart/form-data; boundary=b", "garbage", "the form cannot be read"),
        ("multipart/form-data; boundary=b", part("file_name", CONFIG) + part("file"), "cut off"),
        ("multipart/form-data; boundary=b", part("file") + "--b--\r\n", "'file_name,file'"),
        (
            "multipart/form-data; boundary=b",
            part("file_name", CONFIG) + "--b--\r\n",
            "'file_name,file'",
        ),
        ("multipart/form-data; boundary=b", part("file") * 2 + "--b--", "'/file' occurs twice"),
        (
            "multipart/form-data; boundary=b",
            part("file_name", CONFIG) * 2 + "--b--",
            "'/file_name' occurs twice",
        ),
        (
            "multipart/form-data; boundary=b",
            part("file_name", "a" * 2000),
            "Length of '/file_name'",
        ),
        ("multipart/form-data; boundary=b", part("x") * 100 + "--b--", "more than 64 fields"),
        (
            "multipart/form-data; boundary=b",
            part("file").replace("\r\n\r\n", "\r\ncontent-transfer-encoding: base64\r\n\r\n"),
            "must not be encoded",
        ),
        ("multipart/form-data; boundary=b", f"--b\r\nx: {'y' * 99999}", "the form cannot be read"),
    ],
)
def test_forms_that_are_none(content_type: str, body: str, told: str, app: Any, tmp_path: Path):
    create(app)
    headers = [("host", "localhost"), ("content-type", content_type)]
    path = f"{ROOT}/mine/finetune-assets"
    answer = ask(app, path, "POST", headers, body.encode())
    assert (answer.status, answer.code) == (400, 5006)
    assert told in answer.json["errors"][0]["message"]
    assert stored(tmp_path) == []


def test_what_is_too_large_is_refused_before_it_is_written(tmp_path: Path):
    app = create_app(make(tmp_path, adapter_limit=100_000))
    create(app)
    headers, body = form(WEIGHTS, bytes(200_000))
    path = f"{ROOT}/mine/finetune-assets"
    # Nothing of the body is needed to know.
    answer = ask(app, path, "POST", headers, [])
    assert (answer.status, answer.code) == (413, 3006)
    # Without a length it shows on the way.
    chunked = [one for one in headers if one[0] != "content-length"]
    answer = ask(app, path, "POST", chunked, body)
    assert (answer.status, answer.code) == (413, 3006)
    # A config has a smaller limit of its own, whichever field comes first.
    assert upload(create_app(make(tmp_path)), CONFIG, bytes(2 << 20)).code == 3006
    assert stored(tmp_path) == []
    assert ask(app, f"{ROOT}/mine").json["result"]["state"] == "new"


def test_a_client_that_leaves_midway_leaves_nothing(app: Any, tmp_path: Path):
    create(app)
    headers, body = form(WEIGHTS, bytes(3 << 20))
    half = [{"type": "http.request", "body": body[: 2 << 20], "more_body": True}]
    path = f"{ROOT}/mine/finetune-assets"
    answer = ask(app, path, "POST", headers, [*half, {"type": "http.disconnect"}])
    assert answer.code == 3008
    assert stored(tmp_path) == []


def test_an_upload_that_stops_is_given_up(tmp_path: Path):
    for limits in ({"body_timeout": 0.02}, {"upload_timeout": 0.02}):
        app = create_app(make(tmp_path, **limits))
        create(app)
        headers, body = form(WEIGHTS, b"data")
        half = [{"type": "http.request", "body": body[:-5], "more_body": True}]
        answer = ask(app, f"{ROOT}/mine/finetune-assets", "POST", headers, half)
        assert (answer.status, answer.code) == (408, 3007)
        assert stored(tmp_path) == []


def test_an_encoded_body_and_an_unknown_finetune(app: Any):
    create(app)
    headers, body = form(CONFIG, b"{}")
    path = f"{ROOT}/mine/finetune-assets"
    gzip = [*headers, ("content-encoding", "gzip")]
    assert ask(app, path, "POST", gzip, body).code == 3003
    assert upload(app, CONFIG, b"{}", "other").code == 3037
