"""Every way a body can be wrong has its sentence, and everything else becomes a request."""

import json
import math

import pytest

from homerun.api.validation import MAX_NEW_TOKENS, parse_request
from homerun.errors import JsonModeUnsupported
from homerun.types import GenerateRequest, Message, SamplingParams
from tests.api.parsing import BRANCHES, CATALOG, INT8, NOT_MET, USER, parse, refusal

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
