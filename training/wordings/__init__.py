"""Knows how patterns become wordings that only training uses; refuses to know what is held out.

A pattern has alternatives in brackets, one of which is drawn: `[Give|Tell] me the {}.` The lists in
the worlds, from which the held-out wordings come, stay as they are: what is written here makes the
training broader and no question of the evaluation easier or other than it was.
"""

from __future__ import annotations

import random
import re

from training.wordings import manners, requests, rules, texts

# By the world of `Draw.ask`.
MORE: dict[str, tuple[str, ...]] = {
    "system-one": manners.ONE,
    "system-yes": manners.YES_NO,
    "system-few": manners.FEW,
    "system-starts": rules.STARTS,
    "system-ends": rules.ENDS,
    "system-calls": rules.CALLS,
    "system-cheerful": manners.CHEERFUL,
    "system-formal": manners.FORMAL,
    "system-bullets": manners.BULLETS,
    "system-role": rules.ROLE,
    "system-scope": rules.SCOPE,
    "user-one": manners.USER_ONE,
    "ask-span": texts.ASK_ANY,
    "ask-exact": texts.EXACT,
    "system-span": texts.SYSTEM_EXACT,
    "form-span": texts.FORMS,
    "ask-summary": texts.SUMMARY,
    "ask-tasks": texts.TASKS,
    "ask-tool": requests.REQUESTS,
    "ask-tool-question": requests.QUESTIONS,
    "ask-schema": requests.BY_SCHEMA,
    "ask-keys": requests.BY_KEYS,
    **{f"ask-tool-{name}": asked for name, asked in requests.ASKED.items()},
    **{f"ask-span-{name}": asked for name, (_, asked) in texts.RELATIONS.items()},
}
_CHOICE = re.compile(r"\[([^\]]*)\]")


def expand(rng: random.Random, pattern: str) -> str:
    """One wording of a pattern; it starts in upper case where one of its beginnings does."""
    made = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), pattern)
    first = _CHOICE.match(pattern)
    if first is not None and any(choice[:1].isupper() for choice in first[1].split("|")):
        made = made[:1].upper() + made[1:]
    return made


def plain(wording: str) -> str:
    """What two wordings share that differ in case, punctuation and spaces only."""
    return " ".join(re.sub(r"[^\w{}]+", " ", wording.lower()).split())
