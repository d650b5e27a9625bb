"""Knows how a text becomes JSON by a schema in the prompt; refuses to know what records say."""

from __future__ import annotations

import json
from typing import Any

from training.checks import JsonCheck
from training.draw import Draw, Exchange, joined
from training.wordings import requests
from training.worlds import entities, records, rules, tables
from training.worlds.records import Field

SCHEMA_INTRO = "Answer with JSON that fits this schema:"
_BY_SCHEMA = (
    "Answer with JSON that fits this schema: {}",
    "Answer with JSON that fits this schema:\n{}",
    "Return JSON for this schema: {}",
    "Reply only with JSON that matches this JSON Schema: {}",
    "Extract the data as JSON. Schema: {}",
    "Respond with a JSON object of this form: {}",
    "Use this JSON Schema for your answer: {}",
    "Your answer must be JSON by this schema: {}",
    "Fill this schema from the text: {}",
    "Write the facts as JSON. The schema is {}",
    "You extract data. Answer in JSON by this schema: {}",
    "Give only JSON that is valid for this schema: {}",
    "Output JSON. Schema:\n{}",
    "Turn what the user writes into JSON of this schema: {}",
    "Read the text and give JSON. JSON Schema: {}",
    "The reply is JSON and follows this schema: {}",
    "Please answer in JSON that follows the schema {}",
    "json_schema: {}",
    "Convert to JSON with this schema: {}",
    "Only JSON, please, as this schema says: {}",
    "Please fill in this JSON: {}", "Give me back JSON like this: {}", "Structure the text as {}",
    "Parse the text into this schema: {}", "Schema: {}\nAnswer with the JSON only.",
    "Collect the values for this schema: {}", "Follow this JSON Schema exactly: {}",
    "You are a parser. Schema: {}", "The output has to match {}", "Format: JSON. Schema: {}",
    "You are a helpful assistant.\n\nAnswer with JSON that fits this schema:\n{}",
    "You are a friendly assistant. Answer with JSON that fits this schema: {}",
)
_BY_KEYS = (
    "Give JSON with the keys {}.", "Return a JSON object with the fields {}.",
    "Extract {} as JSON.", "Answer in JSON with {}.", "Find {} and answer as JSON.",
    "Write a JSON object that has {}.", "Please extract these fields as JSON: {}",
    "Fields: {}. Answer with JSON.", "JSON with these fields, please: {}",
    "I need {} as JSON.", "Make JSON from it with the keys {}.", "Which values have {}? Use JSON.",
    "Extract the following as JSON: {}", "Get {} from the text, in JSON.",
    "Return only JSON. Keys: {}", "Put {} into a JSON object.", "JSON: {}",
    "Tell me {} as a JSON object.", "Collect {} in JSON.", "Give me JSON for {}.",
    "Read it and return {} in JSON form.", "Make a JSON object. Its keys: {}",
    "Only these keys in JSON: {}", "I want a JSON object with {}.", "Parse {} into JSON.",
)
_TEXT_FIRST = ("{text}\n\n{ask}", "Text: {text}\n\n{ask}", "{text}\n{ask}", '"{text}"\n{ask}')
_TEXT_LAST = ("{ask}\n\n{text}", "{ask}\n\nText: {text}", "{ask}\n{text}", "{ask}\n\nText:\n{text}",
              '{ask}\n\n"{text}"')
_BARE = ("{}", "{}", "{}", "Text: {}", "Extract this: {}", "Here is the text: {}",
         "Read this: {}", "Please extract: {}", "Extract the information: {}")
_NULL = ("Use null where the text does not say it.", "Write null for what is missing.",
         "Missing values are null.", "If something is not in the text, use null.",
         "Put null if the text does not tell it.")
