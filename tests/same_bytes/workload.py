"""Workloads on a real engine with a tiny model, and what each request answers alone in it.

Run as a script it prints a digest of one fixed workload: `python -m tests.same_bytes.workload DIR
DTYPE ARITHMETIC THREADS
[INSTRUCTION_SET]`, for comparison between processes. DTYPE is that of the weights, or WEIGHTS/KV.
"""

import hashlib
import itertools
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homerun.engine.adapter_slots import AdapterSlots
from homerun.engine.lane import Lane, LaneLimits, StepStats
from homerun.engine.runner import Runner
from homerun.engine.scheduler import Run
from homerun.engine.sequence import AdapterRef, Ended, EngineRequest, Event, Failed, Produced
from homerun.model.dtypes import DType, kv_dtype_for, parse_dtype
from homerun.model.kv_cache import KVCache
from homerun.model.loader import LoadedModel, load_model
from homerun.native import configure
from homerun.types import SamplingParams
from tests.arithmetic import ops_named
from tests.random_adapters import ALL, ATTENTION, reference

ADAPTER_ROOM = 1 << 19
"""Bytes; the largest of the adapters fits."""
WINDOW = 512  # twice the trained length of the checkpoints: the scaled variant has a meaning


@dataclass(frozen=True, slots=True)
class Subject:
    """A loaded model and the dtype of its keys and values."""

    model: LoadedModel
    kv_dtype: DType


def load(directory: Path, dtype: str, arithmetic: str) -> Subject:
    weights, _, kv = dtype.partition("/")
    ops = ops_named(arithmetic)
    model = load_model(directory, dtype=weights, max_model_len=WINDOW, ops=ops)
    return Subject(model, parse_dtype(kv) or kv_dtype_for(model.config.dtype))


ADAPTERS = (
    {"targets": ALL, "ranks": 8},
    {"targets": ["q_proj", "v_proj"], "ranks": 16},
    {"targets": ALL, "ranks": {name: 1 + 4 * i for i, name in enumerate(ALL)}},
    {"targets": ["o_proj", "down_proj"], "ranks": 3},
    {"targets": ATTENTION, "ranks": 32, "layers": [1]},
)


def adapter_refs(directory: Path, subject: Subject) -> list[AdapterRef]:
    """Packed adapters of several ranks and targets beside the checkpoint."""
    model = subject.model
    place = directory / f"adapters-{model.config.dtype}"
    place.mkdir(exist_ok=True)
    return [
        reference(place, model.config, i + 1, strength=0.3, **kind)
        for i, kind in enumerate(ADAPTERS)
    ]


class Recording:
    """A runner that notes the bytes of all logits by request: far more telling than tokens."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.seen: dict[tuple[str, int], str] = {}

    def forward(self, runs: Sequence[Run]) -> NDArray[np.float32]:
        logits = self._runner.forward(runs)
        rows = iter(logits)
        for run in runs:
            sequence, known = run.sequence, len(run.sequence.tokens)
            for position in range(known, known + 1 + len(run.drafts)) if run.samples else ():
                # What follows a rejected draft is computed again, and noted instead of this.
                digest = hashlib.sha256(next(rows).tobytes()).hexdigest()
                self.seen[sequence.request.id, position] = digest
        assert next(rows, None) is None
        return logits


def make_lane(subject: Subject, limits: LaneLimits) -> tuple[Lane, Recording]:
    model = subject.model
    cache = KVCache(model.config, limits.num_blocks, limits.block_size, subject.kv_dtype)
    runner = Runner(model, cache)
    recording = Recording(runner)
    # Room for about two of the adapters, so that they come and go.
    slots = AdapterSlots(runner.load_adapter, ADAPTER_ROOM, start=lambda work: work())
    return Lane("tiny", recording, model.revision, limits, slots), recording


def answer(
    subject: Subject,
    limits: LaneLimits,
    requests: Sequence[EngineRequest],
    chance: random.Random,
    steps: list[StepStats] | None = None,
) -> dict[str, list[object]]:
    """Runs all requests with random arrivals; `steps` is given what each step did.

    By id: the tokens, the reason and counts, and the digests of the logits in order of position.
    """
    lane, recording = make_lane(subject, limits)
    outcomes: dict[str, list[object]] = {one.id: [] for one in requests}
    ends: dict[str, int] = {}

    def tell(event: Event) -> None:
        if isinstance(event, Produced):
            outcomes[event.request_id].extend(event.token_ids)
        elif isinstance(event, Ended):
            usage = event.usage
            counts = (usage.prompt_tokens, usage.completion_tokens)
            ends[event.request_id] = usage.total_tokens
            outcomes[event.request_id].append((event.finish_reason, counts))
        elif isinstance(event, Failed):
            raise event.error

    waiting = list(requests)
    while waiting or lane.busy:
        while waiting and (not lane.busy or chance.random() < 0.4):
            lane.add(waiting.pop(0), 0.0)
        stats = lane.step(tell)
        lane.check_integrity()
        if steps is not None:
            steps.append(stats)
    for (request_id, position), digest in sorted(recording.seen.items()):
        if position < ends[request_id]:  # else behind a draft that came after the end
            outcomes[request_id].append(digest)
    return outcomes


class Alone:
    """Answers of single requests, in one prefill, nothing cached or drafted; each remembered."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._known: dict[EngineRequest, object] = {}

    def __call__(self, request: EngineRequest) -> object:
        key = replace(request, id="alone")
        if key not in self._known:
            limits = LaneLimits(
                num_blocks=40, max_batch_tokens=WINDOW, queue_timeout=1e9, max_draft_rows=0
            )
            self._known[key] = answer(self._subject, limits, [key], random.Random(0))["alone"]
        return self._known[key]


