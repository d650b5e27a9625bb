"""Knows how worlds are mixed into conversations and the chat format; refuses to know a tensor."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import accumulate

from training.checks import AnyCheck, Check, HasCheck, StyleCheck
from training.draw import Conversation, Draw, Exchange
from training.worlds import (
    adapters,
    copying,
    documents,
    extraction,
    facts,
    labels,
    lists,
    memory,
    rules,
    spans,
    stories,
    talk,
    tools,
    unknown,
)

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
MARKERS = {
    "system": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "tool": "<|tool|>",
}

# In characters; dense text has 2.3 of them for each token, and the context has 2,048 tokens.
LONGEST = 4400

World = Callable[[Draw], Exchange]

_FACTS: dict[str, World] = {
    "capital": facts.capital,
    "colour": facts.colour,
    "sound": facts.sound,
    "young": facts.young,
    "legs": facts.legs,
    "opposite": facts.opposite,
    "use": facts.use,
    "calendar": facts.calendar,
    "single": facts.single,
}
_SHORT_FACTS = (facts.capital, facts.capital, facts.colour, facts.opposite, facts.calendar)
_TOPICAL = (*_SHORT_FACTS, facts.sums)


def _short_fact(draw: Draw) -> Exchange:
    """A fact whose bare answer is one or two words."""
    while True:
        exchange = draw.free(_TOPICAL)(draw)
        if not exchange.before:
            return exchange


def _several(draw: Draw) -> Exchange:
    """An exchange with an answer of at least two sentences, of which the first is enough."""
    while True:
        world = draw.free(
            (
                documents.hello_world,
                documents.pizza,
                documents.pep8,
                talk.about_me,
                unknown.unknown,
                documents.pizza,
            )
        )
        exchange = world(draw)
        if len(exchange.answer) > 1 and exchange.may_shorten and "?" not in exchange.answer[0]:
            return exchange


def _distraction(draw: Draw) -> Exchange:
    world = draw.free(
        (
            talk.greeting,
            talk.about_me,
            talk.say_word,
            facts.capital,
            facts.sums,
            facts.colour,
            facts.single,
            facts.opposite,
            unknown.unknown,
            facts.use,
            documents.pizza,
            facts.yes_no,
        )
    )
    return world(draw)


def _any_plain(draw: Draw) -> Exchange:
    """Something that no tool is needed for."""
    world = draw.free(
        (
            talk.greeting,
            talk.about_me,
            facts.capital,
            facts.sums,
            facts.single,
            documents.hello_world,
            documents.pizza,
            facts.opposite,
            facts.colour,
            unknown.unknown,
        )
    )
    return world(draw)


def _memory(draw: Draw) -> Exchange:
    return memory.memory(draw, _distraction)


def _never_told(draw: Draw) -> Exchange:
    return memory.never_told(draw, _distraction)


def _obey(draw: Draw) -> Exchange:
    return rules.obey(draw, _several, _short_fact, facts.yes_no, facts.listing)


def _plain_with_tools(draw: Draw) -> Exchange:
    return tools.plain(draw, _any_plain(draw))


# (kind, world, weight): weights count conversations, not tokens; a story is the longest.
MIX: tuple[tuple[str, World, float], ...] = (
    ("json", extraction.extraction, 32),
    ("json-long", extraction.many_rows, 1),
    ("json-fact", extraction.known, 0.6),
    ("span", spans.span, 48),
    ("span-after-span", spans.span_after_span, 24),
    ("span-long", spans.long_span, 4),
    ("not-in-text", spans.not_in_text, 3),
    ("tool-call", tools.call, 22),
    ("tool-none", tools.no_tool, 6),
    ("tool-plain", _plain_with_tools, 4.5),
    ("tool-result", tools.result, 3),
    ("tool-talk", tools.talk, 1.2),
    ("label", labels.label, 10),
    ("memory", _memory, 15),
    ("never-told", _never_told, 1.5),
    ("just-told", memory.just_told, 2.5),
    ("obey", _obey, 27),
    ("summary", lists.summary, 12),
    ("list-item", lists.pick_item, 2.5),
    ("list-form", lists.shout, 1.5),
    ("copying", copying.copying, 4),
    ("hello-world", documents.hello_world, 1.5),
    ("pizza", documents.pizza, 1.5),
    ("pep8", documents.pep8, 1.5),
    ("story", stories.plain_story, 1.5),
    ("story-about", stories.story_about, 3),
    ("capital", facts.capital, 2.5),
    ("colour", facts.colour, 1.5),
    ("sound", facts.sound, 1.5),
    ("young", facts.young, 1.2),
    ("legs", facts.legs, 1),
    ("opposite", facts.opposite, 2.5),
    ("use", facts.use, 1.2),
    ("calendar", facts.calendar, 3),
    ("single", facts.single, 3),
    ("yes-no", facts.yes_no, 3),
    ("sum", facts.sums, 8),
    ("sum-story", facts.long_sum, 2.5),
    ("list", facts.listing, 2),
    ("greeting", talk.greeting, 3),
    ("about-me", talk.about_me, 4),
    ("greet", talk.greet_somebody, 3.5),
    ("say", talk.say_word, 1),
    ("sentence", talk.sentence_with, 1.2),
    ("unknown", unknown.unknown, 5),
)
_WORLDS = {kind: world for kind, world, _ in MIX}
_KINDS = tuple(_WORLDS)
_WEIGHTS = tuple(accumulate(weight for *_, weight in MIX))
# Kinds that may stand before another exchange without changing what it means.
_BEFORE = (
    "pizza",
    "pep8",
    "hello-world",
    "capital",
    "colour",
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
    "span",
    "label",
    "summary",
    "yes-no",
    "json",
)
_MEASURES = dict.fromkeys((*_FACTS, "yes-no"), "facts") | {
    "sum": "arithmetic",
    "sum-story": "arithmetic",
    "story-about": "story subject",
}
UNKNOWN_MARKS = (
    "do not know",
    "cannot",
    "more than I know",
    "too small",
    "too difficult",
    "no access",
)


def _casual(draw: Draw, text: str, may_lower: bool) -> str:
    """The text as somebody in a hurry would type it."""
    if draw.chance(0.25) and text[-1] in ".?!" and "\n" not in text:
        text = text[:-1]
    if may_lower and draw.chance(0.12):
        text = text.lower()
    if draw.chance(0.04) and not text.startswith(("Hi", "Hello", "Please", "Hey")):
        text = draw.free(("Hi! ", "Hello! ", "Please: ", "Hey, ", "Question: ")) + text
    return text


def _check(kind: str, exchange: Exchange) -> Check | None:
    if exchange.check is not None:
        return exchange.check
    if kind == "unknown":
        return AnyCheck("unknown", UNKNOWN_MARKS)
    if exchange.expect is not None and kind in _MEASURES:
        wrong = {"Yes": ("No",), "No": ("Yes",)}.get(exchange.expect, ())
        return HasCheck(_MEASURES[kind], (exchange.expect,), wrong)
    return None


def _draw_one(draw: Draw, kind: str) -> Conversation:
    exchange = _WORLDS[kind](draw)
    system = exchange.system
    if system is None and exchange.may_bend:
        system = rules.plain_system(draw, kind != "about-me")
    turns: list[tuple[str, str]] = [] if system is None else [("system", system)]
    # Earlier exchanges stand first, so that an answer also follows unrelated talk.
    if exchange.system is None and kind != "never-told" and draw.chance(0.1):
        for _ in range(draw.number(8, 40) if draw.chance(0.07) else draw.free((1, 1, 2, 3))):
            earlier = _WORLDS[draw.free(_BEFORE)](draw)
            if earlier.system is not None:
                continue
            if sum(len(text) for _, text in turns) > LONGEST - 1000:
                break
            turns += [
                *earlier.before,
                ("user", _casual(draw, earlier.user, earlier.may_lower)),
                ("assistant", " ".join(earlier.answer)),
            ]
    turns += exchange.before
    turns.append(("user", _casual(draw, exchange.user, exchange.may_lower)))
    turns += exchange.after
    turns.append(("assistant", " ".join(exchange.answer)))
    return Conversation(
        kind, tuple(turns), frozenset(draw.keys), frozenset(draw.held), _check(kind, exchange)
    )


def conversations(
    seed: int, count: int, held_out: bool = False, kind: str | None = None
) -> Iterator[Conversation]:
    """Yields `count` conversations; the same arguments always give the same ones.

    `kind` asks for one world only. A held-out conversation has wordings or entities that no
    training conversation may have.
    """
    return _stream(f"{seed}-{held_out}-{kind}", count, held_out, kind, _draw_one)


def _stream(
    seed: str,
    count: int,
    held_out: bool,
    kind: str | None,
    draw_one: Callable[[Draw, str], Conversation],
) -> Iterator[Conversation]:
    rng = random.Random(seed)
    made = misses = 0
    while made < count:
        chosen = kind or rng.choices(_KINDS, cum_weights=_WEIGHTS)[0]
        draw = Draw(random.Random(rng.getrandbits(64)), held_out)
        talk_drawn = draw_one(draw, chosen)
        if held_out and not draw.held:
            misses += 1
            if kind is not None and misses > 2000:
                raise ValueError(f"the world {kind!r} holds nothing out")
            continue
        if sum(len(text) for _, text in talk_drawn.turns) > LONGEST:
            continue
        made += 1
        misses = 0
        yield talk_drawn


_PIRATE_KINDS = (*_FACTS, "pizza", "hello-world", "pep8", "greeting", "about-me", "unknown", "sum",
                 "list", "story", "story-about", "yes-no", "unknown", "pizza")  # fmt: skip


def _pirate_one(draw: Draw, kind: str) -> Conversation:
    exchange = _WORLDS[draw.free(_PIRATE_KINDS)](draw)
    exchange.answer = adapters.pirate(draw, exchange.answer)
    system = rules.plain_system(draw, may_name=False)
    turns: list[tuple[str, str]] = [] if system is None else [("system", system)]
    turns.append(("user", _casual(draw, exchange.user, exchange.may_lower)))
    turns.append(("assistant", " ".join(exchange.answer)))
    keys, held = frozenset(draw.keys), frozenset(draw.held)
    return Conversation(kind, tuple(turns), keys, held, StyleCheck())


def _label_one(draw: Draw, kind: str) -> Conversation:
    exchange = adapters.message(draw)
    system = rules.plain_system(draw)
    turns: list[tuple[str, str]] = [] if system is None else [("system", system)]
    turns.append(("user", _casual(draw, exchange.user, True)))
    turns.append(("assistant", exchange.answer[0]))
    return Conversation(
        kind, tuple(turns), frozenset(draw.keys), frozenset(draw.held), exchange.check
    )


def adapter_conversations(
    name: str, seed: int, count: int, held_out: bool = False
) -> Iterator[Conversation]:
    """Conversations for one of the adapters, "pirate" or "label"."""
    draw_one = {"pirate": _pirate_one, "label": _label_one}[name]
    return _stream(f"{name}-{seed}-{held_out}", count, held_out, name, draw_one)


def render(turns: tuple[tuple[str, str], ...], generation_prompt: bool = False) -> str:
    """The chat format as one string; ends with the assistant marker where asked to."""
    text = SPECIALS[BOS] + "".join(f"{MARKERS[role]}{said}{SPECIALS[END]}" for role, said in turns)
    return text + SPECIALS[ASSISTANT] if generation_prompt else text
