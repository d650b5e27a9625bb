"""Where drafts come from: n-grams seen before, and how long drafts are."""

from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homerun.engine.drafts import MAX_DRAFT, PromptLookup


def lookup(tokens: Sequence[int]) -> PromptLookup:
    return PromptLookup(array("i", tokens))


def sure(tokens: Sequence[int]) -> PromptLookup:
    """A lookup that was always right so far."""
    found = lookup(tokens)
    for one in found._lengths:
        one.chance = 1.0
    return found


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], ()),
        ([1], ()),
        ([1, 2, 3, 4], ()),
        ([1, 2, 3, 9, 8, 7, 1, 2, 3], (9, 8, 7, 1, 2, 3, 9, 8)),
        # Two tokens do where three were not seen; the latest occurrence counts.
        ([1, 2, 3, 1, 2, 4, 6, 1, 2], (4, 6, 1, 2, 4, 6, 1, 2)),
        # Three tell more than two, even from longer ago.
        ([7, 1, 2, 3, 5, 1, 2, 4, 7, 1, 2], (3, 5, 1, 2, 4, 7, 1, 2)),
        ([5, 5, 5], (5, 5, 5, 5, 5, 5, 5, 5)),
        ([1 << 18, 3, 4, 5, 1 << 18, 3, 4], (5, 1 << 18, 3, 4, 5, 1 << 18, 3, 4)),
    ],
)
def test_a_draft_continues_as_the_longest_latest_occurrence_did(
    tokens: list[int], expected: tuple[int, ...]
) -> None:
    assert sure(tokens).draft(100) == expected
    assert sure(tokens).draft(2) == expected[:2]
    assert sure(tokens).draft(0) == ()


def plainly(tokens: Sequence[int]) -> int | None:
    """The first drafted token, found by searching the text from its end."""
    for n in (3, 2):
        for end in range(len(tokens) - 1, n - 1, -1):
            if len(tokens) >= n and tokens[end - n : end] == tokens[len(tokens) - n :]:
                return tokens[end]
    return None


@given(st.lists(st.integers(1, 4), max_size=40), st.sets(st.integers(0, 40)))
def test_the_index_finds_what_a_search_finds(tokens: list[int], asked: set[int]) -> None:
    """Whether it was asked after every token or not for a while."""
    grown = array("i")
    found = PromptLookup(grown)
    for one in found._lengths:
        one.chance = 1.0
    for length, token in enumerate(tokens, 1):
        grown.append(token)
        if length in asked or length == len(tokens):
            expected = plainly(tokens[:length])
            assert found.draft(1) == (() if expected is None else (expected,))


def test_drafts_grow_when_right_and_shrink_when_wrong() -> None:
    found = lookup([1, 2, 3] * 10)
    lengths: list[int] = []
    for _ in range(12):
        draft = found.draft(100)
        lengths.append(len(draft))
        found.learn(len(draft), len(draft))
    assert lengths == sorted(lengths)
    assert lengths[0] < 3
    assert lengths[-1] == MAX_DRAFT
    for _ in range(12):
        draft = found.draft(100)
        found.learn(len(draft), 0)
    # Three tokens are no use any more, and neither are two.
    assert found.draft(100) == ()


def test_a_poor_record_fades() -> None:
    found = lookup([1, 2, 3] * 10)
    drafts = 0
    for _ in range(400):
        draft = found.draft(100)
        drafts += bool(draft)
        if draft:
            found.learn(len(draft), 0)
    assert 5 < drafts < 50
    for _ in range(100):
        draft = found.draft(100)
        found.learn(len(draft), len(draft))
    assert len(found.draft(100)) == MAX_DRAFT
