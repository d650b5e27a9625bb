"""Numbers to summaries and tables. Knows no units: a name says them."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told of a sample. All None where it is empty."""

    mean: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None

    def rounded(self) -> dict[str, float | None]:
        """For JSON: three digits after the point."""
        return {name: rounded(value) for name, value in asdict(self).items()}


def summarize(values: Sequence[float]) -> Summary:
    """Mean, percentiles and maximum of `values`, in their own unit."""
    if not values:
        return Summary(None, None, None, None, None)
    ordered = sorted(values)
    p50, p90, p99 = (percentile(ordered, share) for share in (0.5, 0.9, 0.99))
    return Summary(statistics.fmean(ordered), p50, p90, p99, ordered[-1])


def percentile(ordered: Sequence[float], share: float) -> float:
    """The `share` quantile (0 to 1) of a sorted, non-empty sample.

    Linear between the two nearest ranks, as NumPy's default (type 7 of Hyndman and Fan, "Sample
    Quantiles in Statistical Packages", 1996).
    """
    assert ordered
    assert 0 <= share <= 1
    rank = share * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def table(rows: Iterable[Sequence[object]]) -> str:
    """Aligned columns: the first to the left, the others to the right. None is shown as "-"."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in cells
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}" if isinstance(value, float) else str(value)


def unsteady_lines(results: Sequence[dict[str, Any]]) -> str:
    """A line for each result beside which the memory's speed went up and down."""
    return "".join(
        f"{one['phase']}: the probe of the memory varied by {one['probe_variation']:.0%}: other "
        "work was going on (measure again), or the weights lie in a cache\n"
        for one in results
        if one.get("probe_steady") is False
    )