FIXED_LIMITS = LaneLimits(num_blocks=12, max_batch_tokens=24, max_sequences=5, queue_timeout=1e9)
"""Narrow enough for the fixed workload to meet chunks, prefix hits and preemption."""


def fixed_workload(adapters: Sequence[AdapterRef]) -> list[EngineRequest]:
    """In fours: of the base model, then mostly of one adapter each."""
    chance = random.Random(11)
    shared = [chance.randrange(4, 300) for _ in range(70)]
    return [
        EngineRequest(
            id=f"r{i}",
            model="tiny",
            prompt_ids=(
                *shared[: 23 * (i % 4)],
                *(chance.randrange(4, 300) for _ in range(1 + 9 * (i % 10))),
            ),
            max_tokens=10,
            sampling=SamplingParams(temperature=0.0 if i % 3 == 0 else 0.9, top_p=0.95),
            seed=i + 1,
            stop_ids=frozenset(),
            rope_variant=i % 2,
            adapter=adapters[(i // 4 * 2 + i % 4 // 3) % len(adapters)] if i // 4 else None,
        )
        for i in range(16)
    ]


def repeating_workload(adapters: Sequence[AdapterRef]) -> list[EngineRequest]:
    """Prompts in circles and penalties that keep an answer in them, or drive it out of them."""
    chance = random.Random(12)
    grid = itertools.product(
        (0.0, 0.4, 0.9),  # temperature
        (None, 0.5, 1.3),  # repetition penalty: below 1 what was said is said again
        ((None, None), (-1.5, None), (None, -2.0), (0.5, -2.0), (0.4, 0.4)),
        (1, 2),  # seed
    )
    return [
        EngineRequest(
            id=f"r{i}",
            model="tiny",
            prompt_ids=tuple(chance.choices(range(4, 300), k=2 + i % 5)) * 4,
            max_tokens=24,
            sampling=SamplingParams(
                temperature=temperature,
                top_k=(None, 20)[i % 2],
                top_p=(None, 0.9, 0.99)[i % 3],
                repetition_penalty=repetition,
                frequency_penalty=frequency,
                presence_penalty=presence,
            ),
            seed=seed,
            stop_ids=frozenset({2, 3, *range(4 + i, 300, 60)}),
            rope_variant=i % 2,
            adapter=adapters[i % len(adapters)] if i % 4 else None,
        )
        for i, (temperature, repetition, (frequency, presence), seed) in enumerate(grid)
    ]


def digest(subject: Subject, directory: Path) -> str:
    workload = fixed_workload(adapter_refs(directory, subject))
    outcome = answer(subject, FIXED_LIMITS, workload, random.Random(3))
    return hashlib.sha256(repr(sorted(outcome.items())).encode()).hexdigest()


if __name__ == "__main__":
    configure(int(sys.argv[4]), sys.argv[5] if len(sys.argv) > 5 else None)
    place = Path(sys.argv[1])
    sys.stdout.write(digest(load(place, sys.argv[2], sys.argv[3]), place) + "\n")
