"""`homerun models` as it is typed: output, exit status, errors in words."""

from importlib.resources import files
from pathlib import Path

import pytest

from homerun.cli import main

ROOKIE = str(files("homerun").joinpath("data", "rookie"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMERUN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[object, str, str]:
    """Exit status, standard output, standard error of `homerun models WORDS`."""
    monkeypatch.setattr("sys.argv", ["homerun", "models", *words])
    with pytest.raises(SystemExit) as caught:
        main.main()
    out, err = capsys.readouterr()
    return caught.value.code, out, err


def test_from_import_to_removal(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ok(*words: str) -> str:
        status, out, err = run(capsys, monkeypatch, *words)
        assert (status, err) == (0, "")
        return out

    assert ok("list").startswith("No models are imported.")
    out = ok("import", "my/model", ROOKIE, "--dtype", "int8", "--weight-group", "128")
    assert "my/model: " in out
    assert "of int8 weights in" in out
    assert "homerun serve my/model" in out
    header, row = ok("list").splitlines()
    assert header.split() == ["NAME", "DTYPE", "SIZE", "IMPORTED", "SOURCE"]
    assert row.split()[:2] == ["my/model", "int8"]
    assert ok("check", "my/model").endswith("int8, checksums fit\n")
    text = tmp_path / "text.txt"
    text.write_text("Once upon a time there was a small dog. " * 30)
    lines = ok("check", "my/model", "--text", str(text), "--window", "64").splitlines()
    assert "windows of 64" in lines[1]
    packed, source = float(lines[2].split()[2]), float(lines[3].split()[2])
    assert lines[4].split()[1:] == [f"{100 * (packed / source - 1):+.2f}", "%"]
    assert ok("rm", "my/model").startswith("my/model is removed")
    assert list((home / "models").iterdir()) == [home / "models" / ".lock"]


@pytest.mark.usefixtures("home")
def test_a_check_computes_with_what_is_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, monkeypatch, "import", "mine", ROOKIE)[0] == 0
    monkeypatch.setenv("HOMERUN_INSTRUCTION_SET", "mmx")
    status, _, err = run(capsys, monkeypatch, "check", "mine")
    assert (status, "HOMERUN_INSTRUCTION_SET is 'mmx'" in err) == (1, True)


@pytest.mark.usefixtures("home")
def test_files_that_the_system_refuses_are_told_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = run(capsys, monkeypatch, "import", "mine", "x" * 5000)
    assert (status, out) == (1, "")
    assert err == f"homerun: {'x' * 5000}/model.homerun: File name too long\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "mine"], "no model is imported as mine"),
        (["rm", "mine"], "no model is imported as mine"),
        (["import", "mine", "/nowhere"], "/nowhere is not a directory"),
        (["import", "mine", ROOKIE, "--dtype", "int8", "--activation-group", "7"], "multiple of"),
    ],
)
@pytest.mark.usefixtures("home")
def test_errors_are_told_in_words(
    words: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, out, err = run(capsys, monkeypatch, *words)
    assert (status, out) == (1, "")
    assert err.startswith("homerun: ")
    assert told in err


def test_damage_is_found(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(capsys, monkeypatch, "import", "mine", ROOKIE)[0] == 0
    status, _, err = run(capsys, monkeypatch, "check", "mine", "--source", ROOKIE)
    assert (status, "a comparison needs a text" in err) == (1, True)
    missing = str(tmp_path / "missing.txt")
    status, _, err = run(capsys, monkeypatch, "check", "mine", "--text", missing)
    assert (status, "missing.txt cannot be read" in err) == (1, True)
    path = home / "models" / "mine" / "model.homerun"
    data = bytearray(path.read_bytes())
    data[-70000] ^= 4
    path.write_bytes(data)
    status, _, err = run(capsys, monkeypatch, "check", "mine")
    assert (status, "is damaged" in err) == (1, True)
    path.write_bytes(b"HOMERUNW" + b"\0" * 100)
    status, out, _ = run(capsys, monkeypatch, "list")
    assert (status, "unusable" in out) == (0, True)
