"""Messages -> turns: which conversations there are, before any template writes them.

Knows roles and their order; knows nothing of tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from homerun.errors import BadInput
from homerun.types import Message

ROLES = ("system", "user", "assistant", "tool")
SEPARATOR = "\n\n"
"""Between texts that share one turn: a blank line."""

_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Turn:
    """One or several messages of one role in a row."""

    role: str
    content: str
    index: int
    """Where its first message stands in the request, for error texts."""


def to_turns(messages: Sequence[Message]) -> list[Turn]:
    """Checks roles and merges neighbours of one role, a blank line between their contents.

    Raises BadInput for no messages, an unknown role, and a tool's result that no assistant turn
    can have asked for.
    """
    if not messages:
        raise BadInput("Length of '/messages' must be >= 1")
    answered = False
    for index, message in enumerate(messages):
        if message.role not in ROLES:
            shown = message.role[:_SHOWN] + "…" * (len(message.role) > _SHOWN)
            raise BadInput(f"enum {shown} not in {','.join(ROLES)} at '/messages/{index}/role'")
        if message.role == "tool" and not answered:
            raise BadInput(f"'/messages/{index}/role' must not be tool before an assistant message")
        answered = answered or message.role == "assistant"
    turns: list[Turn] = []
    for role, group in groupby(enumerate(messages), key=lambda item: item[1].role):
        merged = list(group)
        content = SEPARATOR.join(message.content for _, message in merged)
        turns.append(Turn(role, content, merged[0][0]))
    return turns


def to_alternating(turns: Sequence[Turn]) -> tuple[Turn | None, list[Turn]]:
    """The opening system turn, if any, and then user and assistant in strict alternation.

    For templates with no other roles: later system turns and tools' results count as the user's,
    and an assistant that speaks first answers an empty user turn. Raises BadInput where nobody
    but the assistant speaks, since such a template starts an answer from a user turn only.
    """
    system = turns[0] if turns[0].role == "system" else None
    rest = [
        Message("assistant" if turn.role == "assistant" else "user", turn.content)
        for turn in turns[system is not None :]
    ]
    if all(message.role == "assistant" for message in rest):
        raise BadInput("'/messages' must hold a message with the role user for this model")
    if rest[0].role == "assistant":
        rest.insert(0, Message("user", ""))
    return system, to_turns(rest)


def join_raw(messages: Sequence[Message]) -> str:
    """The raw prompt of `messages` with `raw: true`: their contents, one after another."""
    if not messages:
        raise BadInput("Length of '/messages' must be >= 1")
    return "".join(message.content for message in messages)
