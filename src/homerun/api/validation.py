"""Bytes of a native request -> `GenerateRequest`, or the sentence that says what is wrong.

Knows the native field names and our own limits; knows no status codes, templates or token counts.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import msgspec

from homerun.api.schema import violations
from homerun.errors import BadInput, IncompleteRequest, JsonModeUnsupported
from homerun.service.catalog import CatalogModel
from homerun.types import GenerateRequest, Message, SamplingParams

MAX_DEPTH = 64
MAX_MESSAGES = 1024
MAX_TOOLS = 128
MAX_FUNCTIONS = 64
MAX_NEW_TOKENS = 1 << 31

_LIMITS: Mapping[str, Mapping[str, object]] = {
    "messages": {"minItems": 1, "maxItems": MAX_MESSAGES},
    "tools": {"maxItems": MAX_TOOLS},
    "functions": {"maxItems": MAX_FUNCTIONS},
    "max_tokens": {"minimum": 1, "maximum": MAX_NEW_TOKENS},
}
_LORA = {"type": "string", "minLength": 1}
_TOO_DEEP = f"invalid JSON: nested deeper than {MAX_DEPTH} levels"
# Escapes one by one, pairs of surrogates as one; the group is half a pair.
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_BOOLEANS = {"true": True, "false": False}
_AS_THEY_ARE = ("prompt", "raw", "stream", "lora")
_SAMPLING: Mapping[str, Callable[[Any], Any]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "seed": int,
    "repetition_penalty": float,
    "frequency_penalty": float,
    "presence_penalty": float,
}


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request, and the names of its fields that mean nothing to us."""

    request: GenerateRequest
    ignored: tuple[str, ...]


def parse_request(body: bytes, model: CatalogModel) -> ParsedRequest:
    """Decodes and checks one native request body.

    Schema first, then what the schema lets pass and we cannot do, so that nothing known is
    ignored in silence. Raises IncompleteRequest, BadInput or JsonModeUnsupported.
    """
    fields = _normalized(decode_object(body))
    schema = enforced_schema(model)
    if sentence := next(violations(schema, fields), None):
        raise BadInput(sentence)
    if "prompt" in fields and "messages" in fields:
        # The schema admits both where one of them is wrong; neither shall be ignored.
        raise BadInput("oneOf at '/' not met, 2 matches")
    for name in ("tools", "functions"):
        if fields.get(name, []) != []:
            raise BadInput(f"'/{name}' is not supported by this server yet")
    if fields.get("response_format", {}) != {}:
        raise JsonModeUnsupported
    return ParsedRequest(_request(model.name, fields), _unknown(fields, schema))


def decode_object(body: bytes) -> dict[str, Any]:
    """JSON object in `body`; of equal keys the last one counts.

    Raises IncompleteRequest for an empty body, BadInput (with the position) for what is no JSON
    in UTF-8, numbers beyond a double, lone surrogates, nesting deeper than 64, or another type.
    """
    if not body.strip():
        raise IncompleteRequest("Request is missing headers or body: body")
    try:
        # Decoded first: msgspec counts a bad UTF-8 byte from the start of its string.
        value = cast(object, msgspec.json.decode(body.decode()))
    except UnicodeDecodeError as error:
        raise BadInput(f"invalid JSON: not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise BadInput(_TOO_DEEP) from None
    except msgspec.ValidationError:
        raise BadInput("invalid JSON: number out of range") from None
    except msgspec.DecodeError as error:
        # msgspec has several texts for these; one of them speaks of truncated input.
        if half := next((match for match in _ESCAPES.finditer(body) if match[1]), None):
            raise BadInput(f"invalid JSON: lone surrogate (byte {half.start()})") from None
        where = "" if "(byte " in str(error) else f" (byte {len(body)})"
        reason = str(error).removeprefix("JSON is malformed: ")
        raise BadInput(f"invalid JSON: {reason}{where}") from None
    if _deeper_than(value, MAX_DEPTH):
        raise BadInput(_TOO_DEEP)
    if sentence := next(violations({"type": "object"}, value), None):
        raise BadInput(sentence)
    return cast(dict[str, Any], value)


def _deeper_than(value: object, limit: int) -> bool:
    """Level by level, so that hostile nesting costs no stack."""
    level = [value]
    for _ in range(limit):
        level = [child for parent in level for child in _containers_in(parent)]
        if not level:
            return False
    return True


def _containers_in(value: object) -> list[object]:
    if isinstance(value, dict):
        children: Iterable[object] = cast(dict[str, object], value).values()
    else:
        children = cast(list[object], value) if isinstance(value, list) else ()
    return [child for child in children if type(child) in (dict, list)]


def _normalized(fields: Mapping[str, Any]) -> dict[str, Any]:
    """null means absent, and "true" and "false" are booleans where a documented sample has them."""
    present = {name: value for name, value in fields.items() if value is not None}
    if isinstance(response_format := present.get("response_format"), dict):
        given = cast(dict[str, object], response_format)
        present["response_format"] = {
            name: value for name, value in given.items() if value is not None
        }
    for name in ("raw", "stream"):
        if isinstance(text := present.get(name), str):
            present[name] = _BOOLEANS.get(text, text)
    return present


@cache
def enforced_schema(model: CatalogModel) -> Mapping[str, Any]:
    """The model's schema with our own limits, and `lora` in both branches (documented for both)."""
    branches = [
        {
            **branch,
            "properties": {
                **{
                    name: {**property_, **_LIMITS.get(name, {})}
                    for name, property_ in branch["properties"].items()
                },
                "lora": _LORA,
            },
        }
        for branch in model.input_schema["oneOf"]
    ]
    return {**model.input_schema, "oneOf": branches}


def _unknown(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, ...]:
    known = {name for branch in schema["oneOf"] for name in branch["properties"]}
    in_messages = {name for turn in fields.get("messages", ()) for name in turn}
    return (
        *(name for name in fields if name not in known),
        *sorted(f"messages[].{name}" for name in in_messages - {"role", "content"}),
    )


def _request(model: str, fields: Mapping[str, Any]) -> GenerateRequest:
    given = {name: fields[name] for name in _AS_THEY_ARE if name in fields}
    if "messages" in fields:
        given["messages"] = tuple(
            Message(turn["role"], turn["content"]) for turn in fields["messages"]
        )
    if "max_tokens" in fields:
        given["max_tokens"] = int(fields["max_tokens"])
    sampling = SamplingParams(
        **{name: convert(fields[name]) for name, convert in _SAMPLING.items() if name in fields}
    )
    return GenerateRequest(model=model, sampling=sampling, **given)
