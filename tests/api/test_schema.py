"""The sentences of the public service, as recorded, and agreement with a real validator."""

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homerun.api.schema import MAX_LISTED, MAX_SHOWN, violations
from homerun.service.catalog import Catalog

STRING = {"type": "string"}
TOP_K = {"properties": {"top_k": {"type": "integer", "minimum": 1, "maximum": 50}}}
PROMPT = {**TOP_K, "required": ["prompt"]}
MESSAGES = {**TOP_K, "required": ["messages"]}


def one(schema, value):
    (sentence,) = violations(schema, value)
    return sentence


@pytest.mark.parametrize(
    ("schema", "value", "sentence"),
    [
        ({"required": ["prompt"]}, {}, "required properties at '/' are 'prompt'"),
        (
            {"oneOf": [{"required": ["input"]}, {"required": ["requests"]}]},
            {},
            "oneOf at '/' not met, 0 matches: required properties at '/' are 'input', "
            "required properties at '/' are 'requests'",
        ),
        (
            {"oneOf": [PROMPT, MESSAGES]},
            {"prompt": "x", "top_k": 51},
            "oneOf at '/' not met, 0 matches: '/top_k' must be <= 50",
        ),
        (
            {"oneOf": [PROMPT, MESSAGES]},
            {"messages": [], "top_k": 51},
            "oneOf at '/' not met, 0 matches: '/top_k' must be <= 50",
        ),
        (
            {"oneOf": [PROMPT, MESSAGES]},
            {"prompt": "x", "messages": []},
            "oneOf at '/' not met, 2 matches",
        ),
        (
            {
                "oneOf": [
                    PROMPT,
                    {
                        "properties": {
                            "messages": {
                                "items": {
                                    "properties": {"content": {"type": "array"}},
                                    "required": ["role", "content"],
                                }
                            }
                        },
                    },
                ]
            },
            {"messages": [{"role": "user", "content": "hi"}, {}]},
            "oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt', "
            "Type mismatch of '/messages/0/content', 'array' not in 'string', "
            "required properties at '/messages/1' are 'role,content'",
        ),
        (
            {"properties": {"temperature": {"maximum": 5}}},
            {"temperature": 6},
            "'/temperature' must be <= 5",
        ),
        ({"properties": {"steps": {"minimum": 1}}}, {"steps": 0}, "'/steps' must be >= 1"),
        (
            {"properties": {"max_tokens": {"type": "integer"}}},
            {"max_tokens": None},
            "Type mismatch of '/max_tokens', 'integer' not in 'null'",
        ),
        (
            {"properties": {"prompt": {"maxLength": 2048}}},
            {"prompt": "x" * 2049},
            "Length of '/prompt' must be <= 2048",
        ),
        (
            {"properties": {"speaker": {"enum": ["angus", "asteria"]}}},
            {"speaker": "nobody"},
            "enum nobody not in angus,asteria",
        ),
        (
            {"properties": {"tools": {"items": {"properties": {"type": {"enum": ["custom"]}}}}}},
            {"tools": [{"type": "function"}]},
            "enum function not in custom at '/tools/0/type'",
        ),
    ],
)
def test_recorded_sentences(schema, value, sentence):
    assert one(schema, value) == sentence


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "integer"),
        (1.0, "integer"),
        (1.5, "number"),
        ("x", "string"),
        ([], "array"),
    ],
)
def test_names_of_types(value, name):
    assert one({"type": "object"}, value) == f"Type mismatch of '/', 'object' not in '{name}'"


@pytest.mark.parametrize("value", [1, 256.0, -0.0, 10**30])
def test_integers(value):
    assert not list(violations({"type": "integer"}, value))
    assert not list(violations({"type": "number"}, value))


@pytest.mark.parametrize("value", [True, "1", None])
def test_no_numbers(value):
    assert list(violations({"type": "integer"}, value))
    assert list(violations({"type": "number"}, value))


def test_an_array_of_a_wrong_length_is_looked_at_no_further():
    schema = {"maxItems": 1, "items": STRING}
    assert one(schema, [1, 2]) == "Length of '/' must be <= 1"
    assert one({"minItems": 1}, []) == "Length of '/' must be >= 1"


def test_long_lists_and_long_texts_are_cut_and_say_so():
    sentence = one({"oneOf": [{"items": STRING}]}, [1] * 1000)
    assert sentence.count("Type mismatch") == MAX_LISTED
    assert sentence.endswith(", and more")
    assert one({"enum": ["a"]}, "b" * 1000) == f"enum {'b' * MAX_SHOWN}… not in a"
    sentence = one({"additionalProperties": STRING}, {"n" * 1000: 1})
    assert sentence == f"Type mismatch of '/{'n' * MAX_SHOWN}…', 'string' not in 'integer'"


# Agreement with jsonschema-rs on bodies that are near the schema: fields it knows, values that
# are sometimes right.
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 60),
    st.sampled_from([0.001, 0.0009, 1.0, 2, 2.1, 5, 5.1, 9999999999, 1e10, 256.0, 1e300]),
    st.sampled_from(["", "x", "json_object", "true"]),
)
TEXT_OBJECTS = st.dictionaries(
    st.sampled_from(["role", "content", "name", "code", "type", "description"]),
    st.sampled_from(["x", "", "json_schema"]) | SCALARS,
)
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("object") | SCALARS,
        "required": st.lists(st.just("a") | SCALARS, max_size=2),
        "properties": st.dictionaries(
            st.sampled_from("ab"),
            st.just({"type": "string", "description": "d"}) | TEXT_OBJECTS,
            max_size=2,
        ),
    },
)
FUNCTIONS = st.fixed_dictionaries(
    {},
    optional={"name": st.just("f"), "description": st.just("d"), "parameters": PARAMETERS},
)
TOOLS = st.one_of(
    FUNCTIONS,
    st.fixed_dictionaries({}, optional={"type": st.just("function"), "function": FUNCTIONS}),
    SCALARS,
)
FIELDS = {
    "prompt": st.just("x") | SCALARS,
    "messages": st.lists(
        st.just({"role": "user", "content": "x"}) | TEXT_OBJECTS | SCALARS, max_size=3
    ),
    "functions": st.lists(TEXT_OBJECTS, max_size=2) | SCALARS,
    "tools": st.lists(TOOLS, max_size=2) | SCALARS,
    "response_format": TEXT_OBJECTS | SCALARS,
    **dict.fromkeys(
        [
            *("lora", "raw", "stream", "max_tokens", "temperature", "top_p", "top_k", "seed"),
            *("repetition_penalty", "frequency_penalty", "presence_penalty", "unknown"),
        ],
        SCALARS,
    ),
}
BODIES = (
    st.lists(st.sampled_from(list(FIELDS)), max_size=5, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
    )
    | SCALARS
)
SCHEMAS = {model.schema: model.input_schema for model in Catalog.load()}


@pytest.mark.parametrize("name", SCHEMAS)
def test_agrees_with_a_real_validator(name):
    oracle = jsonschema_rs.Draft202012Validator(SCHEMAS[name], offline=True)

    @settings(max_examples=400, deadline=None)
    @given(BODIES)
    def agrees(body):
        assert oracle.is_valid(body) is not any(violations(SCHEMAS[name], body))

    agrees()
