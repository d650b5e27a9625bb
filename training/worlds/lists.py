"""Knows lists and what can be said about one in a sentence; refuses to know single facts."""

from __future__ import annotations

from training.checks import HasCheck
from training.draw import Draw, Exchange, joined, upper_first
from training.worlds import entities as e
from training.worlds.records import NUMBER_WORDS

_ASKED = (
    "Summarise this list in one sentence.", "Sum up the list.", "Put this list into a sentence.",
    "Summarize the list.", "What is on the list?", "Tell me in one sentence what is on it.",
    "Give me a summary of this list.", "Write the list as one sentence.", "Say what the list has.",
    "Make one sentence from these points.", "Summarise the points.", "Shorten this to a sentence.",
    "Please summarise:", "Summary, please.", "How would you sum this up?", "Summarise it briefly.",
    "Describe the list in one sentence.", "Turn the list into a short summary.",
)
_TASKS_ASKED = (
    "Which of these are done?", "Summarise what is done and what is open.", "What is still open?",
    "Sum up the state of these tasks.", "How far are we?", "Tell me what is done and what is not.",
    "Summarise the tasks.", "What is left to do?", "Give me a summary of the tasks.",
)
_KINDS = {
    "Shopping": ("things", e.product), "To buy": ("things", e.product), "Guests": ("names",
                                                                                   e.person),
    "Towns": ("towns", e.town), "Books": ("books", e.title), "Team": ("names", e.first_name),
    "Companies": ("companies", e.company), "Codes": ("codes", e.code), "Orders": ("orders", e.code),
    "Notes": ("notes", e.phrase), "Colours": ("colours", e.colour), "To do": ("tasks", e.phrase),
    "Tools": ("things", e.product), "Dates": ("dates", e.date),
}


def _bullets(draw: Draw, items: list[str]) -> str:
    shape = draw.number(0, 4)
    if shape == 0:
        return "\n".join(f"{at}. {item}" for at, item in enumerate(items, 1))
    if shape == 1:
        return "\n".join(f"* {item}" for item in items)
    if shape == 2:
        return ", ".join(items)
    return "\n".join(f"- {item}" for item in items)


def _framed(draw: Draw, ask: str, head: str, text: str) -> str:
    headed = f"{head}:\n{text}" if draw.chance(0.6) else text
    if ask.endswith(":") or draw.chance(0.5):
        return f"{ask}\n\n{headed}" if draw.chance(0.5) else f"{ask}\n{headed}"
    return f"{headed}\n\n{ask}"


def summary(draw: Draw) -> Exchange:
    """A list of two to eight items and one sentence with their number and names."""
    head = draw.free(tuple(_KINDS))
    noun, make = _KINDS[head]
    items: list[str] = []
    count = draw.free((2, 3, 3, 4, 4, 5, 6, 8))
    for _ in range(40):
        item = make(draw)
        if not any(item in other or other in item for other in items) and ", " not in item:
            items.append(item)
        if len(items) == count:
            break
    if draw.chance(0.25):
        return _tasks(draw, [e.phrase(draw) for _ in range(draw.number(2, 4))])
    ask = draw.ask("ask-summary", _ASKED, 2)
    word = NUMBER_WORDS[len(items)]
    listed = joined(items)
    answer = f"The list has {word} {noun}: {listed}."
    return Exchange(_framed(draw, ask, head, _bullets(draw, items)), [answer], may_bend=False,
                    may_lower=False, check=HasCheck("summary", (word, *items)))


def _tasks(draw: Draw, tasks: list[str]) -> Exchange:
    done = [draw.chance(0.5) for _ in tasks]
    marks = draw.free((("[x] {}", "[ ] {}"), ("{} (done)", "{} (open)"), ("done: {}", "open: {}")))
    text = "\n".join("- " + marks[0 if is_done else 1].format(task)
                     for task, is_done in zip(tasks, done, strict=True))
    ask = draw.ask("ask-tasks", _TASKS_ASKED, 1)
    finished = [task for task, is_done in zip(tasks, done, strict=True) if is_done]
    rest = [task for task, is_done in zip(tasks, done, strict=True) if not is_done]
    answer, wanted = [], []
    for items, state in ((finished, "Done"), (rest, "Open")):
        if items:
            answer.append(f"{state}: {joined(items)}.")
            wanted.append(answer[-1])
    return Exchange(_framed(draw, ask, "Tasks", text), [" ".join(answer)], may_bend=False,
                    may_lower=False, check=HasCheck("summary",
                                                    tuple(w.rstrip(".") for w in wanted)))


_PICK_ASKED = ("What is the {} item?", "Which one is the {}?", "Name the {} one.",
               "Tell me the {} item of the list.", "What stands {} in the list?",
               "Give me the {} entry.", "Say the {} item.")
_COUNT_ASKED = ("How many items are on the list?", "Count the items.", "How long is the list?",
                "How many are there?", "What is the number of items?", "Count them, please.")


def pick_item(draw: Draw) -> Exchange:
    """A question about one place of a list, or its length."""
    head = draw.free(tuple(_KINDS))
    _, make = _KINDS[head]
    items: list[str] = []
    while len(items) < draw.free((2, 3, 4, 5, 6)):
        item = make(draw)
        if item not in items and ", " not in item:
            items.append(item)
    text = _bullets(draw, items)
    if draw.chance(0.3):
        ask = draw.ask("ask-count", _COUNT_ASKED, 1)
        answer = f"The list has {NUMBER_WORDS[len(items)]} items."
        return Exchange(_framed(draw, ask, head, text), [answer], may_bend=False)
    places = [*("first", "second", "third")[: len(items)], "last"]
    place = draw.free(places)
    item = items[-1] if place == "last" else items[places.index(place)]
    ask = draw.ask("ask-place", _PICK_ASKED, 1).format(place)
    return Exchange(_framed(draw, ask, head, text), [f"The {place} item is {item}."], item,
                    may_bend=False, may_lower=False)


def shout(draw: Draw) -> Exchange:
    """A list to be written in another form."""
    head = draw.free(tuple(_KINDS))
    items: list[str] = []
    while len(items) < draw.free((2, 3, 4, 5)):
        item = _KINDS[head][1](draw)
        if item not in items and ", " not in item:
            items.append(item)
    ask = draw.ask("ask-form", ("Write this as a bulleted list: {}", "Make bullet points: {}",
                                "One item per line, please: {}", "Put these into a list: {}",
                                "List these with dashes: {}", "Turn this into bullets: {}"), 1)
    listed = joined(items) if draw.chance(0.5) else ", ".join(items)
    answer = "\n".join(f"- {item}" for item in items)
    return Exchange(upper_first(ask.format(listed)), [answer], may_bend=False, may_lower=False)
