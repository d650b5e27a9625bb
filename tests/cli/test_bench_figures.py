"""Percentiles, summaries and tables against vectors worked out by hand."""

import pytest

from homerun.cli.bench.figures import percentile, summarize, table


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1.0), (0.25, 2.0), (0.5, 3.0), (0.9, 4.6), (0.99, 4.96), (1.0, 5.0)],
)
def test_percentiles_are_linear_between_ranks(share: float, expected: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], share) == pytest.approx(expected)


def test_percentile_of_one_value_is_the_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_percentiles_agree_with_numpy() -> None:
    import numpy as np

    values = sorted(float(v) for v in np.random.default_rng(3).exponential(size=137))
    for share in (0.1, 0.5, 0.9, 0.99):
        assert percentile(values, share) == pytest.approx(float(np.quantile(values, share)))


def test_summary_sorts_its_sample() -> None:
    summary = summarize([4.0, 1.0, 3.0, 2.0])
    assert (summary.mean, summary.p50, summary.max) == (2.5, 2.5, 4.0)


def test_summary_of_nothing_is_null() -> None:
    assert summarize([]).rounded() == dict.fromkeys(("mean", "p50", "p90", "p99", "max"))


def test_table_aligns_and_shows_what_is_missing() -> None:
    assert table([("ms", "p50"), ("first token", 12.34), ("gap", None)]).splitlines() == [
        "ms            p50",
        "first token  12.3",
        "gap             -",
    ]
