"""Steps of one lane under a clock: the prefill and the decode of prompts of random tokens.

What is timed is what the engine's thread does in a step: scheduling, paging, the model, sampling
(temperature 0.6, the default), accounting. Text, threads and HTTP are left out. Between timed steps
a probe may read memory, so that a figure can be held against what the machine did at that moment.
Knows lanes and time, no models.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from homerun.cli.bench.figures import percentile
from homerun.engine.lane import BLOCK_SIZE, Lane, StepStats
from homerun.engine.sequence import AdapterRef, Ended, EngineRequest, Event, Failed
from homerun.errors import ConfigurationError, RequestAborted
from homerun.types import SamplingParams

Phase = Literal["prefill", "decode"]

SEED = 1
PROBES_PER_ROUND = 32
PROBE_VARIATION = 0.15
"""What a steady machine's probes vary by at most, see `Round.probe_variation`."""


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
class Work:
    """What the kernels have done so far, or in a span of time. All zero where none are used."""

    seconds: float = 0.0
    """In kernels of any kind."""
    linear_seconds: float = 0.0
    """In products with weights, quantization of the activations included."""
    linear_macs: float = 0.0
    """Multiply-adds of those products, without padding."""

    def since(self, before: "Work") -> "Work":
        return Work(
            self.seconds - before.seconds,
            self.linear_seconds - before.linear_seconds,
            self.linear_macs - before.linear_macs,
        )


@dataclass(frozen=True, slots=True)
class Instruments:
    """What looks at a run beside the clock."""

    clock: Callable[[], float] = time.perf_counter
    work: Callable[[], Work] = Work
    """The counters of the kernels."""
    probe: Callable[[], float] | None = None
    """Reads memory and returns GB/s."""
    repeats_unsteady: bool = False
    """Whether a round in which the probe varied is thrown away and measured again."""


@dataclass(frozen=True, slots=True)
class Round:
    """The timed steps of one round."""

    seconds: float
    """Sum of the timed steps."""
    forward_seconds: float
    """The part of it in which the model ran."""
    step_seconds: tuple[float, ...]
    tokens: int
    work: Work = field(default_factory=Work)
    """What the kernels did in the timed steps."""
    probes: tuple[float, ...] = ()
    """GB/s, taken before, between and after the steps."""

    @property
    def overhead_share(self) -> float:
        """Share of the time outside the kernels; where none are used, outside the model."""
        return 1 - (self.work.seconds or self.forward_seconds) / self.seconds

    @property
    def probe_variation(self) -> float:
        """Distance of the 10th and 90th percentile of the probes, as a share of their median."""
        if not self.probes:
            return 0.0
        low, middle, high = (percentile(sorted(self.probes), share) for share in (0.1, 0.5, 0.9))
        return (high - low) / middle


