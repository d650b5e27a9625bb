"""`homerun doctor`: each check on what is right and on what is wrong, then all at once."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from homerun import native
from homerun.cli import main
from homerun.cli.doctor import models, server, storage
from homerun.cli.doctor.machine import arithmetic
from homerun.cli.doctor.report import Check, Problem, as_json, is_well, page
from homerun.service.downloads import download_of
from homerun.service.library import Library
from homerun.settings import Settings
from homerun.store.database import Database, DatabaseState
from homerun.store.tokens import TokenStore

ROOKIE = Path(str(files("homerun").joinpath("data", "rookie")))
CPU = {"cpu": "A CPU", "cpus": 4, "usable_cpus": 2, "python": "3"}
SETS = ["reference", "portable", "avx2"]


def told(check: Check) -> str:
    """The problems in one line."""
    return " | ".join(f"{problem.what} -> {problem.remedy}" for problem in check.problems)


def settings(**changes: object) -> Settings:
    return Settings.from_environment({}, **changes)


# The report.


def test_the_page_and_the_object_say_the_same() -> None:
    checks = [
        Check("one", {"a_file_bytes": 5_000_000_000, "flag": True, "list": ["x", "y"]}),
        Check("two\x1b[2J", {"nothing": None}, [Problem("it broke", "mend it"), Problem("also")]),
        Check("three"),
    ]
    assert page(checks).splitlines() == [
        "one",
        "  a file   5.00 GB",
        "  flag     yes",
        "  list     x, y",
        "two[2J",
        "  nothing  -",
        "  ! it broke",
        "    -> mend it",
        "  ! also",
        "three",
        "  none",
        "",
        "2 problems, each marked with an exclamation mark.",
    ]
    found = json.loads(json.dumps(as_json(checks)))
    assert found["ok"] is False
    assert found["checks"][0]["facts"]["a_file_bytes"] == 5_000_000_000
    assert found["checks"][1]["problems"][0] == {"what": "it broke", "remedy": "mend it"}
    assert is_well(checks[:1])
    assert page(checks[:1]).endswith("\n\nNothing is wrong.")


# The machine.


def test_arithmetic_as_it_should_be() -> None:
    check = arithmetic(None, SETS, None, None, CPU)
    assert not check.problems
    facts = check.facts
    assert (facts["instruction_set"], facts["forced"], facts["threads"]) == ("avx2", False, 2)
    forced = arithmetic(None, SETS, "portable", 1, CPU)
    assert not forced.problems
    assert (forced.facts["instruction_set"], forced.facts["threads"]) == ("portable", 1)
    reference = arithmetic(None, SETS, "reference", None, CPU)
    assert (reference.facts["instruction_set"], reference.facts["threads"]) == ("reference", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("No module named x", ["reference"], None, None), "extension is not here (No module"),
        ((None, SETS, "amx", None), "INSTRUCTION_SET is amx, which this machine or build does not"),
        ((None, SETS, None, 3), "HOMERUN_THREADS is 3, and this process may use 2 CPUs"),
    ],
)
def test_arithmetic_that_is_wrong(arguments: tuple[object, ...], words: str) -> None:
    check = arithmetic(*arguments, CPU)  # type: ignore[arg-type]
    assert words in told(check)
    assert check.facts["instruction_set"] in SETS


# The disk.


def test_a_home_that_will_be_made(tmp_path: Path) -> None:
    check = storage.home(tmp_path / "a" / "b")
    assert not check.problems
    assert check.facts["exists"] is False
    assert list(tmp_path.iterdir()) == []
    checked, state = storage.database(tmp_path / "a")
    assert (checked.problems, checked.facts["exists"], state) == ((), False, None)


def test_a_home_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert "file is no directory -> mend its rights" in told(storage.home(tmp_path / "file" / "b"))
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert f"{tmp_path} cannot be written" in told(storage.home(tmp_path / "b"))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10**8)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: usage)
    check = storage.home(tmp_path)
    assert "nearly full" in told(check)
    assert check.facts["free_bytes"] == 10**8


def test_unfinished_downloads_are_told(tmp_path: Path) -> None:
    directory = download_of(tmp_path, "some/one", "0" * 40).directory
    directory.mkdir(parents=True)
    (directory / "model.safetensors.partial").write_bytes(b"?" * 1000)
    facts = storage.home(tmp_path).facts
    assert facts["unfinished_downloads"] == ["some/one"]
    assert facts["unfinished_downloads_bytes"] == 1000


def test_databases(tmp_path: Path) -> None:
    store = TokenStore(Database(tmp_path / "homerun.db"))
    store.create("one")
    check, state = storage.database(tmp_path)
    assert (list(check.problems), state and state.tokens) == ([], 1)
    assert check.facts["schema"] == check.facts["newest_schema"]
    store.close()
    (tmp_path / "homerun.db").write_bytes(b"broken" * 1000)
    check, state = storage.database(tmp_path)
    assert state is None
    assert "is damaged or not a SQLite database" in told(check)


# Models.


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def checked(library: Library, available: int | None = 1 << 40, **options: object) -> Check:
    full = bool(options.pop("full", False))
    one = library.get("mine")
    return models.imported(one, settings(**options), "avx2", available, full=full)


def test_a_model_that_can_be_served(library: Library) -> None:
    library.add("mine", ROOKIE, "int8")
    check = checked(library)
    assert not check.problems
    assert (check.facts["dtype"], check.facts["source"]) == ("int8", str(ROOKIE))
    assert check.facts["weights_bytes"] == library.get("mine").size
    assert check.facts["checksums"] == "not read (--full)"
    assert checked(library, full=True).facts["checksums"] == "fit"
    half = checked(library, kv_memory=1 << 20).facts["kv_cache_bytes"]
    assert isinstance(half, int)
    assert (1 << 19) < half <= 1 << 20
    slow = models.imported(library.get("mine"), settings(), "reference", None, full=False)
    assert slow.facts["weights_bytes"] > 3 * library.get("mine").size  # type: ignore[operator]


def test_models_that_cannot_be_served(library: Library) -> None:
    directory = library.add("mine", ROOKIE, "int8").directory
    path = directory / "model.homerun"
    original = path.read_bytes()
    changed = bytearray(original)
    changed[-70_000] ^= 4
    path.write_bytes(changed)
    assert not checked(library).problems  # the quick look does not read so far
    assert "is damaged" in told(checked(library, full=True))
    for data, words in (
        (original[:-1], "is cut off"),
        (original[:8] + b"\x09" + original[9:], "has format 9"),
        (b"GGUF" * 100, "is not a packed file"),
    ):
        path.write_bytes(data)
        text = told(checked(library))
        assert words in text
        assert "homerun models rm mine deletes it" in text
    path.write_bytes(original)
    assert "'fp64' is none of" in told(checked(library, kv_dtype="fp64"))
    assert "HOMERUN_DTYPE is bf16, and this file holds int8" in told(checked(library, dtype="bf16"))
    assert not checked(library, dtype="int8").problems
    (directory / "tokenizer.json").unlink()
    assert "has no tokenizer.json" in told(checked(library))


def test_what_comes_with_the_package(tmp_path: Path) -> None:
    rookie = next(one for one in models.Catalog.load() if one.bundled)
    assert not models.bundled(rookie, ROOKIE).problems
    broken = Path(shutil.copytree(ROOKIE, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"?")
    assert "install homerun again" in told(models.bundled(rookie, broken))


# Address, tokens, settings.


@pytest.mark.parametrize(
    ("changes", "state", "mode", "words"),
    [
        ({}, None, "open", ""),
        ({"host": "::1"}, (0, 0), "open", ""),
        ({}, (3, 1), "closed", ""),
        ({"host": "0.0.0.0", "token": "x"}, None, "closed", ""),
        ({"host": "0.0.0.0"}, None, "open", "can be reached by other machines"),
        ({"host": "0.0.0.0"}, (0, 0), "open", "can be reached by other machines"),
        ({}, (2, 0), "closed", "every token is revoked"),
        ({"token": "x"}, (2, 0), "closed", ""),
        ({"token": "a b"}, None, "closed", "must be ASCII characters without spaces"),
    ],
)
def test_who_may_ask(
    changes: dict[str, object], state: tuple[int, int] | None, mode: str, words: str
) -> None:
    check = server.access(settings(**changes), state and DatabaseState(1, 1, *state))
    assert check.facts["mode"] == mode
    assert (words in told(check)) if words else not check.problems


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one.getsockname()[1]


def test_the_address(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    free = server.address(settings(port=0))
    assert (free.facts["answers"], list(free.problems)) == (server.NOBODY, [])
    monkeypatch.setattr("homerun.cli.client.Client.not_ready", silent)
    other = server.address(settings(port=taken))
    assert other.facts["answers"] == server.OTHERS
    assert f"Port {taken} is taken by" in told(other)
    many = server.address(settings(port=0, max_connections=1 << 30))
    assert "needs 1073741888 open files" in told(many)
    for reasons, words in (([], "homerun, ready"), (["x broke"], "homerun, not ready")):
        monkeypatch.setattr("homerun.cli.client.Client.not_ready", lambda self, r=reasons: r)
        check = server.address(settings(port=taken))
        assert check.facts["answers"] == words
        assert [problem.what for problem in check.problems] == [f"not ready: {r}" for r in reasons]


def silent(self: object) -> list[str]:
    raise server.ServerError("nobody")


def test_settings_in_force_without_secrets() -> None:
    chosen = settings(token="hr_secret", threads=3, allow_host=("a", "b"), home=Path("/somewhere"))
    check = server.in_force(chosen, {}, None)
    assert check.facts == {
        "allow_host": ["a", "b"],
        "home": "/somewhere",
        "threads": 3,
        "token": "set, not shown",
    }
    assert not check.problems
    assert "secret" not in page([check])


def test_variables_that_mean_nothing() -> None:
    environment = {"HOMERUN_MAX_QUEU": "1", "HOMERUN_X": "", "PATH": "", "HOMERUN_PORT": "1"}
    check = server.in_force(settings(), environment, "HOMERUN_PORT='x' is not a valid int")
    assert [(problem.what, problem.remedy) for problem in check.problems] == [
        ("HOMERUN_PORT='x' is not a valid int", "the defaults are shown instead"),
        ("HOMERUN_MAX_QUEU is no setting and changes nothing", "is HOMERUN_MAX_QUEUE meant?"),
        ("HOMERUN_X is no setting and changes nothing", "docs/cli.md lists the settings"),
    ]


def test_dtypes_that_are_none() -> None:
    words = told(server.in_force(settings(dtype="int4", kv_dtype="x"), {}, None))
    assert "HOMERUN_DTYPE 'int4' is none of" in words
    assert "HOMERUN_KV_DTYPE 'x' is none of" in words


def test_extras() -> None:
    assert server.extras("2.4.0", True).facts == {"hub": "huggingface-hub 2.4.0"}
    assert "pip install 'homerun[hub]'" in str(server.extras(None, False).facts["hub"])


# All at once.


@pytest.fixture
def doctor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> "object":
    for variable in [name for name in os.environ if name.startswith("HOMERUN_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOMERUN_HOME", str(tmp_path / "home"))

    def run(*words: str) -> tuple[object, str]:
        monkeypatch.setattr("sys.argv", ["homerun", "doctor", "--port", "0", *words])
        with pytest.raises(SystemExit) as caught:
            main.main()
        out, err = capsys.readouterr()
        assert err == ""
        return caught.value.code, out

    return run


def test_a_well_machine(doctor: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not what the machine of a test happens to be short of.
    monkeypatch.setattr("homerun.cli.doctor.command.available_memory", lambda: None)
    monkeypatch.setattr("homerun.native._missing", None)
    Library(tmp_path / "home").add("mine", ROOKIE)
    status, out = doctor("--full")  # type: ignore[operator]
    assert status == 0, out
    assert out.endswith("\nNothing is wrong.\n")
    assert "model mine\n" in out
    status, out = doctor("--json")  # type: ignore[operator]
    found = json.loads(out)
    assert (status, found["ok"]) == (0, True)
    by_subject = {check["subject"]: check["facts"] for check in found["checks"]}
    assert by_subject["arithmetic"]["instruction_set"] == native.instruction_set()
    assert by_subject["model mine"]["dtype"] == "fp16"
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["models"]


def test_a_sick_one(doctor: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that can be told is told, also where settings cannot be read."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "homerun.db").write_bytes(b"broken" * 1000)
    monkeypatch.setenv("HOMERUN_TOKEN", "hr_secret")
    monkeypatch.setenv("HOMERUN_THREADS", "many")
    status, out = doctor("--json")  # type: ignore[operator]
    found = json.loads(out)
    assert (status, found["ok"]) == (1, False)
    assert "HOMERUN_THREADS='many' is not a valid int" in out
    assert "hr_secret" not in out
    monkeypatch.delenv("HOMERUN_THREADS")
    status, out = doctor()  # type: ignore[operator]
    assert status == 1
    assert "is damaged or not a SQLite database" in " ".join(out.split())
    assert "hr_secret" not in out
