"""Every sampling parameter against a plain implementation, published vectors and distributions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from homerun.engine import sampler
from homerun.engine.sampler import NotFinite, draw, draw_plainly, penalized, ranked, sample, uniform
from homerun.types import SamplingParams

SCORES = st.lists(
    st.floats(-20, 0) | st.sampled_from([0.0, -1.0, -math.inf]), min_size=1, max_size=300
).map(lambda values: np.array([0.0, *values]))
CUTS = st.builds(
    SamplingParams,
    top_k=st.none() | st.integers(1, 50),
    top_p=st.none() | st.floats(0, 2) | st.sampled_from([0.0, 0.001, 1.0]),
)


@given(scores=SCORES, params=CUTS, u=st.floats(0, 1, exclude_max=True))
@settings(max_examples=500, deadline=None)
def test_fast_draw_is_the_plain_one(
    scores: NDArray[np.float64], params: SamplingParams, u: float
) -> None:
    assert draw(scores, params, u) == draw_plainly(scores, params, u)


@given(scores=SCORES, params=CUTS, u=st.floats(0, 1, exclude_max=True))
@settings(max_examples=200, deadline=None)
def test_how_many_are_ranked_first_changes_nothing(
    scores: NDArray[np.float64], params: SamplingParams, u: float
) -> None:
    expected = draw_plainly(scores, params, u)
    with pytest.MonkeyPatch.context() as patch:
        for first, growth in ((1, 2), (3, 5), (64, 2)):
            patch.setattr(sampler, "FIRST_CANDIDATES", first)
            patch.setattr(sampler, "GROWTH", growth)
            assert draw(scores, params, u) == expected


@given(scores=SCORES, count=st.integers(1, 320))
@settings(deadline=None)
def test_ranked_is_a_sorted_beginning(scores: NDArray[np.float64], count: int) -> None:
    plain = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:count]
    assert ranked(scores, count).tolist() == plain


@pytest.mark.parametrize("params", [SamplingParams(), SamplingParams(top_k=3, top_p=0.9999)])
def test_what_weighs_nothing_is_never_drawn(params: SamplingParams) -> None:
    scores = np.array([-np.inf, -0.3, 0.0, -0.1, -np.inf, -800.0])
    for u in (0.0, 0.5, 1 - 2.0**-53):
        assert draw(scores, params, u) == draw_plainly(scores, params, u) in (1, 2, 3)


def test_a_mask_comes_after_the_penalties() -> None:
    mask = np.array([0b10000101], np.int32)  # tokens 0, 2 and 7
    params = SamplingParams(temperature=0.0, presence_penalty=2.5)
    given = {"prompt_ids": [], "seed": 1, "position": 3}
    plain = sampler.sample_plainly(LOGITS, params, output_ids=[7, 0], mask=mask, **given)
    assert plain == sample(LOGITS, params, output_ids=[7, 0], mask=mask, **given) == 2
    with pytest.raises(NotFinite):
        sample(LOGITS, params, output_ids=[7], mask=np.zeros(1, np.int32), **given)


LOGITS = np.array([2.0, 1.5, 1.0, 0.5, 0.0, -0.5, -1.0, 3.0], dtype=np.float32)
PROMPT, OUTPUT = [0, 1, 1], [1, 2, 2, 2]


def expected_distribution(params: SamplingParams) -> list[float]:
    """Softmax after penalties and cuts, written token by token in plain Python."""
    values = [float(x) for x in LOGITS]
    for token in range(len(values)):
        penalty = params.repetition_penalty or 1.0
        if token in PROMPT or token in OUTPUT:
            values[token] = (
                values[token] / penalty if values[token] > 0 else values[token] * penalty
            )
        times = OUTPUT.count(token)
        values[token] -= times * (params.frequency_penalty or 0.0)
        values[token] -= (times > 0) * (params.presence_penalty or 0.0)
    values = [value / params.temperature for value in values]
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    order = order[: params.top_k or len(order)]
    weights = [math.exp(values[i]) for i in order]
    if params.top_p is not None and params.top_p < 1:
        share, keep = 0.0, 0
        for weight in weights:
            keep += 1
            share += weight / sum(weights)
            if share >= params.top_p:
                break
        order, weights = order[:keep], weights[:keep]
    probabilities = [0.0] * len(values)
    for token, weight in zip(order, weights, strict=True):
        probabilities[token] = weight / sum(weights)
    return probabilities


COMBINATIONS = [
    SamplingParams(t, p, k, None, r, f, c)
    for t, p, k, r, (f, c) in itertools.product(
        [0.6, 1.0, 5.0],
        [None, 0.0, 0.001, 0.7, 2.0],
        [None, 1, 3, 50],
        [None, 0.0, 0.5, 1.8],
        [(None, None), (1.0, None), (-1.0, 0.5), (0.7, -2.0)],
    )
]


def test_distribution_for_every_combination_of_parameters() -> None:
    """An evenly spaced sweep of u integrates the inverse CDF: shares must match to the grid."""
    grid = 400
    for params in COMBINATIONS:
        scores = penalized(LOGITS, params, PROMPT, OUTPUT)
        scores = (scores - scores.max()) / params.temperature
        counts = np.zeros(len(LOGITS))
        for i in range(grid):
            counts[draw(scores, params, (i + 0.5) / grid)] += 1
        wanted = expected_distribution(params)
        assert np.abs(counts / grid - wanted).max() <= 1.01 / grid, params


def test_seeds_give_the_distribution_too() -> None:
    """Chi-square over 20,000 seeded draws; 7 degrees of freedom, p = 1e-6 at 40.5."""
    params = SamplingParams(temperature=1.0)
    counts = np.zeros(len(LOGITS))
    for seed in range(20_000):
        counts[sample(LOGITS, params, prompt_ids=[], output_ids=[], seed=seed + 1, position=5)] += 1
    wanted = np.exp(LOGITS.astype(np.float64))
    wanted *= counts.sum() / wanted.sum()
    assert float(((counts - wanted) ** 2 / wanted).sum()) < 40.5


def choose(logits: list[float], seed: int = 1, **params: float) -> int:
    return sample(
        np.array(logits, dtype=np.float32),
        SamplingParams(**params),  # type: ignore[arg-type]
        prompt_ids=[0],
        output_ids=[1],
        seed=seed,
        position=9,
    )


def test_temperature_zero_is_the_first_of_the_best() -> None:
    assert choose([1.0, 4.0, 4.0], temperature=0.0) == 1
    assert {choose([1.0, 4.0, 4.0], seed=s, temperature=1e-310) for s in range(20)} == {1, 2}


def test_values_without_meaning() -> None:
    plain = [choose([1, 2, 3, 2.5], seed=s) for s in range(40)]
    assert plain == [choose([1, 2, 3, 2.5], seed=s, repetition_penalty=0) for s in range(40)]
    assert plain == [choose([1, 2, 3, 2.5], seed=s, top_p=2.0) for s in range(40)]
    assert {choose([1, 2, 3, 2.5], seed=s, top_p=0.0, temperature=5.0) for s in range(40)} == {2}
    assert choose([1.0, 2.0], temperature=0.6, repetition_penalty=1e-320) in (0, 1)


@pytest.mark.parametrize("logits", [[math.nan, 1.0], [-math.inf, -math.inf], [math.inf, 1.0]])
def test_logits_that_are_not_finite_are_refused(logits: list[float]) -> None:
    for temperature in (0.0, 1.0):
        with pytest.raises(NotFinite):
            choose(logits, temperature=temperature)


def test_the_logits_are_left_as_they_were() -> None:
    logits = LOGITS.copy()
    penalized(logits, SamplingParams(repetition_penalty=2.0, presence_penalty=1.0), [0], [1])
    assert (logits == LOGITS).all()


def philox4x64(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 from the paper (Salmon et al. 2011, section 3.3), in plain integers."""
    mask = (1 << 64) - 1
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [right >> 64 ^ c[1] ^ k[0], right & mask, left >> 64 ^ c[3] ^ k[1], left & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return c


def test_random_numbers_are_philox() -> None:
    # The known answer of the Random123 distribution for a zero counter and a zero key.
    assert philox4x64([0, 0, 0, 0], [0, 0])[0] == 0x16554D9ECA36314C
    assert uniform(0, 0) == (0x16554D9ECA36314C >> 11) * 2.0**-53
    for seed, position, choice in [(1, 0, 0), (9999999999, 8191, 3), (2**64 - 1, 12, 0)]:
        word = philox4x64([position, choice, 0, 0], [seed, 0])[0]
        assert uniform(seed, position, choice) == (word >> 11) * 2.0**-53
