"""Knows exercises in which the answer repeats what was said; refuses to know facts.

A model this small learns late to look back for a name. These exercises are dense in copying, so
that it learns it within minutes; stories and name memory then use the same skill.
"""

from __future__ import annotations

from training.draw import Draw, Exchange, joined
from training.worlds import entities, words

_REPEAT_ASKED = (
    "Repeat after me: {}", "Repeat: {}", "Repeat these words: {}", "Say these words: {}",
    "Write these words again: {}", "Please repeat: {}", "Say after me: {}", "Copy this: {}",
    "Write down: {}", "Echo: {}",
)
_GROUP_TOLD = (
    "My friends are {}.", "My children are {}.", "The team is {}.", "Today I met {}.",
    "My cats are called {}.", "I invited {}.",
)
_GROUP_ASKED = ("Say their names.", "List the names.", "Who are they?", "Name them.",
                "What are their names?", "Tell me the names again.")


def _word(draw: Draw) -> str:
    shape = draw.free(("name", "name", "hero", "thing", "look"))
    if shape == "name":
        return words.any_name(draw, 0.6)
    if shape == "look":
        return draw.free(words.LOOKS)
    return draw.pick(shape, words.ANIMALS if shape == "hero" else words.OBJECTS[:44])


def _value(draw: Draw) -> str:
    make = draw.free((entities.code, entities.email, entities.phone, entities.town,
                      entities.person, entities.iso_date, entities.time, entities.made_word,
                      entities.surname, entities.street))
    return make(draw)


def copying(draw: Draw) -> Exchange:
    """Words to repeat, or names to greet or to list."""
    shape = draw.free(("repeat", "repeat", "repeat", "row", "group"))
    if shape in ("repeat", "row"):
        # A row mixes all kinds of values, which other skills copy one at a time.
        make = _word if shape == "repeat" else _value
        text = " ".join(make(draw) for _ in range(draw.free(range(1, 6))))
        user = draw.ask("ask-repeat", _REPEAT_ASKED, 2).format(text)
        return Exchange(user, [text], text, may_shorten=False,
                        may_tone=False, may_lower=False)
    names: list[str] = []
    while len(names) < draw.free((1, 2, 2, 3)):
        name = words.any_name(draw, 0.6)
        if name not in names:
            names.append(name)
    text = joined(names)
    told = draw.free(_GROUP_TOLD).format(text)
    asked = draw.ask("ask-group", _GROUP_ASKED, 1)
    answer = [f"{text}."]
    if draw.chance(0.5):
        return Exchange(f"{told} {asked}", answer, text, may_shorten=False,
                        may_tone=False, may_lower=False)
    reply = draw.free(("That is nice.", "I will remember that.", "How nice!"))
    return Exchange(asked, answer, text, [("user", told), ("assistant", reply)],
                    may_shorten=False, may_tone=False, may_lower=False)
