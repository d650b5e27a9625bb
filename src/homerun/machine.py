"""What this process may use of its machine: CPUs, and the control groups that limit it.

Knows Linux's files; elsewhere there are no control groups.
"""

import math
import os
from collections.abc import Generator
from pathlib import Path

MAX_THREADS = 1024
"""The most that the kernels share their work among."""
_ROOT = Path("/")


def usable_cpus(root: Path = _ROOT) -> int:
    """How many CPUs this process can keep busy; part of one counts as one.

    Those that it may run on, or fewer where a control group has a quota of their time: under
    `docker run --cpus 2` all CPUs of the machine are to be seen, and more threads than two would
    use up the time of a period at once and then wait for the next one together.
    """
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = (_quota(directory / "cpu.max") for directory in control_groups(root))
    shares = [math.ceil(quota) for quota in quotas if quota is not None]
    return min(visible or 1, *shares, MAX_THREADS)


def control_groups(root: Path = _ROOT) -> Generator[Path]:
    """The directories of the control groups (version 2) around this process, innermost first."""
    for line in lines_of(root / "proc/self/cgroup"):
        if line.startswith("0::"):
            top = root / "sys/fs/cgroup"
            group = top / line.removeprefix("0::").lstrip("/")
            yield group
            if group != top:
                yield from (one for one in group.parents if one.is_relative_to(top))


def lines_of(path: Path) -> list[str]:
    """Those of one of the system's small files; none where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _quota(path: Path) -> float | None:
    """CPUs that `cpu.max` allows: microseconds and those of a period, or "max" and a period."""
    for line in lines_of(path):
        match line.split():
            case [time, period] if time.isdecimal() and period.isdecimal() and int(period):
                return max(int(time), 1) / int(period)
            case _:
                return None
    return None
