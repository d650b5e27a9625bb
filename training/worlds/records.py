"""Knows records (orders, trips, people ...) and how a text tells them; refuses to know any task.

A record is a list of `Field`s with their values. Extraction, spans and tools all ask about the same
records, each in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.draw import Draw, joined, sentence, upper_first
from training.wordings import texts
from training.worlds import entities as e
from training.worlds import properties as p
from training.worlds.properties import Kind, price, whole

Value = Any
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
                "ten", "eleven", "twelve")


@dataclass
class Field:
    """One property of one record: `key` in JSON, `spoken` in a question, `value`, its sentence."""

    key: str
    spoken: str
    type: str
    value: Value
    shown: str
    told: str
    asked: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of this property."""
        if self.type == "array":
            return {"type": "array", "items": {"type": "string"}}
        if self.options:
            return {"type": "string", "enum": list(self.options)}
        return {"type": self.type}


DOMAINS: dict[str, tuple[Kind, ...]] = {
    "meal": (p.EATERY, p.WEEKDAY, p.TIME, p.GUESTS, p.PERSON, p.PRICE, p.PARTS),
    "notice": (p.PET, p.SPECIES, p.COLOUR, p.STREET, p.PHONE, p.PERSON, p.WEEKDAY, p.CITY),
    "job offer": (p.JOB, p.COMPANY, p.CITY, p.SALARY, p.HOURS, p.EMAIL, p.DATE),
    "review": (p.PRODUCT, p.BRAND, p.RATING, p.PRICE, p.PERSON, p.COLOUR, p.YEAR),
    "order": (p.CUSTOMER, p.PRODUCT, p.QUANTITY, p.PRICE, p.ID, p.PAID, p.STATUS, p.DATE, p.CITY,
              p.STREET,
              p.URGENT, p.COLOUR, p.SIZE),
    "booking": (p.PERSON, p.HOTEL, p.NIGHTS, p.GUESTS, p.CITY, p.DATE, p.PRICE, p.PAID, p.PHONE,
                p.ID),
    "contact": (p.PERSON, p.EMAIL, p.PHONE, p.STREET, p.CITY, p.COMPANY, p.JOB, p.AGE),
    "event": (p.TITLE, p.DATE, p.TIME, p.ROOM, p.CITY, p.NAMES, p.TOPIC, p.GUESTS),
    "book": (p.TITLE, p.AUTHOR, p.YEAR, p.PAGES, p.PRICE, p.TAGS, p.COMPANY),
    "pet": (p.PET, p.SPECIES, p.AGE, p.COLOUR, p.OWNER, p.WEIGHT, p.CITY),
    "weather report": (p.CITY, p.TEMP, p.SKY, p.DATE, p.TIME),
    "recipe": (p.TITLE, p.PARTS, p.GUESTS, p.PRICE, p.AUTHOR),
    "ticket": (p.ID, p.PERSON, p.PRIORITY, p.PRODUCT, p.DATE, p.STATUS, p.EMAIL, p.URGENT),
    "trip": (p.FROM, p.TO, p.DATE, p.TIME, p.PERSON, p.PRICE, p.GUESTS),
    "invoice": (p.ID, p.COMPANY, p.PRICE, p.CURRENCY, p.DATE, p.PAID, p.CUSTOMER),
}
# Sentences that tell several fields at once: text and the kinds that it names, in order.
_COMPOUND: dict[str, tuple[tuple[str, tuple[Kind, ...]], ...]] = {
    "meal": (("Dinner on {} is at {}, {}. Bring money. - {}", (p.WEEKDAY, p.EATERY, p.TIME,
                                                               p.PERSON)),
             ("Hi all, we meet at {} at {} on {}.", (p.EATERY, p.TIME, p.WEEKDAY)),
             ("A table for {} at {}, {}, please.", (p.GUESTS, p.EATERY, p.TIME)),
             ("{} invites {} people to {}.", (p.PERSON, p.GUESTS, p.EATERY)),
             ("Lunch with {} at {} cost {} euros.", (p.PERSON, p.EATERY, p.PRICE))),
    "notice": (("Our {} {} went missing on {} near {}.", (p.SPECIES, p.PET, p.WEEKDAY, p.STREET)),
               ("If you see the {} {}, ring {} on {}.", (p.COLOUR, p.SPECIES, p.PERSON, p.PHONE)),
               ("Lost: {}, a {} {}. Call {}.", (p.PET, p.COLOUR, p.SPECIES, p.PHONE)),
               ("{} from {} is looking for a {}.", (p.PERSON, p.CITY, p.SPECIES))),
    "job offer": (("{} is looking for a {} in {}.", (p.COMPANY, p.JOB, p.CITY)),
                  ("We need a {} for {} hours a week and pay {} euros.", (p.JOB, p.HOURS,
                                                                          p.SALARY)),
                  ("Write to {} before {} if you want to work at {}", (p.EMAIL, p.DATE, p.COMPANY)),
                  ("As a {} you earn {} euros in {}.", (p.JOB, p.SALARY, p.CITY))),
    "review": (("The {} by {} gets {} stars from me.", (p.PRODUCT, p.BRAND, p.RATING)),
               ("I paid {} euros for the {}.", (p.PRICE, p.PRODUCT)),
               ("{} bought the {} {} from {}.", (p.PERSON, p.COLOUR, p.PRODUCT, p.BRAND)),
               ("{} stars! The {} is worth {} euros.", (p.RATING, p.PRODUCT, p.PRICE))),
    "order": (("Hello, I am {} and need {} pieces of the {}.", (p.CUSTOMER, p.QUANTITY, p.PRODUCT)),
              ("{} pieces of the {} cost {} euros.", (p.QUANTITY, p.PRODUCT, p.PRICE)),
              ("The {} goes to {} at {}, {}.", (p.PRODUCT, p.CUSTOMER, p.STREET, p.CITY)),
              ("My order {} for the {} has not come. - {}", (p.ID, p.PRODUCT, p.CUSTOMER)),
              ("{} from {} ordered {} pieces of the {}.", (p.CUSTOMER, p.CITY, p.QUANTITY,
                                                           p.PRODUCT)),
              ("{} bought the {} for {} euros.", (p.CUSTOMER, p.PRODUCT, p.PRICE)),
              ("Order {} is for {} and is {}.", (p.ID, p.CUSTOMER, p.STATUS)),
              ("On {} {} ordered the {}.", (p.DATE, p.CUSTOMER, p.PRODUCT)),
              ("Please send {} pieces of the {} to {}, {}.", (p.QUANTITY, p.PRODUCT, p.STREET,
                                                              p.CITY)),
              ("I would like the {} in {}, says {}.", (p.PRODUCT, p.COLOUR, p.CUSTOMER))),
    "booking": (("Dear hotel, I am {} and come on {} for {} nights.", (p.PERSON, p.DATE, p.NIGHTS)),
                ("We are {} people and would like {} nights at {}.", (p.GUESTS, p.NIGHTS, p.HOTEL)),
                ("{} costs {} euros for {} nights.", (p.HOTEL, p.PRICE, p.NIGHTS)),
                ("{} booked {} nights at {} in {}.", (p.PERSON, p.NIGHTS, p.HOTEL, p.CITY)),
                ("{} arrives on {} with {} guests.", (p.PERSON, p.DATE, p.GUESTS)),
                ("A table in {} for {} people, in the name of {}.", (p.CITY, p.GUESTS, p.PERSON))),
    "contact": (("Best wishes, {}, {}, {}", (p.PERSON, p.COMPANY, p.PHONE)),
                ("Please call {} from {} on {}.", (p.PERSON, p.COMPANY, p.PHONE)),
                ("{}, {}, lives in {} and works as a {}.", (p.PERSON, p.AGE, p.CITY, p.JOB)),
                ("Write to {} at {}", (p.PERSON, p.EMAIL)),
                ("{} works as a {} at {}.", (p.PERSON, p.JOB, p.COMPANY)),
                ("{} lives at {} in {}.", (p.PERSON, p.STREET, p.CITY)),
                ("{} is {} years old and lives in {}.", (p.PERSON, p.AGE, p.CITY)),
                ("You can reach {} at {} or {}.", (p.PERSON, p.EMAIL, p.PHONE)),
                ("My name is {}, I am {} and I come from {}.", (p.PERSON, p.AGE, p.CITY))),
    "event": (("Do not forget: {} at {}, room {}.", (p.DATE, p.TIME, p.ROOM)),
              ("{} will meet in {} on {}.", (p.NAMES, p.CITY, p.DATE)),
              ("The talk about the {} begins at {} in room {}.", (p.TOPIC, p.TIME, p.ROOM)),
              ('{} people came to "{}" in {}.', (p.GUESTS, p.TITLE, p.CITY)),
              ('"{}" takes place on {} at {} in {}.', (p.TITLE, p.DATE, p.TIME, p.CITY)),
              ("Meet in room {} at {} with {}.", (p.ROOM, p.TIME, p.NAMES)),
              ("On {} they talk about the {}.", (p.DATE, p.TOPIC))),
    "book": (('I read "{}", which {} wrote in {}.', (p.TITLE, p.AUTHOR, p.YEAR)),
             ('The book "{}" costs {} euros and has {} pages.', (p.TITLE, p.PRICE, p.PAGES)),
             ('In {} {} brought out "{}".', (p.YEAR, p.COMPANY, p.TITLE)),
             ('"{}" by {} has {} pages.', (p.TITLE, p.AUTHOR, p.PAGES)),
             ('{} wrote "{}" in {}.', (p.AUTHOR, p.TITLE, p.YEAR))),
    "pet": (("{} has a {} called {}.", (p.OWNER, p.SPECIES, p.PET)),
            ("The {} {} lives with {} in {}.", (p.SPECIES, p.PET, p.OWNER, p.CITY)),
            ("{} weighs {} kg and is {} years old.", (p.PET, p.WEIGHT, p.AGE)),
            ("{} is a {} {}.", (p.PET, p.COLOUR, p.SPECIES)),
            ("{} is {} years old and belongs to {}.", (p.PET, p.AGE, p.OWNER)),
            ("My {} {} weighs {} kg.", (p.SPECIES, p.PET, p.WEIGHT))),
    "weather report": (("Today {} is {} with {} degrees.", (p.CITY, p.SKY, p.TEMP)),
                       ("At {} it was {} in {}.", (p.TIME, p.SKY, p.CITY)),
                       ("{}: {}, {} degrees.", (p.CITY, p.SKY, p.TEMP)),
                       ("In {} it is {} and {} degrees.", (p.CITY, p.SKY, p.TEMP)),
                       ("On {} {} had {} degrees.", (p.DATE, p.CITY, p.TEMP))),
    "recipe": (('{} cooks "{}" for {} people.', (p.AUTHOR, p.TITLE, p.GUESTS)),
               ('Take {} and you get "{}".', (p.PARTS, p.TITLE)),
               ('For "{}" you need {}.', (p.TITLE, p.PARTS)),
               ('"{}" is enough for {} people.', (p.TITLE, p.GUESTS))),
    "ticket": (("The {} is broken, please write to {} at {}", (p.PRODUCT, p.PERSON, p.EMAIL)),
               ("On {} {} opened ticket {}.", (p.DATE, p.PERSON, p.ID)),
               ("{} is {} and has {} priority.", (p.ID, p.STATUS, p.PRIORITY)),
               ("{} has a problem with the {}.", (p.PERSON, p.PRODUCT)),
               ("Ticket {} by {} has the priority {}.", (p.ID, p.PERSON, p.PRIORITY))),
    "trip": (("I want to go from {} to {} on {}.", (p.FROM, p.TO, p.DATE)),
             ("{} flies to {} at {}.", (p.PERSON, p.TO, p.TIME)),
             ("{} tickets to {} please, we start in {}.", (p.GUESTS, p.TO, p.FROM)),
             ("From {} to {} it costs {} euros.", (p.FROM, p.TO, p.PRICE)),
             ("{} travels from {} to {} on {}.", (p.PERSON, p.FROM, p.TO, p.DATE)),
             ("The train from {} to {} leaves at {}.", (p.FROM, p.TO, p.TIME)),
             ("A ticket from {} to {} costs {} euros.", (p.FROM, p.TO, p.PRICE))),
    "invoice": (("{} sent invoice {} on {}.", (p.COMPANY, p.ID, p.DATE)),
                ("{} paid {} {} to {}.", (p.CUSTOMER, p.PRICE, p.CURRENCY, p.COMPANY)),
                ("Please pay {} euros to {} before {}.", (p.PRICE, p.COMPANY, p.DATE)),
                ("Invoice {} from {} is over {} {}.", (p.ID, p.COMPANY, p.PRICE, p.CURRENCY)),
                ("{} owes {} {} euros.", (p.CUSTOMER, p.COMPANY, p.PRICE))),
}
_PREFIXES = ("main", "first", "new", "given", "known", "exact", "stated", "current", "full", "user")
_ANY_TOLD = (
    "The {} is {}.", "{}: {}.", "As {} we noted {}.", "The {} was given as {}.", "Its {} is {}.",
    "For the {} they wrote {}.", "{} is the {}.", "We set the {} to {}.", "The {} reads {}.",
    "They chose {} as the {}.", "The {} will be {}.", "{} = {}.", "{} - {}.",
)
_VALUE_FIRST = ("{} is the {}.", "They chose {} as the {}.")
_ANY_MAKES: tuple[tuple[str, Callable[[Draw], Any]], ...] = (
    ("string", e.person), ("string", e.town), ("string", e.code), ("string", e.product),
    ("string", e.date), ("string", e.company), ("string", e.title), ("string", e.colour),
    ("string", e.time), ("string", lambda d: d.fresh("word", e.made_word)),
    ("integer", whole(0, 999)), ("integer", whole(0, 20)), ("number", price),
)


