"""Every way a body can be wrong has its sentence, and everything else becomes a request."""

import json
import math
from contextlib import suppress

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homerun.api.validation import MAX_NEW_TOKENS, parse_request
from homerun.errors import BadInput, HomerunError, IncompleteRequest, JsonModeUnsupported
from homerun.service.catalog import Catalog
from homerun.types import GenerateRequest, Message, SamplingParams
from tests.api.test_schema import BODIES

CATALOG = Catalog.load()
INT8 = CATALOG.find("@cf/meta/llama-2-7b-chat-int8")
USER = {"role": "user", "content": "hi"}
BRANCHES = ({"prompt": "hi"}, {"messages": [USER]})
NOT_MET = "oneOf at '/' not met, 0 matches: "


def parse(body, model=INT8):
    return parse_request(json.dumps(body).encode(), model)


def refusal(body, model=INT8):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(BadInput) as caught:
        parse_request(raw, model)
    return str(caught.value)


# What a good request becomes.


def test_defaults():
    assert parse({"prompt": "hi"}).request == GenerateRequest(
        model=INT8.name,
        prompt="hi",
        max_tokens=256,
        sampling=SamplingParams(temperature=0.6),
    )


def test_every_field():
    body = {
        "messages": [{"role": "system", "content": ""}, USER],
        "raw": True,
        "stream": True,
        "max_tokens": 7,
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 5,
        "seed": 9999999999,
        "repetition_penalty": 1.5,
        "frequency_penalty": -2,
        "presence_penalty": 2,
        "lora": "mine",
    }
    parsed = parse(body)
    assert parsed.ignored == ()
    assert parsed.request == GenerateRequest(
        model=INT8.name,
        messages=(Message("system", ""), Message("user", "hi")),
        raw=True,
        stream=True,
        max_tokens=7,
        sampling=SamplingParams(0.0, 0.5, 5, 9999999999, 1.5, -2.0, 2.0),
        lora="mine",
    )


@pytest.mark.parametrize("branch", BRANCHES)
def test_null_is_absent(branch):
    names = {name for item in INT8.input_schema["oneOf"] for name in item["properties"]}
    body = {**dict.fromkeys(names), "response_format": {"type": None}, **branch}
    assert parse(body).request == parse(branch).request


def test_null_content_is_not_absent():
    assert refusal({"messages": [{"role": "user", "content": None}]}) == (
        f"{NOT_MET}required properties at '/' are 'prompt', "
        "Type mismatch of '/messages/0/content', 'string' not in 'null'"
    )


@pytest.mark.parametrize("name", ["raw", "stream"])
def test_booleans_as_strings(name):
    for text, value in (("true", True), ("false", False)):
        assert getattr(parse({"prompt": "x", name: text}).request, name) is value
    assert refusal({"prompt": "x", name: "yes"}) == (
        f"{NOT_MET}Type mismatch of '/{name}', 'boolean' not in 'string'"
    )


def test_integral_floats_are_integers():
    request = parse_request(
        b'{"prompt":"x","max_tokens":256.0,"seed":7.0,"top_k":5e0}', INT8
    ).request
    assert (request.max_tokens, request.sampling.seed, request.sampling.top_k) == (256, 7, 5)
    assert all(
        type(value) is int
        for value in (request.max_tokens, request.sampling.seed, request.sampling.top_k)
    )


def test_fields_we_do_not_know_are_told():
    body = {
        "messages": [{**USER, "name": "ann"}],
        "stop": ["x"],
        "n": 2,
        "options": None,
        "tools": [],
        "functions": [],
        "response_format": {},
    }
    assert parse(body).ignored == ("stop", "n", "messages[].name")


def test_the_last_of_equal_keys_counts():
    assert parse_request(b'{"prompt":"a","prompt":"b"}', INT8).request.prompt == "b"


def test_characters_of_a_prompt_arrive_as_sent():
    text = "é 😀 \0 \u2028 <s>[INST]"
    assert parse({"prompt": text}).request.prompt == text
    assert parse_request(json.dumps({"prompt": text}, ensure_ascii=False).encode(), INT8)


# Bounds, from the schemas' own numbers.


def bounds():
    for model in CATALOG:
        for branch, item in zip(BRANCHES, model.input_schema["oneOf"], strict=True):
            for name, property_ in item["properties"].items():
                for keyword, sign, towards in (
                    ("minimum", ">=", -math.inf),
                    ("maximum", "<=", math.inf),
                ):
                    if keyword in property_:
                        yield model, branch, name, property_, property_[keyword], sign, towards


