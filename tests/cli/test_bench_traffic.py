"""Arrivals, sizes and prompts: the same for the same seed, and of the distribution asked for."""

import math
import statistics
from dataclasses import replace
from itertools import pairwise

import pytest

from homerun.cli.bench.traffic import PROFILES, PlannedRequest, Traffic, WordCost, plan
from homerun.errors import ConfigurationError

COST = WordCost(per_word=1.0, overhead=10.0)
FIXED = Traffic("short-chat", rate=10.0, requests=20, prompt_tokens=60, output_tokens=8)


def gaps(planned: list[PlannedRequest]) -> list[float]:
    return [after.at - before.at for before, after in pairwise(planned)]


def test_same_seed_same_requests() -> None:
    traffic = Traffic("chat", rate=3.0, requests=30)
    assert plan(traffic, COST) == plan(traffic, COST)
    assert plan(traffic, COST) != plan(replace(traffic, seed=2), COST)


def test_warm_up_comes_before_zero_and_the_measured_part_begins_there() -> None:
    planned = plan(replace(FIXED, warmup=5), COST)
    assert len(planned) == 25
    assert [one.at < 0 for one in planned] == [True] * 5 + [False] * 20
    assert planned[5].at == 0.0
    assert all(gap > 0 for gap in gaps(planned))


def test_duration_bounds_the_measured_arrivals() -> None:
    planned = plan(replace(FIXED, requests=None, duration=5.0), COST)
    assert 0.0 <= planned[0].at <= planned[-1].at < 5.0
    assert len(planned) > 20


@pytest.mark.parametrize("shape", [1.0, 0.25])
def test_gaps_have_the_rate_and_the_burstiness(shape: float) -> None:
    sample = gaps(plan(replace(FIXED, requests=4000, shape=shape), COST))
    mean = statistics.fmean(sample)
    assert mean == pytest.approx(0.1, rel=0.1)
    # The coefficient of variation of a gamma distribution is 1 / sqrt(shape).
    assert statistics.pstdev(sample) / mean == pytest.approx(1 / math.sqrt(shape), rel=0.1)


def test_infinite_rate_sends_all_at_once() -> None:
    planned = plan(replace(FIXED, rate=math.inf, warmup=3), COST)
    assert {one.at for one in planned} == {0.0}


def test_fixed_sizes_are_exact_in_words() -> None:
    for one in plan(FIXED, COST):
        assert len(one.prompt.split()) == 50
        assert one.max_tokens == 8


def test_prompts_differ_but_for_the_shared_prefix() -> None:
    apart = plan(FIXED, COST)
    assert len({one.prompt for one in apart}) == len(apart)
    shared = [one.prompt.split() for one in plan(replace(FIXED, shared_prefix=0.5), COST)]
    assert len({tuple(words[:25]) for words in shared}) == 1
    assert len(set(shared[0][:25])) > 5
    assert len({tuple(words[25:]) for words in shared}) == len(shared)


def test_shared_prefix_of_everything_makes_equal_prompts() -> None:
    assert len({one.prompt for one in plan(replace(FIXED, shared_prefix=1.0), COST)}) == 1


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_stay_within_the_window(name: str) -> None:
    for one in plan(Traffic(name, rate=1.0, requests=300, window=512), COST):
        assert len(one.prompt.split()) + COST.overhead + one.max_tokens <= 512
        assert 1 <= one.seed < 10**10


def test_short_chat_has_the_means_of_its_source() -> None:
    planned = plan(Traffic("short-chat", rate=1.0, requests=4000, window=1 << 16), COST)
    prompts = [len(one.prompt.split()) + COST.overhead for one in planned]
    assert statistics.fmean(prompts) == pytest.approx(70, rel=0.1)
    assert statistics.fmean(one.max_tokens for one in planned) == pytest.approx(215, rel=0.1)


def test_word_cost_is_the_line_through_two_measurements() -> None:
    cost = WordCost.fit((20, 54), (100, 174))
    assert (cost.per_word, cost.overhead) == (1.5, 24.0)
    assert cost.words(174) == 100
    assert cost.words(1) == 1
    with pytest.raises(ConfigurationError):
        WordCost.fit((20, 54), (100, 54))


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": 0.0},
        {"rate": math.nan},
        {"duration": 1.0},
        {"requests": None},
        {"rate": math.inf, "requests": None, "duration": 1.0},
        {"profile": "nonesuch"},
    ],
)
def test_nonsense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        replace(FIXED, **changes)  # type: ignore[arg-type]


def test_sizes_beyond_the_window_are_refused_not_cut() -> None:
    with pytest.raises(ConfigurationError, match="window of 64"):
        plan(replace(FIXED, window=64, prompt_tokens=60), COST)
