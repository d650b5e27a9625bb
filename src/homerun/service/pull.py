"""From a hub's repository to an imported model: the order of the steps, and what survives a kill.

Knows which files make up a checkpoint; `hub` knows how they come, `library` what becomes of them.
"""

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from homerun.errors import CheckpointError, ConfigurationError
from homerun.model.checkpoint import INDEX, REFUSED, WEIGHTS, shard_names
from homerun.model.config import read_config
from homerun.model.memory import gigabytes
from homerun.model.quantize import DEFAULT_GROUPS
from homerun.service.catalog import Catalog
from homerun.service.downloads import download_of, unfinished_downloads
from homerun.service.hub import Hub, RemoteFile, Snapshot, partial_path
from homerun.service.library import (
    COPIED,
    ORIGIN,
    SPARE_BYTES,
    ImportedModel,
    Library,
    verify,
)
from homerun.service.locking import exclusive
from homerun.service.order import Order

_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*")


Tell = Callable[[int, int], None]
"""Told bytes done and bytes in all."""


def _tell_nobody(done: int, count: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told what."""

    fetching: Tell = _tell_nobody
    packing: Tell = _tell_nobody


@dataclass(frozen=True, slots=True)
class Wish:
    """Which repository shall become which model."""

    repo: str
    order: Order

    @classmethod
    def of(
        cls,
        model: str,
        name: str | None = None,
        dtype: str | None = None,
        groups: tuple[int, int] = DEFAULT_GROUPS,
    ) -> "Wish":
        """`model` is a catalog model, which has its repository, or a repository `OWNER/NAME`.

        `name` None: it is served as what it was asked for. Raises ConfigurationError.
        """
        order = Order.of(name or model, dtype, groups)
        known = Catalog.load().get(model)
        repo = known.upstream if known is not None else model
        if repo is None or not _REPO.fullmatch(repo):
            raise ConfigurationError(
                f"{model!r} is neither a model of the catalog nor a repository, OWNER/NAME"
            )
        return cls(repo, order)


def pull(
    wish: Wish,
    hub: Hub,
    home: Path,
    revision: str | None = None,
    progress: Progress | None = None,
) -> ImportedModel:
    """Fetches the repository's checkpoint into `home` and imports it.

    What was fetched stays until the import is done: the same call goes on from there. Raises
    DownloadError, CheckpointError and ConfigurationError in plain words.

    Nothing is fetched where the same was imported before; another name for it costs no disk.
    """
    progress = progress or Progress()
    snapshot = hub.snapshot(wish.repo, revision)
    origin = f"{ORIGIN}{snapshot.repo}@{snapshot.commit}"
    library = Library(home)
    if twins := _imported(library, origin, wish.order):
        first = next(iter(twins.values()))
        return twins.get(wish.order.name) or library.link(wish.order, first)
    small = small_files(snapshot)
    directory = download_of(home, snapshot.repo, snapshot.commit).directory
    with exclusive(directory.parent):
        for other in unfinished_downloads(home):
            if other.repo == snapshot.repo and other.commit != snapshot.commit:
                shutil.rmtree(other.directory, ignore_errors=True)
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            _fetch(hub, snapshot, small, directory)
            # What cannot be imported is not downloaded either.
            wish.order.check(directory)
            weights = weight_files(snapshot, directory)
            _check_space(directory, weights, wish.order)
            _fetch(hub, snapshot, weights, directory, progress.fetching)
        except OSError as error:
            raise ConfigurationError(
                f"{wish.repo} cannot be kept in {directory}: {error.strerror}. What was fetched "
                "stays there, and the same command goes on from it"
            ) from None
        model = library.add(
            wish.order.name,
            directory,
            wish.order.dtype,
            wish.order.groups,
            progress.packing,
            origin=origin,
        )
        shutil.rmtree(directory, ignore_errors=True)
    return model


def _imported(library: Library, origin: str, order: Order) -> dict[str, ImportedModel]:
    """What was made before of the same checkpoint in the same way, and is undamaged, by name."""
    found: dict[str, ImportedModel] = {}
    for model in library.all():
        try:
            facts = model.facts
            dtype = order.dtype or read_config(model.directory).dtype
            groups = order.groups if dtype == "int8" else (0, 0)
            same = (facts.dtype, facts.weight_group, facts.activation_group) == (dtype, *groups)
            if facts.source == origin and same:
                verify(model.directory)
                found[model.name] = model
        except CheckpointError:  # as if it were not here
            continue
    return found


def small_files(snapshot: Snapshot) -> list[RemoteFile]:
    """Everything of a checkpoint but its weights. Raises CheckpointError if it can be none."""
    files, repo = snapshot.files, snapshot.repo
    for needed in ("config.json", "tokenizer.json"):
        if needed not in files:
            raise CheckpointError(f"{repo} has no {needed}")
    if WEIGHTS not in files and INDEX not in files:
        others = sorted(name for name in files if name.endswith(REFUSED))
        if others:
            raise CheckpointError(
                f"{repo} has its weights in {others[0]}: homerun reads safetensors files only "
                "(the other formats can run code or need a converter)"
            )
        raise CheckpointError(f"{repo} has neither {WEIGHTS} nor {INDEX}")
    wanted = COPIED if WEIGHTS in files else (*COPIED, INDEX)
    return [files[name] for name in wanted if name in files]


def weight_files(snapshot: Snapshot, directory: Path) -> list[RemoteFile]:
    """The files of weights, named by the index in `directory` where there are several.

    Raises CheckpointError.
    """
    names = [WEIGHTS] if WEIGHTS in snapshot.files else shard_names(directory / INDEX)
    for name in names:
        if name not in snapshot.files:
            raise CheckpointError(f"{snapshot.repo}: {INDEX} names {name}, which is not there")
    return [snapshot.files[name] for name in names]


def _fetch(
    hub: Hub,
    snapshot: Snapshot,
    files: Iterable[RemoteFile],
    directory: Path,
    progress: Tell = _tell_nobody,
) -> None:
    """Those of `files` that are not here yet; a file that has its name was checked."""
    files = list(files)
    count = sum(file.size for file in files)
    before = 0
    for file in files:
        target = directory / file.name
        if not target.exists():
            hub.fetch(
                snapshot, file, target, lambda here, done=before: progress(done + here, count)
            )
        before += file.size
        progress(before, count)


def _check_space(directory: Path, weights: list[RemoteFile], order: Order) -> None:
    """Raises ConfigurationError if the download and then the packed file have no room."""
    missing = sum(file.size - _bytes_here(directory / file.name) for file in weights)
    packed = order.packed_size(directory)
    free = shutil.disk_usage(directory).free
    if missing + packed + SPARE_BYTES > free:
        raise ConfigurationError(
            f"{directory} has {gigabytes(free)} free, where the download needs "
            f"{gigabytes(missing)}, the packed model {gigabytes(packed)} and "
            f"{gigabytes(SPARE_BYTES)} stay free: make room, or set HOMERUN_HOME"
        )


def _bytes_here(target: Path) -> int:
    for path in (target, partial_path(target)):
        if path.exists():
            return path.stat().st_size
    return 0