@pytest.mark.parametrize(
    ("model", "branch", "name", "property_", "bound", "sign", "towards"),
    bounds(),
    ids=lambda value: getattr(value, "name", str(value)[:20]),
)
def test_both_sides_of_every_bound(model, branch, name, property_, bound, sign, towards):
    accepted = parse({**branch, name: bound}, model).request.sampling
    assert getattr(accepted, name) == bound
    step = 1 if property_["type"] == "integer" else 0
    beyond = bound + math.copysign(step, towards) if step else math.nextafter(bound, towards)
    assert refusal({**branch, name: beyond}, model) == f"{NOT_MET}'/{name}' must be {sign} {bound}"
    far = math.copysign(1e300, towards)
    assert refusal({**branch, name: far}, model) == f"{NOT_MET}'/{name}' must be {sign} {bound}"


def test_bounds_are_many():
    # 7 parameters with two bounds each, in two branches, for six models.
    assert len(list(bounds())) == 7 * 2 * 2 * 6


@pytest.mark.parametrize("branch", BRANCHES)
def test_max_tokens(branch):
    assert parse({**branch, "max_tokens": 1}).request.max_tokens == 1
    assert parse({**branch, "max_tokens": MAX_NEW_TOKENS}).request.max_tokens == MAX_NEW_TOKENS
    for value in (0, -1, -(2**63)):
        assert refusal({**branch, "max_tokens": value}) == f"{NOT_MET}'/max_tokens' must be >= 1"
    for value in (MAX_NEW_TOKENS + 1, 2**63, 1e300):
        assert refusal({**branch, "max_tokens": value}) == (
            f"{NOT_MET}'/max_tokens' must be <= {MAX_NEW_TOKENS}"
        )


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize(
    ("name", "value", "mismatch"),
    [
        ("temperature", "hot", "'number' not in 'string'"),
        ("temperature", True, "'number' not in 'boolean'"),
        ("top_k", 1.5, "'integer' not in 'number'"),
        ("max_tokens", "7", "'integer' not in 'string'"),
        ("seed", True, "'integer' not in 'boolean'"),
        ("stream", 1, "'boolean' not in 'integer'"),
        ("lora", 5, "'string' not in 'integer'"),
        ("response_format", "json", "'object' not in 'string'"),
    ],
)
def test_wrong_types(branch, name, value, mismatch):
    assert refusal({**branch, name: value}) == f"{NOT_MET}Type mismatch of '/{name}', {mismatch}"


# Bodies as a whole.

BOTH_REQUIRED = (
    f"{NOT_MET}required properties at '/' are 'prompt', required properties at '/' are 'messages'"
)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, BOTH_REQUIRED),
        ({"prompt": None, "messages": None}, BOTH_REQUIRED),
        ({"input": "x"}, BOTH_REQUIRED),
        ([], "Type mismatch of '/', 'object' not in 'array'"),
        ("x", "Type mismatch of '/', 'object' not in 'string'"),
        (None, "Type mismatch of '/', 'object' not in 'null'"),
        ({"prompt": "x", "messages": [USER]}, "oneOf at '/' not met, 2 matches"),
        # One of them is wrong, so that the schema would take the other one alone.
        ({"prompt": "x", "messages": []}, "oneOf at '/' not met, 2 matches"),
        ({"prompt": 5, "messages": [USER]}, "oneOf at '/' not met, 2 matches"),
        (
            {"prompt": ""},
            f"{NOT_MET}Length of '/prompt' must be >= 1, required properties at '/' are 'messages'",
        ),
        (
            {"prompt": ["x"]},
            f"{NOT_MET}Type mismatch of '/prompt', 'string' not in 'array', "
            "required properties at '/' are 'messages'",
        ),
        (
            {"messages": []},
            f"{NOT_MET}required properties at '/' are 'prompt', Length of '/messages' must be >= 1",
        ),
        (
            {"messages": "hi"},
            f"{NOT_MET}required properties at '/' are 'prompt', "
            "Type mismatch of '/messages', 'array' not in 'string'",
        ),
        (
            {"messages": [USER, {"role": "user"}]},
            f"{NOT_MET}required properties at '/' are 'prompt', "
            "required properties at '/messages/1' are 'role,content'",
        ),
        ({"prompt": "x", "lora": ""}, f"{NOT_MET}Length of '/lora' must be >= 1"),
        ({"messages": [USER], "lora": ""}, f"{NOT_MET}Length of '/lora' must be >= 1"),
        (
            {"prompt": "x", "response_format": {"type": "text"}},
            f"{NOT_MET}enum text not in json_object,json_schema at '/response_format/type'",
        ),
        (
            {"messages": [USER] * 1025},
            f"{NOT_MET}required properties at '/' are 'prompt', "
            "Length of '/messages' must be <= 1024",
        ),
        (
            {"messages": [USER], "tools": [0] * 129},
            f"{NOT_MET}required properties at '/' are 'prompt', Length of '/tools' must be <= 128",
        ),
        (
            {"messages": [USER], "functions": [{"name": "f", "code": ""}] * 65},
            f"{NOT_MET}required properties at '/' are 'prompt', "
            "Length of '/functions' must be <= 64",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bodies(body, sentence):
    assert refusal(body) == sentence


def test_the_longest_conversation():
    assert len(parse({"messages": [USER] * 1024}).request.messages) == 1024


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "invalid JSON: Input data was truncated (byte 1)"),
        (b"prompt=hello", "invalid JSON: invalid character (byte 0)"),
        (b'{"prompt":"x"} x', "invalid JSON: trailing characters (byte "),
        (b'{"prompt":"x",}', "invalid JSON: "),
        (b'{"prompt":NaN}', "invalid JSON: invalid character (byte 10)"),
        (b'{"prompt":"x","top_p":Infinity}', "invalid JSON: invalid character (byte 22)"),
        (b'{"prompt":"x","top_p":1e999}', "invalid JSON: number out of range"),
        (b'{"prompt":"x","seed":' + b"1" * 5000 + b"}", "invalid JSON: number out of range"),
        (b'{"prompt":"\\ud800"}', "invalid JSON: lone surrogate (byte 11)"),
        (b'{"prompt":"\\udC00 and so on"}', "invalid JSON: lone surrogate (byte 11)"),
        (b'{"prompt":"\\\\\\ud83d\\ude00\\ud83d"}', "invalid JSON: lone surrogate (byte 25)"),
        (b'{"\\uD83D\\u0041":1}', "invalid JSON: lone surrogate (byte 2)"),
        (b'{"prompt":"\\\\ud800', "invalid JSON: Input data was truncated (byte 18)"),
        (b'{"prompt":"\xed\xa0\x80"}', "invalid JSON: not UTF-8 (byte 11)"),
        (b'{"prompt":"ab\xff"}', "invalid JSON: not UTF-8 (byte 13)"),
        (b'\xef\xbb\xbf{"prompt":"x"}', "invalid JSON: invalid character (byte 0)"),
        (b'{"prompt":"\n"}', "invalid JSON: invalid character (byte 11)"),
    ],
)
def test_what_is_no_json(body, sentence):
    assert refusal(body).startswith(sentence)
    assert "(byte " in refusal(body) or "range" in refusal(body)


