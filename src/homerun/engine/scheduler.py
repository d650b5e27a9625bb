"""Who computes how many tokens in the next step. Knows counts and blocks, never values.

There is no prefill phase and no decode phase: a sequence has tokens that are computed and tokens
that are pending, and a plan says how many of the pending ones go into the step. Chunked prefill,
prefix hits and preemption all follow from that. Drafts are rows that a step computes on the chance
that they are what comes next; they are taken into a plan that is made without them.
"""

import logging
from array import array
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from homerun.engine.adapter_slots import AdapterSlots, SlotState
from homerun.engine.blocks import BlockPool, next_key, root_key
from homerun.engine.sequence import AdapterRef, Sequence

logger = logging.getLogger(__name__)

MAX_OVERTAKEN = 16
"""How many later sequences may begin with other adapters before one that waits for room."""


@dataclass(frozen=True, slots=True)
class Run:
    """Part of a plan: the next `count` pending tokens of one sequence, and guesses after them."""

    sequence: Sequence
    count: int
    samples: bool
    """Whether this run ends at the last known token, so that its logits choose the next one."""
    drafts: tuple[int, ...] = ()
    """Token ids that may follow the last known token; only where `samples`."""

    @property
    def rows(self) -> int:
        """Rows in the step's batch."""
        return self.count + len(self.drafts)

    @property
    def sampled(self) -> int:
        """The last so many of the rows have logits: the last known token's and each draft's."""
        return 1 + len(self.drafts) if self.samples else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One step. Empty `runs` means that nothing can be computed."""

    runs: tuple[Run, ...]
    started: tuple[Sequence, ...]
    """Sequences that left the queue for the first time."""
    preempted: int
    broken: tuple[tuple[Sequence, Exception], ...] = ()
    """Sequences that could not be planned, and why: theirs alone to answer for."""

    @property
    def tokens(self) -> int:
        """Pending tokens in the step, without drafts."""
        return sum(run.count for run in self.runs)

    @property
    def drafted(self) -> int:
        return sum(len(run.drafts) for run in self.runs)


class _Sketch:
    """A plan in the making."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.runs: list[Run] = []
        self.started: list[Sequence] = []
        self.preempted = 0
        self.broken: list[tuple[Sequence, Exception]] = []

    def take_back(self, victims: list[Sequence]) -> None:
        """Removes the runs of preempted sequences and regains their share of the budget."""
        self.preempted += len(victims)
        self.budget += sum(run.count for run in self.runs if run.sequence in victims)
        self.runs = [run for run in self.runs if run.sequence not in victims]


