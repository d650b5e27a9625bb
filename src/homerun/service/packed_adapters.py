"""Stored adapters as the engine maps them: packed once per content and kind of base.

Knows where the packed files lie and when one is made or removed; knows nothing of requests.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from homerun.engine.sequence import AdapterRef
from homerun.errors import AdapterInvalid, CheckpointError, GenerationFailed
from homerun.model.adapter_checkpoint import AdapterCheckpoint, AdapterLimits
from homerun.model.adapter_file import LAYOUT, write_adapter_file
from homerun.model.config import ModelConfig
from homerun.store.adapter_files import in_words
from homerun.store.adapters import AdapterStore, StoredAdapter

NO_LIMITS = AdapterLimits(rank=1 << 16, file_bytes=1 << 62)
"""What was taken in once stays, also when the settings become narrower."""

UNFINISHED_SECONDS = 3600.0
"""A file that nobody has written to for so long will not be finished."""


class PackedAdapters:
    """The directory of packed adapters of one `HOMERUN_HOME`. Usable from any thread."""

    def __init__(
        self,
        store: AdapterStore,
        home: Path,
        *,
        grace: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`grace`: seconds that the file of a deleted adapter stays, for requests that wait."""
        self._store = store
        self._root = home / "packed-adapters"
        self._grace = grace
        self._clock = clock
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        self._unnamed_since: dict[str, float] = {}

    def reference(self, adapter: StoredAdapter, base: ModelConfig) -> AdapterRef:
        """What a request of a ready adapter is given to the engine with.

        Packs the adapter if nobody has: that reads all of it. Raises AdapterNotFound if it was
        deleted meanwhile, AdapterInvalid if it does not fit `base`, StorageFull, GenerationFailed
        if the file went at once.
        """
        assert adapter.version is not None
        name = f"{adapter.version}-{'fp32' if base.dtype == 'fp32' else '16'}-{LAYOUT}"
        path = self._root / name
        with self._lock:
            making = self._making.setdefault(name, threading.Lock())
        with making:
            size = _size(path)
            if size is None:
                self._pack(adapter, base, path)
                size = _size(path)
        if size is None:
            raise GenerationFailed
        return AdapterRef(adapter.version, path, size)

    def discard(self, ref: AdapterRef) -> None:
        """Removes a file that could not be used; the next request packs the adapter again."""
        ref.path.unlink(missing_ok=True)

    def sweep(self, grace: float | None = None) -> None:
        """Removes files that no stored adapter has, some time after it first found them.

        Those of adapters that were deleted, and unfinished ones of a process that was killed.
        """
        if not self._root.is_dir():
            return  # and the database stays closed where nobody needs it
        grace = self._grace if grace is None else grace
        versions = self._store.versions()
        now = self._clock()
        names = {path.name for path in self._root.iterdir()}
        # What another server is writing at this moment is not ours to remove.
        unnamed = {name for name in names if name.split("-")[0] not in versions}
        unnamed -= {name for name in unnamed if name.startswith(".") and self._is_fresh(name)}
        with self._lock:
            since = {name: self._unnamed_since.get(name, now) for name in unnamed}
            self._unnamed_since = since
        for name, first in since.items():
            if now - first >= grace:
                (self._root / name).unlink(missing_ok=True)

    def _is_fresh(self, name: str) -> bool:
        try:
            return time.time() - (self._root / name).stat().st_mtime < UNFINISHED_SECONDS
        except FileNotFoundError:
            return False

    def _pack(self, adapter: StoredAdapter, base: ModelConfig, path: Path) -> None:
        assert adapter.version is not None
        lease = self._store.hold(adapter)
        try:
            checkpoint = AdapterCheckpoint.open(
                adapter.config_path, adapter.weights_path, base, NO_LIMITS, check_numbers=False
            )
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_adapter_file(path, base, checkpoint.factors, version=adapter.version)
        except CheckpointError as error:
            raise AdapterInvalid(f"Finetune {adapter.name} cannot be used: {error}") from error
        except OSError as error:
            raise in_words(error) from error
        finally:
            lease.close()
        self.sweep()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
