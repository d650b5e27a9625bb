"""Knows how one conversation is drawn and split; refuses to know what it talks about."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

# One in this many entities or wordings is kept out of training.
HOLD_OUT_EVERY = 9


@dataclass(frozen=True)
class Conversation:
    """One conversation: `turns` are (role, text), `keys` the entities and templates it used.

    `expect` is a string that a right last answer contains, or None where many answers are right.
    """

    kind: str
    turns: tuple[tuple[str, str], ...]
    keys: frozenset[str]
    expect: str | None = None


@dataclass
class Exchange:
    """What a world gives: earlier turns, one user text and its answer as separate sentences."""

    user: str
    answer: list[str]
    expect: str | None = None
    before: list[tuple[str, str]] = field(default_factory=list)
    system: str | None = None
    # False where cutting the answer to its first sentence would make it wrong.
    may_shorten: bool = True
    # False where "Certainly." before it or a cheerful word after it would sound wrong.
    may_tone: bool = True
    # False where lower case would destroy something that the answer has to copy.
    may_lower: bool = True


def is_held_out(key: str) -> bool:
    """True where a declared key belongs to the held-out split (a fixed rule, no state)."""
    return zlib.crc32(key.encode()) % HOLD_OUT_EVERY == 0


@cache
def _parts(world: str, items: tuple[str, ...], pinned: int) -> tuple[tuple[str, ...], ...]:
    train, held = list(items[:pinned]), []
    for item in items[pinned:]:
        (held if is_held_out(f"{world}:{item}") else train).append(item)
    return tuple(train), tuple(held)


class Draw:
    """A seeded source of choices for one conversation that respects the split."""

    def __init__(self, rng: random.Random, held_out: bool) -> None:
        self.rng = rng
        self.held_out = held_out
        self.keys: set[str] = set()
        self.has_held_out = False

    def free(self, items: Sequence[str]) -> str:
        """Any of `items`: for answers, whose wordings are not split."""
        return items[int(self.rng.random() * len(items))]

    def some(self, items: Sequence[str], count: int) -> list[str]:
        """`count` different items in a random order, not split."""
        return self.rng.sample(list(items), count)

    def chance(self, share: float) -> bool:
        """True with probability `share`."""
        return self.rng.random() < share

    def pick(self, world: str, items: Sequence[str], pinned: int = 0) -> str:
        """One of `items`, of which the held-out part is never used in training.

        The first `pinned` items always belong to training. A held-out draw takes a held-out item
        half of the time, so that one conversation does not consist of unseen things only.
        """
        train, held = _parts(world, tuple(items), pinned)
        if self.held_out and held and (not train or self.chance(0.5)):
            choice = self.free(held)
            self.has_held_out = True
        else:
            choice = self.free(train)
        self.keys.add(f"{world}:{choice}")
        return choice

    def admit(self, world: str, item: str) -> bool:
        """Declares a made-up item (a name, a sum); False where the split refuses it."""
        key = f"{world}:{item}"
        held = is_held_out(key)
        if held and not self.held_out:
            return False
        self.has_held_out = self.has_held_out or held
        self.keys.add(key)
        return True


def a(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def upper_first(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
