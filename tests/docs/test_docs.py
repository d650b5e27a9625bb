"""The documents against the code: names, commands, settings, codes and links that they mention."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

import click
import pytest
import typer
from prometheus_client.metrics import MetricWrapperBase

from homerun.api import errors as error_table
from homerun.api.validation import enforced_schema
from homerun.cli.main import app
from homerun.metrics import CANCEL_REASONS, REJECT_REASONS, Metrics
from homerun.service.catalog import Catalog
from homerun.settings import ENVIRONMENT_PREFIX, Settings, parse_bytes

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FRONT_PAGES = sorted(ROOT.glob("*.md"))
DECISIONS = sorted(page for page in (DOCS / "adr").glob("*.md") if page.name != "README.md")
PLACES = (ROOT, ROOT / "src" / "homerun")

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"(?P<path>[\w./-]+\.(?:py|md|sql|toml|cpp))(?::(?P<name>[\w.]+))?")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def spans(page: Path) -> list[str]:
    """What stands in backticks on one line."""
    return _SPAN.findall(_FENCE.sub("", read(page)))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=name)


# Files and what is in them.


@each_page
def test_files_and_names_that_are_mentioned_exist(page: Path) -> None:
    for span in spans(page):
        match = _PATH.fullmatch(span)
        if match is None:
            continue
        found = [place / match["path"] for place in PLACES if (place / match["path"]).is_file()]
        assert found, f"{span}: there is no such file"
        if match["name"]:
            assert match["name"] in definitions(found[0]), f"{span}: there is no such name"


@each_page
def test_folders_that_are_mentioned_exist(page: Path) -> None:
    for span in spans(page):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/", span):
            assert any((place / span).is_dir() for place in PLACES), span


@cache
def definitions(path: Path) -> frozenset[str]:
    """`function`, `Class`, `Class.method`, `Class.field` and `CONSTANT` of a module."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from walk(node.body, f"{prefix}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))

    return frozenset(walk(ast.parse(read(path)).body, ""))


