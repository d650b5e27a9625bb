"""The files of stored adapters: written whole or not at all, removed when nobody uses them.

Knows names that it makes itself, locks and the disk; knows nothing of adapters or of what a file
holds. A file that no row of the database names and that nobody has locked is garbage: whoever
writes one keeps it locked until the row is committed, whoever reads one locks it shared. Locks end
with their process, so that kill -9 leaves garbage, never a file in use.
"""

import errno
import fcntl
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from homerun.errors import StorageFull
from homerun.model.packed_file import sync_directory

_UNFINISHED = ".unfinished-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NewFile:
    """A file that is being written, locked by this process until it is closed."""

    def __init__(self, root: Path) -> None:
        """Raises StorageFull."""
        self.name = secrets.token_hex(16)
        self.size = 0
        self._hash = hashlib.sha256()
        self._lock = threading.Lock()
        self._root = root
        self._unfinished = root / f"{_UNFINISHED}{self.name}"
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._unfinished, flags, 0o600)
        except OSError as error:
            raise in_words(error) from error
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    @property
    def sha256(self) -> bytes:
        """Of what was written so far."""
        return self._hash.digest()

    def write(self, data: bytes) -> None:
        """Appends `data`. Raises StorageFull."""
        view = memoryview(data)
        try:
            # A closed descriptor's number may be somebody else's file by now.
            with self._lock:
                while view:
                    view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise in_words(error) from error
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> None:
        """Puts the file on the disk under its name. Raises StorageFull."""
        try:
            os.fsync(self._descriptor)
            self._unfinished.rename(self._root / self.name)
            sync_directory(self._root)
        except OSError as error:
            raise in_words(error) from error

    def share(self) -> None:
        """Lets others read it: once a row names it, it is safe without the writer's lock."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def __enter__(self) -> "NewFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Lets go of the file, and of one that was not finished for ever."""
        with self._lock:
            with suppress(OSError):
                self._unfinished.unlink()
            os.close(self._descriptor)
            self._descriptor = -1


class AdapterFiles:
    """The directory of all adapter files of one `HOMERUN_HOME`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, name: str) -> Path:
        return self._root / name

    def create(self) -> NewFile:
        """A new file of a name that none had. Use it in a `with`. Raises StorageFull."""
        return NewFile(self._root)

    def hold(self, name: str) -> int | None:
        """An open descriptor that keeps the file, unless no row names it; None if it is gone.

        Waits for whoever has locked it for a moment: to look whether it is garbage, or to share it.
        """
        try:
            descriptor = os.open(self._root / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def names(self) -> list[str]:
        """Every file there is, unfinished ones too."""
        try:
            return sorted(os.listdir(self._root))
        except FileNotFoundError:
            return []

    def collect(self, names: Iterable[str], is_named: Callable[[str], bool]) -> None:
        """Removes those of `names` that are garbage. What cannot be removed stays.

        `is_named`: whether a row of the database names a file; asked while the file is locked, so
        that nobody can begin to use it.
        """
        for name in names:
            path = self._root / name
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # Between the list and the lock it may have got its final name.
                    same = os.path.samestat(os.fstat(descriptor), path.lstat())
                    if same and not is_named(name):
                        path.unlink()
                finally:
                    os.close(descriptor)


def in_words(error: OSError) -> Exception:
    """StorageFull for a disk without room, any other error as it is."""
    return StorageFull() if error.errno in _FULL else error
