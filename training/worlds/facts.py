"""Knows how facts are asked for and answered; refuses to know facts outside its tables."""

from __future__ import annotations

from training.draw import Draw, Exchange, a, joined, upper_first
from training.worlds import tables, words

_CAPITAL_ASKED = (
    "What is the capital of {}?", "What's the capital of {}?", "Which city is the capital of {}?",
    "Name the capital of {}.", "Tell me the capital of {}.", "Do you know the capital of {}?",
    "What is the capital city of {}?", "What city is the capital of {}?",
    "Can you tell me the capital of {}?", "I need the capital of {}.",
)
_COLOUR_ASKED = (
    "What colour is {}?", "What color is {}?", "Which colour is {}?", "Tell me the colour of {}.",
    "What is the colour of {}?", "What is the color of {}?", "Do you know the colour of {}?",
)
_SOUND_ASKED = (
    "What sound does {} make?", "Which sound does {} make?", "What noise does {} make?",
    "Tell me the sound of {}.", "How does {} sound?", "Do you know what sound {} makes?",
)
_YOUNG_ASKED = (
    "What is a baby {} called?", "What is a young {} called?", "What do you call a baby {}?",
    "What do you call a young {}?", "What is the name for a young {}?",
)
_LEGS_ASKED = (
    "How many legs does {} have?", "How many legs has {}?", "Tell me how many legs {} has.",
    "Do you know how many legs {} has?",
)
_OPPOSITE_ASKED = (
    "What is the opposite of {}?", "What's the opposite of {}?", "Tell me the opposite of {}.",
    "Give me the opposite of {}.", "Which word is the opposite of {}?", "Name the opposite of {}.",
)
_USE_ASKED = (
    "What is {} for?", "What is {} used for?", "What do you use {} for?", "Why do people need {}?",
    "What can I do with {}?", "Tell me what {} is for.", "What does one need {} for?",
)
SUM_ASKED = (
    "What is {} {} {}?", "What's {} {} {}?", "How much is {} {} {}?", "Calculate {} {} {}.",
    "Tell me what {} {} {} is.", "Can you calculate {} {} {}?", "{} {} {}", "{} {} {} =",
    "Please work out {} {} {}.", "Compute {} {} {}.",
)
_NUMBERS = "zero one two three four five six seven eight nine ten".split()
_LIST_ASKED = (
    "List {} {}.", "Name {} {}.", "Give me {} {}.", "Tell me {} {}.", "Can you name {} {}?",
    "Write down {} {}.", "Please list {} {}.", "I need {} {}.", "Give me a list of {} {}.",
)
_AFTER_DAY = ("What day comes after {}?", "Which day comes after {}?", "What day follows {}?")
_BEFORE_DAY = ("What day comes before {}?", "Which day comes before {}?", "What day is before {}?")
_AFTER_MONTH = ("What month comes after {}?", "Which month comes after {}?",
                "What month follows {}?")
_BEFORE_MONTH = ("What month comes before {}?", "Which month comes before {}?")


def _with_article(noun: str) -> str:
    return noun if noun in ("scissors", "soap") else a(noun)


def capital(draw: Draw) -> Exchange:
    """A capital, sometimes asked with a short follow-up."""
    names = list(tables.CAPITALS)
    land = draw.free(names)
    asked = draw.ask("ask-capital", _CAPITAL_ASKED, 2)
    forms = ("The capital of {} is {}.", "The capital of {} is {}.", "{1} is the capital of {0}.")
    answer = draw.free(forms).format(land, tables.CAPITALS[land])
    if not draw.chance(0.25):
        return Exchange(asked.format(land), [answer], tables.CAPITALS[land], about="capitals")
    other = draw.free([name for name in names if name != land])
    again = draw.ask("ask-again", ("And of {}?", "And {}?", "What about {}?",
                                   "And the capital of {}?", "{} too?", "Now {}."), 1)
    return Exchange(
        again.format(other),
        [f"The capital of {other} is {tables.CAPITALS[other]}."],
        tables.CAPITALS[other],
        before=[("user", asked.format(land)), ("assistant", answer)],
        about="capitals",
    )


def colour(draw: Draw) -> Exchange:
    """The colour of a thing."""
    thing = draw.free(list(tables.COLOURS))
    value = tables.COLOURS[thing]
    user = draw.ask("ask-colour", _COLOUR_ASKED, 2).format(thing)
    return Exchange(user, [f"{upper_first(thing)} is {value}."], value, about="colours")


