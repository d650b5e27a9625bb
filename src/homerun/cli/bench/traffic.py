"""Which requests come when: arrivals, sizes and prompts, all drawn from one seed.

Knows tokens as numbers only: how many words make a token is measured at the server.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, count

from homerun.errors import ConfigurationError

MARGIN = 0.95
"""Share of the window that is used: a number of words only comes near a number of tokens."""
MAX_REDRAWS = 1000
WORDS = (
    "apple river green window early market seven quiet bridge paper garden often letter summer "
    "table under bright story cold music bread village number open friend silver road night "
    "little horse answer water carry winter yellow doctor before stone listen kitchen mountain "
    "travel slow flower city small question rain after north clock happy island morning draw "
    "simple forest coat between school reach candle soft engine corner young picture field"
).split()


@dataclass(frozen=True, slots=True)
class Lengths:
    """A lognormal distribution of token counts; sigma 0 is a fixed number."""

    median: float
    sigma: float = 0.0

    def draw(self, rng: random.Random) -> int:
        return max(1, round(rng.lognormvariate(math.log(self.median), self.sigma)))


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of use."""

    prompt: Lengths | None
    """None: whatever the window leaves beside the output."""
    output: Lengths
    shape: float = 1.0
    """Shape of the gamma distribution of gaps between arrivals; 1 is a Poisson process."""


PROFILES = {
    # Means of 70 and 215 tokens (LMSYS-Chat-1M); the spread is our choice.
    "short-chat": Profile(Lengths(47, 0.9), Lengths(143, 0.9)),
    # Fitted to the conversation trace of Azure LLM Inference 2023, arrivals included.
    "chat": Profile(Lengths(757, 0.99), Lengths(151, 0.86), shape=0.84),
    "long-prefill": Profile(None, Lengths(16)),
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """Everything that decides the requests of a run, besides the tokenizer's words."""

    profile: str
    rate: float
    """Mean arrivals per second; infinite means all at once."""
    shape: float | None = None
    """Overrides the profile's; below 1 arrivals come in bursts."""
    duration: float | None = None
    """Seconds of measured arrivals. Exactly one of this and `requests` is set."""
    requests: int | None = None
    """Number of measured arrivals."""
    warmup: int = 0
    """Arrivals before the measured ones, sent like them."""
    prompt_tokens: int | None = None
    """Fixed size in place of the profile's."""
    output_tokens: int | None = None
    shared_prefix: float = 0.0
    """Share of each prompt's words, from its beginning, that all prompts have in common."""
    window: int = 2048
    """Most tokens of prompt and output together; sizes beyond it are drawn again."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises ConfigurationError for what cannot be sent."""
        if self.profile not in PROFILES:
            raise ConfigurationError(f"{self.profile} is not one of {', '.join(PROFILES)}")
        if not self.rate > 0:
            raise ConfigurationError("--rate must be above 0")
        if (self.duration is None) == (self.requests is None):
            raise ConfigurationError("give one of --duration and --requests")
        if math.isinf(self.rate) and self.requests is None:
            raise ConfigurationError("--rate inf needs --requests")


@dataclass(frozen=True, slots=True)
class WordCost:
    """How many tokens the server counts for a prompt of so many words."""

    per_word: float
    overhead: float
    """Tokens of the template, for no word at all."""

    @classmethod
    def fit(cls, short: tuple[int, int], long: tuple[int, int]) -> "WordCost":
        """The line through two measured (words, tokens). Raises ConfigurationError if it falls."""
        per_word = (long[1] - short[1]) / (long[0] - short[0])
        if per_word <= 0:
            raise ConfigurationError("the server counts no more tokens for more words")
        return cls(per_word, short[1] - per_word * short[0])

    def words(self, tokens: int) -> int:
        """Number of words, at least one, that come nearest to `tokens`."""
        return max(1, round((tokens - self.overhead) / self.per_word))


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One arrival."""

    at: float
    """Seconds after the first measured arrival; negative in the warm-up."""
    prompt: str
    max_tokens: int
    seed: int

    @property
    def body(self) -> dict[str, object]:
        """The native request."""
        return {
            "prompt": self.prompt,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "stream": True,
        }


def plan(traffic: Traffic, cost: WordCost) -> list[PlannedRequest]:
    """All arrivals in order of time; the same for the same arguments.

    Raises ConfigurationError where the sizes do not fit the window.
    """
    sizes = _sizes(traffic)
    words = random.Random(f"{traffic.seed}/words")
    planned: list[PlannedRequest] = []
    for at in _arrivals(traffic):
        prompt_tokens, output_tokens = next(sizes)
        length = cost.words(prompt_tokens)
        shared = int(length * traffic.shared_prefix)
        prompt = make_prompt(shared, random.Random(f"{traffic.seed}/prefix"))
        prompt += make_prompt(length - shared, words)
        seed = words.randrange(1, 10**10)
        planned.append(PlannedRequest(at, prompt.rstrip(), output_tokens, seed))
    return planned


def make_prompt(length: int, rng: random.Random) -> str:
    """`length` words, each with a space after it."""
    return "".join(rng.choice(WORDS) + " " for _ in range(length))


def _arrivals(traffic: Traffic) -> Iterator[float]:
    """Times in order: the warm-up before 0, the first measured arrival at 0."""
    rng = random.Random(f"{traffic.seed}/arrivals")
    shape = traffic.shape or PROFILES[traffic.profile].shape

    def gap() -> float:
        return rng.gammavariate(shape, 1.0) / (shape * traffic.rate)

    early = list(accumulate(gap() for _ in range(traffic.warmup)))
    yield from (-time for time in reversed(early))
    at = 0.0
    for number in count():
        if traffic.requests == number or (traffic.duration is not None and at >= traffic.duration):
            return
        yield at
        at += gap()


def _sizes(traffic: Traffic) -> Iterator[tuple[int, int]]:
    """Endless (prompt, output) token counts. The two are independent, as they are in the traces."""
    rng = random.Random(f"{traffic.seed}/sizes")
    profile = PROFILES[traffic.profile]
    output = Lengths(traffic.output_tokens) if traffic.output_tokens else profile.output
    prompt = Lengths(traffic.prompt_tokens) if traffic.prompt_tokens else profile.prompt
    usable = int(traffic.window * MARGIN)
    while True:
        for _ in range(MAX_REDRAWS):
            out = output.draw(rng)
            size = (prompt.draw(rng) if prompt else usable - out, out)
            if size[0] > 0 and sum(size) <= usable:
                yield size
                break
        else:
            raise ConfigurationError(
                f"the sizes do not fit a window of {traffic.window} tokens (of which "
                f"{MARGIN:.0%} are used): see --window, --prompt-tokens and --output-tokens"
            )
