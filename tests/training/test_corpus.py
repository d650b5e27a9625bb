"""Knows what the corpus promises (seeded, split, clean, true); refuses to need torch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from training import corpus  # noqa: E402
from training.draw import Conversation, is_held_out  # noqa: E402
from training.worlds import documents, tables, words  # noqa: E402

SUM = re.compile(r"(\d+) (plus|minus|times) (\d+) is (\d+)\.")


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
        "from training.corpus import conversations; import hashlib; "
        "print(hashlib.sha256(repr([t.turns for t in conversations(3, 200)]).encode())"
        ".hexdigest())"
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


def test_training_uses_no_held_out_key(trained: list[Conversation]) -> None:
    documented = {"Tell me a story", "Why is pizza so good", "Tell me all about PEP-8"}
    pinned = {key for talk in trained for key in talk.keys if is_held_out(key)}
    # Only pinned wordings may fall under the rule; no name, sum, hero or thing may.
    assert all(key.startswith(("ask-", "tell-", "system", "user-one")) for key in pinned)
    held_world = {
        key
        for talk in corpus.conversations(13, 1500, held_out=True)
        for key in talk.keys
        if is_held_out(key)
    }
    assert not (held_world & {key for talk in trained for key in talk.keys}) - pinned
    assert documented <= {text for talk in trained for _, text in talk.turns}


def test_held_out_names_appear_in_no_training_text(trained: list[Conversation]) -> None:
    # Sofia is also a capital, so that word alone may stand in a fact.
    names = [name for name in words.NAMES if is_held_out(f"name:{name}") and name != "Sofia"]
    assert len(names) > 5
    pattern = re.compile(rf"\b({'|'.join(names)})\b")
    assert not [text for talk in trained for _, text in talk.turns if pattern.search(text)]


def test_every_held_out_conversation_has_something_new(
    trained: list[Conversation], held_out: list[Conversation]
) -> None:
    known = {key for talk in trained for key in talk.keys}
    for talk in held_out:
        fresh = {key for key in talk.keys if is_held_out(key)}
        assert fresh - known, talk


def test_text_never_contains_markers_and_answers_end_well(
    trained: list[Conversation], held_out: list[Conversation]
) -> None:
    for talk in trained + held_out:
        assert talk.turns[-1][0] == "assistant"
        for role, text in talk.turns:
            assert text
            assert text == text.strip()
            assert "{" not in text
            assert "  " not in text
            assert not any(mark in text for mark in corpus.SPECIALS)
            if role == "assistant":
                assert text.rstrip('"')[-1] in ".!?", text
                assert (
                    text[0].isupper()
                    or text[0].isdigit()
                    or text[0] == '"'
                    or (text.startswith("homerun"))
                )


def test_roles_alternate(trained: list[Conversation]) -> None:
    for talk in trained:
        roles = [role for role, _ in talk.turns]
        if roles[0] == "system":
            roles = roles[1:]
        assert roles == ["user", "assistant"] * (len(roles) // 2)


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
                assert truth == int(value), text
                found += 1
    assert found > 300


def test_calendar_is_true() -> None:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    for talk in corpus.conversations(5, 200, kind="calendar"):
        match = re.search(r"The day (after|before) (\w+) is (\w+)\.", talk.turns[-1][1])
        if match:
            step = 1 if match[1] == "after" else -1
            assert days[(days.index(match[2]) + step) % 7] == match[3]


def test_expected_string_is_in_the_answer(trained: list[Conversation]) -> None:
    for talk in trained:
        if talk.expect is not None:
            assert talk.expect in talk.turns[-1][1], talk


def test_names_are_remembered_from_the_user() -> None:
    for talk in corpus.conversations(6, 200, kind="name-memory"):
        assert any(role == "user" and str(talk.expect) in text for role, text in talk.turns[:-1])


def test_document_prompts_are_trained() -> None:
    assert "What is the origin of the phrase Hello, World" in documents.HELLO_ASKED[:6]
    assert "Where did the phrase Hello World come from" in documents.HELLO_ASKED[:6]
    assert "Why is pizza so good" in documents.PIZZA_ASKED[:6]
    assert "Tell me all about PEP-8" in documents.PEP_ASKED[:6]


def test_tables_have_no_empty_entries() -> None:
    for table in (tables.CAPITALS, tables.COLOURS, tables.SOUNDS, tables.OPPOSITES, tables.USES):
        assert all(key and value for key, value in table.items())
    assert len(set(tables.CAPITALS.values())) == len(tables.CAPITALS)


def test_format_of_a_rendered_conversation() -> None:
    turns = (("system", "Be kind."), ("user", "Hi!"))
    assert corpus.render(turns, True) == (
        "<|bos|><|system|>Be kind.<|end|><|user|>Hi!<|end|><|assistant|>"
    )
