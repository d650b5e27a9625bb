"""Steps of one lane under a clock: the prefill and the decode of prompts of random tokens.

What is timed is what the engine's thread does in a step: scheduling, paging, the model, sampling
(temperature 0.6, the default), accounting. Text, threads and HTTP are left out. Knows lanes and
time, no models.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

from homerun.cli.bench.figures import percentile
from homerun.engine.lane import BLOCK_SIZE, Lane, StepStats
from homerun.engine.sequence import Ended, EngineRequest, Event, Failed
from homerun.errors import ConfigurationError, RequestAborted
from homerun.types import SamplingParams

Phase = Literal["prefill", "decode"]

SEED = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What one round computes."""

    phase: Phase
    tokens: int
    """Timed tokens per sequence: of the prompt in prefill, generated in decode."""
    context: int
    """Tokens per sequence that are in the cache before the timing begins."""
    batch: int
    """Sequences."""

    def __post_init__(self) -> None:
        """Raises ConfigurationError for what cannot be measured."""
        if min(self.tokens, self.batch) < 1 or self.context < 0:
            raise ConfigurationError("--tokens and --batch start at 1, --context at 0")
        if self.phase == "decode" and self.context == 0:
            raise ConfigurationError("decode needs a --context of at least 1")
        if self.phase == "prefill" and self.context % BLOCK_SIZE:
            raise ConfigurationError(
                f"the --context of a prefill must be a multiple of {BLOCK_SIZE}: the prefix cache "
                "provides it, in whole blocks"
            )

    @property
    def max_tokens(self) -> int:
        """How many tokens each request may generate. None stops early.

        In decode a sequence may be ahead of the last one when the timing begins: by at most one
        token per step in which the last block of the prompts is computed.
        """
        return 1 if self.phase == "prefill" else self.tokens + BLOCK_SIZE + 1

    @property
    def positions(self) -> int:
        """The most that one sequence needs."""
        timed_prompt = self.tokens if self.phase == "prefill" else 0
        return self.context + timed_prompt + self.max_tokens

    @property
    def blocks(self) -> int:
        """Cache blocks that hold the whole batch, and one more per sequence.

        The last block of a cached prompt is computed again, into another block.
        """
        return self.batch * (-(-self.positions // BLOCK_SIZE) + 1)

    def batch_tokens(self, wanted: int) -> int:
        """Rows of a step, at least `wanted`: room for the batch and as much prefill beside it."""
        return max(wanted, 2 * self.batch)


@dataclass(frozen=True, slots=True)
class Round:
    """The timed steps of one round."""

    seconds: float
    """From the first timed step to the end of the last."""
    forward_seconds: float
    """The part of it in which the model ran."""
    step_seconds: tuple[float, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """All rounds of a job."""

    rounds: tuple[Round, ...]

    @property
    def tokens_per_s(self) -> list[float]:
        """Over the whole batch; one per round, sorted."""
        return sorted(one.tokens / one.seconds for one in self.rounds)

    @property
    def overhead_share(self) -> float:
        """Share of the time outside the model's forward; median over the rounds."""
        return statistics.median(1 - one.forward_seconds / one.seconds for one in self.rounds)

    def step_ms(self, share: float) -> float:
        """The `share` quantile of all timed steps of all rounds."""
        steps = sorted(second for one in self.rounds for second in one.step_seconds)
        return percentile(steps, share) * 1e3


def measure(
    lane: Lane,
    job: Job,
    *,
    vocab_size: int,
    repeat: int,
    rope_variant: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Measurement:
    """Runs the job `repeat` times after one round that is not counted.

    The lane is idle, holds `job.blocks` blocks of 16 and takes the batch at once. Raises what a
    request fails with. Every round has prompts of its own, so that no work is skipped.
    """
    assert repeat > 0
    bench = _Bench(lane, job, vocab_size, rope_variant, clock)
    bench.round()
    return Measurement(tuple(bench.round() for _ in range(repeat)))


class _Bench:
    """One lane and its job."""

    def __init__(
        self, lane: Lane, job: Job, vocab_size: int, rope_variant: int, clock: Callable[[], float]
    ) -> None:
        self._lane = lane
        self._job = job
        self._vocab_size = vocab_size
        self._rope_variant = rope_variant
        self._clock = clock
        self._rng = random.Random(SEED)
        self._ids = count()

    def round(self) -> Round:
        contexts = [self._random(self._job.context) for _ in range(self._job.batch)]
        if self._job.context:
            # Computed in advance and left in the prefix cache, where the timed requests find it.
            self._add(contexts, max_tokens=1)
            while self._lane.busy:
                self._step()
        if self._job.phase == "prefill":
            return self._prefill(contexts)
        return self._decode(contexts)

    def _prefill(self, contexts: Sequence[tuple[int, ...]]) -> Round:
        prompts = [context + self._random(self._job.tokens) for context in contexts]
        self._add(prompts, max_tokens=self._job.max_tokens)
        events: list[Event] = []
        done = self._timed(lambda: self._lane.busy, events)
        cached = [event.usage.cached_tokens for event in events if isinstance(event, Ended)]
        assert cached == [self._job.context] * self._job.batch, "the prefix cache skipped work"
        return done

    def _decode(self, contexts: Sequence[tuple[int, ...]]) -> Round:
        self._add(contexts, max_tokens=self._job.max_tokens)
        produced = 0
        while produced < self._job.batch:  # the last block of each prompt, not timed
            stats = self._step()
            produced = stats.sequences if stats.tokens == stats.sequences else 0
        steps = iter(range(self._job.tokens))
        done = self._timed(lambda: next(steps, None) is not None, [])
        assert done.tokens == self._job.tokens * self._job.batch, "a step was not a whole batch"
        self._lane.fail_all(RequestAborted(), lambda _: None)
        return done

    def _timed(self, going: Callable[[], bool], events: list[Event]) -> Round:
        steps: list[float] = []
        forward, tokens = 0.0, 0
        began = before = self._clock()
        while going():
            stats = self._step(events)
            after = self._clock()
            steps.append(after - before)
            before = after
            forward += stats.forward_seconds
            tokens += stats.tokens
        return Round(before - began, forward, tuple(steps), tokens)

    def _step(self, events: list[Event] | None = None) -> StepStats:
        events = [] if events is None else events
        first = len(events)
        assert self._lane.busy, "a sequence ended before its time"
        stats = self._lane.step(events.append)
        for event in events[first:]:
            if isinstance(event, Failed):
                raise event.error
        assert not stats.preempted, "the cache is too small for the job"
        return stats

    def _add(self, prompts: Sequence[tuple[int, ...]], max_tokens: int) -> None:
        for prompt in prompts:
            request = EngineRequest(
                id=f"bench-{next(self._ids)}",
                model=self._lane.name,
                prompt_ids=prompt,
                max_tokens=max_tokens,
                sampling=SamplingParams(),
                seed=SEED,
                stop_ids=frozenset(),
                rope_variant=self._rope_variant,
            )
            self._lane.add(request, time.monotonic())

    def _random(self, length: int) -> tuple[int, ...]:
        return tuple(self._rng.randrange(self._vocab_size) for _ in range(length))
