"""The words the rooms use to talk to each other: plain frozen data, no behaviour.

Knows nothing of HTTP, JSON, NumPy or threads.
"""

from dataclasses import dataclass
from enum import StrEnum


class FinishReason(StrEnum):
    """Why a generation ended."""

    STOP = "stop"
    """The model produced one of its stop ids."""
    LENGTH = "length"
    """`max_tokens` tokens were produced."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """"system", "user", "assistant" or "tool"; the template refuses others."""
    content: str


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen. `None` means that the step is off.

    Ranges are the model's own schema's; values with no meaning are off, as `docs/adr` says:
    a penalty of 0 for `repetition_penalty`, `top_p` of 1 or more. `top_p` 0 is the likeliest token.
    """

    temperature: float = 0.6
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One validated request for text. Exactly one of `prompt` and `messages` is set."""

    model: str
    """Catalog id or served name."""
    prompt: str | None = None
    messages: tuple[Message, ...] | None = None
    raw: bool = False
    max_tokens: int = 256
    sampling: SamplingParams = SamplingParams()
    stream: bool = False
    lora: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts of one finished (or aborted) generation."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """How many of `prompt_tokens` came from the prefix cache."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more text; whole characters only, possibly of several tokens, never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Working:
    """Nothing to say yet, still at it (a long prefill): becomes an SSE comment frame."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The last item of every successful generation."""

    finish_reason: FinishReason
    usage: Usage


GenerationItem = TextDelta | Working | Finished
"""What a generation yields, in order: any number of deltas and `Working`, then one `Finished`."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking. `account` keys the prefix cache, adapters and usage."""

    account: str
    token_id: str | None = None
    """None in open mode."""
