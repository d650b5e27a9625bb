"""What the engine is asked, what it answers, and the state of one request in between.

Plain data: token ids and counts. Knows no text, no arrays, no threads.
"""

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homerun.engine.drafts import PromptLookup
from homerun.engine.sampler import Chooser
from homerun.errors import HomerunError
from homerun.types import FinishReason, SamplingParams, Usage


@dataclass(frozen=True, slots=True)
class AdapterRef:
    """A packed adapter of the request's model."""

    version: str
    """Hex digest of its contents: equal versions are one adapter, whatever they are called."""
    path: Path
    nbytes: int
    """Of the packed file."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One generation in token ids."""

    id: str
    """Made by the server, never by a client: events are addressed by it."""
    model: str
    """Name of a loaded model (a lane of the engine)."""
    prompt_ids: tuple[int, ...]
    max_tokens: int
    sampling: SamplingParams
    seed: int
    """64 bits; every random draw of this request is a function of it and the position."""
    stop_ids: frozenset[int]
    rope_variant: int = 0
    """0 = trained positions, 1 = scaled for windows beyond the trained length."""
    cache_scope: bytes = b""
    """What besides tokens and adapter must agree for a prefix to be shared: the account."""
    adapter: AdapterRef | None = None
    """None is the base model."""


@dataclass(frozen=True, slots=True)
class Started:
    """The request left the queue: its first tokens are in this step's plan."""

    request_id: str
    queued_seconds: float


@dataclass(frozen=True, slots=True)
class Produced:
    """New tokens, never stop ids."""

    request_id: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of a request that was answered."""

    request_id: str
    finish_reason: FinishReason
    usage: Usage


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of a request that was not answered (error, abort, time out)."""

    request_id: str
    error: HomerunError
    usage: Usage


Event = Started | Produced | Ended | Failed


@dataclass(slots=True, eq=False)
class Sequence:
    """One request on its way through the engine. Owned by the scheduler."""

    request: EngineRequest
    arrived_at: float
    """Monotonic seconds."""
    tokens: "array[int]" = field(init=False)
    """Prompt and everything generated so far (without a stop id), as int32."""
    computed: int = 0
    """How many of `tokens` have K and V in the cache."""
    blocks: "array[int]" = field(default_factory=lambda: array("i"))
    """Cache blocks in order of position, as int32."""
    block_keys: list[bytes] = field(default_factory=list[bytes])
    """Prefix-cache keys of the full blocks seen so far, in order of position."""
    order: int = -1
    """Its place in the order of arrival."""
    adapter: Any = None
    """The request's adapter, loaded, while the sequence runs."""
    overtaken: int = 0
    """How many later sequences began with an adapter while this one waited for room for its own."""
    cached_tokens: int = 0
    """Prompt tokens that the prefix cache answered at first admission."""
    started: bool = False
    stopped: bool = False
    """A stop id was drawn; it counts as a completion token but is not in `tokens`."""
    lookup: PromptLookup = field(init=False)
    """Where its drafts come from."""
    chooser: Chooser = field(init=False)
    """What its tokens are chosen with."""

    def __post_init__(self) -> None:
        self.tokens = array("i", self.request.prompt_ids)
        self.lookup = PromptLookup(self.tokens)
        self.chooser = Chooser(self.request.sampling, self.request.seed)

    @property
    def prompt_length(self) -> int:
        return len(self.request.prompt_ids)

    @property
    def generated(self) -> int:
        """Number of tokens in `tokens` beyond the prompt."""
        return len(self.tokens) - self.prompt_length

    @property
    def pending(self) -> int:
        """Tokens whose K and V are still to be computed: 1 while decoding, more in prefill."""
        return len(self.tokens) - self.computed

    @property
    def usage(self) -> Usage:
        return Usage(self.prompt_length, self.generated + self.stopped, self.cached_tokens)
