"""The SQLite file: how it is opened, kept private and brought up to date. Knows no table's meaning.

One connection per process; SQLite's own lock orders the writers of several processes.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homerun.errors import ConfigurationError

FILE_NAME = "homerun.db"
BUSY_SECONDS = 5.0
"""How long a writer waits for another process's transaction."""

_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """An open database of the newest schema. Usable from any thread; one statement at a time."""

    def __init__(self, path: Path) -> None:
        """Opens `path`, creates it (0600, its directory 0700) or migrates it.

        Raises ConfigurationError in plain words: unreadable, read-only, corrupt, or written by a
        newer version.
        """
        self.path = path
        self._lock = threading.Lock()
        with self._words():
            _create_private(path)
            # isolation_level=None: transactions begin where we say so, nowhere else.
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._words():
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute("PRAGMA foreign_keys=ON")
                self._migrate()
        except ConfigurationError:
            self._connection.close()
            raise

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """All rows of a query. Raises ConfigurationError where the file cannot be read."""
        with self._lock, self._words():
            return self._connection.execute(sql, parameters).fetchall()

    @contextlib.contextmanager
    def write(self) -> Generator[sqlite3.Connection, None, None]:
        """One durable transaction: committed and synced at the end, undone by an exception."""
        with self._lock, self._words():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self._connection.close()

    def _migrate(self) -> None:
        steps = migrations()
        newest = max(steps)
        if self._version() < newest:
            with self.write() as connection:
                # Read again: another process may have migrated while we waited for the lock.
                for number in range(self._version() + 1, newest + 1):
                    for statement in _statements(steps[number]):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version={number}")
        if self._version() > newest:
            raise _too_new(self.path, self._version(), newest)

    def _version(self) -> int:
        return self._connection.execute("PRAGMA user_version").fetchone()[0]

    @contextlib.contextmanager
    def _words(self) -> Generator[None, None, None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(_explain(self.path, error)) from error


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What a database says when it is only looked at."""

    schema: int
    newest: int
    """Schema that this version migrates to."""
    tokens: int
    live_tokens: int


def inspect(path: Path) -> DatabaseState:
    """Reads `path` without changing, creating or migrating anything.

    Raises ConfigurationError where it is missing, unreadable, damaged, or of a newer version.
    """
    newest = max(migrations())
    try:
        # A reader of a database that nobody has open would leave files of its own behind.
        in_use = path.with_name(f"{path.name}-wal").exists()
        uri = f"{path.resolve().as_uri()}?mode=ro{'' if in_use else '&immutable=1'}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as database:
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            if schema > newest:
                raise _too_new(path, schema, newest)
            (health,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                raise sqlite3.DatabaseError(health)
            tokens = live = 0
            if schema:
                tokens, live = database.execute(
                    "SELECT count(*), count(*) - count(revoked_at) FROM tokens"
                ).fetchone()
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(_explain(path, error)) from error
    return DatabaseState(schema, newest, tokens, live)


def _too_new(path: Path, schema: int, newest: int) -> ConfigurationError:
    return ConfigurationError(
        f"{path} was written by a newer homerun (schema {schema}, this one "
        f"knows {newest}). Upgrade homerun, or set HOMERUN_HOME to another directory."
    )


def migrations() -> dict[int, str]:
    """Schema number -> SQL that leads to it from the one before; `0001_tokens.sql` is number 1."""
    return {
        int(path.name.partition("_")[0]): path.read_text("utf-8")
        for path in sorted(_MIGRATIONS.glob("*.sql"))
    }


def _statements(sql: str) -> Iterator[str]:
    # `executescript` commits first, which would take the migration out of its transaction.
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _create_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its -wal and -shm files the mode of the file itself.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _explain(path: Path, error: Exception) -> str:
    text = str(error)
    code = getattr(error, "sqlite_errorcode", None)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return (
            f"{path} is damaged or not a SQLite database ({text}). "
            "Move it away or restore a copy; tokens in it are lost otherwise."
        )
    if isinstance(error, PermissionError) or "readonly" in text or "read-only" in text.lower():
        return f"{path} cannot be written ({text}). Fix its permissions or set HOMERUN_HOME."
    if code == sqlite3.SQLITE_BUSY:
        return f"{path} is locked by another process for more than {BUSY_SECONDS:.0f} seconds."
    return f"{path} cannot be used as homerun's database: {text}. HOMERUN_HOME moves it elsewhere."