class Scheduler:
    """Waiting and running sequences of one model.

    - First come, first served: the head of the queue is never overtaken, but by those that do not
      wait for an adapter while it does. If its adapter waits for room, which others must give up
      first, only so many with other adapters come before it (`MAX_OVERTAKEN`).
    - Decoding sequences go first in every step, so a long prompt delays nobody by more than the
      rest of the step's token budget.
    - When blocks run out, the youngest running sequence gives up its own and goes back to the
      head of the queue to be computed again. The oldest never does, so it always finishes.
    - Drafts get what the others leave: rows up to `max_draft_rows` of the whole step, and blocks
      that are free. They delay and preempt nobody.
    """

    def __init__(
        self,
        pool: BlockPool,
        *,
        max_batch_tokens: int,
        max_sequences: int,
        max_draft_rows: int,
        revision: str,
        adapters: AdapterSlots | None = None,
    ) -> None:
        """Without `adapters` no request may have one."""
        assert max_sequences <= max_batch_tokens
        self._pool = pool
        self._max_batch_tokens = max_batch_tokens
        self._max_sequences = max_sequences
        self._max_draft_rows = min(max_draft_rows, max_batch_tokens)
        self._revision = revision.encode()
        self._adapters = adapters
        self._orders = count()
        # Both in order of arrival; who waits for an adapter may be older than who runs.
        self._running: list[Sequence] = []
        self._waiting: list[Sequence] = []

    def __iter__(self) -> Iterator[Sequence]:
        """All living sequences."""
        yield from self._running
        yield from self._waiting

    @property
    def running_count(self) -> int:
        return len(self._running)

    @property
    def waiting_count(self) -> int:
        return len(self._waiting)

    @property
    def waiting_for_adapters(self) -> int:
        """Sequences that could not run now whatever else there is room for. From any thread."""
        refs = [one.request.adapter for one in self._waiting.copy()]
        return sum(ref is not None and not self._is_ready(ref) for ref in refs)

    def _is_ready(self, ref: AdapterRef) -> bool:
        assert self._adapters is not None
        return self._adapters.is_ready(ref)

    @property
    def capacity(self) -> int:
        """Tokens that one sequence alone can hold."""
        return self._pool.num_blocks * self._pool.block_size

    def add(self, sequence: Sequence) -> None:
        """Takes a new sequence to the end of the queue."""
        request = sequence.request
        assert len(request.prompt_ids) + request.max_tokens <= self.capacity
        assert sequence.request.prompt_ids
        sequence.order = next(self._orders)
        if request.adapter is not None:
            assert self._adapters is not None
            self._adapters.want(sequence.order, request.adapter)
        self._waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Forgets a sequence at any stage and releases what it holds; a second time is harmless."""
        for place in (self._running, self._waiting):
            if sequence in place:
                place.remove(sequence)
        self._release(sequence)
        if self._adapters is not None and sequence.request.adapter is not None:
            self._adapters.forget(sequence.order, sequence.request.adapter)

    def expired(self, before: float) -> list[Sequence]:
        """Never started sequences that arrived before the monotonic time `before`."""
        return [s for s in self._waiting if not s.started and s.arrived_at < before]

    def plan(self) -> Plan:
        """Chooses the next step and reserves its blocks."""
        sketch = _Sketch(self._max_batch_tokens)
        decoding = [s for s in self._running if s.pending == 1]
        prefilling = [s for s in self._running if s.pending > 1]
        for sequence in decoding + prefilling:
            # An older sequence may have preempted this one just now.
            if sketch.budget and not (sketch.preempted and sequence not in self._running):
                try:
                    self._continue(sequence, sketch)
                except Exception as error:
                    sketch.broken.append((sequence, error))
                    self.remove(sequence)
        if self._adapters is not None:
            self._adapters.advance()
        if not sketch.preempted:
            self._begin(sketch)
        self._add_drafts(sketch)
        return Plan(
            tuple(sketch.runs), tuple(sketch.started), sketch.preempted, tuple(sketch.broken)
        )

    def commit(self, run: Run, accepted: int = 0) -> None:
        """Counts a run as computed and offers its full blocks to later prefixes.

        `accepted`: how many of its drafts are in the sequence's tokens by now. What the step
        computed for the others counts for nothing and is overwritten.
        """
        sequence = run.sequence
        size = self._pool.block_size
        before = sequence.computed // size
        sequence.computed += run.count + accepted
        full = sequence.computed // size
        self._extend_keys(sequence, full)
        for index in range(before, full):
            self._pool.publish(sequence.blocks[index], sequence.block_keys[index])
        if run.drafts:
            sequence.lookup.learn(len(run.drafts), accepted)
        needed = self._pool.blocks_for(len(sequence.tokens))
        if needed < len(sequence.blocks):
            self._pool.release(sequence.blocks[needed:])
            del sequence.blocks[needed:]

    def check_integrity(self) -> None:
        """Fails if any block is lost or held by nobody."""
        self._pool.check_integrity([sequence.blocks for sequence in self])
        assert all(not sequence.blocks for sequence in self._waiting)
        for place in (self._running, self._waiting):
            assert [one.order for one in place] == sorted(one.order for one in place)
        if self._adapters is not None:
            wanted = {one.order: one.request.adapter for one in self if one.request.adapter}
            pinned = [one.request.adapter for one in self._running if one.request.adapter]
            self._adapters.check_integrity(wanted, pinned)

    def _begin(self, sketch: "_Sketch") -> None:
        """Lets waiting sequences run, as long as they find room."""
        overtaken: list[Sequence] = []
        for sequence in self._waiting.copy():
            if not sketch.budget or len(self._running) == self._max_sequences:
                return
            try:
                state = self._adapter_state(sequence)
                if state is SlotState.FAILED:
                    raise self._adapter_error(sequence)
                if state is SlotState.WAITING:
                    overtaken.append(sequence)
                has_adapter = sequence.request.adapter is not None
                patient = all(one.overtaken < MAX_OVERTAKEN for one in overtaken)
                if state is not SlotState.READY or (has_adapter and not patient):
                    continue
                if not self._admit(sequence):
                    return
            except Exception as error:
                sketch.broken.append((sequence, error))
                self.remove(sequence)
                continue
            self._waiting.remove(sequence)
            insort(self._running, sequence, key=_order)
            for one in overtaken if has_adapter else ():
                one.overtaken += 1
            self._continue(sequence, sketch)
            if not sequence.started:
                sequence.started = True
                sketch.started.append(sequence)

    def _adapter_state(self, sequence: Sequence) -> SlotState:
        """Of its adapter; the base model is always ready."""
        ref = sequence.request.adapter
        if ref is None:
            return SlotState.READY
        assert self._adapters is not None
        return self._adapters.state(ref)

    def _adapter_error(self, sequence: Sequence) -> Exception:
        assert self._adapters is not None
        assert sequence.request.adapter is not None
        return self._adapters.error(sequence.request.adapter)

    def _continue(self, sequence: Sequence, sketch: "_Sketch") -> None:
        """Puts the next pending tokens of a running sequence into the sketch, if they find room."""
        count = min(sequence.pending, sketch.budget)
        victims = self._reserve(sequence, count)
        if victims:
            sketch.take_back(victims)
        if sequence not in victims:
            sketch.runs.append(Run(sequence, count, samples=count == sequence.pending))
            sketch.budget -= count

    def _add_drafts(self, sketch: "_Sketch") -> None:
        """Adds drafts to the runs that sample, shared out evenly, if the step has rows to spare."""
        spare = self._max_draft_rows - sum(run.count for run in sketch.runs)
        if spare <= 0:
            return
        sampling = [index for index, run in enumerate(sketch.runs) if run.samples]
        for done, index in enumerate(sampling):
            if spare <= 0:
                return
            run = sketch.runs[index]
            try:
                drafts = self._drafts(run.sequence, spare // (len(sampling) - done))
            except Exception:
                logger.exception("no drafts for request %s", run.sequence.request.id)
                continue
            if drafts:
                sketch.runs[index] = replace(run, drafts=drafts)
                spare -= len(drafts)

    def _drafts(self, sequence: Sequence, limit: int) -> tuple[int, ...]:
        """Drafts that find room, with their blocks reserved."""
        request, known = sequence.request, len(sequence.tokens)
        # One token more than the accepted drafts is drawn in any case.
        limit = min(limit, request.max_tokens - sequence.generated - 1)
        room = (len(sequence.blocks) + self._pool.free_count) * self._pool.block_size
        drafts = sequence.lookup.draft(min(limit, room - known))
        if drafts:
            missing = self._pool.blocks_for(known + len(drafts)) - len(sequence.blocks)
            blocks = self._pool.allocate(max(0, missing))
            assert blocks is not None
            sequence.blocks.extend(blocks)
        return drafts

    def _admit(self, sequence: Sequence) -> bool:
        """Takes up cached blocks if all known tokens find room now."""
        size = self._pool.block_size
        self._extend_keys(sequence, len(sequence.tokens) // size)
        # At least one token is computed: its logits choose the next one.
        usable = (len(sequence.tokens) - 1) // size
        sequence.blocks = array("i", self._pool.match(sequence.block_keys[:usable]))
        missing = self._pool.blocks_for(len(sequence.tokens)) - len(sequence.blocks)
        if missing > self._pool.free_count:
            self._release(sequence)
            return False
        sequence.computed = len(sequence.blocks) * size
        if sequence.request.adapter is not None:
            assert self._adapters is not None
            sequence.adapter = self._adapters.pin(sequence.request.adapter)
        if not sequence.started:
            sequence.cached_tokens = sequence.computed
        return True

    def _reserve(self, sequence: Sequence, count: int) -> list[Sequence]:
        """Makes room for `count` more tokens; returns who was preempted for it (maybe itself)."""
        victims: list[Sequence] = []
        while True:
            missing = self._pool.blocks_for(sequence.computed + count) - len(sequence.blocks)
            blocks = self._pool.allocate(max(0, missing))
            if blocks is not None:
                sequence.blocks.extend(blocks)
                return victims
            victim = self._running.pop()
            victims.append(victim)
            self._release(victim)
            insort(self._waiting, victim, key=_order)
            if victim is sequence:
                return victims

    def _release(self, sequence: Sequence) -> None:
        self._pool.release(sequence.blocks)
        sequence.blocks = array("i")
        sequence.computed = 0
        if sequence.adapter is not None:
            assert self._adapters is not None
            assert sequence.request.adapter is not None
            sequence.adapter = None
            self._adapters.unpin(sequence.request.adapter)

    def _extend_keys(self, sequence: Sequence, blocks: int) -> None:
        size = self._pool.block_size
        keys = sequence.block_keys
        while len(keys) < blocks:
            start = len(keys) * size
            parent = keys[-1] if keys else self._root(sequence)
            keys.append(next_key(parent, sequence.tokens[start : start + size]))

    def _root(self, sequence: Sequence) -> bytes:
        request = sequence.request
        adapter = request.adapter.version.encode() if request.adapter is not None else b""
        variant = bytes([request.rope_variant])
        return root_key(self._revision, variant, request.cache_scope, adapter)


def _order(sequence: Sequence) -> int:
    return sequence.order
