"""Flags over environment over defaults, and what cannot be read is named."""

from dataclasses import fields
from pathlib import Path

import pytest

from homerun.settings import Settings, parse_bytes

NARROW = {"log_level", "max_batch_tokens"}  # have tests of their own


def test_every_setting_can_come_from_the_environment() -> None:
    text = {
        "str": "text",
        "int": "7",
        "float": "2.5",
        "bool": "yes",
        "Path": "/srv",
        "tuple": "a, b",
    }
    expected = {"str": "text", "int": 7, "float": 2.5, "bool": True, "Path": Path("/srv")}
    for item in fields(Settings):
        kind = str(item.type).removeprefix("<class '").split(" |")[0].split("[")[0]
        kind = kind.removesuffix("'>").rsplit(".", 1)[-1]
        if item.name in NARROW:
            continue
        settings = Settings.from_environment({f"HOMERUN_{item.name.upper()}": text[kind]})
        assert getattr(settings, item.name) == expected.get(kind, ("a", "b")), item.name


def test_settings_that_take_only_some_values() -> None:
    given = {"HOMERUN_LOG_LEVEL": "debug", "HOMERUN_MAX_BATCH_TOKENS": "100"}
    settings = Settings.from_environment(given)
    assert (settings.log_level, settings.max_batch_tokens) == ("debug", 100)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"MAX_BATCH_TOKENS": "8"}, "MAX_SEQUENCES"),
        ({"MAX_SEQUENCES": "0"}, "MAX_SEQUENCES"),
        ({"BODY_LIMIT": "0"}, "BODY_LIMIT"),
        ({"MAX_MODEL_LEN": "0"}, "MAX_MODEL_LEN"),
        ({"SEND_TIMEOUT": "inf"}, "SEND_TIMEOUT"),
    ],
)
def test_values_that_cannot_work_are_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Settings.from_environment({f"HOMERUN_{name}": text for name, text in environment.items()})


def test_a_flag_beats_the_environment_and_none_is_no_flag() -> None:
    environment = {"HOMERUN_PORT": "1", "HOMERUN_HOST": "::1"}
    settings = Settings.from_environment(environment, port=2, host=None)
    assert (settings.host, settings.port) == ("::1", 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [("PORT", "x"), ("STAND_IN", "maybe"), ("BODY_TIMEOUT", "soon"), ("KV_MEMORY", "-1")],
)
def test_what_cannot_be_read_is_named(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"HOMERUN_{name}"):
        Settings.from_environment({f"HOMERUN_{name}": text})


@pytest.mark.parametrize("text", ["0", "-1", "100T", "x"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=f"HOMERUN_KV_MEMORY: '{text}' is not a size"):
        Settings.from_environment({"HOMERUN_KV_MEMORY": text})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("4096", 4096),
        ("1k", 1024),
        ("512M", 512 << 20),
        ("2GiB", 2 << 30),
        ("1.5gb", 3 << 29),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "0", "-5", "1T", "inf", "nan", "1e30"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_bytes(text)
