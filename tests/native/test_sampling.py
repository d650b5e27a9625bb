"""The extension's choice of tokens against the definition in `engine/sampler.py`, id by id."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from homerun import native
from homerun.engine import sampler
from homerun.engine.sampler import NOT_FINITE, Chooser, NotFinite, Row, sample_plainly, sample_rows
from homerun.types import SamplingParams

if not native.native_available():
    pytest.skip("the C++ extension is not built", allow_module_level=True)

from homerun import _native

F32 = NDArray[np.float32]
VOCABULARIES = [7, 500, 4096, 33_001]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def peaked(vocab: int) -> F32:
    return rng(1).normal(0, 8, vocab).astype(np.float32)


def flat(vocab: int) -> F32:
    return rng(2).normal(0, 0.7, vocab).astype(np.float32)


def tied(vocab: int) -> F32:
    """Few different values, zeros of both signs among them."""
    return rng(3).choice(np.array([0.0, -0.0, 1.5, 1.5, -4.0], np.float32), vocab)


def equal(vocab: int) -> F32:
    return np.full(vocab, -3.25, np.float32)


def sparse(vocab: int) -> F32:
    """Nearly everything -inf."""
    logits = np.full(vocab, -np.inf, np.float32)
    logits[rng(4).integers(0, vocab, 5)] = [1, 2, 2, 0, 0.5]
    return logits


def huge(vocab: int) -> F32:
    return (rng(5).choice([-3e38, 3e38, 1e30, 0, -1e-40], vocab)).astype(np.float32)


def nearly_equal(vocab: int) -> F32:
    """Different logits that shifting by the best makes equal in float64."""
    logits = rng(6).choice([1e-30, 2e-30, -1e-30, 0, 1e-44], vocab).astype(np.float32)
    logits[vocab // 2] = 3.0
    return logits


ROWS = [peaked, flat, tied, equal, sparse, huge, nearly_equal]
PENALTIES: list[dict[str, float | None]] = [
    {},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.4, "presence_penalty": 1.5},
    {"frequency_penalty": 0.8},
    {"frequency_penalty": -2.0, "presence_penalty": -1.0, "repetition_penalty": 0.0},
    {"repetition_penalty": 1e-320},
]
TEMPERATURES = [0.0, 1e-310, 0.05, 0.6, 1.0, 5.0]
CUTS: list[tuple[int | None, float | None]] = [
    (None, None),
    (None, 0.9),
    (None, 0.0),
    (None, 0.999999),
    (1, None),
    (50, 0.9),
    (50, 2.0),
    (3000, 0.95),
]


def mask_of(allowed: NDArray[np.bool_]) -> NDArray[np.int32]:
    bits = np.zeros(-(-len(allowed) // 32) * 32, bool)
    bits[: len(allowed)] = allowed
    return np.packbits(bits, bitorder="little").view(np.int32)


def masks(vocab: int) -> list[NDArray[np.int32] | None]:
    half = mask_of(rng(7).random(vocab) < 0.5)
    few = np.zeros(vocab, bool)
    few[[0, vocab // 2, vocab - 1]] = True
    return [None, None, half, mask_of(few)]


def plainly(logits: F32, row: Row) -> int:
    tokens: list[int] = [] if row.tokens is None else row.tokens.tolist()
    try:
        return sample_plainly(
            logits,
            row.chooser.params,
            prompt_ids=tokens[: row.prompt_length],
            output_ids=tokens[row.prompt_length :],
            seed=row.chooser.seed,
            position=row.position,
            choice=row.chooser.choice,
            mask=row.mask,
        )
    except NotFinite:
        return NOT_FINITE


@pytest.mark.parametrize("vocab", VOCABULARIES)
def test_every_mix_has_the_tokens_of_the_definition(vocab: int) -> None:
    """Kinds of rows x penalties x temperatures x cuts, thinned for the larger vocabularies."""
    mixes = list(itertools.product(ROWS, PENALTIES, TEMPERATURES, CUTS))
    rng(8).shuffle(mixes)  # type: ignore[arg-type]
    some_masks = masks(vocab)
    logits: list[F32] = []
    rows: list[Row] = []
    for i, (make, penalties, temperature, (top_k, top_p)) in enumerate(mixes[: 6_000_000 // vocab]):
        params = SamplingParams(temperature, top_p, top_k, None, **penalties)
        tokens = rng(i).integers(0, vocab, i % 40).astype(np.int32)
        chooser = Chooser(params, seed=i * 977, choice=i % 2)
        logits.append(make(vocab))
        rows.append(Row(chooser, 3 + i, tokens, len(tokens) // 2, some_masks[i % 4]))
    found = sample_rows(np.stack(logits), rows)
    assert found == [plainly(*pair) for pair in zip(logits, rows, strict=True)]


def test_a_large_vocabulary() -> None:
    for make, temperature, (top_k, top_p) in itertools.product(
        [peaked, flat, tied], [0.0, 0.6, 1.0], [(None, 0.9), (50, 0.9), (None, None)]
    ):
        logits = make(256_000)
        row = Row(Chooser(SamplingParams(temperature, top_p, top_k), seed=5), 77)
        assert sample_rows(logits[None], [row]) == [plainly(logits, row)]


def test_the_whole_range_of_random_numbers() -> None:
    """Many positions of one row: the inverse CDF is walked from end to end."""
    for make, top_p in itertools.product([peaked, flat, tied], [None, 0.7]):
        logits = make(3000)
        chooser = Chooser(SamplingParams(1.0, top_p), seed=11)
        rows = [Row(chooser, position) for position in range(300)]
        found = sample_rows(np.tile(logits, (300, 1)), rows)
        assert found == [plainly(logits, row) for row in rows]


def test_frequencies() -> None:
    """Chi-square of 30,000 draws against float64 probabilities, over 60 tokens: p = 1e-6 at 125."""
    logits = rng(9).normal(0, 1.5, 60).astype(np.float32)
    chooser = Chooser(SamplingParams(temperature=0.8), seed=3)
    rows = [Row(chooser, position) for position in range(30_000)]
    counts = np.bincount(sample_rows(np.tile(logits, (len(rows), 1)), rows), minlength=60)
    wanted = np.exp(logits.astype(np.float64) / 0.8)
    wanted *= counts.sum() / wanted.sum()
    assert float(((counts - wanted) ** 2 / wanted).sum()) < 125


def test_penalties_count_the_output_only_for_frequency_and_presence() -> None:
    logits = np.array([[1.0, 1.1, 1.2, 0.0]], np.float32)
    tokens = np.array([2, 2, 1, 1, 1], np.int32)
    for params, prompt_length, wanted in [
        (SamplingParams(0.0, frequency_penalty=0.11), 5, 2),
        (SamplingParams(0.0, frequency_penalty=0.11), 0, 0),
        (SamplingParams(0.0, presence_penalty=0.5), 2, 2),
        (SamplingParams(0.0, repetition_penalty=2.0), 5, 0),
    ]:
        row = Row(Chooser(params, 1), 5, tokens, prompt_length)
        assert sample_rows(logits, [row]) == [wanted]


@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_row_that_is_not_finite_spoils_no_other(bad: float, temperature: float) -> None:
    logits = np.stack([flat(1000)] * 4)
    logits[1, 777] = bad
    logits[2] = -np.inf
    chooser = Chooser(SamplingParams(temperature, repetition_penalty=1.1), 4)
    rows = [Row(chooser, 9, np.array([3, 999], np.int32), 1) for _ in range(4)]
    found = sample_rows(logits, rows)
    assert found[1] == NOT_FINITE
    assert found[0] == found[3] == plainly(logits[0], rows[0])
    assert found[2] == plainly(logits[2], rows[2])
    masked = rows[1]._replace(mask=mask_of(np.arange(1000) != 777))
    assert sample_rows(logits[1:2], [masked])[0] not in (NOT_FINITE, 777)
    nothing = rows[0]._replace(mask=np.zeros(32, np.int32))
    assert sample_rows(logits[:1], [nothing]) == [NOT_FINITE]


def test_a_mask_holds_whatever_is_drawn() -> None:
    allowed = np.zeros(1001, bool)
    allowed[[5, 64, 1000]] = True
    rows = [
        Row(Chooser(SamplingParams(5.0), seed), 1, mask=mask_of(allowed)) for seed in range(200)
    ]
    assert set(sample_rows(np.tile(flat(1001), (200, 1)), rows)) == {5, 64, 1000}


def test_rows_do_not_depend_on_each_other() -> None:
    logits = np.stack([make(33_001) for make in ROWS])
    rows = [
        Row(Chooser(SamplingParams(0.6, 0.9), seed=i), i, mask=None) for i in range(len(logits))
    ]
    together = sample_rows(logits, rows)
    assert together == [sample_rows(logits[i : i + 1], [rows[i]])[0] for i in range(len(rows))]
    assert together[::-1] == sample_rows(logits[::-1], rows[::-1])


@pytest.mark.parametrize("instructions", ["portable", "avx2", "avx512_vnni", "neon"])
def test_every_instruction_set_chooses_the_same(instructions: str) -> None:
    logits = np.stack([make(5000) for make in ROWS])
    tokens = rng(10).integers(0, 5000, 30).astype(np.int32)
    rows = [
        Row(Chooser(SamplingParams(t, 0.8, None, None, 1.2), 8), i, tokens, 9, masks(5000)[2])
        for i, t in enumerate(itertools.islice(itertools.cycle([0.0, 0.6, 1.3]), len(logits)))
    ]
    best, wanted = _native.instruction_set(), sample_rows(logits, rows)
    if not _native.force_instruction_set(instructions):
        pytest.skip(f"no {instructions} here")
    try:
        assert sample_rows(logits, rows) == wanted
    finally:
        _native.force_instruction_set(best)


def test_random_numbers_are_numpys() -> None:
    words = [0, 1, 2**31, 2**32 - 1, 2**53 + 1, 2**63, 2**64 - 1]
    for seed, position, choice, purpose in itertools.product(words, words, [0, 3], [0, 1]):
        wanted = sampler.uniform(seed, position, choice, purpose)
        assert _native.uniform(seed, position, choice, purpose) == wanted


def test_bad_arguments_have_words() -> None:
    logits = flat(64)[None]
    row = Row(Chooser(SamplingParams(repetition_penalty=2.0), 1), 0)
    bad: list[tuple[Row, str]] = [
        (row._replace(tokens=np.array([64], np.int32)), "vocabulary"),
        (row._replace(tokens=np.array([-1], np.int32)), "vocabulary"),
        (row._replace(tokens=np.array([1], np.int32), prompt_length=2), "prompt_length"),
        (row._replace(mask=np.zeros(1, np.int32)), "mask"),
    ]
    for wrong, words in bad:
        with pytest.raises(ValueError, match=words):
            sample_rows(logits, [wrong])
    with pytest.raises(ValueError, match="one row"):
        sample_rows(logits, [row, row])


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.stack([flat(500), np.full(500, np.nan, np.float32), peaked(500)])
    tokens: Any = np.array([1, 2, 3], np.int32)
    chooser = Chooser(SamplingParams(0.7, 0.8, presence_penalty=1.0), 6)
    rows = [Row(chooser, i, tokens, 1) for i in range(3)]
    found = sample_rows(logits, rows)
    monkeypatch.setattr(native, "_native", None)
    assert sample_rows(logits, rows) == found


def test_the_setting_reference_means_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, rows = flat(64)[None], [Row(Chooser(SamplingParams(0.7), 1), 0)]
    found = sample_rows(logits, rows)
    monkeypatch.setattr(native, "_reference_wanted", True)
    monkeypatch.setattr(_native, "sample_rows", None)
    assert sample_rows(logits, rows) == found
