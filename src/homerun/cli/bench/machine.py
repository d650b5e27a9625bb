"""What a figure was measured on. Knows Linux's files; elsewhere says less."""

import os
import platform
import resource
import sys
import time
from pathlib import Path

from homerun.machine import usable_cpus


def machine() -> dict[str, object]:
    """The processor's name, its logical CPUs, and how many of them this process may keep busy."""
    return {
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "usable_cpus": usable_cpus(),
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


def resident_bytes(directory: Path) -> int:
    """Resident memory of this process that is mapped from files in `directory`; 0 off Linux."""
    try:
        lines = Path("/proc/self/smaps").read_text().splitlines()
    except OSError:
        return 0
    prefix, total, inside = f"{directory.resolve()}/", 0, False
    for line in lines:
        words = line.split(maxsplit=5)
        if not words[0].endswith(":"):  # addresses, rights, offset, device, inode, path
            inside = len(words) == 6 and words[5].startswith(prefix)
        elif inside and words[0] == "Rss:":
            total += int(words[1]) * 1024
    return total


def available_bytes() -> int:
    """Memory that can be had now without swapping (a quarter of all where nobody says)."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4


def process_seconds() -> float:
    """Seconds since this process was started (to 10 ms); 0 off Linux."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)


def caches() -> list[str]:
    """The data caches of the first CPU as Linux tells them: ["L1 48K", "L2 2048K", …]."""
    found: list[str] = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind, level, size = (
                (index / name).read_text().strip() for name in ("type", "level", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return found


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
