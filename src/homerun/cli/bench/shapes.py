"""Packed files of random weights in the shapes of known models, each written once and kept.

Knows names and where the files lie; `model.random_model` knows what is in them.
"""

import multiprocessing
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from homerun.errors import ConfigurationError
from homerun.settings import Settings

SHAPES = ("llama-2-7b", "llama-1.1b", "gemma-2b", "gemma-7b", "rookie")
DTYPES = ("int8", "bf16", "fp16")


def random_model(shape: str, dtype: str, settings: Settings) -> Path:
    """The directory of a random model, made if it is not there. Raises ConfigurationError."""
    if shape not in SHAPES:
        raise ConfigurationError(f"{shape} is not one of {', '.join(SHAPES)}")
    if dtype not in DTYPES:
        raise ConfigurationError(f"--dtype of a --shape is one of {', '.join(DTYPES)}")
    home = settings.bench_dir or settings.home / "bench"
    directory = home / f"{shape}-{dtype}"
    if directory.is_dir():
        return directory
    print(f"writing random weights to {directory}, once", file=sys.stderr, flush=True)
    unfinished = home / f".{shape}-{dtype}-{os.getpid()}"
    try:
        unfinished.mkdir(parents=True)
        # In a process of its own, whose memory this one is not measured with.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as writer:
            writer.submit(_write, unfinished, shape, dtype).result()
        unfinished.rename(directory)
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be written: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return directory


def _write(directory: Path, shape: str, dtype: str) -> None:
    from homerun.model.random_model import write_random_model

    write_random_model(directory, shape, dtype)
