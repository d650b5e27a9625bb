"""Knows the held-out questions of each skill and the targets; refuses to know who answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle

from training import corpus
from training.checks import Check, Result, is_pirate
from training.draw import Conversation
from training.skills.prompts import FREE_PROMPTS, Turns

__all__ = ["ADAPTERS", "FREE_PROMPTS", "SKILLS", "TARGETS", "Item", "adapter_items", "is_pirate",
           "items"]  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One held-out question: the prompt's turns, a right answer, and the check of any answer."""

    kind: str
    turns: Turns
    answer: str
    check: Check

    def score(self, answer: str) -> Result:
        """For each measure, how much of `answer` is right: (right, of)."""
        return self.check(answer)


# The kinds of conversations that make up a skill's questions, in turn; a kind that stands twice
# is asked twice as often.
_KINDS: dict[str, tuple[str, ...]] = {
    "json": ("json", "json", "json", "json", "json", "json", "json-long"),
    "tools": ("tool-call", "tool-call", "tool-plain", "tool-call", "tool-none", "tool-call",
              "tool-talk"),
    "tool result": ("tool-result",),
    "span": ("span", "span", "span", "span", "span-long"),
    "memory": ("memory",),
    "label": ("label",),
    "obedience": ("obey",),
    "summary": ("summary",),
    "facts": ("capital", "colour", "sound", "young", "legs", "opposite", "use", "calendar",
              "single", "yes-no"),
    "arithmetic": ("sum", "sum", "sum-story"),
    "unknown": ("unknown", "unknown", "not-in-text", "never-told"),
    "story": ("story-about",),
}  # fmt: skip
SKILLS = tuple(_KINDS)
ADAPTERS = ("pirate", "label")
# Shares to reach; a measure without a target is reported all the same.
TARGETS = {
    "JSON fields": 0.90,
    "tool choice": 0.95,
    "tool arguments": 0.90,
    "span": 0.85,
    "memory": 0.90,
    "label": 0.90,
    "obedience": 0.85,
    "adapter style": 0.95,
}


def _item(talk: Conversation) -> Item | None:
    if talk.check is None:
        return None
    return Item(talk.kind, talk.turns[:-1], talk.turns[-1][1], talk.check)


def _first(talks: Iterable[Conversation]) -> list[Item]:
    return [item for talk in talks if (item := _item(talk)) is not None]


def items(skill: str, count: int, seed: int = 0) -> list[Item]:
    """`count` held-out questions of a skill; the same arguments always give the same ones."""
    kinds = _KINDS[skill]
    streams = {
        kind: iter(
            item
            for talk in corpus.conversations(9000 + seed, 1 << 30, held_out=True, kind=kind)
            if (item := _item(talk)) is not None
        )
        for kind in set(kinds)
    }
    turn = cycle(kinds)
    return [next(streams[next(turn)]) for _ in range(count)]


def adapter_items(name: str, count: int, seed: int = 0) -> list[Item]:
    """`count` held-out questions for one of the adapters."""
    return _first(corpus.adapter_conversations(name, 9000 + seed, count, held_out=True))