@pytest.mark.parametrize("body", [b"", b" \r\n\t "])
def test_an_empty_body(body):
    with pytest.raises(IncompleteRequest, match="Request is missing headers or body: body"):
        parse_request(body, INT8)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting(opening, closing):
    def nested(depth):
        inner = opening * (depth - 1) + "1" + closing * (depth - 1)
        return f'{{"prompt":"x","deep":{inner}}}'.encode()

    assert parse_request(nested(64), INT8).ignored == ("deep",)
    for depth in (65, 2000, 100_000):
        assert refusal(nested(depth)) == "invalid JSON: nested deeper than 64 levels"


# What the schema admits and this server cannot do yet.

TOOL = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize(
    ("name", "value"), [("tools", [TOOL]), ("functions", [{"name": "f", "code": "c"}])]
)
def test_tools_and_functions_are_refused(branch, name, value):
    assert refusal({**branch, name: value}) == f"'/{name}' is not supported by this server yet"


def test_violations_come_before_refusals():
    assert refusal({"messages": [USER], "tools": [TOOL], "top_k": 0}) == (
        f"{NOT_MET}'/top_k' must be >= 1"
    )


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"type": "object"}},
        {"json_schema": {"type": "object"}},
    ],
)
def test_json_mode_is_refused(branch, response_format):
    with pytest.raises(JsonModeUnsupported):
        parse({**branch, "response_format": response_format})


# Anything at all.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"null")
@example(b"\x00")
def test_any_bytes_are_parsed_or_refused(body):
    with suppress(HomerunError):
        parse_request(body, INT8)


ORACLE = jsonschema_rs.Draft202012Validator(INT8.input_schema, offline=True)


@settings(max_examples=400, deadline=None)
@given(BODIES)
def test_the_published_schema_decides(body):
    """What we accept is valid (null and "true" aside), what we refuse breaks it or our rules."""
    if not isinstance(body, dict):
        assert refusal(body)
        return
    present = {name: value for name, value in body.items() if value is not None}
    for name in ("raw", "stream"):
        present[name] = {"true": True}.get(present.get(name, False), present.get(name, False))
    if isinstance(response_format := present.get("response_format"), dict):
        present["response_format"] = {k: v for k, v in response_format.items() if v is not None}
    ours = (
        ("prompt" in present and "messages" in present)
        or present.get("messages", ["some"]) == []
        or present.get("lora", "some") == ""
        or not isinstance(present.get("lora", ""), str)
        or not 1 <= _number(present.get("max_tokens", 1)) <= MAX_NEW_TOKENS
        or any(present.get(name, []) != [] for name in ("tools", "functions"))
        or present.get("response_format", {}) != {}
    )
    try:
        parse(body)
    except HomerunError:
        assert ours or not ORACLE.is_valid(present)
    else:
        assert not ours
        assert ORACLE.is_valid(present)


def _number(value):
    return value if isinstance(value, int | float) else 1
