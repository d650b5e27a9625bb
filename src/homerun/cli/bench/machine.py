"""What a figure was measured on. Knows Linux's files; elsewhere says less."""

import os
import platform
import resource
import sys
from pathlib import Path


def machine() -> dict[str, object]:
    """The processor's name, its logical CPUs, and how many of them this process may use."""
    return {
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "python": platform.python_version(),
    }


def rss_bytes() -> int:
    """Resident memory of this process now (its peak where /proc is missing)."""
    try:
        resident = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return int(resident) * os.sysconf("SC_PAGE_SIZE")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
