"""Stored LoRA adapters: rows and files, from the first mention to the last reader.

Knows states, accounts and versions; knows nothing of what makes an adapter valid, or of HTTP.
A row is the only thing that makes a file visible, and it is committed after the file is synced.
"""

import hashlib
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from homerun.errors import AdapterNotFound, AdapterRefused
from homerun.model.adapter_checkpoint import WEIGHTS_FILE
from homerun.model.adapter_config import CONFIG_FILE
from homerun.store.adapter_files import AdapterFiles, NewFile
from homerun.store.database import FILE_NAME, Database

ASSETS = (CONFIG_FILE, WEIGHTS_FILE)
"""The two files of an adapter."""
PUBLIC_PREFIX = "homerun-public-"
"""Begins the names of public adapters and of no others."""

_COLUMNS = (
    "id, account, name, model, description, public, state, reason, version, created_at, modified_at"
)


class AdapterState(StrEnum):
    """new → uploading → ready or failed; a failed one may be uploaded to again."""

    NEW = "new"
    UPLOADING = "uploading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Asset:
    """One uploaded file."""

    path: Path
    size: int
    """Bytes."""
    sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredAdapter:
    """One adapter as its row has it. Times are Unix milliseconds."""

    id: str
    account: str
    name: str
    model: str
    description: str
    public: bool
    state: AdapterState
    reason: str | None
    """Why it failed."""
    version: str | None
    """Of the content, 64 hexadecimal digits; other weights have another. None until it is ready."""
    created_at: int
    modified_at: int
    assets: Mapping[str, Asset]

    @property
    def complete(self) -> bool:
        """Whether both files are here."""
        return len(self.assets) == len(ASSETS)

    @property
    def config_path(self) -> Path:
        """KeyError if it was not uploaded."""
        return self.assets[CONFIG_FILE].path

    @property
    def weights_path(self) -> Path:
        """KeyError if it was not uploaded."""
        return self.assets[WEIGHTS_FILE].path


class Lease:
    """Keeps an adapter's files while it is open, also when the adapter is deleted."""

    def __init__(self, adapter: StoredAdapter, stack: ExitStack) -> None:
        self.adapter = adapter
        self._stack = stack

    def close(self) -> None:
        """Lets go; the files go as well if they were deleted meanwhile. Again is harmless."""
        self._stack.close()


