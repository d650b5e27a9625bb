"""A database that is only looked at: what it holds, what is wrong, and not a byte changed."""

import os
import sqlite3
from pathlib import Path

import pytest

from homerun.errors import ConfigurationError
from homerun.store.database import Database, DatabaseState, inspect, migrations
from homerun.store.tokens import TokenStore

NEWEST = max(migrations())


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "homerun.db"
    store = TokenStore(Database(path))
    assert inspect(path) == DatabaseState(NEWEST, NEWEST, 0, 0)
    token, _ = store.create("one")
    store.create("two")
    store.revoke(token.id)
    assert inspect(path) == DatabaseState(NEWEST, NEWEST, 2, 1)  # while it is in use
    store.close()
    before = contents(tmp_path)
    assert inspect(path).tokens == 2
    assert contents(tmp_path) == before


def test_an_old_one_is_not_migrated(tmp_path: Path) -> None:
    path = tmp_path / "homerun.db"
    sqlite3.connect(path).close()
    assert inspect(path) == DatabaseState(0, NEWEST, 0, 0)
    assert path.stat().st_size == 0


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "homerun.db"
    with pytest.raises(ConfigurationError, match="cannot be used as homerun's database"):
        inspect(path)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigurationError, match="is damaged or not a SQLite database"):
        inspect(path)
    path.unlink()
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={NEWEST + 1}")
    connection.close()
    with pytest.raises(ConfigurationError, match="was written by a newer homerun"):
        inspect(path)


def test_damage_inside_is_found(tmp_path: Path) -> None:
    path = tmp_path / "homerun.db"
    store = TokenStore(Database(path))
    for number in range(200):
        store.create(f"token {number}")
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(2, size // 4096):
            file.seek(page * 4096 + 100)
            file.write(os.urandom(2000))
    with pytest.raises(ConfigurationError):
        inspect(path)
