"""The install, the arithmetic and the memory of this machine, judged. Looks at nothing itself."""

from collections.abc import Mapping, Sequence

from homerun.cli.doctor.report import Check, Problem
from homerun.native import REFERENCE


def install(version: str, python: str, system: str, directory: str) -> Check:
    """`python` and `system` in words, `directory` where the package lies."""
    facts = {"version": version, "python": python, "system": system, "directory": directory}
    return Check("homerun", facts)


def arithmetic(
    missing: str | None,
    available: Sequence[str],
    wanted: str | None,
    threads: int | None,
    cpu: Mapping[str, object],
) -> Check:
    """`missing`: why there is no extension; `available`: instruction sets, worst first.

    `wanted` and `threads` as set, None for the default; `cpu` of `cli.bench.machine.machine`.
    """
    problems: list[Problem] = []
    if missing is not None:
        problems.append(
            Problem(
                f"the C++ extension is not here ({missing}): NumPy computes, many times slower",
                "install a compiler and Python's headers (Debian: apt install g++ python3-dev) "
                "and install homerun again",
            )
        )
    if wanted is not None and wanted not in available:
        problems.append(
            Problem(
                f"HOMERUN_INSTRUCTION_SET is {wanted}, which this machine or build does not have",
                f"unset it, or take one of {', '.join(available)}",
            )
        )
    usable = cpu["usable_cpus"]
    if threads is not None and isinstance(usable, int) and threads > usable:
        problems.append(
            Problem(
                f"HOMERUN_THREADS is {threads}, and this process may use {usable} CPUs: threads "
                "that wait for each other make every step slower",
                "unset it, or give the process more CPUs",
            )
        )
    chosen = wanted if wanted in available else available[-1]
    facts = {
        "cpu": cpu["cpu"],
        "usable_cpus": usable,
        "extension": missing is None,
        "instruction_sets": list(available),
        "instruction_set": chosen,
        "forced": wanted is not None,
        "threads": None if chosen == REFERENCE else threads or usable,
    }
    return Check("arithmetic", facts, problems)


def memory(available: int | None, total: int | None) -> Check:
    """In bytes, None where nobody knows. Whether a model fits is told with the model."""
    return Check("memory", {"available_bytes": available, "total_bytes": total})
