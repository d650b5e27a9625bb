"""`homerun models pull`: a checkpoint from a hub, with progress a person can plan by."""

import os
import shlex
import time
from collections.abc import Callable

from homerun.cli.terminal import progress_line
from homerun.errors import ConfigurationError
from homerun.model.memory import gigabytes
from homerun.service.hub import Hub
from homerun.service.pull import Progress, Wish
from homerun.service.pull import pull as fetch_and_import
from homerun.settings import Settings

UPDATE_SECONDS = 0.2


def pull(
    model: str,
    name: str | None,
    revision: str | None,
    dtype: str | None,
    groups: tuple[int, int],
    token_variable: str | None,
    settings: Settings,
) -> None:
    """Fetches, imports, and says what became of it."""
    wish = Wish.of(model, name, dtype or settings.dtype, groups)
    hub = Hub(_token(token_variable))
    told = Progress(fetching=Meter(f"fetching {wish.repo}"), packing=Meter("packing"))
    imported = fetch_and_import(wish, hub, settings.home, revision, told)
    facts, known = imported.facts, imported.name
    print(f"{known}: {gigabytes(imported.size)} of {facts.dtype} weights in {imported.directory}")
    print(f"from {facts.source.removeprefix('hub:')}")
    print(f"Serve it with: homerun serve {shlex.quote(known)}")


class Meter:
    """Bytes done, speed and time left, on one line of a terminal."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self._shown = -UPDATE_SECONDS

    def __call__(self, done: int, count: int) -> None:
        now = self._clock()
        if self._began is None:  # what was here before says nothing of the speed
            self._began = now, done
        if done == count or now - self._shown >= UPDATE_SECONDS:
            self._shown = now
            since, before = self._began
            progress_line(progress_text(self._what, done, count, done - before, now - since),
                          last=done == count)  # fmt: skip


def progress_text(what: str, done: int, count: int, moved: int, seconds: float) -> str:
    """`packing: 1.20 GB of 4.00 GB, 100 MB/s, 0:28 left`; `moved` bytes took `seconds`."""
    text = f"{what}: {gigabytes(done)} of {gigabytes(count)}"
    if moved <= 0 or seconds < 1:
        return text
    left = int((count - done) * seconds / moved)
    hours, minutes = divmod(left // 60, 60)
    clock = f"{hours}:{minutes:02}:{left % 60:02}" if hours else f"{minutes}:{left % 60:02}"
    return f"{text}, {moved / seconds / 1e6:.1f} MB/s, {clock} left"


def _token(variable: str | None) -> str | None:
    """The token in an environment variable. A command line would show it to everybody."""
    if variable is None:
        return None
    token = os.environ.get(variable, "").strip()
    if not token:
        raise ConfigurationError(f"--token-from-env {variable}: this variable is not set")
    return token
