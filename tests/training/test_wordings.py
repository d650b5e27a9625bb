"""Knows what the patterns of wordings promise; refuses to need torch."""

from __future__ import annotations

import random
import re
import string
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from training import draw as drawing  # noqa: E402
from training import skills, wordings  # noqa: E402
from training.draw import Draw  # noqa: E402
from training.wordings import MORE, expand, plain, requests, texts  # noqa: E402

TOLD = {f"told-{name}": told for name, (told, _) in texts.RELATIONS.items()}
ALL = {**MORE, **TOLD, "told-any": texts.TOLD_ANY, "null": requests.NULL, "bare": requests.BARE}


def expansions(pattern: str) -> Iterator[str]:
    parts = re.split(r"\[([^\]]*)\]", pattern)
    choices = [part.split("|") if at % 2 else [part] for at, part in enumerate(parts)]
    return ("".join(chosen) for chosen in product(*choices))


def fields(wording: str) -> Counter[str] | set[str]:
    """What is filled in: by count where it has no names, since then each stands for another."""
    names = [name for _, name, _, _ in string.Formatter().parse(wording) if name is not None]
    return Counter(names) if "" in names else set(names)


@pytest.mark.parametrize("world", ALL)
def test_every_expansion_has_what_the_others_have(world: str) -> None:
    wanted = fields(ALL[world][0])
    for pattern in ALL[world]:
        for wording in expansions(pattern):
            assert fields(wording) == wanted, wording
            assert not set("[]|") & set(wording), wording
            assert wording == wording.strip(), wording
            assert "  " not in wording, wording
            assert wording.isascii()


@pytest.mark.parametrize("world", ALL)
def test_expand_draws_each_of_the_expansions_and_no_other(world: str) -> None:
    rng = random.Random(1)
    for pattern in ALL[world]:
        wanted = {wording.lower() for wording in expansions(pattern)}
        found = {expand(rng, pattern).lower() for _ in range(20 * len(wanted))}
        assert found <= wanted
        assert len(found) > 0.9 * len(wanted)


def test_a_wording_starts_in_upper_case_where_one_of_its_beginnings_does() -> None:
    rng = random.Random(1)
    assert {expand(rng, "[Please |]give {}") for _ in range(40)} == {"Please give {}", "Give {}"}
    assert {expand(rng, "[so |]what is {}") for _ in range(40)} == {"so what is {}", "what is {}"}
    assert expand(rng, "plain") == "plain"


def test_what_is_held_out_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MADE", 1.0)
    items = ("Tell me more.", "One line, please.", "Go on!", "Say {}.", "And then?", "Do it.")
    _, held = drawing.wording_parts("a world", items, 0)
    assert len(held) == 1
    same = held[0].upper().replace(".", "!")
    monkeypatch.setitem(MORE, "a world", (f"[{same}|Something else.]", held[0]))
    made = {Draw(random.Random(i), held_out=False).ask("a world", items) for i in range(200)}
    assert made == {"Something else."}
    asked = {Draw(random.Random(i), held_out=True).ask("a world", items) for i in range(200)}
    assert asked == set(held)


def test_wordings_that_differ_in_looks_only_are_the_same() -> None:
    assert plain('Start with  "{}"!') == plain("start with {}")
    assert plain("Start with {}") != plain("Start by {}")


def test_patterns_change_no_question_of_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {skill: skills.items(skill, 40) for skill in skills.SKILLS}
    for world in list(MORE):
        monkeypatch.delitem(wordings.MORE, world)
    monkeypatch.setattr(texts, "TOLD_ANY", ())
    monkeypatch.setattr(texts, "RELATIONS", dict.fromkeys(texts.RELATIONS, ((), ())))
    assert before == {skill: skills.items(skill, 40) for skill in skills.SKILLS}
