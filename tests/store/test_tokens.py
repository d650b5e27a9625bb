"""Tokens and the database under them: durable, private, shared between processes."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from homerun.errors import ConfigurationError
from homerun.settings import Settings
from homerun.store import database as database_module
from homerun.store.database import FILE_NAME, Database, migrations
from homerun.store.tokens import TokenStore, is_account, open_token_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / FILE_NAME


@pytest.fixture
def store(path: Path):
    store = TokenStore(Database(path))
    yield store
    store.close()


def test_a_created_token_is_verified_and_shown_once(store: TokenStore, path: Path):
    assert not store.exists()
    token, text = store.create("laptop")
    assert text.startswith(f"hr_{token.id}_")
    assert store.verify(text) == token
    assert token.account == "local"
    assert store.exists()
    assert store.all() == (token,)


def test_no_form_of_the_secret_is_in_the_files(store: TokenStore, path: Path):
    _, text = store.create("laptop")
    secret = text.rpartition("_")[2]
    everything = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert secret.encode() not in everything
    assert bytes.fromhex(secret) not in everything


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
        lambda text: text[:3] + "0" * 12 + text[15:],
        lambda text: text.upper(),
        lambda text: text + " ",
        lambda text: text + "\n",
        lambda text: "",
        lambda text: "hr_",
        lambda text: "None",
        lambda text: "hr_x_' OR 1=1 --",
    ],
)
def test_anything_else_is_no_token(store: TokenStore, spoil):
    _, text = store.create("laptop")
    assert store.verify(spoil(text)) is None


def test_a_revoked_token_ends_and_the_server_stays_closed(store: TokenStore):
    token, text = store.create("laptop", "team-a")
    revoked = store.revoke(token.id)
    assert revoked.revoked_at is not None
    assert store.verify(text) is None
    assert store.exists()
    assert store.revoke(token.id) == revoked
    with pytest.raises(ConfigurationError, match="no token with the id 'nope'"):
        store.revoke("nope")


@pytest.mark.parametrize("account", ["", "a/b", "..", ".a", "a" * 65, "ä", "a b", "a\n"])
def test_accounts_have_a_shape(store: TokenStore, account: str):
    assert not is_account(account)
    with pytest.raises(ConfigurationError, match="cannot be an account"):
        store.create("x", account)


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "\x1b[31m"])
def test_names_are_printable(store: TokenStore, name: str):
    with pytest.raises(ConfigurationError, match="printable"):
        store.create(name)


def test_another_process_creates_and_revokes_while_we_hold_the_database(
    store: TokenStore, path: Path
):
    script = (
        "import sys; from pathlib import Path\n"
        "from homerun.store.database import Database\n"
        "from homerun.store.tokens import TokenStore\n"
        "store = TokenStore(Database(Path(sys.argv[1])))\n"
        "print(store.create('other')[1])\n"
        "if len(sys.argv) > 2: store.revoke(sys.argv[2])\n"
    )
    mine, text = store.create("mine")
    assert store.verify(text)
    run = subprocess.run(
        [sys.executable, "-c", script, str(path), mine.id],
        capture_output=True,
        text=True,
        check=True,
    )
    assert store.verify(text) is None
    other = store.verify(run.stdout.strip())
    assert other is not None
    assert other.name == "other"


def test_killed_after_the_answer_the_token_is_still_there(path: Path):
    script = (
        "import os, sys; from pathlib import Path\n"
        "from homerun.store.database import Database\n"
        "from homerun.store.tokens import TokenStore\n"
        "print(TokenStore(Database(Path(sys.argv[1]))).create('x')[1], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert run.returncode == -9
    store = TokenStore(Database(path))
    assert store.verify(run.stdout.strip())
    store.close()


def test_files_are_private(store: TokenStore, path: Path):
    store.create("x")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_file_left_open_to_others_is_closed_to_them(path: Path):
    Database(path).close()
    path.chmod(0o644)
    Database(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_wal_and_full_sync(path: Path):
    database = Database(path)
    assert database.read("PRAGMA journal_mode") == [("wal",)]
    assert database.read("PRAGMA synchronous") == [(2,)]
    assert database.read("PRAGMA user_version") == [(max(migrations()),)]
    database.close()


def test_a_newer_schema_is_refused_in_words(path: Path):
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(ConfigurationError, match="newer homerun"):
        Database(path)


def test_a_damaged_file_is_refused_in_words(path: Path):
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(ConfigurationError, match="damaged or not a SQLite database"):
        Database(path)


def test_a_place_that_cannot_hold_it_is_refused_in_words(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="HOMERUN_HOME"):
        Database(tmp_path / "file" / FILE_NAME)
    (tmp_path / "directory" / FILE_NAME).mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="HOMERUN_HOME"):
        Database(tmp_path / "directory" / FILE_NAME)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_refused_in_words(path: Path):
    Database(path).close()
    path.chmod(0o400)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Database(path)


def test_a_read_only_database_says_what_to_do():
    error = sqlite3.OperationalError("attempt to write a readonly database")
    text = database_module._explain(Path("x.db"), error)
    assert text == (
        "x.db cannot be written (attempt to write a readonly database). "
        "Fix its permissions or set HOMERUN_HOME."
    )


def test_a_failed_migration_leaves_the_old_schema(path: Path, monkeypatch: pytest.MonkeyPatch):
    Database(path).close()
    newest = max(migrations())
    broken = migrations() | {newest + 1: "CREATE TABLE extra (id);\nSELECT nonsense;\n"}
    monkeypatch.setattr(database_module, "migrations", lambda: broken)
    with pytest.raises(ConfigurationError, match="nonsense"):
        Database(path)
    monkeypatch.undo()
    database = Database(path)
    assert database.read("SELECT name FROM sqlite_master WHERE name='extra'") == []
    database.close()


def test_many_open_a_new_database_at_once(path: Path):
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda: opened.append(Database(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8
    for database in opened:
        database.close()


def test_an_exception_undoes_the_transaction(path: Path):
    database = Database(path)

    def fail_halfway():
        with database.write() as connection:
            connection.execute("INSERT INTO tokens VALUES ('a', x'00', 'n', 'local', 1, NULL)")
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert database.read("SELECT * FROM tokens") == []
    database.close()


def test_a_static_token_needs_no_database(tmp_path: Path):
    assert open_token_store(Settings(home=tmp_path / "none", token="secret")) is None
    assert not (tmp_path / "none").exists()
    store = open_token_store(Settings(home=tmp_path / "some"))
    assert store is not None
    store.close()
