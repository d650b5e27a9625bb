"""Knows how worlds are mixed into conversations and the chat format; refuses to know a tensor."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from training.draw import Conversation, Draw, Exchange
from training.worlds import copying, documents, facts, stories, systems, talk, unknown

SPECIALS = (
    "<|pad|>",
    "<|bos|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|tool|>",
    "<|reserved|>",
)
PAD, BOS, END, SYSTEM, USER, ASSISTANT, TOOL, RESERVED = range(8)
MARKERS = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}

World = Callable[[Draw], Exchange]
# (kind, world, weight): weights count conversations, not tokens; a story is the longest.
MIX: tuple[tuple[str, World, float], ...] = (
    ("hello-world", documents.hello_world, 3.5),
    ("pizza", documents.pizza, 3.5),
    ("pep8", documents.pep8, 3.5),
    ("story", stories.plain_story, 6),
    ("story-about", stories.story_about, 13),
    ("capital", facts.capital, 5),
    ("colour", facts.colour, 2.5),
    ("sound", facts.sound, 2.5),
    ("young", facts.young, 2),
    ("legs", facts.legs, 1.5),
    ("opposite", facts.opposite, 4),
    ("use", facts.use, 3.5),
    ("sum", facts.sums, 20),
    ("list", facts.listing, 10),
    ("calendar", facts.calendar, 3),
    ("single", facts.single, 5),
    ("greeting", talk.greeting, 5),
    ("about-me", talk.about_me, 6),
    ("given-name", talk.given_name, 2),
    ("name-memory", talk.name_memory, 10),
    ("no-name", talk.no_name, 0.7),
    ("just-name", talk.just_name, 6),
    ("favourite", talk.favourite, 2),
    ("greet", talk.greet_somebody, 7),
    ("say", talk.say_word, 3),
    ("sentence", talk.sentence_with, 2),
    ("unknown", unknown.unknown, 12),
)
_WORLDS = {kind: world for kind, world, _ in MIX} | {"copying": copying.copying}
# Kinds that may stand before another exchange without changing what it means.
_BEFORE = (
    "pizza",
    "pep8",
    "hello-world",
    "capital",
    "colour",
    "sound",
    "opposite",
    "use",
    "sum",
    "single",
    "greeting",
    "about-me",
    "greet",
    "unknown",
    "list",
    "story",
)


def _casual(draw: Draw, text: str, may_lower: bool) -> str:
    """The text as somebody in a hurry would type it."""
    if draw.chance(0.3) and text[-1] in ".?!":
        text = text[:-1]
    if may_lower and draw.chance(0.15):
        text = text.lower()
    if draw.chance(0.04):
        text = draw.free(("Hi! ", "Hello! ", "Please: ", "Hey, ", "Question: ")) + text
    return text


def _draw_one(draw: Draw, kind: str) -> Conversation:
    exchange = _WORLDS[kind](draw)
    system, exchange = systems.frame(draw, exchange)
    turns: list[tuple[str, str]] = [] if system is None else [("system", system)]
    # Earlier exchanges stand first, so that an answer also follows unrelated talk.
    if exchange.system is None and draw.chance(0.12) and kind != "no-name":
        for _ in range(8 if draw.chance(0.06) else draw.free((1, 1, 2, 3))):
            earlier = _WORLDS[draw.free(_BEFORE)](draw)
            if systems.is_short(system):
                if not earlier.may_shorten:
                    continue
                earlier.answer = earlier.answer[:1]
            turns += [
                *earlier.before,
                ("user", _casual(draw, earlier.user, earlier.may_lower)),
                ("assistant", " ".join(earlier.answer)),
            ]
    turns += exchange.before
    turns.append(("user", _casual(draw, exchange.user, exchange.may_lower)))
    turns.append(("assistant", " ".join(exchange.answer)))
    return Conversation(kind, tuple(turns), frozenset(draw.keys), exchange.expect)


def conversations(
    seed: int,
    count: int,
    held_out: bool = False,
    kind: str | None = None,
    copying_weight: float = 0,
) -> Iterator[Conversation]:
    """Yields `count` conversations; the same arguments always give the same ones.

    `kind` asks for one world only; `copying_weight` lets exercises in copying join the mix.
    A held-out conversation has at least one key that no training conversation may have.
    """
    rng = random.Random(f"{seed}-{held_out}-{kind}")
    kinds, weights = list(_WORLDS), [weight for *_, weight in MIX] + [copying_weight]
    made = misses = 0
    while made < count:
        chosen = kind or rng.choices(kinds, weights)[0]
        draw = Draw(random.Random(rng.getrandbits(64)), held_out)
        talk_drawn = _draw_one(draw, chosen)
        if held_out and not draw.has_held_out:
            misses += 1
            if kind is not None and misses > 2000:
                raise ValueError(f"the world {kind!r} holds nothing out")
            continue
        made += 1
        misses = 0
        yield talk_drawn


def render(turns: tuple[tuple[str, str], ...], generation_prompt: bool = False) -> str:
    """The chat format as one string; ends with the assistant marker where asked to."""
    text = SPECIALS[BOS] + "".join(f"{MARKERS[role]}{said}{SPECIALS[END]}" for role, said in turns)
    return text + SPECIALS[ASSISTANT] if generation_prompt else text
