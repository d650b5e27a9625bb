"""A body as a whole: which of the two forms it has, and whether it is JSON at all."""

import json
from contextlib import suppress

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homerun.api.validation import MAX_NEW_TOKENS, parse_request
from homerun.errors import HomerunError, IncompleteRequest
from tests.api.parsing import INT8, NOT_MET, USER, parse, refusal
from tests.api.test_schema import BODIES

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
