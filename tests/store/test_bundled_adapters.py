"""Adapters that come with the package: found by all, changed by nobody, without a row."""

import hashlib
import os
from pathlib import Path

import pytest

from homerun.errors import AdapterNotFound, AdapterRefused, ConfigurationError
from homerun.store import bundled_adapters as module
from homerun.store.adapters import ASSETS, PUBLIC_PREFIX, AdapterState, AdapterStore
from homerun.store.bundled_adapters import NOBODY, bundled_adapters, open_adapter_store

PIRATE, LABEL = "homerun-public-pirate", "homerun-public-label"
MODEL = "@homerun/rookie"


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return open_adapter_store(tmp_path)


def test_what_comes_with_homerun():
    found = bundled_adapters()
    assert [one.name for one in found] == [PIRATE, LABEL]
    assert len({one.id for one in found}) == len({one.version for one in found}) == 2
    for one in found:
        assert one.name.startswith(PUBLIC_PREFIX)
        assert (one.model, one.public, one.state) == (MODEL, True, AdapterState.READY)
        assert one.created_at == one.modified_at == 1_795_651_200_000  # 2026-11-26, UTC
        digests = b""
        for name in ASSETS:
            data = one.assets[name].path.read_bytes()
            digests += hashlib.sha256(data).digest()
            assert one.assets[name].size == len(data)
        assert one.version == hashlib.sha256(digests).hexdigest()


def test_every_account_finds_them_and_no_list_of_its_own_has_them(store: AdapterStore):
    pirate = store.get("anybody", PIRATE)
    assert store.get("somebody", pirate.id) == pirate
    assert store.all("anybody") == store.all(NOBODY) == []
    made = store.create("me", "homerun-public-mine", MODEL, "", public=True, limit=9)
    for asset in ASSETS:
        with store.new_file() as file:
            file.write(b"x")
            made = store.put(made.id, asset, file)
    mine = store.settle(made, None)
    assert [one.name for one in store.public()] == [PIRATE, LABEL, "homerun-public-mine"]
    assert store.versions() == {mine.version, *(one.version for one in bundled_adapters())}


def test_nobody_makes_edits_or_deletes_one(store: AdapterStore, tmp_path: Path):
    pirate = store.get("me", PIRATE)
    before = pirate.weights_path.read_bytes()
    for account in ("me", NOBODY):
        with pytest.raises(AdapterRefused, match="called homerun-public-pirate exists already"):
            store.create(account, PIRATE, MODEL, "", public=True, limit=9)
        for key in (PIRATE, pirate.id):
            with pytest.raises(AdapterRefused, match="comes with homerun and stays"):
                store.delete(account, key)
    with store.new_file() as file, pytest.raises(AdapterNotFound):
        store.put(pirate.id, ASSETS[1], file)
    lease = store.hold(pirate)
    lease.close()
    store.sweep()
    assert pirate.weights_path.read_bytes() == before
    assert os.listdir(tmp_path / "adapters") == []


def test_to_use_one_opens_no_database(store: AdapterStore, tmp_path: Path):
    store.hold(store.get("me", LABEL)).close()
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_not_whole_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "data").mkdir()
    listed = Path(str(module.files("homerun").joinpath("data", "adapters.toml")))
    (tmp_path / "data" / "adapters.toml").write_bytes(listed.read_bytes())
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    missing = "adapter_config.json cannot be read: No such file.*; install homerun again"
    with pytest.raises(ConfigurationError, match=missing):
        open_adapter_store(tmp_path)