@dataclass(frozen=True, slots=True)
class Measurement:
    """All rounds of a job."""

    rounds: tuple[Round, ...]
    repeated: int = 0
    """Rounds that were thrown away because the probe varied."""
    base_rounds: tuple[Round, ...] = ()
    """The same without adapters, each just before the round with them; none if none are used."""

    @property
    def probes(self) -> list[float]:
        """GB/s of all rounds."""
        return [probe for one in self.rounds for probe in one.probes]

    @property
    def probe_variation(self) -> float:
        """The largest of a round that counts."""
        return max(one.probe_variation for one in self.rounds)

    @property
    def probe_gb_per_s(self) -> float | None:
        """Median over all probes."""
        return statistics.median(self.probes) if self.probes else None

    @property
    def linear_gmac_per_s(self) -> float | None:
        """Multiply-adds of the linears over their own time; median over the rounds."""
        return self._gmac_per_s([one.work.linear_seconds for one in self.rounds])

    @property
    def step_gmac_per_s(self) -> float | None:
        """The same multiply-adds over the time of the steps."""
        return self._gmac_per_s([one.seconds for one in self.rounds])

    def _gmac_per_s(self, seconds: Sequence[float]) -> float | None:
        if not all(one.work.linear_macs for one in self.rounds):
            return None
        pairs = zip(self.rounds, seconds, strict=True)
        return statistics.median(one.work.linear_macs / each * 1e-9 for one, each in pairs)

    @property
    def tokens_per_s(self) -> list[float]:
        """Over the whole batch; one per round, sorted."""
        return sorted(one.tokens / one.seconds for one in self.rounds)

    @property
    def overhead_share(self) -> float:
        """See `Round.overhead_share`; median over the rounds."""
        return statistics.median(one.overhead_share for one in self.rounds)

    @property
    def base_ratio(self) -> float:
        """Tokens per second with adapters over those without, pair by pair; their median."""
        pairs = zip(self.rounds, self.base_rounds, strict=True)
        return statistics.median(
            one.tokens / one.seconds / (base.tokens / base.seconds) for one, base in pairs
        )

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
    instruments: Instruments | None = None,
    adapters: Sequence[AdapterRef] = (),
) -> Measurement:
    """Runs the job `repeat` times after one round that is not counted.

    The lane is idle, holds `job.blocks` blocks of 16 and takes the batch at once. Raises what a
    request fails with. Every round has prompts of its own, so that no work is skipped. At most
    `repeat` rounds are thrown away, see `Instruments.repeats_unsteady`. The sequences use
    `adapters` in turn; then every round comes after one of the base model, see
    `Measurement.base_rounds`.
    """
    assert repeat > 0
    instruments = instruments or Instruments()
    bench = _Bench(lane, job, vocab_size, rope_variant, instruments)
    bench.round(adapters)  # loads them, too
    rounds: list[Round] = []
    base_rounds: list[Round] = []
    repeated = 0
    while len(rounds) < repeat:
        pair = [bench.round(())] if adapters else []
        pair.append(bench.round(adapters))
        unsteady = any(one.probe_variation > PROBE_VARIATION for one in pair)
        if instruments.repeats_unsteady and unsteady and repeated < repeat:
            repeated += 1
            continue
        rounds.append(pair.pop())
        base_rounds += pair
    return Measurement(tuple(rounds), repeated, tuple(base_rounds))


class _Bench:
    """One lane and its job."""

    def __init__(
        self,
        lane: Lane,
        job: Job,
        vocab_size: int,
        rope_variant: int,
        instruments: Instruments,
    ) -> None:
        self._lane = lane
        self._job = job
        self._vocab_size = vocab_size
        self._rope_variant = rope_variant
        self._instruments = instruments
        self._rng = random.Random(SEED)
        self._ids = count()
        self._adapters: Sequence[AdapterRef] = ()

    def round(self, adapters: Sequence[AdapterRef]) -> Round:
        self._adapters = adapters
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
        clock, work = self._instruments.clock, self._instruments.work
        steps: list[float] = []
        probes: list[float] = []
        done: list[Work] = []
        forward, tokens = 0.0, 0
        stride = -(-self._job.tokens // PROBES_PER_ROUND) if self._job.phase == "decode" else 1
        while going():
            if len(steps) % stride == 0:
                self._probe(probes)
            before = work()
            began = clock()
            stats = self._step(events)
            steps.append(clock() - began)
            done.append(work().since(before))
            forward += stats.forward_seconds
            tokens += stats.tokens
        self._probe(probes)
        total = Work(
            sum(one.seconds for one in done),
            sum(one.linear_seconds for one in done),
            sum(one.linear_macs for one in done),
        )
        return Round(sum(steps), forward, tuple(steps), tokens, total, tuple(probes))

    def _probe(self, probes: list[float]) -> None:
        if self._instruments.probe is not None:
            probes.append(self._instruments.probe())

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
        for index, prompt in enumerate(prompts):
            adapter = self._adapters[index % len(self._adapters)] if self._adapters else None
            request = EngineRequest(
                id=f"bench-{next(self._ids)}",
                model=self._lane.name,
                prompt_ids=prompt,
                max_tokens=max_tokens,
                sampling=SamplingParams(),
                seed=SEED,
                stop_ids=frozenset(),
                rope_variant=self._rope_variant,
                adapter=adapter,
            )
            self._lane.add(request, time.monotonic())

    def _random(self, length: int) -> tuple[int, ...]:
        return tuple(self._rng.randrange(self._vocab_size) for _ in range(length))
