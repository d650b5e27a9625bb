"""Imported models: packed files under homerun's own directory, by name.

Knows how an import goes and what belongs to one; knows nothing of the format of a packed file.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from homerun.errors import CheckpointError, ConfigurationError
from homerun.files import read_if_there
from homerun.model.config import read_config
from homerun.model.loader import checkpoint_facts, open_checkpoint
from homerun.model.memory import gigabytes
from homerun.model.packed_file import (
    PackedFile,
    has_packed_file,
    read_facts,
    sync_directory,
    write_packed_file,
)
from homerun.model.packed_header import FILE_NAME, Facts, arrange
from homerun.model.quantize import DEFAULT_GROUPS
from homerun.model.weights import CheckpointWeights
from homerun.service.locking import exclusive, unusable
from homerun.service.order import NAME_LIMIT, Order, directory_name

COPIED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""What an import takes over from a checkpoint besides the weights, where it is there."""
ORIGIN = "hub:"
"""Begins the source of a pulled model: `hub:OWNER/NAME@COMMIT`."""
_UNFINISHED = ".unfinished-"
"""Begins the names of directories that nobody needs once their process is gone."""
_REPLACED = ".replaced-"
"""Before a model's own name: it was there until its successor took the name."""
SPARE_BYTES = 64 << 20
"""Disk space that an import leaves free."""


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """One imported model."""

    name: str
    directory: Path
    size: int
    """Bytes of the packed file."""
    imported_at: float
    """Seconds since 1970."""

    @property
    def facts(self) -> Facts:
        """What its file says of itself. Raises CheckpointError."""
        return read_facts(self.directory)


