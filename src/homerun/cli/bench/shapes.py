"""Packed files of random weights in the shapes of known models, each written once and kept.

Knows names and where the files lie; `model.random_model` knows what is in them.
"""

import json
import multiprocessing
import shutil
import sys
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from homerun.errors import CheckpointError, ConfigurationError
from homerun.model.config import read_config
from homerun.model.packed_file import PackedFile
from homerun.model.packed_header import FILE_NAME, VERSION
from homerun.model.random_model import write_random_model
from homerun.model.shapes import SHAPES
from homerun.settings import Settings

DTYPES = ("int8", "bf16", "fp16")
ABANDONED = 3600.0
"""Seconds without a write after which nobody is at work on a file any more."""


def random_model(shape: str, dtype: str, settings: Settings) -> Path:
    """The directory of a random model, made if it is not there. Raises ConfigurationError."""
    if shape not in SHAPES:
        raise ConfigurationError(f"{shape} is not one of {', '.join(SHAPES)}")
    if dtype not in DTYPES:
        raise ConfigurationError(f"--dtype of a --shape is one of {', '.join(DTYPES)}")
    home = settings.bench_dir or settings.home / "bench"
    name = f"{shape}-{dtype}-v{VERSION}"  # a file of another version is left alone
    directory = home / name
    if directory.is_dir():
        if _is_whole(directory, shape):
            return directory
        shutil.rmtree(directory)
    _sweep(home, f".{shape}-{dtype}-")
    print(f"writing random weights to {directory}, once", file=sys.stderr, flush=True)
    unfinished = home / f".{name}-{uuid.uuid4()}"
    try:
        unfinished.mkdir(parents=True)
        # In a process of its own, whose memory this one is not measured with.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as writer:
            writer.submit(write_random_model, unfinished, shape, dtype).result()
        unfinished.rename(directory)
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be written: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return directory


def _is_whole(directory: Path, shape: str) -> bool:
    """Whether the file is complete and of today's shape of that name: rookie's has changed."""
    try:
        config = json.loads((directory / "config.json").read_bytes())
        PackedFile(directory / FILE_NAME, read_config(directory), check_memory=False)
    except (OSError, ValueError, CheckpointError):
        return False
    return all(config.get(name) == value for name, value in SHAPES[shape].items())


def _sweep(home: Path, prefix: str) -> None:
    """Removes what was left of such a file by processes that were killed while they wrote."""
    for path in home.glob(f"{prefix}*"):
        try:
            written = max(one.stat().st_mtime for one in (path, *path.iterdir()))
        except OSError:
            continue  # it was just finished, or removed
        if time.time() - written > ABANDONED:
            shutil.rmtree(path, ignore_errors=True)
