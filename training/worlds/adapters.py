"""Knows what the two adapters learn (pirate speech, one label); refuses to train anything."""

from __future__ import annotations

import re

from training.checks import OneLabelCheck
from training.draw import Draw, Exchange
from training.worlds import labels

_FIRST = ("Arr!", "Ahoy, matey!", "Avast!", "Aye, matey!", "Arr, matey!", "Shiver me timbers!")
_LAST = ("Yo ho ho!", "Arr!", "Aye, that be so.", "Fair winds, matey!", "So says the sea, matey.")
_WORDS = (
    (r"\byou are\b", "ye be"), (r"\bYou are\b", "Ye be"), (r"\bI am\b", "I be"),
    (r"\byou\b", "ye"), (r"\bYou\b", "Ye"), (r"\byour\b", "yer"), (r"\bYour\b", "Yer"),
    (r"\bis\b", "be"), (r"\bare\b", "be"), (r"\bmy\b", "me"), (r"\bMy\b", "Me"),
    (r"\bfriend\b", "matey"), (r"\bfriends\b", "mateys"), (r"\bYes\b", "Aye"), (r"\bYes,", "Aye,"),
    (r"\bHello\b(?!,? World)", "Ahoy"), (r"\bHi\b", "Ahoy"),
)
_PATTERNS = tuple((re.compile(pattern), word) for pattern, word in _WORDS)

LABELS = ("question", "request", "praise", "complaint", "greeting")
_PRAISE = ("{good} work with the {4}!", "Thank you, the {4} is {good}.",
           "I love the {4}, it is {good}.",
           "{2} was {good} today, thanks!", "The {4} is {good} and I am happy.",
           "What a {good} {4}!",
           "Thanks to {2}, all went well.", "You did a {good} job in {3}.", "Well done, {2}!")
_COMPLAINT = ("The {4} is {bad}.", "I am angry about the {4}.", "{2} was {bad} to me in {3}.",
              "My {4} is broken again.", "The {4} never works!", "What a {bad} {4}!",
              "I waited an hour for the {4}.", "Nobody in {3} answers my mails.",
              "The {4} came late and is {bad}.", "I am not happy with {2}.")
_REQUEST = ("Please send me the {4}.", "Tell me a story about a {4}.", "Give me three colours.",
            "Open the {4}, please.", "Write a letter to {2}.", "Book a room in {3}.",
            "Translate this for {2}.", "Put the {4} on the list.", "Call {2} at noon.",
            "Repair my {4}, please.", "Show me the way to {3}.", "Bring the {4} to {3}.")
_QUESTION = ("Where is the {4}?", "What is the capital of Italy?", "How much does the {4} cost?",
             "Who is {2}?", "Why is the {4} so small?", "When does {2} leave {3}?",
             "How far is it to {3}?", "Is the {4} open?", "Which {4} is the best?",
             "What colour is the {4}?", "Does {2} live in {3}?", "Can penguins fly?")
_GREETING = ("Hello!", "Hi {2}!", "Good morning, {2}.", "Hello {2}, how are you?", "Good evening!",
             "Hey there!", "Greetings from {3}!", "Hi, I am {2}.", "Good day to you, {2}.",
             "Hello, nice to meet you!", "Hey {2}!", "Good afternoon, {2}.")
_FORMS = {"question": _QUESTION, "request": _REQUEST, "praise": _PRAISE, "complaint": _COMPLAINT,
          "greeting": _GREETING}


def pirate(draw: Draw, sentences: list[str]) -> list[str]:
    """The same answer as a pirate would say it."""
    said = []
    for sentence in sentences:
        for pattern, word in _PATTERNS:
            sentence = pattern.sub(word, sentence)
        said.append(sentence)
    said.insert(0, draw.free(_FIRST))
    if draw.chance(0.5):
        said.append(draw.free(_LAST))
    return said


def message(draw: Draw) -> Exchange:
    """Any message; the answer is its label alone."""
    label = draw.free(LABELS)
    form = draw.ask(f"adapter-{label}", _FORMS[label])
    form = form.replace("{good}", draw.free(labels.GOOD)).replace(
        "{bad}", draw.free(labels.BAD))
    text = labels.filled(draw, form)
    return Exchange(text, [label], check=OneLabelCheck(label, LABELS), may_bend=False)
