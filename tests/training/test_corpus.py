"""Knows what the corpus promises (seeded, split, clean, true); refuses to need torch."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import jsonschema_rs
import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from training import corpus, skills  # noqa: E402
from training.checks import is_pirate  # noqa: E402
from training.draw import Conversation, Draw, Exchange  # noqa: E402
from training.worlds import documents, entities, facts, rules, tables, toolbox, words  # noqa: E402

SUM = re.compile(r"(\d+) (plus|minus|times) (\d+) is (\d+)\.")
KINDS = tuple(kind for kind, *_ in corpus.MIX)


@pytest.fixture(scope="module")
def trained() -> list[Conversation]:
    """A sample of training conversations."""
    return list(corpus.conversations(11, 4000))


@pytest.fixture(scope="module")
def held_out() -> list[Conversation]:
    """A sample of held-out conversations."""
    return list(corpus.conversations(12, 1500, held_out=True))


def test_same_seed_gives_same_text_in_another_process() -> None:
    code = (
        "from training.corpus import conversations, adapter_conversations as more; import hashlib; "
        "talks = [*conversations(3, 200), *more('pirate', 1, 20), *more('label', 1, 20)]; "
        "print(hashlib.sha256(repr([t.turns for t in talks]).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_other_seed_gives_other_text() -> None:
    assert [t.turns for t in corpus.conversations(1, 20)] != [
        t.turns for t in corpus.conversations(2, 20)
    ]


def test_training_uses_nothing_that_is_held_out(trained: list[Conversation]) -> None:
    known = {key for talk in trained for key in talk.keys}
    assert not any(talk.held for talk in trained)
    for kind in KINDS:
        for talk in corpus.conversations(13, 20, held_out=True, kind=kind):
            assert talk.held
            assert talk.held <= talk.keys
            assert not talk.held & known, talk


def test_no_wording_of_one_world_is_held_out_in_another(trained: list[Conversation]) -> None:
    """A held-out wording must not come into training through another world that has it too."""
    said = {key.partition(":")[2] for talk in trained for key in talk.keys}
    for kind in KINDS:
        for talk in corpus.conversations(14, 20, held_out=True, kind=kind):
            asked = {key for key in talk.held if key.startswith(("ask-", "system", "tell-"))}
            assert not {key.partition(":")[2] for key in asked} & said


@pytest.mark.parametrize("skill", skills.SKILLS)
def test_questions_of_a_skill_are_in_no_training_text(
    skill: str, trained: list[Conversation]
) -> None:
    prompts = {talk.turns[:-1] for talk in trained}
    asked = skills.items(skill, 60)
    assert asked == skills.items(skill, 60)
    assert len({item.turns for item in asked}) > 50
    for item in asked:
        assert item.turns not in prompts
        assert all(right == of for right, of in item.score(item.answer).values())
        wrong = ["", '{"name":"x","arguments":{}}']
        if item.kind not in ("tool-plain", "tool-none"):
            wrong.append("Hello.")
        for answer in wrong:
            assert all(right < of for right, of in item.score(answer).values()), (answer, item)


def test_held_out_names_appear_in_no_training_text(trained: list[Conversation]) -> None:
    # Sofia is also a capital, so that word alone may stand in a fact.
    held = {
        key.partition(":")[2]
        for talk in corpus.conversations(15, 400, held_out=True, kind="memory")
        for key in talk.held
        if key.startswith("name:")
    }
    listed = [name for name in words.NAMES if name in held and name != "Sofia"]
    assert len(listed) > 5
    pattern = re.compile(rf"\b({'|'.join(listed)})\b")
    assert not [text for talk in trained for _, text in talk.turns if pattern.search(text)]


def test_text_is_clean(trained: list[Conversation], held_out: list[Conversation]) -> None:
    for talk in trained + held_out:
        assert talk.turns[-1][0] == "assistant"
        for role, text in talk.turns:
            assert text
            assert text == text.strip()
            assert "  " not in text
            assert "{}" not in text or '"arguments":{}' in text or '"properties":{}' in text
            assert not re.search(r"\{\w+\}", text), text
            assert not any(mark in text for mark in corpus.SPECIALS)
            assert role != "assistant" or not is_pirate(text), text
        assert sum(len(text) for _, text in talk.turns) <= corpus.LONGEST


def test_roles_follow_each_other(trained: list[Conversation]) -> None:
    after = {
        "user": {"assistant"},
        "tool": {"assistant"},
        "assistant": {"user", "tool"},
        "system": {"user"},
    }
    for talk in trained:
        roles = [role for role, _ in talk.turns]
        assert roles[0] in ("system", "user")
        assert all(b in after[a] for a, b in pairwise(roles)), roles
        for (_, said), (role, _) in pairwise(talk.turns):
            assert role != "tool" or json.loads(said).keys() == {"name", "arguments"}


def test_arithmetic_is_true(trained: list[Conversation], held_out: list[Conversation]) -> None:
    found = 0
    for talk in trained + held_out:
        for role, text in talk.turns:
            for left, word, right, value in SUM.findall(text) if role == "assistant" else ():
                left_number, right_number = int(left), int(right)
                truth = {
                    "plus": left_number + right_number,
                    "minus": left_number - right_number,
                    "times": left_number * right_number,
                }[word]
                assert text.startswith("No") or truth == int(value), text
                found += 1
    assert found > 300


def test_calendar_is_true() -> None:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    for talk in corpus.conversations(5, 200, kind="calendar"):
        match = re.search(r"The day (after|before) (\w+) is (\w+)\.", talk.turns[-1][1])
        if match:
            step = 1 if match[1] == "after" else -1
            assert days[(days.index(match[2]) + step) % 7] == match[3]


def _schema_in(text: str) -> dict[str, object] | None:
    at = text.find('{"type":"object"')
    return None if at < 0 else json.JSONDecoder().raw_decode(text[at:])[0]


@pytest.mark.parametrize("kind", ["json", "json-long", "json-fact"])
def test_json_fits_its_schema_and_comes_from_the_text(kind: str) -> None:
    found = 0
    for talk in corpus.conversations(16, 300, kind=kind):
        answer = talk.turns[-1][1]
        value = json.loads(answer)
        assert answer == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        first, last = talk.turns[0], talk.turns[-2]
        prompt = [last[1], *([first[1]] if first[0] == "system" else [])]
        schema = next((s for text in prompt if (s := _schema_in(text))), None)
        if schema is not None:
            jsonschema_rs.validate(schema, value)
            assert list(value) == schema["required"] == list(schema["properties"])
            found += 1
        if kind == "json-fact":
            continue
        for part in value.values():
            for item in part if isinstance(part, list) else [part]:
                if isinstance(item, str):
                    assert item in last[1]
    assert found > 150


def test_a_call_names_a_tool_that_is_shown_and_fits_its_schema() -> None:
    for kind in ("tool-call", "tool-talk", "tool-result"):
        for talk in corpus.conversations(17, 200, kind=kind):
            system = next(text for role, text in talk.turns if role == "system")
            lines = system.partition(toolbox.INTRO + "\n")[2].splitlines()
            shown = {tool["name"]: tool["parameters"] for tool in map(json.loads, lines)}
            calls = [
                (at, json.loads(text))
                for at, (role, text) in enumerate(talk.turns)
                if role == "assistant" and text.startswith('{"name"')
            ]
            assert calls
            for at, call in calls:
                jsonschema_rs.validate(shown[call["name"]], call["arguments"])
                for value in call["arguments"].values():
                    if value is not True:
                        assert str(value) in talk.turns[at - 1][1]


def test_spans_stand_in_the_text_once_as_they_are_given() -> None:
    spans = 0
    for kind in ("span", "span-long"):
        for talk in corpus.conversations(18, 300, kind=kind):
            if talk.check is not None:
                assert talk.turns[-1][1] in " ".join(t for r, t in talk.turns if r != "assistant")
                spans += 1
    assert spans > 400


def test_many_questions_about_one_text_are_answered_with_its_words() -> None:
    found = 0
    for talk in corpus.conversations(18, 200, kind="span-after-span"):
        told = " ".join(text for role, text in talk.turns if role != "assistant")
        # Unrelated talk may stand before; the last two answers are about the text for sure.
        answers = [text for role, text in talk.turns if role == "assistant"]
        assert all(answer in told for answer in answers[-2:])
        found += sum(answer in told for answer in answers)
    assert found > 800


def test_what_is_remembered_was_told_by_the_user() -> None:
    for talk in corpus.conversations(6, 300, kind="memory"):
        assert talk.check is not None
        told = " ".join(text for role, text in talk.turns[:-1] if role == "user")
        assert talk.check(told).keys() == {"memory"}
        assert all(word in told for word in talk.check.wanted)  # type: ignore[attr-defined]


def test_pirate_answers_are_pirate_and_labels_are_of_the_set() -> None:
    for held in (False, True):
        for talk in corpus.adapter_conversations("pirate", 1, 300, held):
            assert is_pirate(talk.turns[-1][1])
        said = {t.turns[-1][1] for t in corpus.adapter_conversations("label", 1, 300, held)}
        assert said == {"question", "request", "praise", "complaint", "greeting"}


def test_free_prompts_are_twenty_and_not_of_the_generator(trained: list[Conversation]) -> None:
    assert len(set(skills.FREE_PROMPTS)) == 20
    said = {text.lower() for talk in trained for _, text in talk.turns}
    assert not [turns for turns in skills.FREE_PROMPTS if turns[-1][1].lower() in said]


def test_document_prompts_are_trained() -> None:
    assert "What is the origin of the phrase Hello, World" in documents.HELLO_ASKED[:6]
    assert "Where did the phrase Hello World come from" in documents.HELLO_ASKED[:6]
    assert "Why is pizza so good" in documents.PIZZA_ASKED[:6]
    assert "Tell me all about PEP-8" in documents.PEP_ASKED[:6]


def test_tables_have_no_empty_entries() -> None:
    for table in (tables.CAPITALS, tables.COLOURS, tables.SOUNDS, tables.OPPOSITES, tables.USES):
        assert all(key and value for key, value in table.items())
    assert len(set(tables.CAPITALS.values())) == len(tables.CAPITALS)
    assert len(set(entities.NOUNS)) == len(entities.NOUNS)


def test_format_of_a_rendered_conversation() -> None:
    turns = (("system", "Be kind."), ("user", "Hi!"), ("assistant", "{}"), ("tool", "ok"))
    assert corpus.render(turns, True) == (
        "<|bos|><|system|>Be kind.<|end|><|user|>Hi!<|end|><|assistant|>{}<|end|>"
        "<|tool|>ok<|end|><|assistant|>"
    )


def test_no_rule_is_kept_by_an_answer_that_ignores_it() -> None:
    drawn: list[str] = []

    def noted(world: Callable[[Draw], Exchange]) -> Callable[[Draw], Exchange]:
        def note(draw: Draw) -> Exchange:
            exchange = world(draw)
            drawn.append(" ".join(exchange.answer))
            return exchange

        return note

    def fact(draw: Draw) -> Exchange:
        return draw.free((facts.capital, facts.opposite))(draw)

    sources = [noted(world) for world in (documents.pizza, fact, facts.yes_no, facts.listing)]
    checked = 0
    for seed in range(600):
        drawn.clear()
        exchange = rules.obey(Draw(random.Random(seed), held_out=seed % 2 == 0), *sources)
        if exchange.check is not None:
            for plain in [*drawn, "I am rookie, a very small language model. How can I help you?"]:
                assert exchange.check(plain) == {"obedience": (0, 1)}, (exchange, plain)
                checked += 1
    assert checked > 900
