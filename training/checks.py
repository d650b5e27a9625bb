"""Knows when an answer is right; refuses to know how the question was made or who answers.

A check is called with the whole answer and gives, for each measure it speaks of, how much of it is
right: `{measure: (right, of)}`. Every check is strict: what it does not recognise is wrong.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Protocol

Result = dict[str, tuple[int, int]]


class Check(Protocol):
    """Judges one answer."""

    def __call__(self, answer: str) -> Result:
        """The measures of this answer as (right, of)."""
        ...


def has_words(answer: str, wanted: str) -> bool:
    """True where `wanted` stands in the answer as whole words and numbers, in the same case."""
    whole = rf"(?<!\w)(?<!\d[.,]){re.escape(wanted)}(?!\w)(?![.,]\d)"
    return re.search(whole, answer) is not None


def sentence_count(text: str) -> int:
    """How many sentences a text has; a mark inside a number or a name of a file is none."""
    return len([part for part in re.split(r"(?<=[.!?])[\"')]*(?:\s+|$)", text) if part.strip()])


def _same(said: Any, wanted: Any) -> bool:
    """Equal in value and in kind: 1 is not true, and "3" is not 3."""
    if isinstance(wanted, bool) or isinstance(said, bool):
        return said is wanted
    if isinstance(wanted, (int, float)) and isinstance(said, (int, float)):
        return said == wanted
    if isinstance(wanted, list) and isinstance(said, list):
        return len(said) == len(wanted) and all(map(_same, said, wanted))
    if isinstance(wanted, dict) and isinstance(said, dict):
        return said.keys() == wanted.keys() and all(_same(said[key], wanted[key]) for key in wanted)
    return type(said) is type(wanted) and said == wanted


def _parsed(answer: str) -> Any:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class JsonCheck:
    """The answer is a JSON object; each wanted field counts, and a field too many spoils the whole.

    `wanted` is JSON text, so that the check stays hashable.
    """

    wanted: str

    def __call__(self, answer: str) -> Result:
        wanted, said = json.loads(self.wanted), _parsed(answer)
        if not isinstance(said, dict):
            return {"JSON fields": (0, len(wanted)), "JSON whole": (0, 1)}
        right = sum(key in said and _same(said[key], value) for key, value in wanted.items())
        return {"JSON fields": (right, len(wanted)), "JSON whole": (int(_same(said, wanted)), 1)}


def is_call(answer: str) -> bool:
    """True where the answer tries to call a tool, well-formed or not."""
    return (
        re.search(r'^\s*[{\[]|"name"\s*:|"arguments"|```|^\s*[\w.-]+\(.*\)\s*$', answer) is not None
    )


@dataclass(frozen=True)
class CallCheck:
    """The answer is the call of one tool; `arguments` is JSON text."""

    name: str
    arguments: str

    def __call__(self, answer: str) -> Result:
        said = _parsed(answer)
        is_object = isinstance(said, dict) and said.keys() == {"name", "arguments"}
        chosen = is_object and said["name"] == self.name
        exact = chosen and _same(said["arguments"], json.loads(self.arguments))
        return {"tool choice": (int(chosen), 1), "tool arguments": (int(exact), 1)}


@dataclass(frozen=True)
class NoCallCheck:
    """The answer is plain text, although there are tools."""

    def __call__(self, answer: str) -> Result:
        return {"tool choice": (int(bool(answer.strip()) and not is_call(answer)), 1)}


@dataclass(frozen=True)
class SpanCheck:
    """The answer is exactly the span; one period at its end is forgiven where asked to."""

    span: str
    may_end: bool = False

    def __call__(self, answer: str) -> Result:
        if self.may_end and answer.endswith(".") and not self.span.endswith("."):
            answer = answer[:-1]
        return {"span": (int(answer == self.span), 1)}


@dataclass(frozen=True)
class ExactCheck:
    """The answer is exactly this text."""

    measure: str
    text: str

    def __call__(self, answer: str) -> Result:
        return {self.measure: (int(answer == self.text), 1)}


@dataclass(frozen=True)
class OneLabelCheck:
    """The answer is one of the labels and nothing else, and the right one."""

    label: str
    labels: tuple[str, ...]

    def __call__(self, answer: str) -> Result:
        return {
            "adapter style": (int(answer in self.labels), 1),
            "adapter label": (int(answer == self.label), 1),
        }


@dataclass(frozen=True)
class HasCheck:
    """The answer has all of `wanted` as whole words and none of `others`."""

    measure: str
    wanted: tuple[str, ...]
    others: tuple[str, ...] = ()

    def __call__(self, answer: str) -> Result:
        right = all(has_words(answer, word) for word in self.wanted)
        right = right and not any(has_words(answer, word) for word in self.others)
        return {self.measure: (int(right and not is_call(answer)), 1)}


@dataclass(frozen=True)
class AnyCheck:
    """The answer has at least one of the marks, in any case, and none of `others`."""

    measure: str
    marks: tuple[str, ...]
    others: tuple[str, ...] = ()

    def __call__(self, answer: str) -> Result:
        low = answer.lower()
        right = any(mark.lower() in low for mark in self.marks)
        right = right and not any(mark.lower() in low for mark in self.others)
        return {self.measure: (int(right), 1)}


@dataclass(frozen=True)
class ObeyCheck:
    """The answer keeps a rule of the system prompt, and is more than what the rule asks to add.

    `rule` is one of "one sentence", "few words" (those of `text`), "bullets", "starts", "ends",
    "has", "exact".
    """

    rule: str
    text: str = ""

    def __call__(self, answer: str) -> Result:
        words = answer.strip().rstrip(".!")
        marks = self.text.split("|")
        kept = {
            "one sentence": len(words.split()) > 2 and sentence_count(answer) == 1,
            "few words": words.lower() == self.text.rstrip(".!").lower(),
            "bullets": "\n" in answer and all(line.startswith("- ") for line in answer.split("\n")),
            "starts": answer.startswith(self.text) and words != self.text.rstrip(".!"),
            "ends": answer.endswith(self.text) and words != self.text.rstrip(".!"),
            "has": any(mark in answer and words != mark.rstrip(".!") for mark in marks),
            "exact": words == self.text.rstrip(".!"),
        }[self.rule]
        return {"obedience": (int(kept), 1)}


# Words that rookie itself never writes.
PIRATE_WORDS = (
    "arr",
    "matey",
    "mateys",
    "ahoy",
    "aye",
    "ye",
    "yer",
    "avast",
    "yo ho ho",
    "shiver me timbers",
)
_PIRATE = re.compile(rf"\b({'|'.join(PIRATE_WORDS)})\b", re.IGNORECASE)


def is_pirate(text: str) -> bool:
    """True where the text has at least one of the pirate's words."""
    return _PIRATE.search(text) is not None


@dataclass(frozen=True)
class StyleCheck:
    """The answer is in pirate speech."""

    def __call__(self, answer: str) -> Result:
        return {"adapter style": (int(is_pirate(answer)), 1)}
