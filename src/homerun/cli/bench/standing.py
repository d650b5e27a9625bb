"""Where measurements stand against the limits of the machine. Knows the results' fields."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from homerun.cli.bench.figures import rounded, table, unsteady_lines
from homerun.cli.bench.limits import PEAKS, Limits, measured_limits
from homerun.cli.bench.machine import caches, machine
from homerun.errors import ConfigurationError
from homerun.native import cpu_features

Result = dict[str, Any]


def read_results(path: Path) -> list[Result]:
    """What `homerun bench engine --json` printed, once or several times. ConfigurationError."""
    try:
        values = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        found = [one for value in values for one in _phases(value)]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if not found:
        raise ConfigurationError(f"{path} holds no result")
    return found


def standing(result: Result) -> dict[str, float | None]:
    """Shares of the limits, 0 to 1; None where a figure is missing.

    memory: bytes of weights per second of the steps, of what the probe read between them.
    linears: multiply-adds per second of the linears' own time, of the peak of vector registers.
    linears_amx: the same, of the peak of AMX, where the instruction set in use has it.
    whole: the multiply-adds per second of the steps, of the peak of vector registers.
    """
    peak = result.get("peak_gmac_per_s")
    return {
        "memory": _share(result.get("gb_per_s"), result.get("probe_gb_per_s")),
        "linears": _share(result.get("gmac_per_s"), peak),
        "linears_amx": _share(result.get("gmac_per_s"), result.get("peak_amx_gmac_per_s")),
        "whole": _share(result.get("prefill_gmac_per_s"), peak),
        "overhead": result.get("overhead_share"),
    }


def show(results: Sequence[Result], *, as_json: bool) -> None:
    """Measures the limits and prints them, and each result beside its own limits."""
    limits = measured_limits()
    if as_json:
        standings = [
            {key: result.get(key) for key in ("model", "dtype", "phase", "batch", "context")}
            | standing(result)
            for result in results
        ]
        about = {"machine": machine(), "caches": caches(), "sets": _sets()}
        print(json.dumps({**about, "limits": limits.json(), "results": standings}))
        return
    print(_limits_text(limits))
    if results:
        print(f"\n{_standings_table(results)}")


def _phases(value: object) -> list[Result]:
    """One result, or an object of results by phase."""
    if not isinstance(value, dict):
        raise ValueError("not an object of homerun bench engine --json")
    result = cast(Result, value)
    if "phase" in result:
        return [result]
    return [one for each in result.values() for one in _phases(each)]


def _share(figure: float | None, limit: float | None) -> float | None:
    return rounded(figure / limit) if figure and limit else None


def _sets() -> list[str]:
    return [name for name, usable in cpu_features().items() if usable]


def _limits_text(limits: Limits) -> str:
    about = machine()
    rows: list[tuple[object, ...]] = [("limit, all threads", "measured", "")]
    if limits.probe_gb_per_s is not None:
        rows.append(("reading memory", limits.probe_gb_per_s, "GB/s"))
    rows += [(PEAKS[kind], peak, "GMAC/s") for kind, peak in limits.peak_gmac_per_s.items()]
    lines = [
        f"{about['cpu']}, {about['usable_cpus']} of {about['cpus']} CPUs",
        f"caches: {', '.join(caches()) or 'unknown'}",
        f"usable instruction sets: {', '.join(_sets()) or 'unknown'}",
        f"in use: {limits.instruction_set}, {limits.threads or 1} threads",
    ]
    if len(rows) == 1:
        lines.append("no limits: the C++ extension is not installed")
        return "\n".join(lines)
    return "\n".join([*lines, "", table(rows)])


def _standings_table(results: Sequence[Result]) -> str:
    header = ("result", "tokens/s", "step ms", "memory %", "linears %", "of AMX %")
    rows: list[tuple[object, ...]] = [(*header, "whole %", "overhead %")]
    for result in results:
        shares = [None if share is None else share * 100 for share in standing(result).values()]
        name = f"{result['model']} {result['dtype']} {result['phase']}, batch {result['batch']}"
        rows.append((name, result["tokens_per_s"], result["step_ms"], *shares))
    unsteady = unsteady_lines(results)
    return (
        f"{table(rows)}\n\n{unsteady}{unsteady and chr(10)}"
        "memory: bytes of weights read per second, of the probe between the steps; linears: their\n"
        "multiply-adds per second, of the peak of vector registers; whole: the same over the\n"
        "time of the whole step"
    )
