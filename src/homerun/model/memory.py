"""How much memory there is for weights, and the refusal of what does not fit.

Knows Linux's /proc and control groups; elsewhere it knows nothing and refuses nothing.
"""

import os
from pathlib import Path

from homerun.errors import CheckpointError
from homerun.machine import control_groups, lines_of

_ROOT = Path("/")
_TAKE_LESS = "stop other programs, or take a smaller model or dtype"


def check_fits(
    what: str,
    needed: int,
    remedy: str = _TAKE_LESS,
    root: Path = _ROOT,
) -> None:
    """Raises CheckpointError with the numbers if `needed` bytes are more than are available."""
    available = available_memory(root)
    if available is not None and needed > available:
        raise CheckpointError(
            f"{what} needs {gigabytes(needed)} of memory, but only {gigabytes(available)} are "
            f"available: {remedy}"
        )


def shortage(weights: int, cache: int, available: int | None) -> tuple[str, str] | None:
    """Why weights and KV cache, in bytes, do not fit, and what to do; None if they do.

    `available` None: nobody knows, and everything fits.
    """
    if available is None or weights + cache <= available:
        return None
    has = f"only {gigabytes(available)} of memory are available"
    if weights > available:
        return f"the weights need {gigabytes(weights)}, and {has}", _TAKE_LESS
    return (
        f"weights and KV cache need {gigabytes(weights + cache)}, and {has}",
        f"serve with --kv-memory {max(1, (available - weights) >> 21)}M or a shorter "
        "--max-model-len, or stop other programs",
    )


def available_memory(root: Path = _ROOT) -> int | None:
    """Bytes that could be had without swapping, page cache included; None if nobody knows.

    The smallest of what the machine has left and what each control group around this process
    still allows. Page cache counts as available: a mapped file's own pages are part of it.
    """
    found = [_meminfo(root), *_control_groups(root)]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def is_in_memory(path: Path, root: Path = _ROOT) -> bool:
    """Whether `path` is on a file system that is memory already (tmpfs)."""
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in lines_of(root / "proc/self/mountinfo"):
        fields, _, kind = line.partition(" - ")
        if fields.split()[2:3] == [number]:
            return kind.split()[:1] in (["tmpfs"], ["ramfs"])
    return False


def gigabytes(size: int) -> str:
    """`6.74 GB`, or MB below one of them."""
    return f"{size / 1e9:,.2f} GB" if size >= 10**9 else f"{size / 1e6:.2f} MB"


def _meminfo(root: Path) -> int | None:
    for line in lines_of(root / "proc/meminfo"):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _control_groups(root: Path) -> list[int]:
    """What each control group from our own to the outermost still allows."""
    found: list[int] = []
    for directory in control_groups(root):
        limit, used = _number(directory / "memory.max"), _number(directory / "memory.current")
        if limit is not None and used is not None:
            found.append(max(0, limit - used + _file_cache(directory / "memory.stat")))
    return found


def _file_cache(path: Path) -> int:
    pairs = [line.split() for line in lines_of(path)]
    return sum(int(pair[1]) for pair in pairs if pair[0] in ("inactive_file", "active_file"))


def _number(path: Path) -> int | None:
    """The number in a one-line file; None for "max" or no such file."""
    lines = lines_of(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None