def shown(value: Value) -> str:
    """A value as a text writes it."""
    if isinstance(value, list):
        return joined([str(item) for item in value])
    return str(value)


def spelled(draw: Draw, key: str) -> str:
    """A key in one of the usual spellings: order_id, orderId, Order ID."""
    if "_" in key and draw.chance(0.3):
        first, *rest = key.split("_")
        return first + "".join(word.capitalize() for word in rest)
    return key


def _key(draw: Draw, kind: Kind) -> str:
    key = draw.free(kind.keys)
    if draw.chance(0.2):
        key = f"{draw.free(_PREFIXES)}_{key}"
    return spelled(draw, key)


def _value(draw: Draw, kind: Kind) -> tuple[Value, tuple[str, ...]]:
    if kind.options:
        options = tuple(draw.some(kind.options, draw.number(2, len(kind.options))))
        return draw.free(options), options
    return kind.make(draw), ()


def _told(draw: Draw, kind: Kind, value: Value) -> tuple[str, str]:
    """One sentence for a value and the value as it is written there."""
    world = f"told-{kind.keys[0]}"
    if kind.type == "boolean":
        middle = kind.told.index("|")
        told = kind.told[:middle] if value else kind.told[middle + 1:]
        return draw.free(told), ""
    text = shown(value)
    if kind.type == "integer" and 0 <= value <= 12 and draw.chance(0.2):
        text = NUMBER_WORDS[value]
    if not draw.held_out and kind.type != "array" and draw.chance(0.2):
        return _any_told(draw, draw.free(kind.spoken), text), text
    return sentence(draw.pick(world, kind.told), text), text


