"""`homerun models pull` as it is typed: progress, tokens, what is refused."""

import io

import pytest

from homerun.cli import main
from homerun.cli.pull import Meter, progress_text


@pytest.mark.parametrize(
    ("done", "moved", "seconds", "text"),
    [
        (0, 0, 0.0, "x: 0.00 MB of 13.48 GB"),
        (10**9, 10**9, 0.5, "x: 1.00 GB of 13.48 GB"),
        (3 * 10**9, 2 * 10**9, 20.0, "x: 3.00 GB of 13.48 GB, 100.0 MB/s, 1:44 left"),
        (10**9, 10**6, 10.0, "x: 1.00 GB of 13.48 GB, 0.1 MB/s, 34:40:00 left"),
        (13_480_000_000, 13_480_000_000, 60.0, "x: 13.48 GB of 13.48 GB, 224.7 MB/s, 0:00 left"),
    ],
)
def test_the_words_of_progress(done: int, moved: int, seconds: float, text: str) -> None:
    assert progress_text("x", done, 13_480_000_000, moved, seconds) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_meter_does_not_count_what_was_here_before(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    times = iter([0.0, 0.1, 2.0, 2.1, 4.0])
    meter = Meter("x", clock=lambda: next(times))
    for done in (50, 60, 70, 80, 100):
        meter(done * 10**6, 100 * 10**6)
    lines = [line.removeprefix("\033[K") for line in terminal.getvalue().split("\r")]
    assert lines == [
        "",
        "x: 50.00 MB of 100.00 MB",
        "x: 70.00 MB of 100.00 MB, 10.0 MB/s, 0:03 left",
        "",  # the last one clears the line
    ]


def test_a_pipe_sees_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter("x")
    meter(1, 2)
    meter(2, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tiny"], "'tiny' is neither a model of the catalog nor a repository, OWNER/NAME"),
        (["a/b", "--token-from-env", "NO_SUCH"], "--token-from-env NO_SUCH: this variable is not"),
        (["a/b", "--dtype", "int4"], "--dtype 'int4' is none of"),
        (["a/b", "--weight-group", "7"], "multiple of 64"),
    ],
)
def test_errors_are_told_in_words(
    words: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setenv("HOMERUN_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr("sys.argv", ["homerun", "models", "pull", *words])
    with pytest.raises(SystemExit) as caught:
        main.main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (1, "")
    assert err.startswith("homerun: ")
    assert told in err
