"""A model of a few lines whose next token depends on every token before it, read from the cache.

It keeps the token ids themselves in paged blocks, as a real model keeps K and V, so that a wrong
block table, a stale block or a skipped position changes the answer; so does another adapter, which
has its number in what it wrote. With a habit it likes to count
from 0 to 4 and begin again, so that drafts are often right.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homerun.engine.adapter_slots import AdapterSlots
from homerun.engine.lane import Lane, LaneLimits
from homerun.engine.scheduler import Run
from homerun.engine.sequence import (
    AdapterRef,
    Ended,
    EngineRequest,
    Event,
    Failed,
    Produced,
    Started,
)
from homerun.types import SamplingParams

VOCAB = 50
STOP = 49


class ToyRunner:
    """Stands where `engine.runner.Runner` stands."""

    def __init__(
        self, limits: LaneLimits, fault: Callable[[Run], None] | None = None, habit: float = 0.0
    ) -> None:
        self.memory = np.full((limits.num_blocks, limits.block_size), -1, dtype=np.int64)
        self.size = limits.block_size
        self.fault = fault
        self.habit = habit

    def forward(self, runs: Sequence[Run]) -> NDArray[np.float32]:
        logits: list[NDArray[np.float32]] = []
        for run in runs:
            if self.fault is not None:
                self.fault(run)
        for run in runs:
            assert run.samples or not run.drafts
            sequence, start = run.sequence, run.sequence.computed
            tokens = [*sequence.tokens[start : start + run.count], *run.drafts]
            if sequence.request.adapter is not None:
                assert sequence.adapter == toy_load(sequence.request.adapter)
                tokens = [token + 1000 * sequence.adapter for token in tokens]
            for position, token in enumerate(tokens, start):
                block = sequence.blocks[position // self.size]
                self.memory[block, position % self.size] = token
            if run.samples:
                read = self.memory[np.asarray(sequence.blocks)].reshape(-1)
                lengths = range(start + run.count, start + run.rows + 1)
                logits.extend(toy_logits(read[:n].tolist(), self.habit) for n in lengths)
        return np.array(logits, np.float32)


def toy_logits(tokens: Sequence[int], habit: float) -> NDArray[np.float32]:
    assert min(tokens) >= 0
    seed = blake2b(repr(list(tokens)).encode(), digest_size=8).digest()
    noise = np.random.default_rng(int.from_bytes(seed)).normal(size=VOCAB).astype(np.float32) * 2
    noise[(tokens[-1] + 1) % 5] += habit
    return noise


def adapter(number: int, nbytes: int = 10) -> AdapterRef:
    return AdapterRef(f"{number:02x}", Path(f"adapter-{number}"), nbytes)


def toy_load(ref: AdapterRef) -> int:
    return int(ref.version, 16)


def at_once(work: Callable[[], None]) -> None:
    work()


_ids = count()


def request(prompt: Sequence[int], **changes: object) -> EngineRequest:
    values: dict[str, object] = {
        "id": f"r{next(_ids)}",
        "model": "toy",
        "prompt_ids": tuple(prompt),
        "max_tokens": 8,
        "sampling": SamplingParams(temperature=1.0),
        "seed": 7,
        "stop_ids": frozenset({STOP}),
    }
    return EngineRequest(**{**values, **changes})  # type: ignore[arg-type]


def lane(
    fault: Callable[[Run], None] | None = None,
    habit: float = 0.0,
    adapters: AdapterSlots | None = None,
    populate: Callable[[], bool] | None = None,
    **changes: object,
) -> Lane:
    values: dict[str, object] = {
        "num_blocks": 64,
        "block_size": 4,
        "max_batch_tokens": 32,
        "max_sequences": 8,
        "queue_timeout": 1e9,
    }
    limits = LaneLimits(**{**values, **changes})  # type: ignore[arg-type]
    runner = ToyRunner(limits, fault, habit)
    adapters = adapters or AdapterSlots(toy_load, 1 << 30, start=at_once)
    return Lane("toy", runner, "rev", limits, adapters, populate)  # type: ignore[arg-type]


class Answers:
    """Collects events by request."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}

    def __call__(self, event: Event) -> None:
        self.events.setdefault(event.request_id, []).append(event)

    def tokens(self, request_id: str) -> tuple[int, ...]:
        produced = [e for e in self.events[request_id] if isinstance(e, Produced)]
        return tuple(token for event in produced for token in event.token_ids)

    def last(self, request_id: str) -> Event:
        return self.events[request_id][-1]

    def outcome(self, request_id: str) -> tuple[object, ...]:
        """What must be the same however the request was scheduled."""
        last = self.last(request_id)
        assert isinstance(last, Ended | Failed)
        assert sum(isinstance(e, Ended | Failed) for e in self.events[request_id]) == 1
        if isinstance(last, Failed):
            return (type(last.error),)
        assert isinstance(self.events[request_id][0], Started)
        usage = (last.usage.prompt_tokens, last.usage.completion_tokens)
        return self.tokens(request_id), last.finish_reason, usage


def run(lane: Lane, answers: Answers, limit: int = 10_000) -> None:
    for _ in range(limit):
        if not lane.busy:
            return
        lane.step(answers)
        lane.check_integrity()
    raise AssertionError("the lane never came to an end")


def alone(wanted: EngineRequest, habit: float = 0.0) -> tuple[object, ...]:
    """The outcome of a request in an engine of its own that never drafts."""
    answers, own = Answers(), lane(habit=habit, max_draft_rows=0)
    own.add(wanted, 0.0)
    run(own, answers)
    return answers.outcome(wanted.id)