class AdapterStore:
    """The adapters of one `HOMERUN_HOME`. A change by another process counts at once."""

    def __init__(
        self,
        home: Path,
        database: Database | None = None,
        bundled: Sequence[StoredAdapter] = (),
    ) -> None:
        """Without a `database` the one in `home` is opened when it is first needed.

        `bundled` adapters are found like the stored public ones, and their files are nobody's to
        remove; see `bundled_adapters`.
        """
        self._bundled = tuple(bundled)
        self._home = home
        self._opened = database
        self._opening = threading.Lock()
        self._files = AdapterFiles(home / "adapters")

    @property
    def _database(self) -> Database:
        with self._opening:
            if self._opened is None:
                self._opened = Database(self._home / FILE_NAME)
            return self._opened

    def create(
        self, account: str, name: str, model: str, description: str, *, public: bool, limit: int
    ) -> StoredAdapter:
        """A new adapter without files. Raises AdapterRefused: name taken, more than `limit`."""
        now = _now()
        if self._bundled_one(name):
            raise AdapterRefused(f"A finetune called {name} exists already")
        with self._database.write() as connection:
            count = "SELECT count(*) FROM adapters WHERE account = ?"
            if connection.execute(count, (account,)).fetchone()[0] >= limit:
                raise AdapterRefused(f"The account has {limit} finetunes, the most it may have")
            taken = "SELECT 1 FROM adapters WHERE name = ? AND (account = ? OR public)"
            if connection.execute(taken, (name, account)).fetchone():
                raise AdapterRefused(f"A finetune called {name} exists already")
            adapter_id = str(uuid.uuid4())
            connection.execute(
                f"INSERT INTO adapters ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(adapter_id, account, name, model, description, public),
                    *(AdapterState.NEW, None, None, now, now),
                ),
            )
        return self.get(account, adapter_id)

    def get(self, account: str, key: str) -> StoredAdapter:
        """An adapter of the account, or a public one, by id or name. Raises AdapterNotFound."""
        if one := self._bundled_one(key):
            return one
        where = "(id = ? OR name = ?) AND (account = ? OR public)"
        found = self._select(where, (key, key, account))
        if not found:
            raise AdapterNotFound(key)
        return found[0]

    def all(self, account: str) -> list[StoredAdapter]:
        """Those of one account, oldest first."""
        return self._select("account = ?", (account,))

    def public(self) -> list[StoredAdapter]:
        """The public ones that can be used: those of the package, then the oldest first."""
        return [*self._bundled, *self._select("public AND state = 'ready'", ())]

    def versions(self) -> frozenset[str]:
        """Of all adapters that are ready."""
        rows = self._database.read("SELECT version FROM adapters WHERE version IS NOT NULL", ())
        stored = (version for (version,) in rows)
        return frozenset([*stored, *(one.version for one in self._bundled if one.version)])

    def unsettled(self) -> list[StoredAdapter]:
        """Those of all accounts that have both files and no verdict."""
        if not self._files.names():
            return []  # and the database stays closed where nobody needs it
        return [one for one in self._select("state = 'uploading'", ()) if one.complete]

    @contextmanager
    def new_file(self) -> Generator[NewFile]:
        """A file to write an upload to; at the end it is gone if no row names it.

        Raises StorageFull.
        """
        file = self._files.create()
        try:
            with file:
                yield file
        finally:
            # Only now: until its writer closed it, nobody else could have removed it.
            self._collect([file.name])

    def put(self, adapter_id: str, asset: str, file: NewFile) -> StoredAdapter:
        """Makes a file one of the two of an adapter; it is on the disk when this returns.

        Raises AdapterRefused for an adapter that is ready, AdapterNotFound, StorageFull.
        """
        assert asset in ASSETS
        file.finish()
        replaced: list[str] = []
        with self._database.write() as connection:
            query = f"SELECT {_COLUMNS} FROM adapters WHERE id = ?"
            row = connection.execute(query, (adapter_id,)).fetchone()
            if row is None:
                raise AdapterNotFound(adapter_id)
            adapter = self._adapter(row, [])
            if adapter.state is AdapterState.READY:
                raise AdapterRefused(
                    f"Finetune {adapter.name} is ready, and its assets cannot be edited: "
                    "create another finetune"
                )
            old = "DELETE FROM adapter_files WHERE adapter = ? AND name = ? RETURNING stored"
            replaced += [name for (name,) in connection.execute(old, (adapter_id, asset))]
            connection.execute(
                "INSERT INTO adapter_files (adapter, name, stored, size, sha256) "
                "VALUES (?, ?, ?, ?, ?)",
                (adapter_id, asset, file.name, file.size, file.sha256),
            )
            self._set_state(connection, adapter_id, AdapterState.UPLOADING)
        file.share()
        self._collect(replaced)
        return self.get(adapter.account, adapter_id)

    def settle(self, adapter: StoredAdapter, reason: str | None) -> StoredAdapter:
        """Ends an upload: `adapter`, with both files, is ready, or failed for a `reason`.

        Nothing happens if other files have come since. Raises AdapterNotFound.
        """
        state = AdapterState.READY if reason is None else AdapterState.FAILED
        content = content_version(adapter.assets) if reason is None else None
        with self._database.write() as connection:
            query = "SELECT stored FROM adapter_files WHERE adapter = ?"
            present = {name for (name,) in connection.execute(query, (adapter.id,))}
            if present == {asset.path.name for asset in adapter.assets.values()}:
                self._set_state(connection, adapter.id, state, reason, content)
        return self.get(adapter.account, adapter.id)

    def delete(self, account: str, key: str) -> StoredAdapter:
        """Takes an adapter of the account out of sight at once; its files go with their last user.

        Raises AdapterNotFound, and AdapterRefused for one that comes with homerun.
        """
        adapter = self.get(account, key)
        if adapter in self._bundled:
            raise AdapterRefused(f"Finetune {adapter.name} comes with homerun and stays")
        with self._database.write() as connection:
            sql = "DELETE FROM adapters WHERE id = ? AND account = ? RETURNING id"
            if connection.execute(sql, (adapter.id, account)).fetchone() is None:
                raise AdapterNotFound(key)
        self._collect([asset.path.name for asset in adapter.assets.values()])
        return adapter

    def hold(self, adapter: StoredAdapter) -> Lease:
        """Keeps the files of `adapter` until the lease is closed. Raises AdapterNotFound."""
        stack = ExitStack()
        if adapter in self._bundled:
            return Lease(adapter, stack)
        names = [asset.path.name for asset in adapter.assets.values()]
        stack.callback(self._collect, names)
        for name in names:
            descriptor = self._files.hold(name)
            if descriptor is not None:
                stack.callback(os.close, descriptor)
            if descriptor is None or not self._is_named(name):
                stack.close()
                raise AdapterNotFound(adapter.name)
        return Lease(adapter, stack)

    def sweep(self) -> None:
        """Removes what uploads and readers that were killed left behind."""
        self._collect(self._files.names())

    def _bundled_one(self, key: str) -> StoredAdapter | None:
        return next((one for one in self._bundled if key in (one.id, one.name)), None)

    def _collect(self, names: Sequence[str]) -> None:
        if names:
            self._files.collect(names, self._is_named)

    def _is_named(self, stored: str) -> bool:
        return bool(self._database.read("SELECT 1 FROM adapter_files WHERE stored = ?", (stored,)))

    def _select(self, where: str, parameters: Sequence[object]) -> list[StoredAdapter]:
        rows = self._database.read(
            f"SELECT {_COLUMNS}, asset, stored, size, sha256 FROM adapters LEFT JOIN "
            "(SELECT adapter, name AS asset, stored, size, sha256 FROM adapter_files) "
            f"ON adapter = id WHERE {where} ORDER BY created_at, id, asset",
            parameters,
        )
        found: dict[str, list[Any]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(row)
        count = _COLUMNS.count(",") + 1
        return [
            self._adapter(group[0][:count], [row[count:] for row in group if row[count]])
            for group in found.values()
        ]

    def _adapter(self, row: Sequence[Any], files: Sequence[Sequence[Any]]) -> StoredAdapter:
        assets = {
            name: Asset(self._files.path(stored), size, sha256)
            for name, stored, size, sha256 in files
        }
        first: list[Any] = list(row[:5])
        public, state, reason, version, created_at, modified_at = row[5:]
        return StoredAdapter(
            *first,
            public=bool(public),
            state=AdapterState(state),
            reason=reason,
            version=version,
            created_at=created_at,
            modified_at=modified_at,
            assets=assets,
        )

    def _set_state(
        self,
        connection: sqlite3.Connection,
        adapter_id: str,
        state: AdapterState,
        reason: str | None = None,
        version: str | None = None,
    ) -> None:
        connection.execute(
            "UPDATE adapters SET state = ?, reason = ?, version = ?, modified_at = ? WHERE id = ?",
            (state, reason, version, _now(), adapter_id),
        )


def content_version(assets: Mapping[str, Asset]) -> str:
    """Of a content, hexadecimal: SHA-256 over the SHA-256 of both files, the config's first."""
    return hashlib.sha256(b"".join(assets[name].sha256 for name in ASSETS)).hexdigest()


def _now() -> int:
    return time.time_ns() // 1_000_000
