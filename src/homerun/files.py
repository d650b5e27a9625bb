"""Opening files that somebody else made, so that nothing but their contents is ever waited for.

Knows pipes, sockets and devices; knows nothing of what files hold.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """`path` for reading. Raises OSError, also for what is no regular file: a pipe would block."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_if_there(path: Path) -> bytes | None:
    """What is in `path`, None if there is no such file. Raises OSError like `open_regular`."""
    try:
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
