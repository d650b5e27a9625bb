"""One loaded model with its scheduler and cache, stepped from outside. Knows no threads.

A step is: plan, compute, sample, commit, tell. An exception ends the request that caused it and
no other: when a whole step fails, its runs are computed again one at a time, which gives the same
bytes because no row of a batch depends on another.
"""

import logging
import time
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any, Protocol

from homerun.engine import sampler
from homerun.engine.blocks import BlockPool
from homerun.engine.scheduler import Run, Scheduler
from homerun.engine.sequence import (
    Ended,
    EngineRequest,
    Event,
    Failed,
    Produced,
    Sequence,
    Started,
)
from homerun.errors import GenerationFailed, HomerunError, QueueTimeout
from homerun.types import FinishReason

logger = logging.getLogger(__name__)

Tell = Callable[[Event], None]

BLOCK_SIZE = 16
"""Positions of a KV block, wherever nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How much one lane takes on."""

    num_blocks: int
    block_size: int = BLOCK_SIZE
    max_batch_tokens: int = 256
    max_sequences: int = 64
    queue_timeout: float = 30.0
    """Seconds a request may wait for its first step."""


@dataclass(frozen=True, slots=True)
class StepStats:
    """What a step did, for metrics and benchmarks."""

    model: str
    seconds: float
    forward_seconds: float
    """The part of `seconds` spent in the model."""
    tokens: int
    sequences: int
    preempted: int


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """How full a lane is at this moment."""

    model: str
    running: int
    waiting: int
    free_blocks: int
    total_blocks: int


class Forward(Protocol):
    """What computes a plan: `engine.runner.Runner`, or a toy in tests."""

    def forward(self, runs: Items[Run]) -> Items[Any]:
        """Writes K and V of the runs; float32 logits [vocab] for each run with `samples`."""
        ...


class Lane:
    """Everything the engine keeps for one model. Used by one thread only."""

    def __init__(self, name: str, runner: Forward, revision: str, limits: LaneLimits) -> None:
        """`revision`: whatever besides tokens decides K and V (weights, dtypes)."""
        self.name = name
        self._limits = limits
        self._pool = BlockPool(limits.num_blocks, limits.block_size)
        self._runner = runner
        self._scheduler = Scheduler(
            self._pool,
            max_batch_tokens=limits.max_batch_tokens,
            max_sequences=limits.max_sequences,
            revision=revision,
        )
        self._by_id: dict[str, Sequence] = {}

    @property
    def busy(self) -> bool:
        return bool(self._by_id)

    @property
    def load(self) -> LaneLoad:
        """Counts only: other threads may look too."""
        return LaneLoad(
            self.name,
            self._scheduler.running_count,
            self._scheduler.waiting_count,
            self._pool.free_count,
            self._pool.num_blocks,
        )

    @property
    def waiting_count(self) -> int:
        return self._scheduler.waiting_count

    def add(self, request: EngineRequest, arrived_at: float) -> None:
        """Puts a request at the end of the queue."""
        sequence = Sequence(request, arrived_at)
        self._scheduler.add(sequence)
        self._by_id[request.id] = sequence

    def fail(self, request_id: str, error: HomerunError, tell: Tell) -> None:
        """Ends a request at any stage; one that is already gone is left alone."""
        sequence = self._by_id.pop(request_id, None)
        if sequence is not None:
            self._scheduler.remove(sequence)
            tell(Failed(request_id, error, sequence.usage))

    def fail_all(self, error: HomerunError, tell: Tell) -> None:
        """Ends every request of the lane."""
        for request_id in list(self._by_id):
            self.fail(request_id, error, tell)

    def step(self, tell: Tell) -> StepStats:
        """Computes one step and tells its events in order."""
        began = time.monotonic()
        for sequence in self._scheduler.expired(began - self._limits.queue_timeout):
            self.fail(sequence.request.id, QueueTimeout(), tell)
        plan = self._scheduler.plan()
        for sequence in plan.started:
            tell(Started(sequence.request.id, began - sequence.arrived_at))
        for sequence, error in plan.broken:
            self._blame(sequence, error, tell)
        forward_began = time.monotonic()
        computed = self._forward(plan.runs, tell)
        forward_seconds = time.monotonic() - forward_began
        for run, logits in computed:
            try:
                self._advance(run, logits, tell)
            except Exception as error:
                self._blame(run.sequence, error, tell)
        return StepStats(
            model=self.name,
            seconds=time.monotonic() - began,
            forward_seconds=forward_seconds,
            tokens=plan.tokens,
            sequences=len(plan.runs),
            preempted=plan.preempted,
        )

    def check_integrity(self) -> None:
        """Fails if a block or a sequence is lost."""
        self._scheduler.check_integrity()
        assert {id(s) for s in self._scheduler} == {id(s) for s in self._by_id.values()}

    def _forward(self, runs: tuple[Run, ...], tell: Tell) -> list[tuple[Run, Any]]:
        """Each run that could be computed, with its logits [vocab] where it samples."""
        if not runs:
            return []
        try:
            logits = iter(self._runner.forward(runs))
        except Exception as error:
            if len(runs) == 1:
                self._blame(runs[0].sequence, error, tell)
                return []
            return [pair for run in runs for pair in self._forward((run,), tell)]
        return [(run, next(logits) if run.samples else None) for run in runs]

    def _advance(self, run: Run, logits: Any, tell: Tell) -> None:
        """Commits a run, draws the next token and ends the sequence if it was the last one."""
        self._scheduler.commit(run)
        if not run.samples:
            return
        sequence, request = run.sequence, run.sequence.request
        token = sampler.sample(
            logits,
            request.sampling,
            prompt_ids=request.prompt_ids,
            output_ids=sequence.tokens[sequence.prompt_length :],
            seed=request.seed,
            position=len(sequence.tokens),
        )
        if token in request.stop_ids:
            sequence.stopped = True
            self._end(sequence, FinishReason.STOP, tell)
            return
        sequence.tokens.append(token)
        tell(Produced(request.id, (token,)))
        if sequence.generated == request.max_tokens:
            self._end(sequence, FinishReason.LENGTH, tell)

    def _end(self, sequence: Sequence, reason: FinishReason, tell: Tell) -> None:
        del self._by_id[sequence.request.id]
        self._scheduler.remove(sequence)
        tell(Ended(sequence.request.id, reason, sequence.usage))

    def _blame(self, sequence: Sequence, error: Exception, tell: Tell) -> None:
        logger.error("request %s failed in a step", sequence.request.id, exc_info=error)
        self.fail(sequence.request.id, GenerationFailed(), tell)
