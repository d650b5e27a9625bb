"""Knows what people tell about themselves and how it is asked for later; refuses to invent it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.checks import AnyCheck, HasCheck
from training.draw import Draw, Exchange
from training.worlds import entities as e


@dataclass(frozen=True)
class Told:
    """One thing that a user may tell: sentences, replies, questions, answers; {} is the value."""

    kind: str
    make: Callable[[Draw], str]
    told: tuple[str, ...]
    asked: tuple[str, ...]
    answers: tuple[str, ...]
    unknown: str


_TOLD = (
    Told("name", e.first_name,
         ("My name is {}.", "I am {}.", "I'm {}.", "Hi, I am {}.", "Hello, my name is {}.",
          "Hi! My name is {}.", "You can call me {}.", "Hey, I'm {}.", "Please call me {}.",
          "Hello! I am {}.", "People call me {}.", "This is {}.", "{} here.", "{} is my name.",
          "Let me introduce myself: I am {}."),
         ("What is my name?", "What's my name?", "Do you remember my name?", "Who am I?",
          "Do you know my name?", "Can you tell me my name?", "Say my name.", "How am I called?",
          "Tell me my name.", "What did I say my name was?", "Which name did I tell you?",
          "Do you still know what I am called?", "And what was my name?", "My name is?"),
         ("Your name is {}.", "Your name is {}.", "You are {}."), "name"),
    Told("town", e.town,
         ("I live in {}.", "My home town is {}.", "I come from {}.", "I am from {}.",
          "My flat is in {}.", "We moved to {}.", "I grew up in {}.", "I am writing from {}."),
         ("Where do I live?", "Where am I from?", "What is my town?", "Which town am I from?",
          "Do you remember where I live?", "What is my home town?", "Which town did I name?",
          "In which town is my home?"),
         ("You live in {}.", "You are from {}."), "town"),
    Told("pet", e.pet_name,
         ("My dog is called {}.", "I have a cat named {}.", "The name of my pet is {}.",
          "My pet is called {}.", "I got a rabbit and named it {}.", "Our parrot is called {}.",
          "We have a pony, {}.", "My pet, {}, is sleeping."),
         ("What is my pet called?", "What is the name of my pet?", "How is my pet called?",
          "Do you remember my pet's name?", "Who is my pet?", "Tell me the name of my pet.",
          "What did I say my pet is called?"),
         ("Your pet is called {}.", "The name of your pet is {}."), "pet"),
    Told("job", e.job,
         ("I work as a {}.", "I am a {} by profession.", "My job is {}.",
          "I earn my money as a {}.",
          "My profession is {}.", "At work I am a {}."),
         ("What is my job?", "What do I do for a living?", "Do you remember my job?",
          "As what do I work?", "What is my profession?", "Tell me my job."),
         ("You work as a {}.", "Your job is {}."), "job"),
    Told("colour", e.colour,
         ("My favourite colour is {}.", "I love the colour {}.", "The colour I like best is {}.",
          "My favorite color is {}.", "{} is my favourite colour.", "I like {} more than any other "
          "colour."),
         ("What is my favourite colour?", "Which colour do I like best?",
          "What's my favorite color?", "Do you remember my favourite colour?",
          "Tell me my favourite colour.", "Which colour is my favourite?"),
         ("Your favourite colour is {}.",), "favourite colour"),
    Told("birthday", e.spoken_date,
         ("My birthday is on {}.", "I was born on {}.", "My birthday is {}.",
          "I celebrate my birthday on {}.", "{} is my birthday."),
         ("When is my birthday?", "What is my birthday?", "When was I born?",
          "Do you remember my birthday?", "On which day is my birthday?"),
         ("Your birthday is {}.", "Your birthday is on {}."), "birthday"),
    Told("number", e.code,
         ("My booking number is {}.", "The number of my booking is {}.", "I have the booking {}.",
          "Please note my booking number: {}.", "Booking number {}.", "My booking is {}."),
         ("What is my booking number?", "Which booking number do I have?",
          "Tell me my booking number.", "Do you remember my booking number?",
          "What was the number of my booking?"),
         ("Your booking number is {}.",), "booking number"),
    Told("sister", e.first_name,
         ("My sister is called {}.", "I have a sister named {}.", "My sister's name is {}.",
          "{} is my sister.", "My sister is {}."),
         ("What is my sister called?", "Who is my sister?", "What is my sister's name?",
          "Do you remember my sister's name?", "Tell me the name of my sister."),
         ("Your sister is called {}.", "Your sister's name is {}."), "sister"),
    Told("friend", e.person,
         ("My best friend is {}.", "{} is my best friend.", "My best friend is called {}.",
          "I have a best friend, {}.", "The name of my best friend is {}."),
         ("Who is my best friend?", "What is my best friend called?",
          "What is the name of my best friend?", "Do you remember my best friend?",
          "Tell me who my best friend is."),
         ("Your best friend is {}.", "Your best friend is called {}."), "best friend"),
    Told("company", e.company,
         ("I work for {}.", "My company is {}.", "I am with {}.", "My firm is called {}.",
          "I founded {}.", "My employer is {}."),
         ("For which company do I work?", "What is my company?", "What is my company called?",
          "Who is my employer?", "Do you remember my company?"),
         ("You work for {}.", "Your company is {}."), "company"),
    Told("food", lambda d: d.pick("food", _FOODS),
         ("My favourite food is {}.", "I love to eat {}.", "The food I like best is {}.",
          "I could eat {} every day.", "My favorite food is {}.", "{} is my favourite food."),
         ("What is my favourite food?", "What do I like to eat?", "Which food do I like best?",
          "Do you remember my favourite food?", "Tell me my favourite food."),
         ("Your favourite food is {}.",), "favourite food"),
    Told("book", e.title,
         ('I am reading "{}".', 'My favourite book is "{}".', 'I love the book "{}".',
          'The book I like best is "{}".', 'At the moment I read "{}".'),
         ("Which book do I read?", "What is my favourite book?", "Which book did I name?",
          "Do you remember my book?", "What is the title of my book?"),
         ('Your book is "{}".', 'You read "{}".'), "book"),
)
_FOODS = ("pizza", "soup", "bread", "cake", "rice", "pasta", "cheese", "salad", "fish", "noodles",
          "pancakes", "dumplings", "curry", "stew", "porridge", "pie", "beans", "sushi", "waffles",
          "risotto", "tacos", "chips", "ice cream", "lentils", "omelette", "mushrooms")
_NICE = ("Nice to meet you, {}!", "Hello, {}! It is nice to meet you.", "Hello, {}!",
         "Hi, {}! How can I help you?", "It is nice to meet you, {}!")
_NOTED = ("I will remember that.", "How nice!", "Thank you for telling me.", "Good to know.",
          "I will keep that in mind.", "Noted.", "All right.", "That is nice.", "Okay!")
_REMEMBER = ("{}", "{}", "{}", "{}", "Remember this: {}", "Please remember: {}", "Note this: {}",
             "By the way, {}", "You should know: {}", "Just so you know: {}", "{} Remember it.",
             "Keep in mind: {}")
_NEVER = ("You have not told me that yet.", "I do not know, because you have not told me.",
          "You did not tell me that.", "I do not know that yet.")
NEVER_MARKS = ("not told me", "did not tell me", "do not know")


def _say(draw: Draw, told: Told, value: str) -> str:
    said = draw.ask(f"tell-{told.kind}", told.told, 2).format(value)
    return draw.ask("tell-form", _REMEMBER, 4).format(said)


def _reply(draw: Draw, told: Told, value: str) -> str:
    if told.kind == "name" and draw.chance(0.8):
        return draw.free(_NICE).format(value)
    if draw.chance(0.25):
        return f"{draw.free(_NOTED)} {draw.free(told.answers).format(value)}"
    return draw.free(_NOTED)


def memory(draw: Draw, distract: Callable[[Draw], Exchange]) -> Exchange:
    """Something told one to five exchanges ago, with other things in between."""
    facts = draw.some(_TOLD, draw.free((1, 1, 1, 2, 2, 3)))
    if draw.chance(0.35) and all(fact.kind != "name" for fact in facts):
        facts[0] = _TOLD[0]
    values: list[str] = []
    for fact in facts:
        value = fact.make(draw)
        while any(value in other or other in value for other in values):
            value = fact.make(draw)
        values.append(value)
    at = draw.number(0, len(facts) - 1)
    before: list[tuple[str, str]] = []
    in_one = len(facts) > 1 and draw.chance(0.25)
    if in_one:
        said = " ".join(draw.ask(f"tell-{fact.kind}", fact.told, 2).format(value)
                        for fact, value in zip(facts, values, strict=True))
        before += [("user", said), ("assistant", draw.free(_NOTED))]
    for fact, value in zip(facts, values, strict=True):
        if not in_one:
            before += [("user", _say(draw, fact, value)), ("assistant", _reply(draw, fact, value))]
        if draw.chance(0.5) and (not in_one or fact is facts[-1]):
            before += _turns(distract(draw))
    for _ in range(draw.free((0, 0, 1, 1, 2, 3)) if draw.chance(0.97) else draw.number(4, 16)):
        before += _turns(distract(draw))
    fact, value = facts[at], values[at]
    user = draw.ask(f"ask-{fact.kind}", fact.asked, 2)
    others = tuple(other for other in values if other != value)
    return Exchange(user, [draw.free(fact.answers).format(value)], before=before,
                    check=HasCheck("memory", (value,), others), may_bend=False, may_lower=False)


def _turns(exchange: Exchange) -> list[tuple[str, str]]:
    return [*exchange.before, ("user", exchange.user), ("assistant", " ".join(exchange.answer[:2]))]


def never_told(draw: Draw, distract: Callable[[Draw], Exchange]) -> Exchange:
    """The question for something that was never told."""
    fact = draw.free(_TOLD)
    before: list[tuple[str, str]] = []
    if draw.chance(0.5):
        other = draw.free([item for item in _TOLD if item is not fact])
        value = other.make(draw)
        before += [("user", _say(draw, other, value)), ("assistant", _reply(draw, other, value))]
    if draw.chance(0.4):
        before += _turns(distract(draw))
    user = draw.ask(f"ask-{fact.kind}", fact.asked, 2)
    return Exchange(user, [draw.free(_NEVER)], before=before, may_bend=False,
                    check=AnyCheck("unknown", NEVER_MARKS))


def just_told(draw: Draw) -> Exchange:
    """Somebody tells something, and the answer takes note of it."""
    fact = draw.free((_TOLD[0], _TOLD[0], draw.free(_TOLD)))
    value = fact.make(draw)
    return Exchange(_say(draw, fact, value), [_reply(draw, fact, value)], may_bend=False,
                    may_lower=False)
