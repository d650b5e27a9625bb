"""Reads what a checkpoint directory says about its tokens besides tokenizer.json.

Knows file and field names; knows nothing of encoding.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from homerun.errors import CheckpointError
from homerun.files import read_if_there

_NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token")
_TOKEN_LISTS = ("additional_special_tokens", "extra_special_tokens")


@dataclass(frozen=True, slots=True)
class TokenizerConfig:
    """The parts of tokenizer_config.json, config.json and the template files that matter here."""

    bos_token: str | int | None
    """Its string, or its id where only config.json names it."""
    eos_token: str | int | None
    add_bos: bool
    """False only where the checkpoint says `add_bos_token: false`."""
    special_tokens: frozenset[str]
    """Every token that tokenizer_config.json gives a special role."""
    chat_template: str | None
    """Jinja source, None where the checkpoint has none."""


def read_tokenizer_config(directory: Path) -> TokenizerConfig:
    """Reads the optional files of a checkpoint. Raises CheckpointError where one is malformed."""
    fields = _read_object(directory / "tokenizer_config.json")
    config = _read_object(directory / "config.json")
    special = {_token(fields.get(name)) for name in _NAMED_TOKENS}
    for name in _TOKEN_LISTS:
        entries = fields.get(name)
        if isinstance(entries, dict):
            entries = list(cast(dict[str, object], entries).values())
        if isinstance(entries, list):
            special |= {_token(entry) for entry in cast(list[object], entries)}
    return TokenizerConfig(
        bos_token=_token(fields.get("bos_token")) or _id(config.get("bos_token_id")),
        eos_token=_token(fields.get("eos_token")) or _id(config.get("eos_token_id")),
        add_bos=fields.get("add_bos_token") is not False,
        special_tokens=frozenset(token for token in special if token),
        chat_template=_read_chat_template(directory, fields),
    )


def _read_chat_template(directory: Path, fields: dict[str, object]) -> str | None:
    """chat_template.jinja wins over chat_template.json, which wins over tokenizer_config.json."""
    source = _read_text(directory / "chat_template.jinja")
    if source is not None:
        return source
    document = directory / "chat_template.json"
    value = (_read_object(document) if document.exists() else fields).get("chat_template")
    if isinstance(value, list):  # several named templates: the one for plain chat
        named = {
            str(entry.get("name")): entry.get("template")
            for entry in cast(list[dict[str, object]], value)
            if isinstance(entry, dict)  # pyright: ignore[reportUnnecessaryIsInstance]
        }
        value = named.get("default")
    return value if isinstance(value, str) and value else None


def _read_object(path: Path) -> dict[str, object]:
    """A JSON object, empty where the file is missing."""
    text = _read_text(path)
    if text is None:
        return {}
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return cast(dict[str, object], value)


def _read_text(path: Path) -> str | None:
    """UTF-8, None where the file is missing. Raises CheckpointError."""
    try:
        data = read_if_there(path)
        return None if data is None else data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", error)
        raise CheckpointError(f"{path} cannot be read: {why}") from None


def _token(value: object) -> str | None:
    """A token is written as its string or as an object with `content`."""
    if isinstance(value, dict):
        value = cast(dict[str, object], value).get("content")
    return value if isinstance(value, str) and value else None


def _id(value: object) -> int | None:
    """An id, the first one of a list of ids."""
    if isinstance(value, list) and value:
        value = cast(list[object], value)[0]
    return value if isinstance(value, int) and not isinstance(value, bool) else None