def any_field(draw: Draw, taken: set[str]) -> Field:
    """A property with a made-up name: only its words lead to its value."""
    while True:
        spoken = e.label(draw)
        key = spoken.replace(" ", "_")
        if key not in taken:
            break
    if draw.chance(0.07):
        value: Value = draw.chance(0.5)
        told = draw.free(("{}: {}.", "The {} is set: {}.")).format(spoken, "yes" if value else "no")
        return Field(spelled(draw, key), spoken, "boolean", value, "", upper_first(told))
    kind, make = draw.free(_ANY_MAKES)
    value = make(draw)
    text = shown(value)
    told = _any_told(draw, spoken, text)
    return Field(spelled(draw, key), spoken, kind, value, text, told)


def _any_told(draw: Draw, spoken: str, text: str) -> str:
    """A sentence that names a property and its value, in any of the general forms."""
    told = draw.pick("told-any", _ANY_TOLD, texts.TOLD_ANY)
    if told in _VALUE_FIRST:
        return sentence(told, text, spoken)
    filled = told.format(spoken, text, k=spoken, v=text)
    filled += "" if filled[-1] in ".)" else "."
    return filled if told.startswith("{v}") else upper_first(filled)


def domain_fields(draw: Draw, domain: str, count: int) -> tuple[list[Field], list[str]]:
    """`count` properties of one kind of record and the sentences of its text, in order."""
    kinds = DOMAINS[domain]
    sentences: list[str] = []
    fields: list[Field] = []
    taken: set[str] = set()

    def add(kind: Kind, value: Value, options: tuple[str, ...], text: str, told: str) -> None:
        key = _key(draw, kind)
        while key in taken:
            key = f"{draw.free(_PREFIXES)}_{key}"
        taken.add(key)
        fields.append(Field(key, draw.free(kind.spoken), kind.type, value, text, told, kind.asked,
                            options))

    used: tuple[Kind, ...] = ()
    if draw.chance(0.6):
        form, used = draw.free(_COMPOUND[domain])
        values = [_value(draw, kind) for kind in used]
        told = sentence(form, *(shown(value) for value, _ in values))
        sentences.append(told)
        for kind, (value, options) in zip(used, values, strict=True):
            add(kind, value, options, shown(value), told)
    rest = [kind for kind in kinds if kind not in used]
    for kind in draw.some(rest, max(0, min(len(rest), count - len(fields)))):
        value, options = _value(draw, kind)
        told, text = _told(draw, kind, value)
        sentences.append(told)
        add(kind, value, options, text, told)
    draw.rng.shuffle(sentences)
    return fields, sentences


