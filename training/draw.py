"""Knows how one conversation is drawn and split; refuses to know what it talks about."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from training.checks import Check
from training.wordings import MORE, expand, plain

T = TypeVar("T")

# One in this many entities or wordings is kept out of training.
HOLD_OUT_EVERY = 9
# How often training takes a wording that is made from a pattern, where there are patterns.
MADE = 0.6


@dataclass(frozen=True)
class Conversation:
    """One conversation: `turns` are (role, text), `keys` the entities and wordings it used.

    `held` are those of the keys that training never uses; `check` judges a last answer, or is
    None where many answers are right.
    """

    kind: str
    turns: tuple[tuple[str, str], ...]
    keys: frozenset[str]
    held: frozenset[str] = frozenset()
    check: Check | None = None


@dataclass
class Exchange:
    """What a world gives: earlier turns, one user text and its answer as separate sentences."""

    user: str
    answer: list[str]
    # A string that a right answer contains as whole words, where no stricter check is given.
    expect: str | None = None
    before: list[tuple[str, str]] = field(default_factory=list)
    system: str | None = None
    # Where the last turn before the answer is a tool's result: it stands after `user`.
    after: list[tuple[str, str]] = field(default_factory=list)
    # False where the answer's form is fixed: no system prompt may bend it.
    may_bend: bool = True
    # False where cutting the answer to its first sentence would make it wrong.
    may_shorten: bool = True
    # False where "Certainly." before it or a cheerful word after it would sound wrong.
    may_tone: bool = True
    # False where lower case would destroy something that the answer has to copy.
    may_lower: bool = True
    check: Check | None = None
    # The items of a list and the topic of a fact, where a rule may ask for them.
    items: list[str] = field(default_factory=list)
    about: str = ""


def is_held_out(key: str) -> bool:
    """True where a declared entity belongs to the held-out split (a fixed rule, no state)."""
    return zlib.crc32(key.encode()) % HOLD_OUT_EVERY == 0


@cache
def _parts(world: str, items: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    held = tuple(item for item in items if is_held_out(f"{world}:{item}"))
    return tuple(item for item in items if item not in held), held


@cache
def wording_parts(
    world: str, items: tuple[str, ...], pinned: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The trained and the held-out wordings of a list; the first `pinned` are always trained.

    By rank of the hash, not by its value, so that every list holds at least one wording out.
    """
    free = sorted(items[pinned:], key=lambda item: zlib.crc32(f"{world}:{item}".encode()))
    count = max(1, len(free) // 5) if len(free) > (0 if pinned else 1) else 0
    held = tuple(free[:count])
    return tuple(item for item in items if item not in held), held


class Draw:
    """A seeded source of choices for one conversation that respects the split."""

    def __init__(self, rng: random.Random, held_out: bool) -> None:
        self.rng = rng
        self.held_out = held_out
        self.keys: set[str] = set()
        self.held: set[str] = set()

    def free(self, items: Sequence[T]) -> T:
        """Any of `items`: for answers, whose wordings are not split."""
        return items[int(self.rng.random() * len(items))]

    def vary(self, items: tuple[str, ...], more: tuple[str, ...]) -> str:
        """Any of `items`, which are not split; training also takes what the patterns make."""
        if self._may_make():
            return expand(self.rng, self.free(more))
        return self.free(items)

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items in a random order, not split."""
        return self.rng.sample(items, count)

    def chance(self, share: float) -> bool:
        """True with probability `share`."""
        return self.rng.random() < share

    def number(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.rng.random() * (high - low + 1))

    def ask(self, world: str, items: tuple[str, ...], pinned: int = 0) -> str:
        """One wording; a held-out draw always takes one that training never uses.

        Training also takes those that the patterns of `training.wordings` make.
        """
        train, held = wording_parts(world, items, pinned)
        if world in MORE and self._may_make():
            return self._make(world, MORE[world], held)
        is_held = self.held_out and bool(held)
        return self._choose(world, held if is_held else train, is_held)

    def pick(self, world: str, items: tuple[str, ...], more: tuple[str, ...] = ()) -> str:
        """One entity or sentence of a closed list, of which training never uses one in nine.

        A held-out draw takes a held-out item half of the time, so that one conversation does not
        consist of unseen things only. `more` are patterns for training.
        """
        train, held = _parts(world, items)
        if more and self._may_make():
            return self._make(world, more, held)
        is_held = self.held_out and bool(held) and (not train or self.chance(0.5))
        return self._choose(world, held if is_held else train, is_held)

    def _may_make(self) -> bool:
        return not self.held_out and self.chance(MADE)

    def _make(self, world: str, patterns: tuple[str, ...], held: tuple[str, ...]) -> str:
        """A wording from a pattern, but none that is kept out of training."""
        kept_out = {plain(item) for item in held}
        while plain(made := expand(self.rng, self.free(patterns))) in kept_out:
            pass
        self.keys.add(f"{world}:{made}")
        return made

    def _choose(self, world: str, items: tuple[str, ...], is_held: bool) -> str:
        choice = self.free(items)
        key = f"{world}:{choice}"
        self.keys.add(key)
        if is_held:
            self.held.add(key)
        return choice

    def fresh(self, world: str, make: Callable[[Draw], str]) -> str:
        """An entity of an open generator; a held-out draw takes only what training refuses."""
        for _ in range(200):
            made = make(self)
            if is_held_out(f"{world}:{made}") == self.held_out:
                break
        else:
            raise ValueError(f"the generator {world!r} is too small for the split")
        key = f"{world}:{made}"
        self.keys.add(key)
        if self.held_out:
            self.held.add(key)
        return made

    def admit(self, world: str, item: str) -> bool:
        """Declares a made-up item (a sum); False where the split refuses it."""
        key = f"{world}:{item}"
        held = is_held_out(key)
        if held and not self.held_out:
            return False
        if held:
            self.held.add(key)
        self.keys.add(key)
        return True


def a(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def upper_first(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def sentence(form: str, *values: object) -> str:
    """The form with its values and an upper-case start, but a value at the start as it is."""
    text = form.format(*values)
    return text if form.startswith("{") else upper_first(text)


def joined(items: Sequence[str]) -> str:
    """`x`, `x and y`, or `x, y and z`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"
