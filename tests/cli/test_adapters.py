"""`homerun adapters` as it is typed: output, exit status, errors in words, files in and out."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from homerun.cli import main
from homerun.model.config import read_config
from homerun.store.adapters import ASSETS, AdapterStore
from tests.adapters import adapter_files, write_adapter
from tests.checkpoints import write_checkpoint

ROOKIE = "@homerun/rookie"
BASE = read_config(Path(str(files("homerun").joinpath("data", "rookie"))))


class Command:
    """Runs `homerun adapters WORDS` in this process."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch):
        self.home = home
        self._capsys = capsys
        self._patch = patch

    def __call__(self, *words: object) -> tuple[object, str, str]:
        """Exit status, standard output, standard error."""
        self._patch.setattr("sys.argv", ["homerun", "adapters", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main.main()
        return caught.value.code, *self._capsys.readouterr()

    def ok(self, *words: object) -> str:
        status, out, err = self(*words)
        assert (status, err) == (0, "")
        return out

    def refused(self, *words: object) -> str:
        status, out, err = self(*words)
        assert (status, out) == (1, "")
        return err


@pytest.fixture
def adapters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.setenv("HOMERUN_HOME", str(tmp_path / "home"))
    return Command(tmp_path / "home", capsys, monkeypatch)


def test_from_add_to_rm(adapters: Command, tmp_path: Path):
    assert adapters.ok("list").startswith("No adapters.")
    assert json.loads(adapters.ok("list", "--json")) == []
    source = write_adapter(tmp_path / "peft", BASE)
    out = adapters.ok("add", "mine", "--model", ROOKIE, "--description", "what it does", source)
    assert out.startswith("mine is ready: ")
    assert "homerun run @homerun/rookie --lora mine Hello" in out
    header, row = adapters.ok("list").splitlines()
    assert header.split() == ["NAME", "STATE", "SIZE", "MODEL", "MODIFIED", "ID"]
    assert row.split()[:2] == ["mine", "ready"]
    (listed,) = json.loads(adapters.ok("list", "--json"))
    shown = json.loads(adapters.ok("show", listed["id"], "--json"))
    assert shown == listed
    assert (shown["state"], shown["description"]) == ("ready", "what it does")
    text = adapters.ok("show", "mine")
    assert shown["version"] in text
    assert "adapter_model.safetensors  " in text
    adapters.ok("export", "mine", tmp_path / "out" / "there")
    for asset in ASSETS:
        copied = tmp_path / "out" / "there" / asset
        assert copied.read_bytes() == (source / asset).read_bytes()
    assert "exists already" in adapters.refused("export", "mine", tmp_path / "out" / "there")
    assert adapters.ok("rm", "mine") == f"mine ({listed['id']}) is deleted.\n"
    assert list((adapters.home / "adapters").iterdir()) == []
    for command in ("show", "rm"):
        assert adapters.refused(command, "mine") == "homerun: Finetune mine not found\n"


def test_two_files_in_any_order_and_accounts(adapters: Command, tmp_path: Path):
    source = write_adapter(tmp_path / "peft", BASE)
    paths = [source / asset for asset in reversed(ASSETS)]
    adapters.ok("add", "mine", "--model", ROOKIE, "--account", "team", *paths)
    assert adapters.ok("list").startswith("No adapters.")
    assert "mine" in adapters.ok("list", "--account", "team")
    adapters.ok("add", "homerun-public-x", "--public", "--model", ROOKIE, source)
    assert '"public": 1' in adapters.ok("show", "homerun-public-x", "--account", "team", "--json")


def test_adapters_that_come_with_homerun(adapters: Command, tmp_path: Path):
    names = ["homerun-public-pirate", "homerun-public-label"]
    assert "list --public" in adapters.ok("list")
    _, *rows = adapters.ok("list", "--public").splitlines()
    assert [row.split()[:2] for row in rows] == [[name, "ready"] for name in names]
    listed = json.loads(adapters.ok("list", "--public", "--json"))
    assert [one["name"] for one in listed] == names
    assert json.loads(adapters.ok("show", names[0], "--json")) == listed[0]
    adapters.ok("export", names[0], tmp_path / "out")
    adapters.ok("add", "mine", "--model", ROOKIE, tmp_path / "out")
    mine = json.loads(adapters.ok("show", "mine", "--json"))
    assert mine["version"] == listed[0]["version"]
    assert "comes with homerun and stays" in adapters.refused("rm", names[0])
    assert "exists already" in adapters.refused(
        "add", names[0], "--public", "--model", ROOKIE, tmp_path / "out"
    )


def test_bases_that_are_served_from_elsewhere(adapters: Command, tmp_path: Path):
    checkpoint = write_checkpoint(tmp_path / "base", "gemma")
    source = write_adapter(tmp_path / "peft", read_config(checkpoint))
    adapters.ok("add", "own", "--model", f"my/model={checkpoint}", source)
    assert AdapterStore(adapters.home).get("local", "own").model == "my/model"
    # Without its weights a catalog model is known by its shape.
    err = adapters.refused("add", "x", "--model", "@cf/google/gemma-2b-it-lora", source)
    assert "where the base model needs [4, 2048]" in err
    assert "neither in the catalog nor imported" in adapters.refused(
        "add", "x", "--model", "my/model", source
    )


def test_a_refused_adapter_leaves_nothing(adapters: Command, tmp_path: Path):
    source = write_adapter(tmp_path / "peft", BASE, rank=33)
    assert "over this server's limit of 32" in adapters.refused(
        "add", "mine", "--model", ROOKIE, source
    )
    (source / "adapter_model.safetensors").unlink()
    assert "adapter_model.safetensors: No such file" in adapters.refused(
        "add", "mine", "--model", ROOKIE, source
    )
    assert adapters.ok("list").startswith("No adapters.")
    assert list((adapters.home / "adapters").iterdir()) == []
    err = adapters.refused("add", "mine", "--model", ROOKIE, source / "adapter_config.json")
    assert "a .json and a .safetensors file" in err
    err = adapters.refused("add", "mine", "--model", "@cf/meta/llama-2-7b-chat-int8", source)
    assert "does not support LoRA" in err


def test_export_of_an_unfinished_one(adapters: Command, tmp_path: Path):
    store = AdapterStore(adapters.home)
    adapter = store.create("local", "half", ROOKIE, "", public=False, limit=9)
    with store.new_file() as file:
        file.write(adapter_files(BASE)["adapter_config.json"])
        store.put(adapter.id, "adapter_config.json", file)
    assert "half has not got both its files" in adapters.refused("export", "half", tmp_path)
    assert "uploading" in adapters.ok("list")
