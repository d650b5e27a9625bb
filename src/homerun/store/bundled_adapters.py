"""The adapters that come with homerun: public finetunes of every server, never edited or deleted.

Knows where they lie in the package, and `data/adapters.toml`; knows nothing of rows or of accounts.
"""

import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from homerun.errors import ConfigurationError
from homerun.store.adapters import (
    ASSETS,
    AdapterState,
    AdapterStore,
    Asset,
    StoredAdapter,
    content_version,
)
from homerun.store.database import Database

NOBODY = ""
"""The account of what comes with homerun: no request has it."""


def open_adapter_store(home: Path, database: Database | None = None) -> AdapterStore:
    """The adapters of one `HOMERUN_HOME` and those of the package.

    Raises ConfigurationError where the package is not whole.
    """
    return AdapterStore(home, database, bundled_adapters())


def bundled_adapters() -> list[StoredAdapter]:
    """What `data/adapters.toml` lists. Reads the files, about a megabyte, for their versions.

    Raises ConfigurationError where one is missing.
    """
    data = Path(str(files("homerun").joinpath("data")))
    text = (data / "adapters.toml").read_bytes()
    try:
        entries = msgspec.toml.decode(text, type=_AdaptersFile).adapter
        return [_stored(entry, data / entry.directory) for entry in entries]
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} cannot be read: {error.strerror}; install homerun again"
        ) from None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    id: str
    model: str
    description: str
    directory: str
    created_at: datetime


class _AdaptersFile(msgspec.Struct, forbid_unknown_fields=True):
    adapter: list[_Entry]


def _stored(entry: _Entry, directory: Path) -> StoredAdapter:
    assets = {name: _asset(directory / name) for name in ASSETS}
    created = int(entry.created_at.astimezone(UTC).timestamp() * 1000)
    return StoredAdapter(
        id=entry.id,
        account=NOBODY,
        name=entry.name,
        model=entry.model,
        description=entry.description,
        public=True,
        state=AdapterState.READY,
        reason=None,
        version=content_version(assets),
        created_at=created,
        modified_at=created,
        assets=assets,
    )


def _asset(path: Path) -> Asset:
    data = path.read_bytes()
    return Asset(path, len(data), hashlib.sha256(data).digest())
