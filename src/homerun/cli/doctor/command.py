"""`homerun doctor`: looks at everything, asks each check, prints the page. Changes nothing."""

import json
import os
import platform
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import homerun
from homerun import __version__, native
from homerun.cli.bench.machine import machine
from homerun.cli.doctor import models, server, storage
from homerun.cli.doctor.machine import arithmetic, install, memory
from homerun.cli.doctor.report import Check, Problem, as_json, is_well, page
from homerun.errors import ConfigurationError
from homerun.model.memory import available_memory
from homerun.service.catalog import Catalog
from homerun.service.hub import client_version
from homerun.service.library import Library
from homerun.settings import Settings


def doctor(*, full: bool, json_wanted: bool, **flags: Any) -> bool:
    """Prints what was found; whether nothing is wrong. `flags` are settings."""
    refused = None
    try:
        settings = Settings.from_environment(**flags)
    except ValueError as error:
        settings, refused = Settings.from_environment({}, **flags), str(error)
    checks = examine(settings, refused, full=full)
    print(json.dumps(as_json(checks)) if json_wanted else page(checks))
    return is_well(checks)


def examine(settings: Settings, refused: str | None, *, full: bool) -> list[Check]:
    """All checks, from the install to the settings."""
    python = f"{platform.python_version()} ({sys.executable})"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    available = available_memory()
    computes = arithmetic(
        native.missing(),
        native.instruction_sets(),
        settings.instruction_set,
        settings.threads,
        machine(),
    )
    database, state = storage.database(settings.home)
    address = server.address(settings)
    # A server that runs has taken its memory already: what is left says nothing of its models.
    for_models = available if address.facts["answers"] == server.NOBODY else None
    return [
        install(__version__, python, system, str(Path(homerun.__file__).parent)),
        computes,
        memory(available, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
        storage.home(settings.home),
        database,
        *_models(settings, str(computes.facts["instruction_set"]), for_models, full=full),
        server.access(settings, state),
        address,
        server.extras(*client_version()),
        server.in_force(settings, os.environ, refused),
    ]


def _models(
    settings: Settings, instruction_set: str, available: int | None, *, full: bool
) -> list[Check]:
    checks = [
        models.bundled(model, Path(str(files("homerun").joinpath("data", model.bundled))))
        for model in Catalog.load()
        if model.bundled is not None
    ]
    try:
        found = Library(settings.home).all()
    except ConfigurationError as error:
        return [*checks, Check("imported models", {}, [Problem(str(error))])]
    return checks + [
        models.imported(model, settings, instruction_set, available, full=full) for model in found
    ]