@pytest.mark.parametrize("page", [*PAGES, *FRONT_PAGES], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", read(page))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# Commands and settings.


def commands() -> dict[str, click.Command]:
    """`serve`, `tokens create`, …: every command that does something."""

    def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield path, command
        for key, value in (inner or {}).items():
            yield from walk(value, f"{path} {key}".strip())

    return dict(walk(typer.main.get_command(app), ""))


COMMANDS = commands()


def flags_of(command: click.Command) -> set[str]:
    found = {option for parameter in command.params for option in parameter.opts}
    return {option for option in found if option.startswith("--")} | {"--help"}


def command_lines(page: Path) -> Iterator[list[str]]:
    """Words after `homerun` wherever a command is written out."""
    lines = [line for block in _FENCE.findall(read(page)) for line in block.splitlines()]
    for text in [*spans(page), *lines]:
        if text.startswith("homerun "):
            yield shlex.split(text, comments=True)[1:]


@each_page
def test_commands_and_flags_that_are_mentioned_exist(page: Path) -> None:
    all_flags = set[str]().union(*map(flags_of, COMMANDS.values()))
    for words in command_lines(page):
        if words[0] == "COMMAND":
            continue
        known = [path for path in COMMANDS if path.split() == words[: len(path.split())]]
        group = any(path.split()[: len(words)] == words for path in COMMANDS)
        assert known or group, f"homerun {' '.join(words)}"
        given = {word.strip("[]") for word in words if word.strip("[]").startswith("--")}
        assert given <= set[str]().union(*(flags_of(COMMANDS[path]) for path in known)), words
    bare = {span for span in spans(page) if re.fullmatch(r"--[a-z-]+", span)}
    assert bare <= all_flags, bare - all_flags


def section(page: Path, title: str) -> str:
    """Text under a heading, up to the next one of any level above its own sub-headings."""
    _, _, rest = read(page).partition(f"{title}\n")
    level = title.split(" ")[0]
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_flag_is_documented(path: str) -> None:
    text = section(DOCS / "cli.md", f"### `homerun {path.split()[0]}`")
    assert f"`homerun {path}" in text or f"homerun {path}" in read(DOCS / "cli.md")
    missing = {flag for flag in flags_of(COMMANDS[path]) - {"--help"} if flag not in text}
    assert not missing, missing


def test_every_setting_is_documented_with_its_default() -> None:
    row = re.compile(rf"^\| `{ENVIRONMENT_PREFIX}(\w+)` \| (.*?) \|", re.MULTILINE)
    documented = {found.lower(): default for found, default in row.findall(read(DOCS / "cli.md"))}
    assert documented.keys() == {field.name for field in fields(Settings)}
    for field in fields(Settings):
        text, default = documented[field.name].strip("`"), field.default
        if default in (None, ()):
            assert text == "none", field.name
        elif isinstance(default, bool):
            assert text == str(default).lower(), field.name
        elif isinstance(default, int):
            assert parse_bytes(text) == default, field.name
        elif default is not MISSING:
            assert text == str(default), field.name


@each_page
def test_variables_that_are_mentioned_exist(page: Path) -> None:
    names = {field.name for field in fields(Settings)}
    for variable in re.findall(rf"`{ENVIRONMENT_PREFIX}([A-Z_]+)", read(page)):
        assert variable.lower() in names, variable


# The HTTP API.


def rows(page: Path) -> list[list[str]]:
    """Cells of every table row."""
    lines = [line for line in read(page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_error_with_a_code_is_documented() -> None:
    documented = {tuple(row[:3]) for row in rows(DOCS / "api.md") if row[0].isdecimal()}
    table = error_table._TABLE  # pyright: ignore[reportPrivateUsage]
    expected = {
        (str(code), str(status), f"`{kind.__name__}`") for kind, (code, status, _) in table.items()
    }
    assert documented == expected


def test_every_field_is_documented_with_its_range_and_default() -> None:
    catalog = Catalog.load()
    standard = catalog.find("@cf/meta/llama-2-7b-chat-int8")
    gemma_2b = catalog.find("@cf/google/gemma-2b-it-lora")
    documented = {row[0].strip("`"): row for row in rows(DOCS / "api.md") if len(row) == 5}
    for branch, other in zip(
        enforced_schema(standard)["oneOf"], enforced_schema(gemma_2b)["oneOf"], strict=True
    ):
        for field, rules in branch["properties"].items():
            _, kind, at_standard, at_gemma, default = documented[field]
            assert rules["type"] in kind, field
            if "minimum" in rules:
                assert at_standard == f"{rules['minimum']} to {rules['maximum']}", field
                theirs = other["properties"][field]
                same = (theirs["minimum"], theirs["maximum"]) == (
                    rules["minimum"],
                    rules["maximum"],
                )
                bounds = f"{theirs['minimum']} to {theirs['maximum']}"
                assert at_gemma == ("same" if same else bounds), field
            if "default" in rules:
                assert default.strip("`") == str(rules["default"]).lower(), field


def test_every_model_is_documented_with_its_window() -> None:
    documented = {row[0].strip("`"): row for row in rows(DOCS / "api.md") if len(row) == 4}
    for model in Catalog.load():
        _, window, lora, schema = documented[model.name]
        assert window == f"{model.context_window:,}"
        assert lora == ("yes" if model.lora else "no")
        assert schema == ("Gemma-2B" if "gemma-2b" in model.schema else "standard")


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    documented = {
        name: (row[1], tuple(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", row[2]))))
        for row in rows(DOCS / "api.md")
        for name in re.findall(r"`(homerun_\w+)`", row[0])
    }
    metrics = Metrics("x")
    collectors = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    expected = {"homerun_build_info": ("gauge", ("version", "instruction_set"))}
    for one in collectors:
        (family,) = one.describe()
        name = family.name + "_total" * (family.type == "counter")
        expected[name] = (family.type, one._labelnames)
    assert documented == expected


def test_every_reason_of_a_metric_is_documented() -> None:
    found = {row[0].strip("`"): row[2] for row in rows(DOCS / "api.md") if len(row) == 3}
    for name, reasons in (
        ("homerun_cancelled_total", CANCEL_REASONS),
        ("homerun_rejected_total", REJECT_REASONS),
    ):
        assert set(re.findall(r"`(\w+)`", found[name])) == {"reason", *reasons}


# Decisions.


def test_the_index_of_decisions_is_complete() -> None:
    linked = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \|", read(DOCS / "adr" / "README.md"), re.M)
    assert linked == [(page.name[:4], page.name) for page in DECISIONS]
    assert [number for number, _ in linked] == [f"{n:04}" for n in range(1, len(linked) + 1)]


@pytest.mark.parametrize("page", DECISIONS, ids=name)
def test_a_decision_is_one_page_with_the_four_parts(page: Path) -> None:
    text = read(page)
    assert text.startswith(f"# {page.name[:4]}: ")
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert titles == ["Context", "Decision", "Consequences", "What would change our mind"]
    words = [word for word in text.split() if set(word) - set("|-")]
    assert 150 <= len(words) <= 350
