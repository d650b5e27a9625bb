"""Downloads with huggingface-hub's own client against a hub of ours: whole, or told in words."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from homerun.errors import CheckpointError, ConfigurationError, DownloadError
from homerun.service import hub as hub_module
from homerun.service import pull as module
from homerun.service.comparison import compare
from homerun.service.hub import Hub
from homerun.service.library import Library, text_digest, verify
from homerun.service.pull import Progress, Wish, pull
from tests.checkpoints import write_shards

from .fake_hub import FakeHub, Repo

ROOKIE = Path(str(files("homerun").joinpath("data", "rookie")))
OWN = "someone/tiny-chat"
LLAMA = "meta-llama/Llama-2-7b-chat-hf"
GEMMA = "@cf/google/gemma-2b-it-lora"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's own token, and no pauses."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(hub_module, "PAUSE", 0.001)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        hub.repos[OWN] = Repo({path.name: path.read_bytes() for path in ROOKIE.iterdir()})
        hub.repos[OWN].files |= {
            "README.md": b"# tiny",
            "pytorch_model.bin": b"\x80\x04" * 20_000,
            "tiny.gguf": b"GGUF",
            "consolidated.safetensors": b"?" * 20_000,
        }
        yield hub


def fetch(hub: FakeHub, home: Path, model: str = OWN, **options: object):
    revision, progress = options.pop("revision", None), options.pop("progress", None)
    token = options.pop("token", None)
    wish = Wish.of(model, **options)  # type: ignore[arg-type]
    return pull(wish, Hub(token, hub.url), home, revision, progress)  # type: ignore[arg-type]


def downloads(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "downloads").iterdir() if path.name != ".lock")


def test_what_a_pull_makes(hub: FakeHub, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    progress = Progress(fetching=lambda *done: told.append(done))
    model = fetch(hub, tmp_path, name="mine", dtype="int8", progress=progress)
    commit = hub.repos[OWN].commit
    assert (model.name, model.facts.dtype) == ("mine", "int8")
    assert model.facts.source == f"hub:{OWN}@{commit}"
    assert Library(tmp_path).all() == [model]
    by_hand = Library(tmp_path / "other").add("mine", ROOKIE, "int8")
    assert model.facts.source_digest == by_hand.facts.source_digest
    assert text_digest(model.directory) == text_digest(ROOKIE)
    verify(model.directory)
    assert told == sorted(told)
    assert told[-1] == (len(hub.repos[OWN].files["model.safetensors"]),) * 2
    asked = {path.rpartition("/")[2] for _, path, _, _ in hub.log}
    assert not asked & {"pytorch_model.bin", "tiny.gguf", "README.md", "consolidated.safetensors"}
    assert downloads(tmp_path) == []
    with pytest.raises(ConfigurationError, match=rf"the download of hub:{OWN}@.* was not kept"):
        compare(model, "Once upon a time")


def test_nothing_is_fetched_twice(hub: FakeHub, tmp_path: Path) -> None:
    """The same again is there; under another name it is the same file."""
    first = fetch(hub, tmp_path, dtype="int8")
    sent = hub.sent
    assert fetch(hub, tmp_path, dtype="int8") == first
    second = fetch(hub, tmp_path, name="other", dtype="int8")
    assert hub.sent == sent
    assert (first.directory / "model.homerun").samefile(second.directory / "model.homerun")
    assert text_digest(second.directory) == text_digest(first.directory)
    Library(tmp_path).remove(first.name)
    verify(second.directory)
    fetch(hub, tmp_path, name="third", dtype="int8", groups=(64, 0))
    assert hub.sent == 2 * sent
    path = second.directory / "model.homerun"
    data = bytearray(path.read_bytes())
    data[-70_000] ^= 4
    path.write_bytes(data)
    verify(fetch(hub, tmp_path, name="other", dtype="int8").directory)
    assert hub.sent == 3 * sent
    hub.repos[OWN].files["README.md"] = b"another commit"
    commit = hub.repos[OWN].commit
    assert fetch(hub, tmp_path, name="other", dtype="int8").facts.source == f"hub:{OWN}@{commit}"
    assert hub.sent == 4 * sent


def test_a_second_name_must_fit_as_well(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos[LLAMA] = hub.repos[OWN]
    fetch(hub, tmp_path, LLAMA, dtype="fp16")
    with pytest.raises(CheckpointError, match="which llama2 chats need"):
        fetch(hub, tmp_path, "@cf/meta/llama-2-7b-chat-fp16")


def test_shards_are_those_of_the_index(hub: FakeHub, tmp_path: Path) -> None:
    source = write_shards(ROOKIE, tmp_path / "shards", 3)
    hub.repos[OWN] = Repo({path.name: path.read_bytes() for path in source.iterdir()})
    hub.repos[OWN].files["model-extra.safetensors"] = b"?" * 20_000
    model = fetch(hub, tmp_path)
    assert len(hub.ranges()) == 4  # and tokenizer.json
    verify(model.directory)
    del hub.repos[OWN].files["model-00002-of-00003.safetensors"]
    with pytest.raises(CheckpointError, match=r"index\.json names model-00002.*is not there"):
        fetch(hub, tmp_path)


def test_revisions(hub: FakeHub, tmp_path: Path) -> None:
    commit = hub.repos[OWN].commit
    for revision in ("v1", commit):
        model = fetch(hub, tmp_path / revision, revision=revision)
        assert model.facts.source.endswith(f"@{commit}")
        # Every file is asked for at the commit: the branch may move meanwhile.
        paths = [path for where, path, _, _ in hub.log if where == "front" and "/resolve/" in path]
        assert all(f"/resolve/{commit}/" in path for path in paths)
    with pytest.raises(DownloadError, match="has no branch, tag or commit 'v2'"):
        fetch(hub, tmp_path, revision="v2")


# Who may have it.


def test_a_gated_model_says_what_to_do(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos[LLAMA] = Repo(hub.repos[OWN].files, gated=True, readers=("hf_accepted",))
    hub.known_tokens = {"hf_accepted", "hf_other"}
    for token, seen in ((None, "it saw no valid token"), ("hf_other", "has no access yet")):
        with pytest.raises(DownloadError) as caught:
            fetch(hub, tmp_path, "@cf/meta/llama-2-7b-chat-int8", token=token)
        text = str(caught.value)
        for told in (
            f"{LLAMA} is gated",
            seen,
            f"{hub.url}/{LLAMA}",
            "settings/tokens",
            "HF_TOKEN",
        ):
            assert told in text
        assert "hf_other" not in text
    with pytest.raises(CheckpointError, match="which llama2 chats need"):  # but it may be read
        fetch(hub, tmp_path, "@cf/meta/llama-2-7b-chat-int8", token="hf_accepted")
    with pytest.raises(DownloadError, match=r"refuses the token \(401\): check HF_TOKEN"):
        fetch(hub, tmp_path, "@cf/meta/llama-2-7b-chat-int8", token="hf_wrong")


def test_the_token_goes_to_the_hub_alone(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.known_tokens = {"hf_mine"}
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    fetch(hub, tmp_path)
    tokens = {where: {token for at, *_, token in hub.log if at == where} for where in
              ("front", "store")}  # fmt: skip
    assert tokens == {"front": {"Bearer hf_mine"}, "store": {None}}


def test_no_such_repository(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="has no repository no/such, or it is private"):
        fetch(hub, tmp_path, "no/such")
    hub.known_tokens = {"hf_mine"}
    with pytest.raises(DownloadError, match="has no repository no/such, or it is private"):
        fetch(hub, tmp_path, "no/such", token="hf_mine")


# Connections that break, hubs that lie.


def test_a_broken_connection_is_taken_up_again(hub: FakeHub, tmp_path: Path) -> None:
    size = len(hub.repos[OWN].files["model.safetensors"])
    tokenizer = len(hub.repos[OWN].files["tokenizer.json"])
    hub.moods.cut_after = [tokenizer, 1_000_000, 0, 0, 2_000_000]
    told: list[int] = []
    progress = Progress(fetching=lambda done, _: told.append(done))
    verify(fetch(hub, tmp_path, progress=progress).directory)
    assert hub.ranges()[1:] == [f"bytes={start}-" for start in (0, 10**6, 10**6, 10**6, 3 * 10**6)]
    assert hub.sent == size + tokenizer
    assert told == sorted(told)


def test_a_hub_that_gives_nothing_is_given_up(hub: FakeHub, tmp_path: Path) -> None:
    hub.moods.cut_after = [len(hub.repos[OWN].files["tokenizer.json"]), 1000, *[0] * 99]
    with pytest.raises(DownloadError, match="broke again and again"):
        fetch(hub, tmp_path)
    assert len(hub.ranges()) == 2 + hub_module.ATTEMPTS
    hub.moods.cut_after = []
    verify(fetch(hub, tmp_path).directory)
    assert hub.ranges()[-1] == "bytes=1000-"


def test_busy_is_waited_for_and_a_fault_is_told(hub: FakeHub, tmp_path: Path) -> None:
    hub.moods.statuses = [503, 429, 200, 500, 200]
    verify(fetch(hub, tmp_path).directory)
    hub.moods.statuses = [503] * 50
    with pytest.raises(DownloadError, match="answers 503: try again later"):
        fetch(hub, tmp_path)
    hub.moods.statuses = [418]
    with pytest.raises(DownloadError, match="answers 418"):
        fetch(hub, tmp_path)


def test_a_hub_without_ranges(hub: FakeHub, tmp_path: Path) -> None:
    hub.moods.cut_after = [len(hub.repos[OWN].files["tokenizer.json"]), 1_000_000]
    hub.moods.ignores_ranges = True
    verify(fetch(hub, tmp_path).directory)


def test_a_hub_that_sends_another_part(hub: FakeHub, tmp_path: Path) -> None:
    hub.moods.from_another_byte = True
    with pytest.raises(DownloadError, match="sent another part of the file"):
        fetch(hub, tmp_path)
    assert Library(tmp_path).all() == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "its checksum or size is another"),
        (lambda data: data + b"!", "sends more of"),
        (lambda data: data[:-1], "has less of a file"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_files_that_are_not_what_they_should_be(
    name: str, change: object, told: str, hub: FakeHub, tmp_path: Path
) -> None:
    hub.moods.changed = {name: change(hub.repos[OWN].files[name])}  # type: ignore[operator]
    with pytest.raises(DownloadError) as caught:
        fetch(hub, tmp_path)
    assert told in str(caught.value)
    assert Library(tmp_path).all() == []
    hub.moods.changed = {}
    verify(fetch(hub, tmp_path).directory)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint, told in (
        ("http://127.0.0.1:9", "127.0.0.1:9 cannot be reached"),
        ("http://hub.invalid", "hub.invalid cannot be reached"),
    ):
        with pytest.raises(DownloadError, match=told) as caught:
            pull(Wish.of(OWN), Hub(None, endpoint), tmp_path)
        assert "is this machine online" in str(caught.value)
        assert "homerun models import NAME PATH" in str(caught.value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        pull(Wish.of(OWN), Hub(None, "http://127.0.0.1:9"), tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>captive portal</html>",
        b"[]",
        b"{}",
        b'{"id": "a/b", "sha": "0000000000000000000000000000000000000000"}',
        b'{"id": "a/b", "siblings": [{}]}',
        b'{"id": "a/b", "siblings": [{"rfilename": "config.json", "size": -1, "blobId": "x"}]}',
        b'{"id": "a/b", "sha": "../../../../etc", "siblings": [{"rfilename": "config.json", '
        b'"size": 1, "blobId": "0000000000000000000000000000000000000000"}]}',
    ],
)
def test_what_is_no_hub(body: bytes, hub: FakeHub, tmp_path: Path) -> None:
    hub.moods.about = body
    with pytest.raises(DownloadError, match=r"does not (answer like a hub|say what is in)"):
        fetch(hub, tmp_path)
    assert list(tmp_path.iterdir()) == []


# What is refused before anything large comes.


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        (("config.json",), "has no config.json"),
        (("tokenizer.json",), "has no tokenizer.json"),
        (("model.safetensors",), "has its weights in pytorch_model.bin"),
        (("model.safetensors", "pytorch_model.bin", "tiny.gguf"), "has neither"),
    ],
)
def test_repositories_that_are_no_checkpoint(
    removed: tuple[str, ...], told: str, hub: FakeHub, tmp_path: Path
) -> None:
    for name in removed:
        del hub.repos[OWN].files[name]
    with pytest.raises(CheckpointError, match=told):
        fetch(hub, tmp_path)
    assert hub.sent == 0


def test_what_does_not_fit_is_not_downloaded(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = len(hub.repos[OWN].files["tokenizer.json"])
    hub.repos["google/gemma-2b-it"] = hub.repos[OWN]
    with pytest.raises(CheckpointError, match="of the llama family, and @cf/google"):
        fetch(hub, tmp_path, GEMMA)
    with pytest.raises(ConfigurationError, match="groups are for int8"):
        fetch(hub, tmp_path, groups=(64, 0))
    usage = shutil.disk_usage(tmp_path)._replace(free=10**7)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    words = r"10\.00 MB free, where the download needs 13\.\d\d MB, the packed model 16\.\d\d MB"
    with pytest.raises(ConfigurationError, match=words):
        fetch(hub, tmp_path)
    assert hub.sent == 2 * small  # of two repositories
    assert Library(tmp_path).all() == []


@pytest.mark.parametrize(
    ("model", "options", "told"),
    [
        ("@cf/no/such", {}, "neither a model of the catalog nor a repository"),
        ("tiny", {}, "neither a model of the catalog nor a repository"),
        ("../../etc", {}, "cannot be the name"),
        ("a/b/c", {}, "neither"),
        ("https://hub/a", {}, "cannot be the name"),
        ("@homerun/rookie", {}, "comes with homerun"),
        (OWN, {"name": "../x"}, "cannot be the name"),
        (OWN, {"dtype": "int4"}, "'int4' is none of"),
    ],
)
def test_wishes_that_are_none(model: str, options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Wish.of(model, **options)


def test_the_client_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in ("1.4.0", "3.0", "2.3.9", "0.36.0rc1"):
        monkeypatch.setattr(hub_module, "version", lambda name, found=found: found)
        with pytest.raises(ConfigurationError, match=r"here is .*pip install 'homerun\[hub\]'"):
            Hub()

    def missing(name: str) -> str:
        raise hub_module.PackageNotFoundError(name)

    monkeypatch.setattr(hub_module, "version", missing)
    with pytest.raises(ConfigurationError, match="here is none"):
        Hub()


# Kills and full disks.


def command(hub: FakeHub, home: Path, *words: str) -> "tuple[list[str], dict[str, str]]":
    environment = {
        **os.environ,
        "HOMERUN_HOME": str(home),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
    }
    return [sys.executable, "-m", "homerun", "models", "pull", OWN, *words], environment


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_taken_up_again(how: signal.Signals, hub: FakeHub, tmp_path: Path) -> None:
    hub.hold.clear()
    words, environment = command(hub, tmp_path, "--name", "mine")
    (tmp_path / "downloads").mkdir()
    old = tmp_path / "downloads" / f"{OWN.replace('/', '%2F')}@{'0' * 40}"
    old.mkdir()
    code = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "runpy.run_module('homerun', run_name='__main__')"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words[3:]],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while not hub.sent:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            with pytest.raises(ConfigurationError, match="another homerun is changing"):
                fetch(hub, tmp_path)
            time.sleep(0.1)  # what was sent arrives
            process.send_signal(how)
            assert process.wait(60) == (-how if how == signal.SIGKILL else 130)
        finally:
            process.kill()
    assert Library(tmp_path).all() == []
    (half,) = tmp_path.glob("downloads/*/*.partial")
    here = half.stat().st_size
    assert here > 0
    hub.hold.set()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"bytes={here}-" in hub.ranges()
    assert f"from {OWN}@{hub.repos[OWN].commit}\n" in done.stdout
    paths = {path for where, path, _, _ in hub.log if where == "front"}
    assert all(path.startswith((f"/api/models/{OWN}", f"/{OWN}/resolve/")) for path in paths)
    assert "homerun serve mine" in done.stdout
    verify(Library(tmp_path).get("mine").directory)
    assert downloads(tmp_path) == []


def test_a_disk_that_fills_up(hub: FakeHub, tmp_path: Path) -> None:
    words, environment = command(hub, tmp_path)
    code = "import resource, signal, runpy; "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)); "
    code += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "runpy.run_module('homerun', run_name='__main__')"
    limited = [sys.executable, "-c", code, *words[3:]]
    done = subprocess.run(limited, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"{OWN} cannot be kept in {tmp_path}" in done.stderr
    assert "File too large" in done.stderr
    assert "the same command goes on from it" in done.stderr
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "bytes=2000000-" in hub.ranges()


# Serving.

SERVING = """
import sys
import homerun.cli.serve, homerun.cli.run, homerun.service.inference
from homerun.service.models import ModelSpec, load_models
from homerun.settings import Settings
load_models([ModelSpec("@homerun/rookie")], Settings.from_environment({}))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"huggingface_hub", "httpx2"}))
"""


def test_a_server_has_no_client_to_ask_a_hub_with() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVING], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