def sound(draw: Draw) -> Exchange:
    """What an animal does to be heard."""
    animal = draw.free(list(tables.SOUNDS))
    user = draw.ask("ask-sound", _SOUND_ASKED, 1).format(a(animal))
    value = tables.SOUNDS[animal]
    return Exchange(user, [f"{upper_first(a(animal))} {value}."], value)


def young(draw: Draw) -> Exchange:
    """The name of a young animal."""
    animal = draw.free(list(tables.YOUNG))
    user = draw.ask("ask-young", _YOUNG_ASKED, 1).format(animal)
    value = tables.YOUNG[animal]
    return Exchange(user, [f"A young {animal} is called {a(value)}."], value)


def legs(draw: Draw) -> Exchange:
    """How many legs an animal has."""
    animal = draw.free(list(tables.LEGS))
    user = draw.ask("ask-legs", _LEGS_ASKED, 1).format(a(animal))
    value = _NUMBERS[tables.LEGS[animal]] if tables.LEGS[animal] else "no"
    return Exchange(user, [f"{upper_first(a(animal))} has {value} legs."], f"{value} legs")


def opposite(draw: Draw) -> Exchange:
    """The opposite of a word."""
    word = draw.free(list(tables.OPPOSITES))
    value = tables.OPPOSITES[word]
    user = draw.ask("ask-opposite", _OPPOSITE_ASKED, 2).format(word)
    return Exchange(user, [f"The opposite of {word} is {value}."], f"is {value}", about="opposites")


def use(draw: Draw) -> Exchange:
    """What a thing is for."""
    thing = draw.free(list(tables.USES))
    named, value = _with_article(thing), tables.USES[thing]
    verb = "are" if thing == "scissors" else "is"
    user = draw.ask("ask-use", _USE_ASKED, 2).format(named)
    user = user.replace("is scissors", "are scissors").replace("scissors is", "scissors are")
    answer = draw.free((f"{named} {verb} used {value}.", f"You use {named} {value}."))
    return Exchange(user, [upper_first(answer)], value)


def sums(draw: Draw) -> Exchange:
    """Arithmetic with small numbers; pairs are entities, so some are never trained."""
    while True:
        kind = draw.free("+++--**")
        if kind == "+":
            left, right = int(draw.rng.random() * 13), int(draw.rng.random() * 13)
            value = left + right
        elif kind == "-":
            left = int(draw.rng.random() * 13)
            right = int(draw.rng.random() * (left + 1))
            value = left - right
        else:
            left, right = int(draw.rng.random() * 11), int(draw.rng.random() * 11)
            value = left * right
        if draw.admit("sum", f"{left}{kind}{right}"):
            break
    spoken = {"+": ("+", "plus"), "-": ("-", "minus"), "*": ("*", "times", "x")}[kind]
    sign = draw.free(spoken)
    user = draw.ask("ask-sum", SUM_ASKED, 2).format(left, sign, right)
    if sign in "+-*" and draw.chance(0.25):
        user = user.replace(f"{left} {sign} {right}", f"{left}{sign}{right}")
    shown = {"+": "plus", "-": "minus", "*": "times"}[kind]
    return Exchange(user, [f"{left} {shown} {right} is {value}."], f"is {value}", about="sums")


def listing(draw: Draw) -> Exchange:
    """A list of two to five things of one kind."""
    group = draw.free(list(tables.GROUPS))
    count = draw.free((2, 3, 3, 3, 4, 5))
    # In the order of the table: a small model then never names a thing twice.
    things = sorted(draw.some(tables.GROUPS[group], count), key=tables.GROUPS[group].index)
    number = draw.free((str(count), _NUMBERS[count], _NUMBERS[count]))
    user = draw.ask("ask-list", _LIST_ASKED, 2).format(number, group)
    answer = draw.free((f"{upper_first(_NUMBERS[count])} {group} are {joined(things)}.",
                        f"Here are {_NUMBERS[count]} {group}: {joined(things)}."))
    return Exchange(user, [answer], items=things, about="lists")


def calendar(draw: Draw) -> Exchange:
    """The day or month before or after another."""
    is_day = draw.chance(0.6)
    cycle, noun = (tables.DAYS, "day") if is_day else (tables.MONTHS, "month")
    here = int(draw.rng.random() * len(cycle))
    if draw.chance(0.6):
        asked, step, word = (_AFTER_DAY if is_day else _AFTER_MONTH), 1, "after"
    else:
        asked, step, word = (_BEFORE_DAY if is_day else _BEFORE_MONTH), -1, "before"
    value = cycle[(here + step) % len(cycle)]
    user = draw.ask(f"ask-{word}-{noun}", asked, 1).format(cycle[here])
    return Exchange(user, [f"The {noun} {word} {cycle[here]} is {value}."], f"is {value}")


