"""One loaded model with its scheduler and cache, stepped from outside. Knows no threads.

A step is: plan, compute, sample, commit, tell. An exception ends the request that caused it and
no other: when a whole step fails, its runs are computed again one at a time, which gives the same
bytes because no row of a batch depends on another.
"""

import logging
import time
from array import array
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import Any, Protocol

from homerun.engine import sampler
from homerun.engine.adapter_slots import AdapterActivity, AdapterSlots
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
from homerun.errors import AdapterUnavailable, GenerationFailed, HomerunError, QueueTimeout
from homerun.types import FinishReason

logger = logging.getLogger(__name__)

Tell = Callable[[Event], None]

BLOCK_SIZE = 16
"""Positions of a KV block, wherever nothing else is asked for."""


MAX_DRAFT_ROWS = 16
"""Rows up to which a step of a large model mostly waits for its weights to come from memory, so
that further rows are nearly free. It is also the height of a matrix unit's tile."""


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
    adapters: AdapterActivity | None = None
    """What happened to adapters since the step before; None where the lane has none."""


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """How full a lane is at this moment."""

    model: str
    running: int
    waiting: int
    free_blocks: int
    total_blocks: int
    adapters: int = 0
    """In memory."""
    adapter_bytes: int = 0
    """Of those, and of those being loaded."""
    waiting_for_adapters: int = 0
    """Sequences, of those that wait."""


class Forward(Protocol):
    """What computes a plan: `engine.runner.Runner`, or a toy in tests."""

    def forward(self, runs: Items[Run]) -> Any:
        """Writes K and V of the runs and their drafts.

        float32 logits [rows, vocab]: for each run with `samples`, 1 + len(drafts) rows in order.
        """
        ...