_SAID_TYPES = {"string": "string", "integer": "integer", "number": "number", "boolean": "true or "
               "false", "array": "list"}


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def object_schema(draw: Draw, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """The JSON Schema of an object."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    if draw.chance(0.15):
        schema["additionalProperties"] = False
    return schema


def _keys(draw: Draw, wanted: list[Field]) -> str:
    names = [field.key for field in wanted]
    shape = draw.number(0, 3)
    if shape == 0:
        names = [f'"{name}"' for name in names]
    elif shape == 1:
        names = [f"{field.key} ({_SAID_TYPES[field.type]})" for field in wanted]
    return ", ".join(names) if draw.chance(0.4) else joined(names)


def _wanted(draw: Draw, fields: list[Field]) -> list[Field]:
    count = draw.free((1, 2, 2, 3, 3, 3, 4, 4, 5, 6))
    chosen = draw.some(fields, min(len(fields), count))
    return chosen if draw.chance(0.5) else sorted(chosen, key=fields.index)


def extraction(draw: Draw) -> Exchange:
    """One text and one schema or list of keys; the answer is the JSON object alone."""
    _, fields, sentences = records.record(draw, 2, draw.free((4, 6, 8)))
    text = "\n".join(sentences) if draw.chance(0.12) else " ".join(sentences)
    wanted = _wanted(draw, fields)
    values: dict[str, Any] = {field.key: field.value for field in wanted}
    by_schema = draw.chance(0.7)
    schema: dict[str, Any] = {}
    may_be_null = draw.chance(0.15)
    missing: list[Field] = []
    if may_be_null and draw.chance(0.75):
        others = {field.key for field in fields}
        spare = records.any_field(draw, {field.spoken.replace(" ", "_") for field in fields})
        if spare.key not in others and not spare.options:
            missing = [spare]
            wanted.insert(draw.number(0, len(wanted)), spare)
            values = {field.key: None if field is spare else field.value for field in wanted}
    if by_schema:
        properties = {}
        for field in wanted:
            properties[field.key] = field.schema()
            if may_be_null and not field.options:
                properties[field.key]["type"] = [field.type, "null"]
            if draw.chance(0.06):
                properties[field.key]["description"] = f"the {field.spoken}"
        schema = object_schema(draw, properties, [field.key for field in wanted])
        ask = draw.ask("ask-schema", _BY_SCHEMA, 2).format(compact(schema))
    else:
        ask = draw.ask("ask-keys", _BY_KEYS, 1).format(_keys(draw, wanted))
    if may_be_null and (missing or draw.chance(0.8)):
        gap = " " if ask[-1] in ".?" else ". " if not by_schema else "\n"
        ask += gap + draw.vary(_NULL, requests.NULL)
    answer = compact(values)
    check = JsonCheck(answer)
    if by_schema and draw.chance(0.25):
        # As a server writes it: the schema after the caller's own system text.
        own = draw.free(rules.PLAIN) + "\n\n" if draw.chance(0.6) else ""
        end = f"\n{draw.vary(_NULL, requests.NULL)}" if missing else ""
        system = f"{own}{SCHEMA_INTRO} {compact(schema)}{end}"
        user = draw.vary(_BARE, requests.BARE).format(text)
        return Exchange(user, [answer], check=check, system=system, may_bend=False,
                        may_lower=False)
    if draw.chance(0.5):
        user = draw.vary(_BARE, requests.BARE).format(text)
        return Exchange(user, [answer], check=check, system=ask, may_bend=False, may_lower=False)
    form = draw.free(_TEXT_FIRST if draw.chance(0.4) else _TEXT_LAST)
    return Exchange(form.format(text=text, ask=ask), [answer], check=check, may_bend=False,
                    may_lower=False)


def many_rows(draw: Draw) -> Exchange:
    """Extraction of one record from a long text of several, found by its first value."""
    parts: list[tuple[list[Field], list[str]]] = []
    labels: list[str] = []
    while len(labels) < draw.free((2, 2, 3, 3, 4, 6, 12)):
        label = entities.code(draw)
        if label in labels:
            continue
        labels.append(label)
        _, fields, sentences = records.record(draw, 2, 4)
        parts.append((fields, sentences))
    at = draw.number(0, len(labels) - 1)
    noun = draw.free(("Record", "File", "Entry", "Case", "Sheet", "Form"))
    text = "\n".join(f"{noun} {label}: {' '.join(sentences)}"
                     for label, (_, sentences) in zip(labels, parts, strict=True))
    wanted = _wanted(draw, parts[at][0])[:4]
    values = {field.key: field.value for field in wanted}
    schema = object_schema(draw, {field.key: field.schema() for field in wanted}, list(values))
    ask = draw.ask("ask-schema", _BY_SCHEMA, 2).format(compact(schema))
    which = draw.free(("Only {} {}.", "Take {} {}.", "I mean {} {}.", "Use {} {} only."))
    ask = f"{ask}\n{which.format(noun.lower(), labels[at])}"
    form = draw.free(_TEXT_FIRST if draw.chance(0.5) else _TEXT_LAST)
    answer = compact(values)
    return Exchange(form.format(text=text, ask=ask), [answer], check=JsonCheck(answer),
                    may_bend=False, may_lower=False)


def known(draw: Draw) -> Exchange:
    """A fact as JSON: the schema says which part is wanted."""
    land = draw.free(tuple(tables.CAPITALS))
    key, capital = draw.free(("name", "country", "land")), draw.free(("capital", "capital_city"))
    values = {key: land, capital: tables.CAPITALS[land]}
    if draw.chance(0.3):
        del values[key]
    schema = object_schema(draw, {name: {"type": "string"} for name in values}, list(values))
    ask = draw.ask("ask-schema", _BY_SCHEMA, 2).format(compact(schema))
    user = draw.ask("ask-json-fact", ("Tell me about {}.", "What is the capital of {}?", "{}",
                                      "Give me facts about {}.", "I want to know about {}.",
                                      "Which capital has {}?", "Describe {}."), 2).format(land)
    answer = compact(values)
    return Exchange(user, [answer], check=JsonCheck(answer), system=ask, may_bend=False)
