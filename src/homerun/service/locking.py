"""One process at a time in a directory. Knows nothing of what is done there."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from homerun.errors import ConfigurationError


@contextmanager
def exclusive(directory: Path) -> Generator[None]:
    """Makes this process the only one that changes `directory`, which is created if it is missing.

    The lock ends with the process, however it ends. Raises ConfigurationError while another
    process has it, and where nothing can be changed.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(directory, error) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another homerun is changing {directory}: try again when it is done"
            ) from None
        except OSError as error:
            raise unusable(directory, error) from None
        yield
    finally:
        os.close(lock)


def unusable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be used: {error.strerror}")