def single(draw: Draw) -> Exchange:
    """One of the questions with one fixed answer."""
    asked, answer, expect = draw.free(tables.SINGLE)
    user = draw.ask("ask-single", asked, 1)
    return Exchange(user, [answer], expect)


_YES_NO = {
    "capital": ("Is {1} the capital of {0}?", "Is it true that {1} is the capital of {0}?",
                "{1} is the capital of {0}, right?", "Does {0} have the capital {1}?"),
    "colour": ("Is {0} {1}?", "Is it true that {0} is {1}?", "Would you say that {0} is {1}?"),
    "legs": ("Does {0} have {1} legs?", "Has {0} {1} legs?", "Is it true that {0} has {1} legs?"),
    "opposite": ("Is {1} the opposite of {0}?", "Is the opposite of {0} {1}?",
                 "Is it true that {1} is the opposite of {0}?"),
    "sum": ("Is {0} {1}?", "Is it true that {0} is {1}?", "{0} is {1}, is that right?"),
}


def yes_no(draw: Draw) -> Exchange:
    """A fact, true or false, in a question that yes or no answers."""
    shape = draw.free(tuple(_YES_NO))
    is_true = draw.chance(0.5)
    if shape == "capital":
        key = draw.free(tuple(tables.CAPITALS))
        truth, others = tables.CAPITALS[key], tuple(tables.CAPITALS.values())
        told = "{1} is the capital of {0}", "the capital of {0} is {1}"
    elif shape == "colour":
        key = draw.free(tuple(tables.COLOURS))
        truth, others = tables.COLOURS[key], tuple(set_of(tables.COLOURS))
        told = "{0} is {1}", "{0} is {1}"
    elif shape == "legs":
        animal = draw.free(tuple(tables.LEGS))
        key, others = a(animal), ("two", "four", "six", "eight")
        truth = _NUMBERS[tables.LEGS[animal]] if tables.LEGS[animal] else "no"
        told = "{0} has {1} legs", "{0} has {1} legs"
    elif shape == "opposite":
        key = draw.free(tuple(tables.OPPOSITES))
        truth, others = tables.OPPOSITES[key], tuple(tables.OPPOSITES.values())
        told = "{1} is the opposite of {0}", "the opposite of {0} is {1}"
    else:
        while True:
            left, right = draw.number(0, 9), draw.number(0, 9)
            if draw.admit("sum", f"{left}+{right}"):
                break
        key, truth = f"{left} plus {right}", str(left + right)
        others = tuple(str(value) for value in range(19))
        told = "{0} is {1}", "{0} is {1}"
    if truth == "no" and is_true:
        is_true = False
    said = truth
    while not is_true and said == truth:
        said = draw.free(others)
    user = draw.ask(f"ask-is-{shape}", _YES_NO[shape], 1).format(key, said)
    answer = f"Yes, {told[0].format(key, truth)}." if is_true else (
        f"No, {told[1].format(key, truth)}.")
    return Exchange(upper_first(user), [answer], "Yes" if is_true else "No")


def set_of(table: dict[str, str]) -> list[str]:
    """The different values of a table, in a fixed order."""
    return sorted(set(table.values()))


def long_sum(draw: Draw) -> Exchange:
    """A sum told as a little story."""
    while True:
        left, right = draw.number(2, 12), draw.number(1, 12)
        more = draw.chance(0.5)
        if (more or right < left) and draw.admit("sum", f"{left}{'+' if more else '-'}{right}"):
            break
    thing = draw.free(("apples", "books", "coins", "eggs", "stamps", "shells", "cups", "keys"))
    who = words.any_name(draw)
    user = draw.ask("ask-sum-story", (
        "{who} has {left} {thing} and {verb} {right}. How many {thing} are there now?",
        "{who} has {left} {thing} and {verb} {right}. How many does {who} have?",
        "There are {left} {thing}. {who} {verb} {right}. How many are left?",
        "{left} {thing} lie here. {who} {verb} {right}. How many {thing} is that?",
        "If {who} has {left} {thing} and {verb} {right}, how many are there?",
        "At first {who} has {left} {thing}, then {who} {verb} {right}. How many now?",
        "{who} {verb} {right} {thing} and had {left} before. How many {thing} now?",
    ), 2).format(who=who, left=left, thing=thing, right=right,
                 verb=draw.free(("gets", "adds", "finds")) if more
                 else draw.free(("loses", "gives away", "takes away")))
    value = left + right if more else left - right
    shown = "plus" if more else "minus"
    return Exchange(user, [f"{left} {shown} {right} is {value}."], f"is {value}", may_lower=False)