class Library:
    """The imported models of one `HOMERUN_HOME`."""

    def __init__(self, home: Path) -> None:
        self._root = home / "models"

    def find(self, name: str) -> ImportedModel | None:
        """The imported model of this name, None if there is none.

        Raises ConfigurationError if nobody may look.
        """
        if len(directory_name(name)) > NAME_LIMIT:
            return None
        own, replaced = self._places(name)
        for directory in (own, replaced, own):  # the successor may have come meanwhile
            try:
                status = (directory / FILE_NAME).stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise unusable(directory, error) from None
            return ImportedModel(name, directory, status.st_size, status.st_mtime)
        return None

    def get(self, name: str) -> ImportedModel:
        """The imported model of this name. Raises ConfigurationError if there is none."""
        model = self.find(name)
        if model is None:
            raise ConfigurationError(
                f"no model is imported as {name}; homerun models list shows those that are"
            )
        return model

    def all(self) -> list[ImportedModel]:
        """Every imported model, by name. Raises ConfigurationError if nobody may look."""
        try:
            found = [path.name.removeprefix(_REPLACED) for path in self._root.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise unusable(self._root, error) from None
        names = sorted({unquote(name) for name in found if not name.startswith(".")})
        return [model for name in names if (model := self.find(name)) is not None]

    def remove(self, name: str) -> ImportedModel:
        """Deletes an imported model. A server that has it loaded keeps it until it stops.

        Raises ConfigurationError if there is none, or it cannot be deleted.
        """
        self.get(name)
        with self._locked():
            model = self.get(name)
            try:
                shutil.rmtree(self._set_aside(model.directory))
            except OSError as error:
                raise ConfigurationError(
                    f"{name} cannot be deleted from {self._root}: {error.strerror}"
                ) from None
        return model

    def add(
        self,
        name: str,
        source: Path,
        dtype: str | None = None,
        groups: tuple[int, int] = DEFAULT_GROUPS,
        progress: Callable[[int, int], None] | None = None,
        origin: str | None = None,
    ) -> ImportedModel:
        """Packs the checkpoint in `source`; replaces a model of the same name when it is done.

        `dtype` None: as the catalog says for `name`, else as it is stored. `groups` of weights and
        of activations, for int8. `origin`: where it comes from, if `source` is but a download.
        Raises CheckpointError and ConfigurationError in plain words.
        """
        order = Order.of(name, dtype, groups)
        if has_packed_file(source):
            raise ConfigurationError(
                f"{source} is packed already: homerun serve {name}={source} serves it, and an "
                "import starts from the original checkpoint"
            )
        checkpoint, config = open_checkpoint(source, order.dtype)
        replace(order, dtype=config.dtype).check(source)
        facts = checkpoint_facts(checkpoint, config, groups)
        facts = replace(facts, source=origin or facts.source)
        weights = CheckpointWeights(
            checkpoint, config, config.dtype, facts.weight_group, facts.activation_group
        )
        with self._new(name, source) as path:
            self._check_space(arrange(config, facts)[-1].end)
            write_packed_file(path, config, weights, facts, progress=progress)
        return self.get(name)

    def link(self, order: Order, twin: ImportedModel) -> ImportedModel:
        """Gives the packed file of `twin` a second name: on the disk and in memory it is one.

        Raises CheckpointError and ConfigurationError in plain words.
        """
        order.check(twin.directory)
        with self._new(order.name, twin.directory) as path:
            os.link(twin.directory / FILE_NAME, path)
        return self.get(order.name)

    @contextmanager
    def _new(self, name: str, source: Path) -> Generator[Path]:
        """Where the packed file of a model shall be written; what else it needs is copied.

        The model has its name, and its predecessor is gone, once all went well.
        """
        with self._locked():
            try:
                unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._root))
                try:
                    for copied in COPIED:
                        _copy(source / copied, unfinished / copied)
                    path = unfinished / FILE_NAME
                    yield path
                    # What a server would refuse replaces nothing.
                    PackedFile(path, read_config(unfinished), check_memory=False)
                    self._put(unfinished, name)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
            except OSError as error:
                raise ConfigurationError(
                    f"{name} cannot be imported into {self._root}: {error.strerror}"
                ) from None

    def _places(self, name: str) -> tuple[Path, Path]:
        """Where a model lies, and where while its successor takes the name."""
        directory = directory_name(name)
        return self._root / directory, self._root / f"{_REPLACED}{directory}"

    def _put(self, complete: Path, name: str) -> None:
        """Gives a complete directory its name; at no moment does the name lead nowhere."""
        target, replaced = self._places(name)
        if os.path.lexists(target):
            target.rename(replaced)
        complete.rename(target)
        sync_directory(self._root)
        self._forget_replaced()

    def _forget_replaced(self) -> None:
        """Deletes models that have a successor; those whose successor never came are back.

        What cannot be moved stays: it is in nobody's way.
        """
        for replaced in self._root.glob(f"{_REPLACED}*"):
            target = self._root / replaced.name.removeprefix(_REPLACED)
            with suppress(OSError):
                if os.path.lexists(target):
                    shutil.rmtree(self._set_aside(replaced))
                else:
                    replaced.rename(target)

    def _set_aside(self, directory: Path) -> Path:
        """Takes a model's directory out of sight in one step; the caller deletes it."""
        aside = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._root))
        return directory.rename(aside / "replaced").parent

    @contextmanager
    def _locked(self) -> Generator[None]:
        """One change at a time; what a killed one left behind is put right.

        Raises ConfigurationError while another process imports, and where nothing can be changed.
        """
        with exclusive(self._root):
            self._forget_replaced()
            for path in self._root.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(path, ignore_errors=True)
            yield

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._root).free
        if needed + SPARE_BYTES > free:
            raise ConfigurationError(
                f"the packed model needs {gigabytes(needed)} in {self._root} and "
                f"{gigabytes(SPARE_BYTES)} that stay free, where {gigabytes(free)} are free"
            )


def verify(directory: Path) -> PackedFile:
    """The packed file of `directory`, every byte of it checked. Raises CheckpointError.

    It may be larger than the memory: nothing of it needs to stay there.
    """
    file = PackedFile(directory / FILE_NAME, read_config(directory), check_memory=False)
    file.verify()
    return file


def age(model: ImportedModel) -> str:
    """Date of the import, `2024-01-31 12:00` local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(model.imported_at))


def text_digest(directory: Path) -> bytes:
    """SHA-256 of everything but the weights that decides an answer: `COPIED`, byte for byte.

    The same for a checkpoint and for what was imported from it. Raises CheckpointError.
    """
    state = hashlib.sha256()
    for name in COPIED:
        data = _read(directory / name)
        state.update(b"-" if data is None else hashlib.sha256(data).digest())
    return state.digest()


def _read(path: Path) -> bytes | None:
    try:
        return read_if_there(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None


def _copy(source: Path, target: Path) -> None:
    """A small file, on the disk when this returns; nothing where there is none."""
    data = _read(source)
    if data is None:
        return
    with target.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