class Lane:
    """Everything the engine keeps for one model. Used by one thread only."""

    def __init__(
        self,
        name: str,
        runner: Forward,
        revision: str,
        limits: LaneLimits,
        adapters: AdapterSlots | None = None,
        populate: Callable[[], bool] | None = None,
    ) -> None:
        """`revision`: whatever besides tokens and adapter decides K and V (weights, dtypes).

        `adapters` None: the model takes none. `populate` does as `KVCache.populate_ahead` does.
        """
        self.name = name
        self._limits = limits
        self._pool = BlockPool(limits.num_blocks, limits.block_size)
        self._runner = runner
        self._adapters = adapters
        self._populate = populate
        self._stalled = False
        self._scheduler = Scheduler(
            self._pool,
            max_batch_tokens=limits.max_batch_tokens,
            max_sequences=limits.max_sequences,
            max_draft_rows=limits.max_draft_rows,
            revision=revision,
            adapters=adapters,
        )
        self._by_id: dict[str, Sequence] = {}

    @property
    def busy(self) -> bool:
        return bool(self._by_id)

    @property
    def stalled(self) -> bool:
        """Whether the next step can do nothing, until `listen`'s callable says that it can."""
        return self._stalled

    def prepare(self) -> bool:
        """Does a small piece of what later steps would have to do first; False if none is left."""
        return self._populate is not None and self._populate()

    def listen(self, wake: Callable[[], None]) -> None:
        """`wake` is called on another thread when a lane that is stalled may go on."""
        if self._adapters is not None:
            self._adapters.wake = wake

    @property
    def load(self) -> LaneLoad:
        """Counts only: other threads may look too."""
        return LaneLoad(
            self.name,
            self._scheduler.running_count,
            self._scheduler.waiting_count,
            self._pool.free_count,
            self._pool.num_blocks,
            *self._adapter_load(),
        )

    def _adapter_load(self) -> tuple[int, int, int]:
        if self._adapters is None:
            return 0, 0, 0
        waiting = self._scheduler.waiting_for_adapters
        return self._adapters.resident_count, self._adapters.used_bytes, waiting

    @property
    def waiting_count(self) -> int:
        return self._scheduler.waiting_count

    def add(self, request: EngineRequest, arrived_at: float) -> None:
        """Puts a request at the end of the queue."""
        sequence = Sequence(request, arrived_at)
        self._scheduler.add(sequence)
        self._by_id[request.id] = sequence
        self._stalled = False

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
        # Somebody waits and nobody runs: for adapters that are being loaded.
        self._stalled = not plan.runs and not plan.broken
        for sequence in plan.started:
            tell(Started(sequence.request.id, began - sequence.arrived_at))
        for sequence, error in plan.broken:
            self._blame(sequence, error, tell)
        forward_began = time.monotonic()
        computed = self._forward(plan.runs, tell)
        forward_seconds = time.monotonic() - forward_began
        accepted = 0
        for runs, logits in computed:
            for run, tokens in self._choose(runs, logits, tell):
                try:
                    accepted += self._advance(run, tokens, tell)
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
            adapters=self._adapters.activity() if self._adapters is not None else None,
        )

    def check_integrity(self) -> None:
        """Fails if a block or a sequence is lost."""
        self._scheduler.check_integrity()
        assert {id(s) for s in self._scheduler} == {id(s) for s in self._by_id.values()}

    def _forward(self, runs: tuple[Run, ...], tell: Tell) -> list[tuple[tuple[Run, ...], Any]]:
        """The runs that could be computed, together or one by one, with their logits."""
        if not runs:
            return []
        try:
            return [(runs, self._runner.forward(runs))]
        except Exception as error:
            if len(runs) == 1 and not runs[0].drafts:
                self._blame(runs[0].sequence, error, tell)
                return []
        # Without drafts: no request may fail for the sake of a guess.
        alone = [(replace(run, drafts=()),) for run in runs]
        return [computed for one in alone for computed in self._forward(one, tell)]

    def _choose(
        self, runs: tuple[Run, ...], logits: Any, tell: Tell
    ) -> list[tuple[Run, list[int]]]:
        """Each run with a token per row of its logits, chosen as if all its drafts were right."""
        try:
            rows = [row for run in runs if run.samples for row in _rows_to_sample(run)]
            tokens = sampler.sample_rows(logits, rows) if rows else []
        except Exception as error:
            if len(runs) == 1 and not runs[0].drafts:
                self._blame(runs[0].sequence, error, tell)
                return []
        else:
            chosen = iter(tokens)
            return [(run, list(islice(chosen, run.sampled))) for run in runs]
        chosen_alone: list[tuple[Run, list[int]]] = []
        first = 0
        for run in runs:
            alone = replace(run, drafts=())
            part = logits[first : first + alone.sampled]
            chosen_alone += self._choose((alone,), part, tell)
            first += run.sampled
        return chosen_alone

    def _advance(self, run: Run, tokens: Items[int], tell: Tell) -> int:
        """Takes the tokens that plain decoding would have drawn; commits the run; tells.

        A token counts only if each draft before it is the token drawn there: then it was chosen
        with the very arguments of a step without drafts. Returns how many drafts were accepted.
        """
        if not run.samples:
            self._scheduler.commit(run)
            return 0
        sequence, request = run.sequence, run.sequence.request
        drawn: list[int] = []
        reason: FinishReason | None = None
        for token, draft in zip_longest(tokens, run.drafts):
            if token == sampler.NOT_FINITE:
                if not drawn:
                    raise sampler.NotFinite("logits are not finite")
                break  # it is found again, and told of, in a step of its own
            if token in request.stop_ids:
                sequence.stopped = True
                reason = FinishReason.STOP
                break
            sequence.tokens.append(token)
            drawn.append(token)
            if sequence.generated == request.max_tokens:
                reason = FinishReason.LENGTH
                break
            if token != draft:
                break
        if drawn:
            tell(Produced(request.id, tuple(drawn)))
        # Each token but the last was a draft; before a stop id, which is not in `drawn`, that too.
        accepted = len(drawn) if sequence.stopped else len(drawn) - 1
        self._scheduler.commit(run, accepted)
        if reason is not None:
            self._end(sequence, reason, tell)
        return accepted

    def _end(self, sequence: Sequence, reason: FinishReason, tell: Tell) -> None:
        del self._by_id[sequence.request.id]
        self._scheduler.remove(sequence)
        tell(Ended(sequence.request.id, reason, sequence.usage))

    def _blame(self, sequence: Sequence, error: Exception, tell: Tell) -> None:
        if isinstance(error, AdapterUnavailable):
            self.fail(sequence.request.id, error, tell)
            return
        logger.error("request %s failed in a step", sequence.request.id, exc_info=error)
        self.fail(sequence.request.id, GenerationFailed(), tell)


def _rows_to_sample(run: Run) -> list[sampler.Row]:
    """What chooses the token after the last known one, and after each draft."""
    sequence = run.sequence
    known = len(sequence.tokens)
    if not sequence.chooser.needs_tokens:
        return [sampler.Row(sequence.chooser, known + i) for i in range(run.sampled)]
    # A copy: the sequence's own could not grow while somebody holds a view of it.
    tokens = memoryview(sequence.tokens + array("i", run.drafts))
    return [
        sampler.Row(sequence.chooser, end, tokens[:end], sequence.prompt_length)
        for end in range(known, known + run.sampled)
    ]