def any_fields(draw: Draw, count: int) -> tuple[list[Field], list[str]]:
    """`count` properties with made-up names and their sentences."""
    fields: list[Field] = []
    for _ in range(count):
        fields.append(any_field(draw, {f.spoken.replace(" ", "_") for f in fields}))
    sentences = [field.told for field in fields]
    draw.rng.shuffle(sentences)
    return fields, sentences


NOISE = (
    "Thank you very much.", "Please let us know.", "Nothing else has changed.", "See you soon.",
    "That is all for today.", "We look forward to it.", "Everybody was happy about it.",
    "It was a long day.", "The rest is as usual.", "Have a nice day.", "There is nothing to add.",
    "Please keep this note.", "It is the same as last time.", "The weather did not matter.",
    "We will write again next week.", "Nobody had any questions.",
)


def record(draw: Draw, low: int = 2, high: int = 6) -> tuple[str, list[Field], list[str]]:
    """The name of a kind of record, its fields and its sentences."""
    count = draw.number(low, high)
    if draw.chance(0.45):
        fields, sentences = any_fields(draw, count)
        name = draw.free(("note", "record", "entry", "form", "report", "sheet"))
    else:
        name = draw.free(tuple(DOMAINS))
        fields, sentences = domain_fields(draw, name, count)
    if draw.chance(0.25):
        sentences.insert(draw.number(0, len(sentences)), draw.free(NOISE))
    return name, fields, sentences
