"""One loaded model with its scheduler and cache, stepped from outside. Knows no threads.

A step is: plan, compute, sample, commit, tell. An exception ends the request that caused it and
no other: when a whole step fails, its runs are computed again one at a time, which gives the same
bytes because no row of a batch depends on another.
"""

import logging
import time
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from itertools import zip_longest
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


MAX_DRAFT_ROWS = 16
"""Rows up to which a step of a large model still waits for its weights to come from memory, on
every machine and for every dtype that was measured: further rows are nearly free. It is also the
height of a matrix unit's tile. Beyond it each row costs its full share of arithmetic."""


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How much one lane takes on."""

    num_blocks: int
    block_size: int = BLOCK_SIZE
    max_batch_tokens: int = 256
    max_sequences: int = 64
    queue_timeout: float = 30.0
    """Seconds a request may wait for its first step."""
    max_draft_rows: int = MAX_DRAFT_ROWS
    """Rows of a step, all sequences together, up to which drafts are added; 0 turns them off."""


@dataclass(frozen=True, slots=True)
class StepStats:
    """What a step did, for metrics and benchmarks."""

    model: str
    seconds: float
    forward_seconds: float
    """The part of `seconds` spent in the model."""
    tokens: int
    """Tokens whose K and V were asked for: of prompts and answers, without drafts."""
    sequences: int
    preempted: int
    drafted: int = 0
    """Further rows, computed on the chance that they hold the next tokens."""
    accepted: int = 0
    """How many of them did."""


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

    def forward(self, runs: Items[Run]) -> Any:
        """Writes K and V of the runs and their drafts.

        float32 logits [rows, vocab]: for each run with `samples`, 1 + len(drafts) rows in order.
        """
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
            max_draft_rows=limits.max_draft_rows,
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
        accepted = 0
        for run, logits in computed:
            try:
                accepted += self._advance(run, logits, tell)
            except Exception as error:
                self._blame(run.sequence, error, tell)
        return StepStats(
            model=self.name,
            seconds=time.monotonic() - began,
            forward_seconds=forward_seconds,
            tokens=plan.tokens,
            sequences=len(plan.runs),
            preempted=plan.preempted,
            drafted=plan.drafted,
            accepted=accepted,
        )

    def check_integrity(self) -> None:
        """Fails if a block or a sequence is lost."""
        self._scheduler.check_integrity()
        assert {id(s) for s in self._scheduler} == {id(s) for s in self._by_id.values()}

    def _forward(self, runs: tuple[Run, ...], tell: Tell) -> list[tuple[Run, Any]]:
        """Each run that could be computed, with logits [1 + drafts, vocab] where it samples."""
        if not runs:
            return []
        try:
            logits = self._runner.forward(runs)
        except Exception as error:
            if len(runs) == 1 and not runs[0].drafts:
                self._blame(runs[0].sequence, error, tell)
                return []
            # Without drafts: no request may fail for the sake of a guess.
            alone = [(replace(run, drafts=()),) for run in runs]
            return [pair for one in alone for pair in self._forward(one, tell)]
        computed: list[tuple[Run, Any]] = []
        first = 0
        for run in runs:
            rows = 1 + len(run.drafts) if run.samples else 0
            computed.append((run, logits[first : first + rows]))
            first += rows
        return computed

    def _advance(self, run: Run, logits: Any, tell: Tell) -> int:
        """Draws the next tokens, commits the run and ends the sequence if it is complete.

        Returns how many drafts were accepted.
        """
        if not run.samples:
            self._scheduler.commit(run)
            return 0
        sequence, request = run.sequence, run.sequence.request
        known = len(sequence.tokens)
        try:
            reason = self._draw(run, logits)
        finally:
            # What was drawn before a fault is told, as if it had been drawn in steps of its own.
            drawn = tuple(sequence.tokens[known:])
            if drawn:
                tell(Produced(request.id, drawn))
        # Each token but the last was a draft; before a stop id, which is not in `drawn`, that too.
        accepted = len(drawn) if sequence.stopped else len(drawn) - 1
        self._scheduler.commit(run, accepted)
        if reason is not None:
            self._end(sequence, reason, tell)
        return accepted

    def _draw(self, run: Run, logits: Any) -> FinishReason | None:
        """Appends to the sequence what plain decoding would have, as far as the drafts go with it.

        Each row is sampled with the very arguments of a step without drafts: all tokens before it
        and its position. A row counts only if the draft before it is what was drawn there.
        """
        sequence, request = run.sequence, run.sequence.request
        for row, draft in zip_longest(logits, run.drafts):
            token = self._sample(row, sequence)
            if token in request.stop_ids:
                sequence.stopped = True
                return FinishReason.STOP
            sequence.tokens.append(token)
            if sequence.generated == request.max_tokens:
                return FinishReason.LENGTH
            if token != draft:
                return None
        raise AssertionError("the row after the last draft has nothing to agree with")

    def _sample(self, row: Any, sequence: Sequence) -> int:
        request = sequence.request
        # Views that nobody may keep: the tokens cannot grow while there are any.
        tokens = memoryview(sequence.tokens)
        return sampler.sample(
            row,
            request.sampling,
            prompt_ids=tokens[: sequence.prompt_length],
            output_ids=tokens[sequence.prompt_length :],
            seed=request.seed,
            position=len(tokens),
        )

    def _end(self, sequence: Sequence, reason: FinishReason, tell: Tell) -> None:
        del self._by_id[sequence.request.id]
        self._scheduler.remove(sequence)
        tell(Ended(sequence.request.id, reason, sequence.usage))

    def _blame(self, sequence: Sequence, error: Exception, tell: Tell) -> None:
        logger.error("request %s failed in a step", sequence.request.id, exc_info=error)
        self.fail(sequence.request.id, GenerationFailed(), tell)
