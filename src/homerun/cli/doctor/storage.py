"""`HOMERUN_HOME` and the database, judged; what is on the disk is read and never changed."""

import os
import shutil
from pathlib import Path

from homerun.cli.doctor.report import Check, Problem
from homerun.errors import ConfigurationError
from homerun.service.downloads import unfinished_downloads
from homerun.store.database import FILE_NAME, DatabaseState, inspect

LOW_SPACE = 1 << 30
"""Bytes below which a disk is called full: no import fits, and SQLite's log may not either."""


def home(directory: Path) -> Check:
    """Whether things can be kept in `directory`."""
    directory = directory.absolute()
    nearest = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    facts: dict[str, object] = {"directory": str(directory), "exists": nearest == directory}
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        what = f"{nearest} cannot be written" if nearest.is_dir() else f"{nearest} is no directory"
        return Check("home", facts, [Problem(what, "mend its rights, or set HOMERUN_HOME")])
    free = shutil.disk_usage(nearest).free
    facts["free_bytes"] = free
    low = Problem("the disk is nearly full", "make room, or set HOMERUN_HOME to another disk")
    waiting = unfinished_downloads(directory)
    if waiting:
        facts["unfinished_downloads"] = [one.repo for one in waiting]
        facts["unfinished_downloads_bytes"] = sum(one.size for one in waiting)
    return Check("home", facts, [low] if free < LOW_SPACE else [])


def database(directory: Path) -> tuple[Check, DatabaseState | None]:
    """The database in `directory`, and what it holds if it can be read."""
    path = directory / FILE_NAME
    facts: dict[str, object] = {"file": str(path), "exists": os.path.lexists(path)}
    if not facts["exists"]:  # `home` says why, if somebody forbids to look
        return Check("database", facts), None
    try:
        state = inspect(path)
    except ConfigurationError as error:
        return Check("database", facts, [Problem(str(error))]), None
    facts |= {"schema": state.schema, "newest_schema": state.newest}
    if os.access(path, os.W_OK):
        return Check("database", facts), state
    return Check(
        "database", facts, [Problem(f"{path} cannot be written", "mend its rights")]
    ), state
