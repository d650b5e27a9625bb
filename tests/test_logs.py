"""Log lines: one line each, nothing secret, nothing that a terminal would obey."""

import io
import json
import logging

import pytest

from homerun.logs import JsonFormatter, RequestRecord, TerminalFormatter, configure_logging

TOKEN = "hr_0123456789ab_" + "ab" * 32


def record(message: str, *arguments: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("homerun.x", logging.WARNING, "x.py", 1, message, arguments, None)
    made.__dict__.update(more)
    return made


@pytest.mark.parametrize("formatter", [JsonFormatter(), TerminalFormatter()])
@pytest.mark.parametrize(
    "nasty", ["a\nb", "a\r\nb", "\x1b[31mred", "\x00", "\u2028", "\x85", "\u202e"]
)
def test_control_characters_are_escaped(formatter: logging.Formatter, nasty: str):
    line = formatter.format(record("got %s", nasty, fields={"model": nasty}))
    assert line.isascii()
    assert line.isprintable()


def test_json_lines_are_json():
    line = json.loads(JsonFormatter().format(record('a "%s"', "b\nc", fields={"n": 1})))
    assert line["event"] == 'a "b\nc"'
    assert (line["level"], line["logger"], line["n"]) == ("warning", "homerun.x", 1)
    assert line["ts"].endswith("+00:00")


@pytest.mark.parametrize("make", [JsonFormatter, TerminalFormatter])
def test_tokens_are_redacted(make: type[JsonFormatter]):
    fields = {"header": "Bearer abcdef", "token": TOKEN, "static": 'my"secret'}
    line = make(['my"secret']).format(record("token %s", TOKEN, fields=fields))
    assert TOKEN[-64:] not in line
    assert "abcdef" not in line
    assert "secret" not in line
    assert "hr_0123456789ab_[redacted]" in line


def test_exceptions_are_named_and_placed_but_not_quoted():
    try:
        try:
            raise KeyError("prompt text")
        except KeyError as error:
            raise ValueError("prompt text again") from error
    except ValueError as error:
        made = record("it broke", exc_info=(ValueError, error, error.__traceback__))
    line = JsonFormatter().format(made)
    assert "prompt text" not in line
    frames = json.loads(line)["traceback"]
    assert [frame for frame in frames if "test_logs.py" not in frame] == ["KeyError", "ValueError"]


def test_a_terminal_gets_a_readable_line():
    line = TerminalFormatter().format(record("hello", fields={"a": 1, "b": None, "c": "x y"}))
    assert line.split(" ", 1)[1] == 'warning hello a=1 c="x y" logger=homerun.x'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "kind"), [(io.StringIO(), "{"), (Terminal(), "1")])
def test_configure_chooses_by_the_stream(stream: io.StringIO, kind: str):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logging("info", stream=stream)
        RequestRecord("id").finish(200)
        logging.getLogger("x").debug("quiet")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("{") == (kind == "{")
    assert "status" in line
    assert "began" not in line


def test_only_the_first_token_is_the_first():
    request = RequestRecord("id")
    request.first_token()
    first = request.ttft_ms
    request.first_token()
    assert request.ttft_ms == first
