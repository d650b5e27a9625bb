"""JSON Schema -> the sentences in which the service says what is wrong with a value.

Knows the keywords that the catalog's schemas use and the wire's grammar for each; knows no model
and no field. Schemas that callers send never come here.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

MAX_LISTED = 16
"""Sentences listed for one value; where there are more, the last one says so."""
MAX_SHOWN = 64
"""Characters of the caller's own text that a sentence repeats."""

# By exact type, as the JSON decoder makes them: a bool is no number, and 256.0 is an integer.
_IS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: type(value) is str,
    "boolean": lambda value: type(value) is bool,
    "array": lambda value: type(value) is list,
    "object": lambda value: type(value) is dict,
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
    "number": lambda value: type(value) in (int, float),
}


def violations(schema: Mapping[str, Any], value: Any, pointer: str = "") -> Iterator[str]:
    """Yields a sentence for each violation of `schema` by `value`, lazily; none if it is valid.

    `pointer` is the JSON pointer of `value`. The rules, chosen so that every recorded answer of
    the public service comes out as it was recorded:

    * A value of the wrong type, or an array of a wrong length, is looked at no further.
    * Properties are checked first, in the schema's order; `required` is looked at only where no
      property is wrong, and names the whole list. So a bound that is broken hides that the other
      branch of a `oneOf` lacks its key, while an empty object is told of both keys.
    * A `oneOf` joins the sentences of its branches in order, each sentence once.
    """
    at = pointer or "/"
    expected = schema.get("type")
    if expected and not _IS[expected](value):
        yield f"Type mismatch of '{at}', '{expected}' not in '{_type_name(value)}'"
        return
    if "enum" in schema and value not in schema["enum"]:
        where = f" at '{at}'" if at.count("/") > 1 else ""
        yield f"enum {_shown(str(value))} not in {','.join(schema['enum'])}{where}"
    if _IS["string"](value):
        yield from _length_violations(schema, "Length", len(value), at)
    elif _IS["object"](value):
        yield from _object_violations(schema, value, pointer)
    elif _IS["array"](value):
        if wrong := list(_length_violations(schema, "Items", len(value), at)):
            yield from wrong
        elif "items" in schema:
            for index, item in enumerate(value):
                yield from violations(schema["items"], item, f"{pointer}/{index}")
    elif _IS["number"](value):
        if value > schema.get("maximum", value):
            yield f"'{at}' must be <= {schema['maximum']}"
        if value < schema.get("minimum", value):
            yield f"'{at}' must be >= {schema['minimum']}"
    if "oneOf" in schema:
        yield from _one_of_violations(schema["oneOf"], value, pointer)


def _length_violations(
    schema: Mapping[str, Any], keyword: str, length: int, at: str
) -> Iterator[str]:
    if length > schema.get(f"max{keyword}", length):
        yield f"Length of '{at}' must be <= {schema[f'max{keyword}']}"
    if length < schema.get(f"min{keyword}", length):
        yield f"Length of '{at}' must be >= {schema[f'min{keyword}']}"


def _object_violations(
    schema: Mapping[str, Any], value: dict[str, object], pointer: str
) -> Iterator[str]:
    sound = True
    known: Mapping[str, Any] = schema.get("properties", {})
    for name in known:
        if name in value:
            for sentence in violations(known[name], value[name], f"{pointer}/{name}"):
                sound = False
                yield sentence
    if "additionalProperties" in schema:
        others = schema["additionalProperties"]
        for name in value:
            if name not in known:
                for sentence in violations(others, value[name], f"{pointer}/{_shown(name)}"):
                    sound = False
                    yield sentence
    required: list[str] = schema.get("required", [])
    if sound and any(name not in value for name in required):
        yield f"required properties at '{pointer or '/'}' are '{','.join(required)}'"


def _one_of_violations(
    branches: list[Mapping[str, Any]], value: object, pointer: str
) -> Iterator[str]:
    found = [
        list(islice(violations(branch, value, pointer), MAX_LISTED + 1)) for branch in branches
    ]
    matches = sum(not sentences for sentences in found)
    if matches != 1:
        sentences = list(dict.fromkeys(sentence for branch in found for sentence in branch))
        if len(sentences) > MAX_LISTED:
            sentences[MAX_LISTED:] = ["and more"]
        listed = f": {', '.join(sentences)}" if sentences else ""
        yield f"oneOf at '{pointer or '/'}' not met, {matches} matches{listed}"


def _type_name(value: object) -> str:
    if value is None:
        return "null"
    return next(name for name, check in _IS.items() if check(value))


def _shown(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
